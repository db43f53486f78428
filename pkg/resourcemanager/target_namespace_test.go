// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package resourcemanager_test

import (
	"testing"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/resourcemanager"
)

const flag = "--extra-target-namespace=flux-system"

func deployment(image string, args ...string) *appsv1.Deployment {
	deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "shoot--local--one", Name: "gardener-resource-manager"}}
	deployment.Spec.Template.Spec.Containers = []corev1.Container{{Name: "gardener-resource-manager", Image: image, Args: args}}
	return deployment
}

func TestNamespace(t *testing.T) {
	for name, test := range map[string]struct {
		image, gardenerVersion string
		args                   []string
		added                  bool
		problem                string // after AddNamespaces
	}{
		"current":                       {image: "registry.example/grm:v1.150.0", added: true},
		"registry with a port":          {image: "registry.example:5000/grm", gardenerVersion: "v1.150.0", added: true},
		"tag and digest":                {image: "registry.example/grm:v1.147.0@sha256:0123", added: true},
		"development version":           {image: "grm:v1.151.0-dev-0123abc", added: true},
		"other extensions' namespaces":  {image: "grm:v1.150.0", args: []string{"--extra-target-namespace=other"}, added: true},
		"already there":                 {image: "grm:v1.150.0", args: []string{flag}},
		"tag is no version":             {image: "grm:nightly", gardenerVersion: "1.148.2", added: true},
		"the tag wins over the version": {image: "grm:v1.79.3", gardenerVersion: "v1.150.0"},
		"before the limit":              {image: "grm@sha256:0123", gardenerVersion: "v1.44.4"},
		"limited without a way out": {image: "grm:v1.146.9",
			problem: "has version v1.146.9, which cannot manage namespace flux-system of the shoot: upgrade Gardener to v1.147.0 or newer"},
		"may not have the flag yet": {image: "grm:v1.147.0-dev", problem: "upgrade Gardener to v1.147.0 or newer"},
		"unknown":                   {image: "grm", problem: "start the extension with --gardener-version"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			deployment := deployment(test.image, test.args...)

			g.Expect(resourcemanager.AddNamespaces(deployment, test.gardenerVersion, "flux-system")).To(Equal(test.added))
			if test.added {
				g.Expect(deployment.Spec.Template.Spec.Containers[0].Args).To(Equal(append(test.args, flag)))
			}
			g.Expect(resourcemanager.AddNamespaces(deployment, test.gardenerVersion, "flux-system")).To(BeFalse(), "a second time")

			err := resourcemanager.CheckNamespaces(deployment, test.gardenerVersion, "garden-local/one", "flux-system")
			if test.problem == "" {
				g.Expect(err).NotTo(HaveOccurred())
			} else {
				g.Expect(err).To(MatchError(ContainSubstring(test.problem)))
				g.Expect(err).To(MatchError(ContainSubstring("shoot--local--one/gardener-resource-manager")))
			}
		})
	}
}

func TestCheckNamespaceSaysHowToAddIt(t *testing.T) {
	g := NewWithT(t)
	err := resourcemanager.CheckNamespaces(deployment("grm:v1.150.0"), "", "garden-local/one", "flux-system")
	g.Expect(err).To(MatchError("the Deployment shoot--local--one/gardener-resource-manager of the seed does not manage namespace flux-system of the shoot yet: " +
		"the extension's webhook adds --extra-target-namespace=flux-system when Gardener reconciles the shoot; " +
		"to do that now: kubectl -n garden-local annotate shoot one gardener.cloud/operation=reconcile"))
}

// What is missing of several namespaces is added, and named.
func TestSeveralNamespaces(t *testing.T) {
	g := NewWithT(t)
	deployment := deployment("grm:v1.150.0", "--extra-target-namespace=gitops")
	err := resourcemanager.CheckNamespaces(deployment, "", "garden-local/one", "gitops", "other", "third")
	g.Expect(err).To(MatchError(ContainSubstring("does not manage namespace other, third of the shoot yet: the extension's webhook adds --extra-target-namespace=other --extra-target-namespace=third when")))
	g.Expect(resourcemanager.AddNamespaces(deployment, "", "gitops", "other", "third")).To(BeTrue())
	g.Expect(deployment.Spec.Template.Spec.Containers[0].Args).To(Equal([]string{"--extra-target-namespace=gitops", "--extra-target-namespace=other", "--extra-target-namespace=third"}))
	g.Expect(resourcemanager.CheckNamespaces(deployment, "", "garden-local/one", "gitops", "other", "third")).To(Succeed())
}

func TestForeignDeployment(t *testing.T) {
	g := NewWithT(t)
	deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "shoot--local--one", Name: "gardener-resource-manager"}}
	g.Expect(resourcemanager.AddNamespaces(deployment, "v1.150.0", "flux-system")).To(BeFalse())
	g.Expect(resourcemanager.CheckNamespaces(deployment, "v1.150.0", "garden-local/one", "flux-system")).To(MatchError(ContainSubstring("has no container gardener-resource-manager")))
}
