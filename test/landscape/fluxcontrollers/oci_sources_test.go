// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package fluxcontrollers_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/registry"
)

// TestOCISources has the real source-controller pull artifacts from a private registry, by each kind of reference, verify their signatures, and
// shows what it says of mistakes.
func TestOCISources(t *testing.T) {
	t.Parallel()
	s := startSources(t, "oci-failures.yaml")
	s.repository("fleet") // for the names of hosts
	s.pullSecret()
	t.Run("follows", func(t *testing.T) { followOCI(t, s) })
	t.Run("verifies", func(t *testing.T) { verifyOCI(t, s) })
	t.Run("fails", func(t *testing.T) {
		failures := map[string]*sourcev1.OCIRepository{}
		s.push("team/artifacts", "v1.0.0", "a")
		for _, add := range []func(map[string]*sourcev1.OCIRepository, *sources){addPullFailures, addTagFailures, addSignatureFailures} {
			add(failures, s)
		}
		for name, object := range failures {
			s.create(name, object, nil)
		}
		for name, object := range failures {
			s.expectFailure(t, name, object)
		}
	})
	t.Run("repairs", func(t *testing.T) { repairOCI(t, s) }) // nobody has the password afterwards
}

// followOCI has tags move, and the newest of a range change.
func followOCI(t *testing.T, s *sources) {
	first := s.push("team/fleet", "v1.0.0", "first")
	NewWithT(t).Expect(s.registry.Tag(t.Context(), "team/fleet", first, "stable")).To(Succeed())
	NewWithT(t).Expect(s.registry.Tag(t.Context(), "team/fleet", first, "latest")).To(Succeed())
	for name, test := range map[string]struct {
		reference *sourcev1.OCIRepositoryRef
		// before and after are the tags, moved the one that is pushed to.
		before, after, moved string
	}{
		"tag":    {&sourcev1.OCIRepositoryRef{Tag: "stable"}, "stable", "stable", "stable"},
		"semver": {&sourcev1.OCIRepositoryRef{SemVer: "1.x"}, "v1.0.0", "v1.1.0", "v1.1.0"},
		"latest": {nil, "latest", "latest", "latest"},
		"digest": {&sourcev1.OCIRepositoryRef{Digest: first}, "", "", "other"},
	} {
		t.Run(name, func(t *testing.T) {
			object := s.ociRepository("team/fleet", test.reference)
			s.create("follows-"+name, object, nil)
			if name == "digest" {
				s.expectRevision(t, object, first)
				return
			}
			s.expectRevision(t, object, test.before+"@"+first)
			second := s.push("team/fleet", test.moved, "second of "+name)
			s.reconcile(object)
			s.expectRevision(t, object, test.after+"@"+second)
		})
	}
}

// signingKey makes one, and a Secret with its public half.
func (s *sources) signingKey(name string) *registry.SigningKey {
	s.Helper()
	g := NewWithT(s)
	dir := filepath.Join(s.dir, name)
	g.Expect(os.Mkdir(dir, 0o700)).To(Succeed())
	key, err := registry.NewSigningKey(s.Context(), s.bin, dir)
	g.Expect(err).NotTo(HaveOccurred())
	s.createSecret(name, corev1.SecretTypeOpaque, data{"cosign.pub": string(key.PublicKey)})
	return key
}

func verify(secret string) func(*sourcev1.OCIRepositorySpec) {
	return func(spec *sourcev1.OCIRepositorySpec) {
		spec.Verify = &sourcev1.OCIRepositoryVerification{Provider: "cosign", SecretRef: &meta.LocalObjectReference{Name: secret}}
	}
}

// verifyOCI verifies what cosign signs, in both ways in which it stores signatures, and keeps the last artifact that was signed when its tag
// moves to one that is not.
func verifyOCI(t *testing.T, s *sources) {
	key := s.signingKey("signer")
	for _, format := range []registry.Format{registry.Bundle, registry.Tagged} {
		t.Run(string(format), func(t *testing.T) {
			g := NewWithT(t)
			repository := "team/signed-" + string(format)
			sign := func(digest string) {
				g.Expect(key.Sign(t.Context(), s.registry, repository, digest, format)).To(Succeed())
			}
			first := s.push(repository, "stable", "first")
			sign(first)
			object := s.ociRepository(repository, &sourcev1.OCIRepositoryRef{Tag: "stable"}, verify("signer"))
			s.create("verifies-"+string(format), object, nil)
			s.expectRevision(t, object, first)
			g.Expect(object.Status.Conditions).To(ContainElement(And(HaveField("Type", sourcev1.SourceVerifiedCondition), HaveField("Message", "verified signature of revision stable@"+first))))

			second := s.push(repository, "stable", "second")
			s.reconcile(object)
			s.expectFailure(t, "tag-moves-to-unsigned-"+string(format), object)
			g.Expect(object.GetArtifact().Revision).To(Equal("stable@" + first))
			sign(second)
			s.reconcile(object)
			s.expectRevision(t, object, second)
		})
	}
}

func addPullFailures(failures map[string]*sourcev1.OCIRepository, s *sources) {
	s.createSecret("wrong-password", corev1.SecretTypeDockerConfigJson, data{corev1.DockerConfigJsonKey: `{"auths":{"` + s.registry.Host + `":{"username":"operator","password":"wrong"}}}`})
	s.createSecret("another-registry", corev1.SecretTypeDockerConfigJson, data{corev1.DockerConfigJsonKey: `{"auths":{"ghcr.io":{"username":"operator","password":"wrong"}}}`})
	pullSecret, err := s.registry.PullSecret()
	NewWithT(s).Expect(err).NotTo(HaveOccurred())
	s.createSecret("opaque", corev1.SecretTypeOpaque, data{corev1.DockerConfigJsonKey: string(pullSecret)})
	s.createSecret("another-ca", corev1.SecretTypeOpaque, data{"ca.crt": s.stranger})
	s.createSecret("broken-ca", corev1.SecretTypeOpaque, data{"ca.crt": "rubbish"})
	s.createSecret("empty", corev1.SecretTypeOpaque, data{})
	secret := func(name string) *meta.LocalObjectReference {
		if name == "" {
			return nil
		}
		return &meta.LocalObjectReference{Name: name}
	}
	for name, secrets := range map[string][2]string{
		"no-credentials":         {"", "registry-ca"},
		"wrong-password":         {"wrong-password", "registry-ca"},
		"credentials-of-another": {"another-registry", "registry-ca"},
		"secret-of-another-type": {"opaque", "registry-ca"},
		"no-secret":              {"does-not-exist", "registry-ca"},
		"no-ca":                  {"registry", ""},
		"another-ca":             {"registry", "another-ca"},
		"broken-ca":              {"registry", "broken-ca"},
		"empty-ca-secret":        {"registry", "empty"},
		"no-ca-secret":           {"registry", "does-not-exist"},
	} {
		failures[name] = s.ociRepository("team/artifacts", &sourcev1.OCIRepositoryRef{Tag: "v1.0.0"}, func(spec *sourcev1.OCIRepositorySpec) {
			spec.SecretRef, spec.CertSecretRef = secret(secrets[0]), secret(secrets[1])
		})
	}
}

func addTagFailures(failures map[string]*sourcev1.OCIRepository, s *sources) {
	for name, ref := range map[string]*sourcev1.OCIRepositoryRef{
		"no-tag":     {Tag: "v9.9.9"},
		"no-latest":  nil,
		"no-version": {SemVer: "9.x"},
		"no-range":   {SemVer: "newest"},
		"no-digest":  {Digest: "sha256:" + strings.Repeat("1", 64)},
	} {
		failures[name] = s.ociRepository("team/artifacts", ref)
	}
	failures["no-repository"] = s.ociRepository("team/none", &sourcev1.OCIRepositoryRef{Tag: "v1.0.0"})
	failures["no-repository-with-versions"] = s.ociRepository("team/none", &sourcev1.OCIRepositoryRef{SemVer: "1.x"})
	failures["tag-in-url"] = s.ociRepository("team/artifacts:v1.0.0", nil)
	failures["no-server"] = s.ociRepository("team/artifacts", nil, func(spec *sourcev1.OCIRepositorySpec) { spec.URL = "oci://127.0.0.3:1/team/artifacts" })

	// No artifact, but an image.
	g := NewWithT(s)
	image, err := random.Image(64, 0)
	g.Expect(err).NotTo(HaveOccurred())
	tag, err := name.NewTag(s.registry.Host + "/team/image:v1.0.0")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(remote.Write(tag, image, remote.WithTransport(s.registry.Transport()), remote.WithAuthFromKeychain(s.registry))).To(Succeed())
	failures["no-layers"] = s.ociRepository("team/image", &sourcev1.OCIRepositoryRef{Tag: "v1.0.0"})
}

func addSignatureFailures(failures map[string]*sourcev1.OCIRepository, s *sources) {
	g := NewWithT(s)
	signer := s.signingKey("right")
	s.signingKey("another")
	s.createSecret("no-pub", corev1.SecretTypeOpaque, data{"cosign.key": string(signer.PublicKey)})
	s.createSecret("broken-pub", corev1.SecretTypeOpaque, data{"cosign.pub": "rubbish"})
	signed := s.push("team/signed", "v1.0.0", "a")
	g.Expect(signer.Sign(s.Context(), s.registry, "team/signed", signed, registry.Bundle)).To(Succeed())
	ref := &sourcev1.OCIRepositoryRef{Tag: "v1.0.0"}
	failures["not-signed"] = s.ociRepository("team/artifacts", ref, verify("right"))
	failures["signed-by-another"] = s.ociRepository("team/signed", ref, verify("another"))
	failures["no-key-to-verify"] = s.ociRepository("team/signed", ref, verify("no-pub"))
	failures["broken-key-to-verify"] = s.ociRepository("team/signed", ref, verify("broken-pub"))
	failures["no-secret-to-verify"] = s.ociRepository("team/signed", ref, verify("does-not-exist"))
}

// repairOCI has credentials expire, and be replaced: what is in the shoot stays meanwhile.
func repairOCI(t *testing.T, s *sources) {
	g := NewWithT(t)
	digest := s.push("team/repairs", "stable", "a")
	object := s.ociRepository("team/repairs", &sourcev1.OCIRepositoryRef{Tag: "stable"})
	s.create("repairs", object, nil)
	s.expectRevision(t, object, digest)
	g.Expect(s.registry.ChangePassword()).To(Succeed())
	s.reconcile(object)
	s.expectFailure(t, "expires", object)
	g.Expect(object.GetArtifact()).NotTo(BeNil(), "the old one stays")
	s.pullSecret()
	s.reconcile(object)
	s.expectRevision(t, object, digest)
}
