// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"fmt"
	"io/fs"
	"maps"
	"testing"
	"testing/fstest"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/sourcesecret"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/gitserver"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/registry"
)

// artifactRepository is a repository of artifacts in the private registry.
type artifactRepository struct {
	*projectAdmin
	*registry.Registry
	name string
}

func (p *projectAdmin) newArtifactRepository() *artifactRepository {
	r, err := artifacts()
	p.Expect(err).NotTo(HaveOccurred())
	return &artifactRepository{projectAdmin: p, Registry: r, name: p.name + "/fleet"}
}

// push makes an artifact of what a Git repository holds too, with a message, and returns its digest.
func (r *artifactRepository) push(tag, message string) string {
	files := fstest.MapFS{}
	r.Expect(fs.WalkDir(gitserver.Content(), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := fs.ReadFile(gitserver.Content(), path)
		files[path] = &fstest.MapFile{Data: data, Mode: 0o644}
		return err
	})).To(Succeed())
	files[messageFile].Data = []byte(messageManifest(message))
	digest, err := r.Push(r.t.Context(), r.name, tag, registry.Artifact{Files: files, Source: "https://git.example.org/fleet", Revision: tag})
	r.Expect(err).NotTo(HaveOccurred())
	return digest
}

// configuration is that for the repository, with what else is to be written.
func (r *artifactRepository) configuration(more map[string]string) map[string]string {
	configuration := map[string]string{"fluxVersion": fluxVersion, "repositoryUrl": r.URL(r.name), "repositoryType": "private"}
	maps.Copy(configuration, more)
	return configuration
}

// user is who may read the registry, as keys of Secret flux-source have it.
func (r *artifactRepository) user() map[string]string {
	username, password := r.User()
	return map[string]string{sourcesecret.KeyUsername: username, sourcesecret.KeyPassword: password}
}

// writePullSecret makes Secret flux-source anew, as `kubectl create secret docker-registry` does, with the registry's authority.
func (r *artifactRepository) writePullSecret() {
	pullSecret, err := r.PullSecret()
	r.Expect(err).NotTo(HaveOccurred())
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: sourcesecret.SecretName},
		Type:       corev1.SecretTypeDockerConfigJson,
		Data:       map[string][]byte{sourcesecret.KeyDockerConfig: pullSecret, sourcesecret.KeyCACert: r.CA},
	}
	r.Expect(r.landscape.GardenClient.Delete(r.t.Context(), secret.DeepCopy())).To(Succeed())
	r.Expect(r.landscape.GardenClient.Create(r.t.Context(), secret)).To(Succeed())
}

// newSigningKey makes a key pair of cosign.
func (r *artifactRepository) newSigningKey() *registry.SigningKey {
	bin, err := process.FindBinaries()
	r.Expect(err).NotTo(HaveOccurred())
	key, err := registry.NewSigningKey(r.t.Context(), bin, r.t.TempDir())
	r.Expect(err).NotTo(HaveOccurred())
	return key
}

// TestArtifacts follows a private registry: by a range of versions, whose credentials expire and are replaced, by a tag that moves, and only what is signed.
func TestArtifacts(t *testing.T) {
	parallel(t)
	repository := newProject(t, "artifacts").newArtifactRepository()
	repository.configure(repository.configuration(map[string]string{"repositorySemver": "1.x"}))
	repository.writeCredentials(repository.user())
	first := repository.push("v1.0.0", "first")
	shoot := repository.newShoot("one")
	shoot.expectMistake("CertificateUntrusted", repository.addCA())
	shoot.expectSucceeded()
	credentials := repository.user()
	credentials[sourcesecret.KeyCACert] = string(repository.CA)
	repository.writeCredentials(credentials)
	shoot.expectApplied("v1.0.0@" + first)
	shoot.expectContent()

	shoot.followNewVersion(repository)
	shoot.followMovingTag(repository, first)
	shoot.followSigned(repository)
	shoot.expectHealthy()
}

// followNewVersion has a version come while nobody gets in: the password was changed.
func (s *shootOwner) followNewVersion(repository *artifactRepository) {
	before := repository.user()[sourcesecret.KeyPassword]
	s.Expect(repository.ChangePassword()).To(Succeed()) // first: Flux also looks by itself
	second := repository.push("v1.1.0", "second")
	repository.push("v2.0.0", "too new")
	s.fetch()
	s.expectMistake("AuthenticationFailed", "the registry does not accept the credentials for "+repository.URL(repository.name)+": "+repository.correctSecret())
	s.Expect(s.message()).To(Equal("first"), "what runs stays")
	repository.writePullSecret()
	s.expectApplied("v1.1.0@" + second)
	s.Expect(s.message()).To(Equal("second"))
	shown := fmt.Sprint(s.statusConfigMap(s), s.events(s))
	s.Expect(shown).NotTo(Or(ContainSubstring(before), ContainSubstring(repository.user()[sourcesecret.KeyPassword])))
}

func (s *shootOwner) followMovingTag(repository *artifactRepository, first string) {
	repository.configure(repository.configuration(map[string]string{"repositoryTag": "stable"}))
	s.expectMistake("TagNotFound", `has no tag "stable": push it, or correct repositoryTag in ConfigMap garden-artifacts/flux-config of the garden`)
	s.Expect(repository.Tag(s.t.Context(), repository.name, first, "stable")).To(Succeed())
	s.fetch()
	s.expectApplied("stable@" + first)
	s.Expect(s.message()).To(Equal("first"))
	third := repository.push("stable", "third")
	s.fetch()
	s.expectApplied("stable@" + third)
	s.Expect(s.message()).To(Equal("third"))
}

// followSigned accepts only what one key has signed. What was signed last stays when the tag moves to what is not. The tag is another one than before:
// Flux looks by itself too, and would take what it does not have to verify yet.
func (s *shootOwner) followSigned(repository *artifactRepository) {
	const tag = "signed"
	right, wrong := repository.newSigningKey(), repository.newSigningKey()
	verify := func(key *registry.SigningKey) {
		repository.configure(repository.configuration(map[string]string{"repositoryTag": tag, "verifyKeys": string(key.PublicKey)}))
	}
	sign := func(digest string) {
		s.Expect(right.Sign(s.t.Context(), repository.Registry, repository.name, digest, registry.Bundle)).To(Succeed())
	}
	const notSigned = "is not signed as it has to be, so Flux does not take it: sign it, or correct verifyKeys"
	fourth := repository.push(tag, "fourth")
	sign(fourth)
	verify(wrong)
	s.expectMistake("VerificationFailed", notSigned)
	s.Expect(s.message()).To(Equal("third"))
	verify(right)
	s.expectApplied(tag + "@" + fourth)
	s.Expect(s.message()).To(Equal("fourth"))

	fifth := repository.push(tag, "fifth")
	s.fetch()
	s.expectMistake("VerificationFailed", notSigned)
	s.Expect(s.message()).To(Equal("fourth"))
	sign(fifth)
	s.fetch()
	s.expectApplied(tag + "@" + fifth)
	s.Expect(s.message()).To(Equal("fifth"))
}
