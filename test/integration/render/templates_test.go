// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package render_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/export"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/sourcesecret"
)

// acceptance has files as people have them for the extension that Gardener lists.
const acceptance = "../../../pkg/render/testdata/acceptance"

// resources are what the Shoots of these files refer to.
var resources = map[string]render.Resource{
	"reader": {Name: "git-reader"}, "ca": {Name: "our-ca"}, "age": {Name: "team-age"}, "values": {Name: "values"},
	"registry": {Name: "registry-read", Type: corev1.SecretTypeDockerConfigJson, Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte(`{"auths":{}}`)}},
}

// What is rendered of templates, and of each kind of repository, is what the API server of a shoot takes, and makes of it.
func TestAccepted(t *testing.T) {
	g := NewWithT(t)
	catalogue, err := release.NewCatalogue(release.Options{})
	g.Expect(err).NotTo(HaveOccurred())
	found, err := catalogue.Get(t.Context(), catalogue.Embedded()[0])
	g.Expect(err).NotTo(HaveOccurred())
	manifests, err := found.Install(export.Options{Components: flux.Components()})
	g.Expect(err).NotTo(HaveOccurred())
	installation, err := render.NewInstallation(manifests, render.Images{})
	g.Expect(err).NotTo(HaveOccurred())
	for _, object := range installation.Objects {
		g.Expect(client.IgnoreAlreadyExists(shoot.Client.Create(t.Context(), object.DeepCopyObject().(client.Object)))).To(Succeed())
	}
	for name, wanted := range wantedByName(t) {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			configuration, err := installation.Configuration(wanted)
			g.Expect(err).NotTo(HaveOccurred())
			createNamespaces(g, t, configuration.Objects)
			for _, object := range configuration.Objects {
				if object.GetNamespace() == "" {
					continue
				}
				g.Eventually(func(g Gomega) { expectAccepted(g, t, shoot.Client, object) }, "1m").Should(Succeed())
				g.Expect(shoot.Client.Delete(t.Context(), object.DeepCopyObject().(client.Object))).To(Succeed())
			}
		})
	}
}

func createNamespaces(g Gomega, t *testing.T, objects []client.Object) {
	for _, object := range objects {
		namespace := &corev1.Namespace{}
		if namespace.Name = object.GetNamespace(); namespace.Name != "" {
			g.Expect(client.IgnoreAlreadyExists(shoot.Client.Create(t.Context(), namespace))).To(Succeed())
		}
	}
}

// wantedByName are the files, and repositories as they are written in short.
func wantedByName(t *testing.T) map[string]render.Wanted {
	g := NewWithT(t)
	all := map[string]render.Wanted{}
	files, err := filepath.Glob(acceptance + "/*.yaml")
	g.Expect(err).NotTo(HaveOccurred())
	for _, file := range files {
		if strings.HasSuffix(file, ".golden.yaml") {
			continue
		}
		content, err := os.ReadFile(file)
		g.Expect(err).NotTo(HaveOccurred())
		config := &fluxv1alpha1.FluxConfig{}
		g.Expect(yaml.Unmarshal(content, config)).To(Succeed())
		all[filepath.Base(file)] = render.Wanted{Config: config, Resources: resources, Shoot: &render.ShootInfo{Name: "a"}}
	}
	g.Expect(len(all)).To(BeNumerically(">", 15))
	const oci, git = "oci://registry.example.com/fleet", "https://git.example.com/fleet"
	keys := &fluxv1alpha1.Verification{Keys: "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"}
	registry := &sourcesecret.Credentials{Kind: sourcesecret.KindRegistry, SecretRef: &sourcesecret.ShootSecret{
		Name: "flux-source-registry", Type: corev1.SecretTypeDockerConfigJson, Data: sourcesecret.Data{corev1.DockerConfigJsonKey: []byte(`{"auths":{}}`)},
	}, CertSecretRef: &sourcesecret.ShootSecret{Name: sourcesecret.SecretName, Data: sourcesecret.Data{"ca.crt": []byte("x")}}}
	app := &sourcesecret.Credentials{Kind: sourcesecret.KindGitHubApp, Provider: "github", SecretRef: &sourcesecret.ShootSecret{Name: sourcesecret.SecretName, Data: sourcesecret.Data{sourcesecret.KeyGitHubAppID: []byte("1")}}}
	for name, wanted := range map[string]struct {
		repository  fluxv1alpha1.Repository
		credentials *sourcesecret.Credentials
	}{
		"tag":        {fluxv1alpha1.Repository{URL: git, Tag: "v1"}, nil},
		"semver":     {fluxv1alpha1.Repository{URL: git, Semver: ">=1.0"}, nil},
		"commit":     {fluxv1alpha1.Repository{URL: git, Commit: strings.Repeat("5f", 20)}, nil},
		"refName":    {fluxv1alpha1.Repository{URL: git, RefName: "refs/pull/1/head"}, nil},
		"GitHub App": {fluxv1alpha1.Repository{URL: git, Branch: "main"}, app},
		"PGP":        {fluxv1alpha1.Repository{URL: git, Branch: "main", Verify: keys}, nil},
		"OCI":        {fluxv1alpha1.Repository{URL: oci, Semver: "1.x", Verify: keys}, registry},
		"OCI digest": {fluxv1alpha1.Repository{URL: oci, Digest: "sha256:" + strings.Repeat("5f", 32)}, nil},
		"keyless":    {fluxv1alpha1.Repository{URL: oci, Tag: "1", Verify: &fluxv1alpha1.Verification{Issuer: "^x$", Subject: "^y$"}}, nil},
	} {
		wanted.repository.Path = "./"
		all[name] = render.Wanted{Config: &fluxv1alpha1.FluxConfig{Repository: &wanted.repository, Suspend: new(true)}, Credentials: wanted.credentials}
	}
	return all
}
