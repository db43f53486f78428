// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package controlplane_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/webhook/controlplane"
)

func deployment(name string, deleted *metav1.Time) *appsv1.Deployment {
	deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "shoot--local--one", Name: name, DeletionTimestamp: deleted}}
	deployment.Spec.Template.Spec.Containers = []corev1.Container{{Name: "gardener-resource-manager", Image: "registry.example/grm:latest"}}
	return deployment
}

// mutator finds some Extensions in the seed, and what is configured as JSON, or nothing.
func mutator(g Gomega, gardenerVersion, configured string, extensions ...client.Object) controlplane.Mutator {
	scheme := runtime.NewScheme()
	g.Expect(extensionsv1alpha1.AddToScheme(scheme)).To(Succeed())
	return controlplane.Mutator{
		Seed: fake.NewClientBuilder().WithScheme(scheme).WithObjects(extensions...).Build(), Type: "shoot-flux", GardenerVersion: gardenerVersion,
		Configured: func(_ context.Context, namespace string) (*fluxv1alpha1.FluxConfig, error) {
			g.Expect(namespace).To(Equal("shoot--local--one"))
			config := &fluxv1alpha1.FluxConfig{}
			if configured == "" {
				return nil, errors.New("the garden does not answer")
			}
			return config, json.Unmarshal([]byte(configured), config)
		},
	}
}

// All namespaces are managed in which the shoot has something of Flux, or is to have it as its owner says.
func TestNamespaces(t *testing.T) {
	for name, test := range map[string]struct {
		status, config string
		want           []string
	}{
		"nothing": {"", "", []string{"flux-system"}},
		"installed in the usual one, and written another": {`{"version":"v2.9.4"}`, `{"flux":{"namespace":"new"}}`, []string{"flux-system"}},
		"told":                       {`{"namespace":"gitops"}`, "", []string{"gitops"}},
		"told with others":           {`{"namespace":"gitops","otherNamespaces":["a","b"]}`, "", []string{"gitops", "a", "b"}},
		"only others":                {`{"otherNamespaces":["a"]}`, "", []string{"flux-system", "a"}},
		"written":                    {"", `{"flux":{"namespace":"gitops"}}`, []string{"gitops"}},
		"written, and told another":  {`{"namespace":"gitops"}`, `{"flux":{"namespace":"new"}}`, []string{"gitops"}},
		"templates":                  {`{"otherNamespaces":["b"]}`, `{"source":{"template":{"metadata":{"namespace":"a"}}},"kustomization":{"template":{"metadata":{"namespace":"b"}}}}`, []string{"flux-system", "b", "a"}},
		"what can be no namespace":   {"", `{"source":{"template":{"metadata":{"namespace":"a --x=y"}}}}`, []string{"flux-system"}},
		"a shoot without its own":    {"", `{"installation":"once"}`, []string{"flux-system"}},
		"what is no text, elsewhere": {"", `{"flux":{"namespace":7}}`, []string{"flux-system"}},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			ex := &extensionsv1alpha1.Extension{ObjectMeta: metav1.ObjectMeta{Namespace: "shoot--local--one", Name: "shoot-flux"}}
			if test.status != "" {
				ex.Status.ProviderStatus = &runtime.RawExtension{Raw: []byte(test.status)}
			}
			if test.config != "" {
				ex.Spec.ProviderConfig = &runtime.RawExtension{Raw: []byte(test.config)}
			}
			object := deployment("gardener-resource-manager", nil)
			g.Expect(mutator(g, "v1.150.0", "", ex).Mutate(t.Context(), object, nil)).To(Succeed())
			var want []string
			for _, namespace := range test.want {
				want = append(want, "--extra-target-namespace="+namespace)
			}
			g.Expect(object.Spec.Template.Spec.Containers[0].Args).To(Equal(want))
		})
	}
}

// TestNamespacesOfNewShoot: gardenlet makes the Deployment before the Extension, so that what is configured in any layer has to be known by then.
func TestNamespacesOfNewShoot(t *testing.T) {
	const configured = `{"flux":{"namespace":"gitops"},"source":{"template":{"metadata":{"namespace":"sources"}}}}`
	extension := func(status string) *extensionsv1alpha1.Extension {
		ex := &extensionsv1alpha1.Extension{ObjectMeta: metav1.ObjectMeta{Namespace: "shoot--local--one", Name: "shoot-flux"}}
		ex.Spec.ProviderConfig = &runtime.RawExtension{Raw: []byte(`{"flux":{"namespace":"before"}}`)}
		ex.Status.ProviderStatus = &runtime.RawExtension{Raw: []byte(status)}
		return ex
	}
	moved := func(state string) *extensionsv1alpha1.Extension {
		ex := extension(`{}`)
		ex.Spec.ProviderConfig = nil
		ex.Status.State = &runtime.RawExtension{Raw: []byte(`{"apiVersion":"flux.extensions.gardener.cloud/v1alpha1","kind":"FluxState",` + state + `}`)}
		return ex
	}
	for name, test := range map[string]struct {
		configured string
		extensions []client.Object
		want       []string
	}{
		"no Extension yet":                    {configured, nil, []string{"gitops", "sources"}},
		"no Extension, and no answer":         {"", nil, []string{"flux-system"}},
		"nothing installed yet":               {configured, []client.Object{extension(`{}`)}, []string{"gitops", "sources"}},
		"nothing installed yet, and a notice": {configured, []client.Object{extension(`{"kind":"FluxStatus","notices":[{"reason":"KeyPairMade"}]}`)}, []string{"gitops", "sources"}},
		"nothing installed, and no answer":    {"", []client.Object{extension(`{}`)}, []string{"before"}},
		"just come from another seed":         {configured, []client.Object{moved(`"fluxVersion":"v2.9.4","namespace":"there","source":"sources-there/app"`)}, []string{"there", "sources-there"}},
		"just come, in the usual one":         {configured, []client.Object{moved(`"fluxVersion":"v2.9.4"`)}, []string{"flux-system"}},
		"come before it had anything":         {configured, []client.Object{moved(`"pauses":{}`)}, []string{"gitops", "sources"}},
		"installed":                           {configured, []client.Object{extension(`{"version":"v2.9.4","namespace":"there"}`)}, []string{"there"}},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			object := deployment("gardener-resource-manager", nil)
			g.Expect(mutator(g, "v1.150.0", test.configured, test.extensions...).Mutate(t.Context(), object, nil)).To(Succeed())
			var want []string
			for _, namespace := range test.want {
				want = append(want, "--extra-target-namespace="+namespace)
			}
			g.Expect(object.Spec.Template.Spec.Containers[0].Args).To(Equal(want))
		})
	}
}

// TestNamespacesWithoutAnswer: gardenlet writes the Deployment anew each time, without the webhook's arguments.
func TestNamespacesWithoutAnswer(t *testing.T) {
	g := NewWithT(t)
	before := deployment("gardener-resource-manager", nil)
	g.Expect(mutator(g, "v1.150.0", `{"flux":{"namespace":"gitops"},"source":{"template":{"metadata":{"namespace":"sources"}}}}`).Mutate(t.Context(), before, nil)).To(Succeed())
	for name, m := range map[string]controlplane.Mutator{
		"of the garden": mutator(g, "v1.150.0", ""),
		"of the seed":   {Seed: fake.NewClientBuilder().WithScheme(runtime.NewScheme()).Build(), Type: "shoot-flux", GardenerVersion: "v1.150.0"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			object := deployment("gardener-resource-manager", nil)
			g.Expect(m.Mutate(t.Context(), object, before)).To(Succeed())
			g.Expect(object.Spec.Template.Spec.Containers[0].Args).To(Equal([]string{"--extra-target-namespace=gitops", "--extra-target-namespace=sources"}))
			object = deployment("gardener-resource-manager", nil)
			g.Expect(m.Mutate(t.Context(), object, deployment("gardener-resource-manager", nil))).To(Succeed())
			g.Expect(object.Spec.Template.Spec.Containers[0].Args).To(Equal([]string{"--extra-target-namespace=flux-system"}))
		})
	}

	// The first try knew nothing. Then there is an Extension, with what the shoot's owner wants.
	unknown := deployment("gardener-resource-manager", nil)
	g.Expect(mutator(g, "v1.150.0", "").Mutate(t.Context(), unknown, nil)).To(Succeed())
	ex := &extensionsv1alpha1.Extension{ObjectMeta: metav1.ObjectMeta{Namespace: "shoot--local--one", Name: "shoot-flux"}}
	ex.Spec.ProviderConfig = &runtime.RawExtension{Raw: []byte(`{"flux":{"namespace":"gitops"},"source":{"template":{"metadata":{"namespace":"sources"}}}}`)}
	object := deployment("gardener-resource-manager", nil)
	g.Expect(mutator(g, "v1.150.0", "", ex).Mutate(t.Context(), object, unknown)).To(Succeed())
	g.Expect(object.Spec.Template.Spec.Containers[0].Args).To(Equal([]string{
		"--extra-target-namespace=flux-system", "--extra-target-namespace=gitops", "--extra-target-namespace=sources",
	}))

	// It does not grow with the number of tries, and a try that changes nothing restarts nothing.
	for i := range 20 {
		ex.Spec.ProviderConfig.Raw = fmt.Appendf(nil, `{"flux":{"namespace":"gitops-%d"}}`, i)
		old := object
		object = deployment("gardener-resource-manager", nil)
		g.Expect(mutator(g, "v1.150.0", "", ex).Mutate(t.Context(), object, old)).To(Succeed())
		again := deployment("gardener-resource-manager", nil)
		g.Expect(mutator(g, "v1.150.0", "", ex).Mutate(t.Context(), again, object)).To(Succeed())
		g.Expect(again).To(Equal(object))
		args := object.Spec.Template.Spec.Containers[0].Args
		g.Expect(len(args)).To(BeNumerically("<", 10))
		g.Expect(args).To(ContainElement(fmt.Sprintf("--extra-target-namespace=gitops-%d", i)))
	}
}

func TestMutator(t *testing.T) {
	for name, test := range map[string]struct {
		gardenerVersion string
		object          client.Object
		args            []string
	}{
		"gardener-resource-manager": {"v1.150.0", deployment("gardener-resource-manager", nil), []string{"--extra-target-namespace=flux-system"}},
		"an old one":                {"v1.146.0", deployment("gardener-resource-manager", nil), nil},
		"one that is being deleted": {"v1.150.0", deployment("gardener-resource-manager", new(metav1.Now())), nil},
		"another Deployment":        {"v1.150.0", deployment("kube-apiserver", nil), nil},
		"something of another kind": {"v1.150.0", &corev1.Secret{}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			before := test.object.DeepCopyObject()
			g.Expect(mutator(g, test.gardenerVersion, "").Mutate(t.Context(), test.object, nil)).To(Succeed())
			if test.args == nil {
				g.Expect(test.object).To(Equal(before))
				return
			}
			g.Expect(test.object.(*appsv1.Deployment).Spec.Template.Spec.Containers[0].Args).To(Equal(test.args))
		})
	}
}
