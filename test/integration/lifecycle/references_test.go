// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle_test

import (
	"maps"
	"slices"
	"testing"

	. "github.com/onsi/gomega"
	gomegatypes "github.com/onsi/gomega/types"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
)

const digestOfArtifact = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

// publicKeyOfCosign is what cosign calls cosign.pub.
const publicKeyOfCosign = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAESq1wPvpxGZRwKZSB86UJY563feNS
mmCpHbgnTU+Sqvrq0u2g5uxyVrami007XYx/BYbwAZQ2V2StgIzCK3vX7w==
-----END PUBLIC KEY-----
`

// objectOf returns the one of a kind that the shoot is to have, or nil.
func (s *shoot) objectOf(g Gomega, kind string) map[string]any {
	for _, object := range s.configurationObjects(g) {
		if object.GetKind() == kind {
			return object.Object
		}
	}
	return nil
}

// TestWhatIsFollowed has each way to say in short what a shoot follows.
func TestWhatIsFollowed(t *testing.T) {
	t.Parallel()
	const git, oci = "https://git.example.com/fleet/shoots", "oci://registry.example.com/fleet/shoots"
	s := newShoot(t, targetNamespace)
	s.newUnwatched()
	for name, test := range map[string]struct {
		data      map[string]string
		kind      string
		spec      gomegatypes.GomegaMatcher
		reference string
	}{
		"branch":   {map[string]string{"repositoryUrl": git}, "GitRepository", HaveKeyWithValue("ref", map[string]any{"branch": "main"}), `branch "main"`},
		"tag":      {map[string]string{"repositoryUrl": git, "repositoryTag": "v1.2.0"}, "GitRepository", HaveKeyWithValue("ref", map[string]any{"tag": "v1.2.0"}), `tag "v1.2.0"`},
		"range":    {map[string]string{"repositoryUrl": git, "repositorySemver": "1.x"}, "GitRepository", HaveKeyWithValue("ref", map[string]any{"semver": "1.x"}), `tag in the range "1.x"`},
		"commit":   {map[string]string{"repositoryUrl": git, "repositoryCommit": "5f0c7d1b4f6c1d0b6f2d0a3f1f7f9e8a7b6c5d4e"}, "GitRepository", HaveKeyWithValue("ref", map[string]any{"commit": "5f0c7d1b4f6c1d0b6f2d0a3f1f7f9e8a7b6c5d4e"}), `commit "5f0c7d1b4f6c1d0b6f2d0a3f1f7f9e8a7b6c5d4e"`},
		"name":     {map[string]string{"repositoryUrl": git, "repositoryRefName": "refs/pull/4/head"}, "GitRepository", HaveKeyWithValue("ref", map[string]any{"name": "refs/pull/4/head"}), `reference "refs/pull/4/head"`},
		"artifact": {map[string]string{"repositoryUrl": oci, "repositoryTag": "1.2.0"}, "OCIRepository", And(HaveKeyWithValue("url", oci), HaveKeyWithValue("ref", map[string]any{"tag": "1.2.0"})), `tag "1.2.0"`},
		"artifacts in a range": {map[string]string{"repositoryUrl": oci, "repositorySemver": ">=1.0.0 <2.0.0"}, "OCIRepository",
			HaveKeyWithValue("ref", map[string]any{"semver": ">=1.0.0 <2.0.0"}), `tag in the range ">=1.0.0 <2.0.0"`},
		"digest": {map[string]string{"repositoryUrl": oci, "repositoryDigest": digestOfArtifact}, "OCIRepository", HaveKeyWithValue("ref", map[string]any{"digest": digestOfArtifact}), `artifact with digest "` + digestOfArtifact + `"`},
		"signed with a key": {map[string]string{"repositoryUrl": oci, "repositoryTag": "1", "verifyKeys": publicKeyOfCosign}, "OCIRepository",
			HaveKeyWithValue("verify", map[string]any{"provider": "cosign", "secretRef": map[string]any{"name": "flux-verify"}}), `tag "1"`},
		"signed without key": {map[string]string{"repositoryUrl": oci, "repositoryTag": "1", "verifyIssuer": "^https://a$", "verifySubject": "^b$"}, "OCIRepository",
			HaveKeyWithValue("verify", map[string]any{"provider": "cosign", "matchOIDCIdentity": []any{map[string]any{"issuer": "^https://a$", "subject": "^b$"}}}), `tag "1"`},
	} {
		data := maps.Clone(test.data)
		data["fluxVersion"] = newest
		s.configure(data)
		status, err := s.reconcileWith("")
		s.Expect(err).NotTo(HaveOccurred(), name)
		s.Expect(status.Problem).To(BeNil(), name)
		s.Expect(status.RepositoryURL).To(Equal(data["repositoryUrl"]), name)
		s.Expect(status.Reference).To(Equal(test.reference), name)
		s.Expect(s.objectOf(s, test.kind)).To(HaveKeyWithValue("spec", test.spec), name)
		s.Expect(s.objectOf(s, "Kustomization")).To(HaveKeyWithValue("spec", HaveKeyWithValue("sourceRef", map[string]any{"kind": test.kind, "name": "flux-system"})), name)
		s.Expect(s.objectOf(s, "Secret") != nil).To(Equal(data["verifyKeys"] != ""), name)
	}
}

// TestUsersFluxFollowsEachKind lets a Flux of the shoot's users follow each kind of source, in the API versions that it serves, and says which
// CustomResourceDefinition is missing.
func TestUsersFluxFollowsEachKind(t *testing.T) {
	t.Parallel()
	l := newLiving(t)
	l.upgradeByUsers("v2.2.3")
	versions := map[string]string{}
	for _, url := range []string{"https://git.example.com/fleet/shoots", "oci://registry.example.com/fleet/shoots"} {
		data := map[string]string{"fluxVersion": newest, "installation": "once", "repositoryUrl": url, "repositoryTag": "1.2.0"}
		l.configure(data)
		l.operate("reconcile")
		l.expectConfigured(data)
		l.Expect(l.versionOfFlux()).To(Equal("v2.2.3"))
		for _, object := range l.configurationObjects(l) {
			versions[object.GetKind()] = object.GetAPIVersion()
			has := &unstructured.Unstructured{}
			has.SetGroupVersionKind(object.GroupVersionKind())
			l.Expect(l.client.Get(l.ctx, client.ObjectKeyFromObject(object), has)).To(Succeed())
		}
	}
	l.Expect(versions).To(Equal(map[string]string{
		"GitRepository": "source.toolkit.fluxcd.io/v1", "OCIRepository": "source.toolkit.fluxcd.io/v1beta2", "Kustomization": "kustomize.toolkit.fluxcd.io/v1",
		"ConfigMap": "v1", // shoot-info
	}))
	configuration, _ := l.managedResource(managedresource.Configuration)
	l.Expect(slices.ContainsFunc(configuration.Status.Resources, func(reference resourcesv1alpha1.ObjectReference) bool { return reference.Kind == "GitRepository" })).To(BeFalse())

	definition := l.definition("ocirepositories.source.toolkit.fluxcd.io")
	l.Expect(l.client.Delete(l.ctx, definition)).To(Succeed())
	l.Eventually(l.isGoneInShoot(definition), timeout).Should(BeTrue(), "its objects go first")
	l.operate("reconcile")
	l.expectProblem("NotAsConfigured", "the Flux of the shoot belongs to its users (installation: once), and can't follow the project's repository without "+
		"CustomResourceDefinition ocirepositories.source.toolkit.fluxcd.io: install it again, or set key installation of ConfigMap flux-config to managed")
}
