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
	"sigs.k8s.io/yaml"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
)

// resources are what the Shoots of the tests refer to.
var resources = map[string]render.Resource{
	"reader":   {Name: "git-reader", Type: corev1.SecretTypeOpaque, Data: map[string][]byte{"username": []byte("fleet"), "password": []byte("not a real one")}},
	"ca":       {Name: "our-ca", Data: map[string][]byte{"ca.crt": []byte("not a real one")}},
	"age":      {Name: "team-age", Data: map[string][]byte{"age.agekey": []byte("not a real one")}},
	"values":   {Name: "values", Data: map[string][]byte{"domain": []byte("example.com")}},
	"registry": {Name: "registry-read", Type: corev1.SecretTypeDockerConfigJson, Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte(`{"auths":{"registry.example.com":{"auth":"eDp5"}}}`)}},
}

var shootInfo = &render.ShootInfo{Name: "a", TechnicalID: "shoot--fleet--a", ClusterIdentity: "shoot--fleet--a-1-garden", GardenClusterIdentity: "garden"}

func readConfig(g Gomega, content []byte) *fluxv1alpha1.FluxConfig {
	config := &fluxv1alpha1.FluxConfig{}
	g.Expect(yaml.Unmarshal(content, config)).To(Succeed())
	config.SyncMode = fluxv1alpha1.SyncOnce
	return config
}

// Files as people have them for the extension that Gardener lists: each gives the objects that it says.
func TestAcceptance(t *testing.T) {
	installation, err := render.NewInstallation(embeddedRelease(t).Manifests, render.Images{})
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	files, err := filepath.Glob("testdata/acceptance/[0-9f]*[a-z0-9].yaml")
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	for _, file := range files {
		if strings.HasSuffix(file, ".golden.yaml") {
			continue
		}
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			content, err := os.ReadFile(file)
			g.Expect(err).NotTo(HaveOccurred())
			configuration, err := installation.Configuration(render.Wanted{Config: readConfig(g, content), Resources: resources, Shoot: shootInfo})
			g.Expect(err).NotTo(HaveOccurred())
			expectGolden(g, "acceptance/"+name, configuration.Objects)
			var unknown []string
			switch name {
			case "14-kustomization-v1beta2":
				unknown = []string{"kustomization.template.spec.validation"}
			case "25-misspelt":
				unknown = []string{"source.template.spec.recurseSubmodule"}
			}
			g.Expect(configuration.Unknown).To(Equal(unknown))
		})
	}
}

// What can't be had is said by the field.
func TestRefusedTemplates(t *testing.T) {
	const (
		git  = "source: {template: {kind: GitRepository, spec: {url: https://h/x, ref: {branch: main}}}}\n"
		root = "kustomization: {template: {spec: {path: x}}}\n"
	)
	installation, err := render.NewInstallation(embeddedRelease(t).Manifests, render.Images{})
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	old, err := render.NewInstallation(oldRelease(t), render.Images{})
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	for name, test := range map[string]struct {
		config  string
		problem string
	}{
		"no such resource":     {"source: {secretResourceName: nobody, template: {spec: {url: https://h/x}}}\n" + root, `source.secretResourceName: spec.resources of the Shoot has no entry "nobody" that refers to a Secret`},
		"no such Secret":       {git + root + "additionalSecretResources: [{name: age}, {name: nobody}]", `additionalSecretResources[1].name: spec.resources of the Shoot has no entry "nobody"`},
		"no Kustomization":     {git, "kustomization.template is missing"},
		"no source":            {root, "source.template is missing"},
		"HelmRepository":       {"source: {template: {apiVersion: source.toolkit.fluxcd.io/v1, kind: HelmRepository, spec: {url: https://h}}}\n" + root, "source.template has kind HelmRepository, which can't be here"},
		"a Kustomization":      {"source: {template: {kind: Kustomization, spec: {}}}\n" + root, "source.template has kind Kustomization, which can't be here"},
		"another group":        {"source: {template: {apiVersion: v1, kind: Secret, spec: {}}}\n" + root, "source.template has apiVersion v1: write source.toolkit.fluxcd.io/v1"},
		"no object":            {"source: {template: [1]}\n" + root, "source.template is no object: write a GitRepository"},
		"no spec":              {git + "kustomization: {template: {kind: Kustomization}}", "kustomization.template has no spec"},
		"a source as a root":   {git + "kustomization: {template: {kind: GitRepository, spec: {}}}", "kustomization.template has kind GitRepository, which can't be here"},
		"a name that is none":  {"source: {template: {metadata: {name: [1]}, spec: {}}}\n" + root, "source.template: "},
		"OCI by https":         {"source: {template: {kind: OCIRepository, spec: {url: https://h/x, ref: {tag: x}}}}\n" + root, "source.template.spec.url: Invalid value: \"https://h/x\": spec.url in body should match '^oci://.*$'"},
		"no URL":               {"source: {template: {spec: {ref: {branch: x}}}}\n" + root, "source.template.spec.url: Required value: correct it in overrides[0] of ConfigMap flux-config"},
		"a boolean":            {"source: {template: {spec: {url: https://h/x, secretRef: {name: y}}}}\n" + root, "source.template.spec.secretRef.name: Invalid value: \"boolean\": spec.secretRef.name in body must be of type string"},
		"a rule":               {"source: {template: {kind: Bucket, spec: {endpoint: h, bucketName: x, serviceAccountName: x}}}\n" + root, "ServiceAccountName is not supported for the 'generic' Bucket provider"},
		"two of the same name": {git + root + "additionalSecretResources: [{name: age, targetName: x}, {name: ca, targetName: x}]", "the shoot would get two objects Secret flux-system/x: give one of them another name"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			_, err := installation.Configuration(render.Wanted{
				Config: readConfig(g, []byte(test.config)), Resources: resources, Origins: project.Origins{project.FieldSourceTemplate: "overrides[0]"},
			})
			g.Expect(err).To(MatchError(ContainSubstring(test.problem)))
		})
	}
	t.Run("a kind that the release does not know", func(t *testing.T) {
		g := NewWithT(t)
		wanted := render.Wanted{
			Config:  &fluxv1alpha1.FluxConfig{Repository: &fluxv1alpha1.Repository{URL: "oci://h/x", Tag: "1"}},
			Origins: project.Origins{project.FieldVersion: project.OriginShoot, project.FieldInstallation: project.OriginLandscape},
		}
		_, err := old.Configuration(wanted)
		g.Expect(err).To(MatchError("the Flux of the shoot has no kind OCIRepository: set flux.version in the providerConfig of the shoot to a newer release"))
		wanted.FluxOfUsers = true
		_, err = old.Configuration(wanted)
		g.Expect(err).To(MatchError("the Flux of the shoot has no kind OCIRepository: upgrade Flux in the shoot, whose users it belongs to (installation: once), " +
			"or set installation in the defaults of the landscape (value defaults of the chart) to managed, so that the extension does"))
	})
}
