// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package render_test

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"slices"
	"testing"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	sigsyaml "sigs.k8s.io/yaml"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/sourcesecret"
	"github.com/23technologies/gardener-extension-shoot-flux/test/fluxreleases"
)

// installationOf is a past release, of whose kinds some do not know some fields.
func installationOf(t *testing.T, version string, without map[string][]string) *render.Installation {
	g := NewWithT(t)
	files, err := fluxreleases.Files(version)
	g.Expect(err).NotTo(HaveOccurred())
	var objects []*unstructured.Unstructured
	for _, name := range slices.Sorted(maps.Keys(files)) {
		decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(files[name]), 4096)
		for {
			object := &unstructured.Unstructured{}
			err := decoder.Decode(&object.Object)
			if errors.Is(err, io.EOF) {
				break
			}
			g.Expect(err).NotTo(HaveOccurred())
			if fields, ok := without[object.GetName()]; ok {
				forget(g, object, fields)
			}
			if object.GetKind() == "CustomResourceDefinition" {
				objects = append(objects, object)
			}
		}
	}
	installation, err := render.AdoptInstallation(objects)
	g.Expect(err).NotTo(HaveOccurred())
	return installation
}

// forget takes a field out of a CustomResourceDefinition.
func forget(g Gomega, definition *unstructured.Unstructured, field []string) {
	versions, _, err := unstructured.NestedSlice(definition.Object, "spec", "versions")
	g.Expect(err).NotTo(HaveOccurred())
	for _, version := range versions {
		path := []string{"schema", "openAPIV3Schema"}
		for _, name := range field {
			path = append(path, "properties", name)
		}
		unstructured.RemoveNestedField(version.(map[string]any), path...)
	}
	g.Expect(unstructured.SetNestedSlice(definition.Object, versions, "spec", "versions")).To(Succeed())
}

const (
	newer    = ": set key fluxVersion of ConfigMap flux-config to a newer release"
	identity = "key verifyIssuer of ConfigMap flux-config and key verifySubject of ConfigMap flux-config"
	orKeys   = ", or write key verifyKeys of ConfigMap flux-config in their place"
)

// TestUnknownFieldOfTheShortForm: what was written must not be dropped because the release is old, above all not whose signatures count.
func TestUnknownFieldOfTheShortForm(t *testing.T) {
	artifacts := fluxv1alpha1.Repository{URL: "oci://registry.example.com/fleet", Tag: "1", Path: "./"}
	keyless, signed := artifacts, artifacts
	keyless.Verify = &fluxv1alpha1.Verification{Issuer: "^https://token\\.example\\.com$", Subject: "^https://git\\.example\\.com/fleet/.*$"}
	signed.Verify = &fluxv1alpha1.Verification{Keys: twoKeys}
	git := fluxv1alpha1.Repository{URL: "https://git.example.com/fleet", RefName: "refs/pull/7/head", Path: "./"}
	branch := fluxv1alpha1.Repository{URL: "https://git.example.com/fleet", Branch: "main", Path: "./"}
	app := &sourcesecret.Credentials{Kind: sourcesecret.KindGitHubApp, Provider: "github", SecretRef: &sourcesecret.ShootSecret{Name: sourcesecret.SecretName}}
	noVerification := map[string][]string{flux.OCIRepository.Definition(): {"spec", "verify"}}

	for name, test := range map[string]struct {
		installation *render.Installation
		wanted       render.Wanted
		repository   fluxv1alpha1.Repository
		problem      string
	}{
		"keyless": {installationOf(t, "v0.41.2", nil), render.Wanted{Release: "v2.1.2"}, keyless,
			"the Flux of the shoot (v2.1.2) does not know " + identity + ", which Flux has since v2.2.0" + newer + orKeys},
		"keyless, written for the shoot": {installationOf(t, "v0.41.2", nil), render.Wanted{Release: "v2.1.2", Origins: project.Origins{
			"repository.verify.issuer": project.OriginShoot, "repository.verify.subject": "overrides[0]", "flux.version": project.OriginLandscape,
		}}, keyless, "the Flux of the shoot (v2.1.2) does not know repository.verify.issuer in the providerConfig of the shoot and repository.verify.subject in overrides[0] of ConfigMap flux-config, " +
			"which Flux has since v2.2.0: set flux.version in the defaults of the landscape (value defaults of the chart) to a newer release, or write repository.verify.keys in the providerConfig of the shoot in their place"},
		"keyless, of a Flux of the users": {installationOf(t, "v0.41.2", nil), render.Wanted{Release: "v2.1.2", FluxOfUsers: true}, keyless,
			"the Flux of the shoot (v2.1.2) does not know " + identity + ", which Flux has since v2.2.0: upgrade Flux in the shoot, whose users it belongs to (installation: once), " +
				"or set key installation of ConfigMap flux-config to managed, so that the extension does" + orKeys},
		"keyless, of a release that nobody knows": {installationOf(t, "v0.41.2", nil), render.Wanted{FluxOfUsers: true}, keyless,
			"the Flux of the shoot does not know " + identity + ", which Flux has since v2.2.0: upgrade Flux in the shoot"},
		"keyless, of another definition than that of the release": {installationOf(t, "v0.41.2", nil), render.Wanted{Release: "v2.9.4"}, keyless,
			"the Flux of the shoot (v2.9.4) does not know " + identity + newer},
		"keyless, without any verification": {installationOf(t, "v0.41.2", noVerification), render.Wanted{Release: "v0.32.0"}, keyless,
			"the Flux of the shoot (v0.32.0) does not know " + identity + ", which Flux has since v2.2.0" + newer},
		"keys": {installationOf(t, "v0.41.2", noVerification), render.Wanted{Release: "v0.32.0"}, signed,
			"the Flux of the shoot (v0.32.0) does not know key verifyKeys of ConfigMap flux-config, which Flux has since v0.35.0" + newer},
		"name of a reference": {installationOf(t, "v0.31.5", nil), render.Wanted{Release: "v0.31.5"}, git,
			"the Flux of the shoot (v0.31.5) does not know key repositoryRefName of ConfigMap flux-config, which Flux has since v0.40.0" + newer},
		"branch": {installationOf(t, "v2.2.3", map[string][]string{flux.GitRepository.Definition(): {"spec", "ref", "branch"}}), render.Wanted{Release: "v2.2.3"}, branch,
			"the Flux of the shoot (v2.2.3) does not know key repositoryBranch of ConfigMap flux-config" + newer},
		"GitHub App": {installationOf(t, "v2.2.3", nil), render.Wanted{Release: "v2.2.3", Credentials: app}, branch,
			"the Flux of the shoot (v2.2.3) does not know GitHub Apps, such as the one of Secret flux-source, which Flux has since v2.5.0" + newer},
		"where it is deployed into": {installationOf(t, "v2.2.3", map[string][]string{flux.Kustomization.Definition(): {"spec", "targetNamespace"}}), render.Wanted{Release: "v2.2.3", TargetNamespace: "default"}, branch,
			"the Flux of the shoot (v2.2.3) does not know spec.targetNamespace of the Kustomization" + newer},

		"keyless, of the first release that knows it": {installationOf(t, "v2.2.3", nil), render.Wanted{Release: "v2.2.3"}, keyless, ""},
		"keys, of a release that knows them":          {installationOf(t, "v0.41.2", nil), render.Wanted{Release: "v0.41.2"}, signed, ""},
		"name, of a release that knows it":            {installationOf(t, "v0.41.2", nil), render.Wanted{Release: "v0.41.2"}, git, ""},
		"what the extension adds":                     {installationOf(t, "v0.24.1", nil), render.Wanted{Release: "v0.24.1"}, branch, ""},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			test.wanted.Config = &fluxv1alpha1.FluxConfig{Repository: &test.repository}
			configuration, err := test.installation.Configuration(test.wanted)
			g.Expect(err).NotTo(HaveOccurred())
			if test.problem != "" {
				g.Expect(configuration.Refused).To(MatchError(HavePrefix(test.problem)))
				return
			}
			g.Expect(configuration.Refused).NotTo(HaveOccurred())
			g.Expect(configuration.Unknown).To(BeEmpty())
		})
	}
}

// TestUnknownVerificationOfATemplate: nothing else of a template is as dangerous if it is dropped.
func TestUnknownVerificationOfATemplate(t *testing.T) {
	const identity = "matchOIDCIdentity: [{issuer: x, subject: z}]"
	noVerification := map[string][]string{flux.OCIRepository.Definition(): {"spec", "verify"}}
	for name, test := range map[string]struct {
		installation *render.Installation
		release      string
		source       string
		problem      string
		unknown      []string
	}{
		"keyless": {installationOf(t, "v0.41.2", nil), "v2.1.2", "{kind: OCIRepository, spec: {url: oci://h/x, verify: {provider: cosign, " + identity + "}}}",
			"the Flux of the shoot (v2.1.2) does not know source.template.spec.verify.matchOIDCIdentity in the providerConfig of the shoot, which Flux has since v2.2.0: correct it, or set key fluxVersion of ConfigMap flux-config to a newer release", nil},
		"any signature": {installationOf(t, "v0.41.2", noVerification), "v0.32.0", "{kind: OCIRepository, spec: {url: oci://h/x, verify: {provider: cosign, secretRef: {name: keys}}}}",
			"the Flux of the shoot (v0.32.0) does not know source.template.spec.verify in the providerConfig of the shoot, which Flux has since v0.35.0: correct it", nil},
		"misspelt": {installationOf(t, "v2.8.0", nil), "v2.8.0", "{kind: GitRepository, spec: {url: https://h/x, verify: {mode: HEAD, secretReff: {name: x}, secretRef: {name: keys}}}}",
			"the Flux of the shoot (v2.8.0) does not know source.template.spec.verify.secretReff in the providerConfig of the shoot: correct it", nil},
		"of a bucket": {installationOf(t, "v2.8.0", nil), "v2.8.0", "{kind: Bucket, spec: {endpoint: h, bucketName: x, verify: {provider: cosign}}}",
			"the Flux of the shoot (v2.8.0) does not know source.template.spec.verify in the providerConfig of the shoot: correct it", nil},
		"something else": {installationOf(t, "v2.2.3", nil), "v2.2.3", "{kind: OCIRepository, spec: {url: oci://h/x, ref: {semver: 1.x, semverFilter: .*}, verify: {provider: cosign, " + identity + "}}}",
			"", []string{"source.template.spec.ref.semverFilter"}},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			template, err := sigsyaml.YAMLToJSON([]byte(test.source))
			g.Expect(err).NotTo(HaveOccurred())
			configuration, err := test.installation.Configuration(render.Wanted{Release: test.release, Origins: project.Origins{"source.template": project.OriginShoot}, Config: &fluxv1alpha1.FluxConfig{
				Source:        &fluxv1alpha1.Source{Template: runtime.RawExtension{Raw: template}},
				Kustomization: &fluxv1alpha1.Kustomization{Template: runtime.RawExtension{Raw: []byte(`{"spec":{"path":"x"}}`)}},
			}})
			g.Expect(err).NotTo(HaveOccurred())
			if test.problem != "" {
				g.Expect(configuration.Refused).To(MatchError(HavePrefix(test.problem)))
				return
			}
			g.Expect(configuration.Refused).NotTo(HaveOccurred())
			g.Expect(configuration.Unknown).To(Equal(test.unknown))
		})
	}
}
