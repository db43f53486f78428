// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package render_test

import (
	"testing"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
)

// TestDeletionPolicyOfATemplate: a Kustomization that gets another name is deleted before the next one has applied anything, and would take with
// it what it has deployed.
func TestDeletionPolicyOfATemplate(t *testing.T) {
	current, err := render.NewInstallation(embeddedRelease(t).Manifests, render.Images{})
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	for name, test := range map[string]struct {
		installation *render.Installation
		mode         fluxv1alpha1.SyncMode
		template     string
		want         any
	}{
		"managed":                             {current, fluxv1alpha1.SyncManaged, `{"spec":{"path":"x","prune":true}}`, "Orphan"},
		"managed, and it says null":           {current, fluxv1alpha1.SyncManaged, `{"spec":{"path":"x","deletionPolicy":null}}`, "Orphan"},
		"managed, and it says something":      {current, fluxv1alpha1.SyncManaged, `{"spec":{"path":"x","prune":true,"deletionPolicy":"MirrorPrune"}}`, "MirrorPrune"},
		"managed, and the release is too old": {installationOf(t, "v2.2.3", nil), fluxv1alpha1.SyncManaged, `{"spec":{"path":"x","prune":true}}`, nil},
		"its users'":                          {current, fluxv1alpha1.SyncOnce, `{"spec":{"path":"x","prune":true}}`, nil},
		"its users', and it says something":   {current, fluxv1alpha1.SyncOnce, `{"spec":{"path":"x","deletionPolicy":"Delete"}}`, "Delete"},
		"manifests only":                      {current, fluxv1alpha1.SyncManifestsOnly, `{"spec":{"path":"x","prune":true}}`, "Orphan"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			configuration, err := test.installation.Configuration(render.Wanted{Config: &fluxv1alpha1.FluxConfig{
				Repository:    &fluxv1alpha1.Repository{URL: "https://git.example.com/fleet", Branch: "main", Path: "./"},
				Kustomization: &fluxv1alpha1.Kustomization{Template: runtime.RawExtension{Raw: []byte(test.template)}}, SyncMode: test.mode,
			}})
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(configuration.Unknown).To(BeEmpty(), "nobody wrote what the extension adds")
			policy := configuration.Objects[1].(*unstructured.Unstructured).Object["spec"].(map[string]any)["deletionPolicy"]
			if test.want == nil {
				g.Expect(policy).To(BeNil())
			} else {
				g.Expect(policy).To(Equal(test.want))
			}
		})
	}
}
