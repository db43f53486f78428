// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package render_test

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/sourcesecret"
)

var update = flag.Bool("update", false, "write the golden files anew")

// expectGolden compares objects with testdata/<name>.golden.yaml, which `go test -update` writes.
func expectGolden(g Gomega, name string, objects []client.Object) {
	var got bytes.Buffer
	// REUSE-IgnoreStart
	got.WriteString("# SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors\n#\n# SPDX-License-Identifier: Apache-2.0\n")
	// REUSE-IgnoreEnd
	for _, object := range objects {
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
		g.Expect(err).NotTo(HaveOccurred())
		document, err := yaml.Marshal(content)
		g.Expect(err).NotTo(HaveOccurred())
		got.WriteString("---\n")
		got.Write(document)
	}

	file := filepath.Join("testdata", name+".golden.yaml")
	if *update {
		g.Expect(os.WriteFile(file, got.Bytes(), 0o600)).To(Succeed())
	}
	want, err := os.ReadFile(file)
	g.Expect(err).NotTo(HaveOccurred(), "run go test ./pkg/render -update")
	g.Expect(got.String()).To(Equal(string(want)))
}

func embeddedRelease(t testing.TB) *release.Release {
	g := NewWithT(t)
	catalogue, err := release.NewCatalogue(release.Options{})
	g.Expect(err).NotTo(HaveOccurred())
	flux, err := catalogue.Get(context.Background(), catalogue.Embedded()[0])
	g.Expect(err).NotTo(HaveOccurred())
	return flux
}

func oldRelease(t *testing.T) []byte {
	manifests, err := os.ReadFile("testdata/old-release.yaml")
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return manifests
}

const (
	twoKeys     = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n# the old one\n-----BEGIN PUBLIC KEY-----\nBBBB\n-----END PUBLIC KEY-----\n"
	armouredKey = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA\n-----END PGP PUBLIC KEY BLOCK-----\n"
)

func TestConfiguration(t *testing.T) {
	current := embeddedRelease(t).Manifests
	private := &fluxv1alpha1.Repository{URL: "ssh://git@git.example.com:2222/fleet/shoots.git", Branch: "production", Path: "./clusters/one", Type: fluxv1alpha1.RepositoryPrivate}
	public := &fluxv1alpha1.Repository{URL: "https://git.example.com/fleet/shoots", Branch: "main", Path: "./"}
	app := &fluxv1alpha1.Repository{URL: "https://github.com/fleet/shoots", Branch: "main", Path: "./", Type: fluxv1alpha1.RepositoryPrivate}
	credentials := &sourcesecret.Credentials{Kind: sourcesecret.KindSSH, SecretRef: &sourcesecret.ShootSecret{Name: sourcesecret.SecretName, Type: corev1.SecretTypeOpaque, Data: sourcesecret.Data{
		sourcesecret.KeyIdentity: []byte("not a real key"), sourcesecret.KeyIdentityPub: []byte("ssh-ed25519 AAAA"), sourcesecret.KeyKnownHosts: []byte("[git.example.com]:2222 ssh-ed25519 AAAA"),
	}}}
	gitHubApp := &sourcesecret.Credentials{Kind: sourcesecret.KindGitHubApp, Provider: "github", SecretRef: &sourcesecret.ShootSecret{Name: sourcesecret.SecretName, Type: corev1.SecretTypeOpaque, Data: sourcesecret.Data{
		sourcesecret.KeyGitHubAppID: []byte("1"), sourcesecret.KeyGitHubAppInstallationID: []byte("2"), sourcesecret.KeyGitHubAppPrivateKey: []byte("not a real key"),
	}}}

	registry := &sourcesecret.Credentials{
		Kind: sourcesecret.KindRegistry,
		SecretRef: &sourcesecret.ShootSecret{Name: "flux-source-registry", Type: corev1.SecretTypeDockerConfigJson, Data: sourcesecret.Data{
			corev1.DockerConfigJsonKey: []byte(`{"auths":{"registry.example.com":{"auth":"eDp5"}}}`),
		}},
		CertSecretRef: &sourcesecret.ShootSecret{Name: sourcesecret.SecretName, Type: corev1.SecretTypeOpaque, Data: sourcesecret.Data{"ca.crt": []byte("not a real one")}},
	}

	for name, test := range map[string]struct {
		manifests   []byte
		repository  *fluxv1alpha1.Repository
		credentials *sourcesecret.Credentials
	}{
		"private":     {current, private, credentials},
		"public":      {current, public, nil},
		"github-app":  {current, app, gitHubApp},
		"flux-only":   {current, nil, nil},
		"private-old": {oldRelease(t), private, credentials},
		"tag":         {current, &fluxv1alpha1.Repository{URL: "https://git.example.com/fleet/shoots", Tag: "v1.2.3", Path: "./"}, nil},
		"semver":      {current, &fluxv1alpha1.Repository{URL: "https://git.example.com/fleet/shoots", Semver: ">=1.2.0", Path: "./"}, nil},
		"commit":      {current, &fluxv1alpha1.Repository{URL: "https://git.example.com/fleet/shoots", Commit: "5f0c1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b", Path: "./"}, nil},
		"ref-name":    {current, &fluxv1alpha1.Repository{URL: "https://git.example.com/fleet/shoots", RefName: "refs/pull/7/head", Path: "./"}, nil},
		"oci-tag":     {current, &fluxv1alpha1.Repository{URL: "oci://registry.example.com/fleet", Tag: "1.2", Path: "./"}, nil},
		"oci-digest":  {current, &fluxv1alpha1.Repository{URL: "oci://registry.example.com/fleet", Digest: "sha256:" + strings.Repeat("5f", 32), Path: "./"}, nil},
		"oci-keyless": {current, &fluxv1alpha1.Repository{URL: "oci://registry.example.com/fleet", Tag: "1.2", Path: "./", Verify: &fluxv1alpha1.Verification{Issuer: "^https://token\\.example\\.com$", Subject: "^https://git\\.example\\.com/fleet/.*$"}}, nil},
		"oci-private": {current, &fluxv1alpha1.Repository{URL: "oci://registry.example.com/fleet", Semver: "1.x", Path: "./", Type: fluxv1alpha1.RepositoryPrivate, Verify: &fluxv1alpha1.Verification{Keys: twoKeys}}, registry},
		"git-verify":  {current, &fluxv1alpha1.Repository{URL: "https://git.example.com/fleet/shoots", Branch: "main", Path: "./", Verify: &fluxv1alpha1.Verification{Keys: armouredKey}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			installation, err := render.NewInstallation(test.manifests, render.Images{})
			g.Expect(err).NotTo(HaveOccurred())

			configuration, err := installation.Configuration(render.Wanted{Config: &fluxv1alpha1.FluxConfig{Repository: test.repository}, Credentials: test.credentials})
			g.Expect(err).NotTo(HaveOccurred())
			expectGolden(g, "configuration-"+name, configuration.Objects)
			g.Expect(configuration.Unknown).To(BeEmpty())
		})
	}
}

// TestTargetNamespace: what is written as a template stays as it is written.
func TestTargetNamespace(t *testing.T) {
	g := NewWithT(t)
	installation, err := render.NewInstallation(embeddedRelease(t).Manifests, render.Images{})
	g.Expect(err).NotTo(HaveOccurred())
	config := &fluxv1alpha1.FluxConfig{Repository: &fluxv1alpha1.Repository{URL: "https://git.example.com/fleet/shoots", Branch: "main", Path: "./"}}
	specOf := func() any {
		configuration, err := installation.Configuration(render.Wanted{Config: config, TargetNamespace: "default"})
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(configuration.Objects[1].GetObjectKind().GroupVersionKind().Kind).To(Equal("Kustomization"))
		return configuration.Objects[1].(*unstructured.Unstructured).Object["spec"]
	}
	g.Expect(specOf()).To(HaveKeyWithValue("targetNamespace", "default"))
	config.Kustomization = &fluxv1alpha1.Kustomization{Template: runtime.RawExtension{Raw: []byte(`{"spec":{"path":"./"}}`)}}
	g.Expect(specOf()).NotTo(HaveKey("targetNamespace"))
}

func TestInstallationOfAnOldRelease(t *testing.T) {
	g := NewWithT(t)
	installation, err := render.NewInstallation(oldRelease(t), render.Images{})
	g.Expect(err).NotTo(HaveOccurred())
	expectGolden(g, "installation-old", installation.Objects)
}

func TestInstallationOfTheEmbeddedRelease(t *testing.T) {
	g := NewWithT(t)
	installation, err := render.NewInstallation(embeddedRelease(t).Manifests, render.Images{})
	g.Expect(err).NotTo(HaveOccurred())

	withoutCRDs := slices.DeleteFunc(slices.Clone(installation.Objects), func(object client.Object) bool {
		return object.GetObjectKind().GroupVersionKind().Kind == "CustomResourceDefinition"
	})
	g.Expect(len(installation.Objects)-len(withoutCRDs)).To(Equal(11), "CustomResourceDefinitions")
	expectGolden(g, "installation", withoutCRDs)
}

func TestInstallationIsDeterministic(t *testing.T) {
	g := NewWithT(t)
	manifests := embeddedRelease(t).Manifests
	first, err := render.NewInstallation(manifests, render.Images{})
	g.Expect(err).NotTo(HaveOccurred())
	second, err := render.NewInstallation(manifests, render.Images{})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(second.Objects).To(Equal(first.Objects))
}

func TestUnusableManifests(t *testing.T) {
	for name, test := range map[string]struct{ manifests, problem string }{
		"empty":        {"", "the Flux manifests hold no CustomResourceDefinition of kind GitRepository"},
		"no YAML":      {"kind: [", "document 1 of the Flux manifests is not YAML"},
		"no object":    {"kind: List\n---\nkind: List", "document 1 of the Flux manifests is not a Kubernetes object"},
		"no valid CRD": {"apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: one}\nspec: {scopes: [2]}", "failed to normalise CustomResourceDefinition /one of the Flux manifests"},
		"no source-controller": {strings.ReplaceAll(strings.Replace(string(oldRelease(t)), "served: false", "served: true", 1), "name: source-controller", "name: other"),
			"the Flux manifests hold no Deployment source-controller"},
		"no container": {strings.ReplaceAll(strings.Replace(string(oldRelease(t)), "served: false", "served: true", 1), "- name: manager", "- name: other"),
			"the Deployment source-controller of the Flux manifests has no container manager"},
		"no Kustomization": {strings.Replace(string(oldRelease(t)), "name: kustomizations.", "name: others.", 1),
			"the Flux manifests hold no CustomResourceDefinition of kind Kustomization"},
		"nothing served": {strings.ReplaceAll(string(oldRelease(t)), "served: true", "served: false"),
			"CustomResourceDefinition gitrepositories.source.toolkit.fluxcd.io of the Flux manifests serves no version"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := render.NewInstallation([]byte(test.manifests), render.Images{})
			NewWithT(t).Expect(err).To(MatchError(ContainSubstring(test.problem)))
		})
	}
}

func BenchmarkNewInstallation(b *testing.B) {
	manifests := embeddedRelease(b).Manifests
	b.ReportAllocs()
	for b.Loop() {
		if _, err := render.NewInstallation(manifests, render.Images{}); err != nil {
			b.Fatal(err)
		}
	}
}
