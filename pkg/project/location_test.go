// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package project_test

import (
	"testing"

	. "github.com/onsi/gomega"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	. "github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
)

func TestLocations(t *testing.T) {
	for name, tc := range map[string]struct {
		written
		path, want string
	}{
		"nobody":                        {path: FieldVersion, want: "key fluxVersion of ConfigMap flux-config"},
		"nobody, and there is no key":   {path: "flux.components", want: "flux.components in key config of ConfigMap flux-config"},
		"key":                           {written: written{data: map[string]string{"fluxVersion": "2.x"}}, path: FieldVersion, want: "key fluxVersion of ConfigMap flux-config"},
		"key config":                    {written: written{data: map[string]string{"config": "flux: {version: 2.x}"}}, path: FieldVersion, want: "flux.version in key config of ConfigMap flux-config"},
		"defaults":                      {written: written{defaults: "flux: {version: 2.x}"}, path: FieldVersion, want: "flux.version in the defaults of the landscape (value defaults of the chart)"},
		"providerConfig":                {written: written{shoot: "flux: {version: 2.x}"}, path: FieldVersion, want: "flux.version in the providerConfig of the shoot"},
		"default of the providerConfig": {written: written{noConfigMap: true, shoot: "flux: {version: 2.x}"}, path: "installation", want: "installation in the providerConfig of the shoot"},
		"override": {
			written: written{data: map[string]string{"fluxVersion": "2.x", "overrides": "- {selector: {}, config: {flux: {version: 2.8.x}}}"}},
			path:    FieldVersion, want: "flux.version in overrides[0] of ConfigMap flux-config",
		},
		"several keys": {path: FieldVerify, want: "key verifyKeys, verifyIssuer and verifySubject of ConfigMap flux-config"},
		"what belongs to another repository": {
			written: written{data: map[string]string{"repositoryUrl": "https://git.example.org/base"}, shoot: "repository: {url: https://git.example.org/own}"},
			path:    FieldType, want: "repository.type in the providerConfig of the shoot",
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			effective, err := tc.effective(g)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(effective.Origins.Of(tc.path).String()).To(Equal(tc.want))
		})
	}
}

// TestLocationsBeside: in a lower layer, a field would not count, or it would for others as well.
func TestLocationsBeside(t *testing.T) {
	const allow = FieldAllowDowngrade
	for name, tc := range map[string]struct {
		origins Origins
		want    string
	}{
		"nobody":          {nil, "key allowDowngrade of ConfigMap flux-config"},
		"above":           {Origins{allow: OriginProject, FieldVersion: "overrides[2]"}, "flux.allowDowngrade in overrides[2] of ConfigMap flux-config"},
		"below":           {Origins{allow: OriginShoot, FieldVersion: "overrides[2]"}, "flux.allowDowngrade in the providerConfig of the shoot"},
		"later override":  {Origins{allow: "overrides[10]", FieldVersion: "overrides[9]"}, "flux.allowDowngrade in overrides[10] of ConfigMap flux-config"},
		"same ConfigMap":  {Origins{allow: OriginProject, FieldVersion: OriginConfig}, "key allowDowngrade of ConfigMap flux-config"},
		"landscape alone": {Origins{allow: OriginLandscape}, "flux.allowDowngrade in the defaults of the landscape (value defaults of the chart)"},
		"project above":   {Origins{allow: OriginLandscape, FieldVersion: OriginConfig}, "flux.allowDowngrade in key config of ConfigMap flux-config"},
	} {
		t.Run(name, func(t *testing.T) {
			NewWithT(t).Expect(tc.origins.Beside(allow, FieldVersion).String()).To(Equal(tc.want))
		})
	}
}

// TestLocationOfParts: the highest layer counts, and of the same one always the same place.
func TestLocationOfParts(t *testing.T) {
	g := NewWithT(t)
	for range 32 {
		origins := Origins{"repository.verify.issuer": OriginConfig, "repository.verify.subject": OriginProject}
		g.Expect(origins.Of(FieldVerify).String()).To(Equal("repository.verify in key config of ConfigMap flux-config"))
		origins["repository.verify.subject"] = "overrides[0]"
		g.Expect(origins.Of(FieldVerify).String()).To(Equal("repository.verify in overrides[0] of ConfigMap flux-config"))
	}
}

// TestWarning says of a field without effect where it is written.
func TestWarning(t *testing.T) {
	g := NewWithT(t)
	inForm := written{noConfigMap: true, shoot: "flux: {versio: 2.x}"}
	effective, err := inForm.effective(g)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(effective.Warnings).To(ConsistOf(HavePrefix("field flux.versio in the providerConfig of the shoot has no effect: ")))
}

// TestManagedAgain: what belongs to the shoot's users is not changed by a version.
func TestManagedAgain(t *testing.T) {
	g := NewWithT(t)
	const once, manifestsOnly = fluxv1alpha1.SyncOnce, fluxv1alpha1.SyncManifestsOnly
	origins := Origins{FieldVersion: OriginProject, FieldInstallation: OriginForm, FieldSyncMode: "overrides[1]"}
	g.Expect(origins.Upgrade(false, once)).To(Equal("set key fluxVersion of ConfigMap flux-config to a newer release"))
	g.Expect(origins.Upgrade(true, once)).To(Equal("upgrade Flux in the shoot, whose users it belongs to (installation: once), " +
		"or set installation in the providerConfig of the shoot to managed, so that the extension does"))
	g.Expect(origins.ManageFollowed()).To(Equal("set syncMode in overrides[1] of ConfigMap flux-config to Managed"))
	says, written := origins.WhoLeavesFlux(once)
	g.Expect(says).To(Equal("installation: once"))
	g.Expect(written.Cause()).To(Equal("the form of the providerConfig of the shoot"))

	g.Expect(origins.ManageFlux(manifestsOnly)).To(Equal("set syncMode in overrides[1] of ConfigMap flux-config to Managed, and set installation in the providerConfig of the shoot to managed"))
	g.Expect(origins.Upgrade(true, manifestsOnly)).To(HavePrefix("upgrade Flux in the shoot, whose users it belongs to (syncMode: ManifestsOnly), or set syncMode in "))

	delete(origins, FieldInstallation)
	says, written = origins.WhoLeavesFlux(manifestsOnly)
	g.Expect(says).To(Equal("syncMode: ManifestsOnly"))
	g.Expect(written.Cause()).To(Equal("overrides[1] of ConfigMap flux-config"))
	g.Expect(origins.ManageFlux(manifestsOnly)).To(Equal(origins.ManageFollowed()))
}

// TestPlaceOfProject names the project to those who look at a shoot from elsewhere.
func TestPlaceOfProject(t *testing.T) {
	g := NewWithT(t)
	origins := Origins{FieldURL: OriginProject, FieldPath: OriginConfig, "suspend": "overrides[1]"}
	for path, want := range map[string]string{
		FieldURL:     "ConfigMap garden-dev/flux-config of the garden",
		FieldPath:    "key config of ConfigMap garden-dev/flux-config of the garden",
		FieldSuspend: "overrides[1] of ConfigMap garden-dev/flux-config of the garden",
	} {
		g.Expect(origins.Of(path).Place("garden-dev")).To(Equal(want))
	}
}
