// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package healthcheck

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	extensionscontroller "github.com/gardener/gardener/extensions/pkg/controller"
	v1beta1helper "github.com/gardener/gardener/pkg/api/core/v1beta1/helper"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/readiness"
)

const namespace = "shoot--p--one"

func TestSystemComponentsHealthy(t *testing.T) {
	const applied, notHealthy = "", "the Deployment has no pod"
	for name, test := range map[string]struct {
		// installation and configuration are what gardener-resource-manager says, or nil if there is no ManagedResource.
		installation, configuration *string
		flux                        gardencorev1beta1.ConditionStatus
		fluxCounts, sleeps          bool
		status                      gardencorev1beta1.ConditionStatus
		message                     string
		codes                       []gardencorev1beta1.ErrorCode
	}{
		"all is well":          {installation: new(applied), configuration: new(applied), status: "True", message: "All health checks successful"},
		"nothing is there yet": {status: "False", message: "ManagedResource extension-shoot-flux-installation does not exist; ManagedResource extension-shoot-flux-configuration does not exist"},
		"unhealthy": {installation: new(notHealthy), configuration: new(applied), status: "False",
			message: "condition ResourcesHealthy of managed resource shoot--p--one/extension-shoot-flux-installation is False: the Deployment has no pod"},
		"a fault of the configuration": {installation: new(applied), configuration: new("Error during apply of object x is invalid: y"), status: "False",
			message: "is invalid", codes: []gardencorev1beta1.ErrorCode{gardencorev1beta1.ErrorConfigurationProblem}},
		"what a webhook of the shoot says":         {installation: new(strings.Repeat("x", 1<<20)), configuration: new(applied), status: "False", message: "extension-shoot-flux-installation is False:"},
		"it sleeps":                                {sleeps: true, status: "True", message: "Shoot is hibernated"},
		"Flux does not count":                      {installation: new(applied), configuration: new(applied), flux: "False", status: "True"},
		"Flux counts":                              {installation: new(applied), configuration: new(applied), flux: "False", fluxCounts: true, status: "False", message: "what Flux says"},
		"Flux counts, and is under way":            {installation: new(applied), configuration: new(applied), flux: "Progressing", fluxCounts: true, status: "True"},
		"Flux counts, and nobody knows of it":      {installation: new(applied), configuration: new(applied), fluxCounts: true, status: "True"},
		"Flux counts, and does not answer":         {installation: new(applied), configuration: new(applied), flux: "Unknown", fluxCounts: true, status: "True"},
		"Flux counts, and follows":                 {installation: new(applied), configuration: new(applied), flux: "True", fluxCounts: true, status: "True"},
		"Flux counts, and something is wrong, too": {installation: new(notHealthy), configuration: new(applied), flux: "False", fluxCounts: true, status: "False", message: "has no pod; what Flux says"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			ex := &extensionsv1alpha1.Extension{}
			ex.Namespace, ex.Name = namespace, "shoot-flux"
			if test.flux != "" {
				ex.Status.Conditions = []gardencorev1beta1.Condition{{Type: fluxv1alpha1.FluxReady, Status: test.flux, Message: "what Flux says"}}
			}
			objects := []client.Object{ex, cluster(test.sleeps)}
			for name, fault := range map[string]*string{managedresource.Installation: test.installation, managedresource.Configuration: test.configuration} {
				if fault != nil {
					objects = append(objects, managedResource(name, *fault))
				}
			}
			writes := 0
			seed := newSeed(g, &writes, objects...)
			r := &reconciler{seed: seed, fluxReadyAffectsShoot: test.fluxCounts}
			r.pendingSince.Store(namespace, time.Now().Add(-grace))
			request := reconcile.Request{NamespacedName: client.ObjectKeyFromObject(ex)}
			for range 2 {
				g.Expect(r.Reconcile(t.Context(), request)).To(Equal(reconcile.Result{}))
			}
			g.Expect(writes).To(Equal(1), "what has been told is not told again")
			g.Expect(seed.Get(t.Context(), request.NamespacedName, ex)).To(Succeed())
			condition := v1beta1helper.GetCondition(ex.Status.Conditions, gardencorev1beta1.ShootSystemComponentsHealthy)
			g.Expect(condition.Status).To(Equal(test.status))
			g.Expect(condition.Message).To(ContainSubstring(test.message))
			g.Expect(len(condition.Message)).To(BeNumerically("<=", readiness.MaxMessage))
			g.Expect(condition.Codes).To(Equal(test.codes))
			g.Expect(condition.LastUpdateTime.IsZero()).To(BeFalse())
			if test.flux != "" {
				g.Expect(ex.Status.Conditions).To(ContainElement(HaveField("Message", "what Flux says")), "the other conditions stay")
			}
		})
	}
}

// The condition of a new Extension is written once, when its ManagedResources are there.
func TestNewExtension(t *testing.T) {
	g := NewWithT(t)
	ex := &extensionsv1alpha1.Extension{}
	ex.Namespace, ex.Name, ex.CreationTimestamp = namespace, "shoot-flux", metav1.Now()
	writes := 0
	seed := newSeed(g, &writes, ex, cluster(false))
	r, request := &reconciler{seed: seed}, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(ex)}
	result, err := r.Reconcile(t.Context(), request)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(result.RequeueAfter).To(BeNumerically("~", grace, 5*time.Second), "what does not come by then is told")
	g.Expect(writes).To(BeZero())

	for _, name := range []string{managedresource.Installation, managedresource.Configuration} {
		g.Expect(seed.Create(t.Context(), managedResource(name, ""))).To(Succeed())
	}
	g.Expect(r.Reconcile(t.Context(), request)).To(Equal(reconcile.Result{}))
	g.Expect(writes).To(Equal(1))
}

// What gardener-resource-manager has been given a moment ago is not unhealthy.
func TestChange(t *testing.T) {
	g := NewWithT(t)
	ex := &extensionsv1alpha1.Extension{}
	ex.Namespace, ex.Name = namespace, "shoot-flux"
	ex.Status.Conditions = []gardencorev1beta1.Condition{{Type: gardencorev1beta1.ShootSystemComponentsHealthy, Status: gardencorev1beta1.ConditionTrue}}
	changed := managedResource(managedresource.Configuration, "")
	changed.Generation = 2
	writes := 0
	seed := newSeed(g, &writes, ex, cluster(false), managedResource(managedresource.Installation, ""), changed)
	r, request := &reconciler{seed: seed}, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(ex)}
	result, err := r.Reconcile(t.Context(), request)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(result.RequeueAfter).To(BeNumerically("~", grace, 5*time.Second))
	g.Expect(writes).To(BeZero())

	r.pendingSince.Store(namespace, time.Now().Add(-grace))
	g.Expect(r.Reconcile(t.Context(), request)).To(Equal(reconcile.Result{}))
	g.Expect(writes).To(Equal(1), "by now there should be a result")
}

// A shoot that leaves the seed is no longer judged.
func TestNobodyJudgesAShootThatLeaves(t *testing.T) {
	for name, leave := range map[string]func(*extensionsv1alpha1.Extension){
		"it is asked to": func(ex *extensionsv1alpha1.Extension) {
			ex.Annotations = map[string]string{"gardener.cloud/operation": "migrate"}
		},
		"it has": func(ex *extensionsv1alpha1.Extension) {
			ex.Status.LastOperation = &gardencorev1beta1.LastOperation{Type: "Migrate"}
		},
		"it does not exist": func(ex *extensionsv1alpha1.Extension) { ex.Name = "other" },
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			ex := &extensionsv1alpha1.Extension{}
			ex.Namespace, ex.Name = namespace, "shoot-flux"
			request := reconcile.Request{NamespacedName: client.ObjectKeyFromObject(ex)}
			leave(ex)
			writes := 0
			g.Expect((&reconciler{seed: newSeed(g, &writes, ex, cluster(false))}).Reconcile(t.Context(), request)).To(Equal(reconcile.Result{}))
			g.Expect(writes).To(BeZero())
		})
	}
}

func newSeed(g *WithT, writes *int, objects ...client.Object) client.Client {
	scheme := runtime.NewScheme()
	g.Expect(extensionscontroller.AddToScheme(scheme)).To(Succeed())
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithStatusSubresource(&extensionsv1alpha1.Extension{}).
		WithInterceptorFuncs(interceptor.Funcs{SubResourcePatch: func(ctx context.Context, c client.Client, subresource string, object client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
			*writes++
			return c.SubResource(subresource).Patch(ctx, object, patch, options...)
		}}).Build()
}

func cluster(sleeps bool) *extensionsv1alpha1.Cluster {
	cluster := &extensionsv1alpha1.Cluster{}
	cluster.Name = namespace
	cluster.Spec.Shoot.Raw = fmt.Appendf(nil, `{"apiVersion":"core.gardener.cloud/v1beta1","kind":"Shoot","metadata":{"namespace":"garden-p","name":"one"},"spec":{"hibernation":{"enabled":%t}}}`, sleeps)
	return cluster
}

// managedResource is one that is healthy, unless there is a fault.
func managedResource(name, fault string) *resourcesv1alpha1.ManagedResource {
	managedResource := &resourcesv1alpha1.ManagedResource{}
	managedResource.Namespace, managedResource.Name = namespace, name
	healthy := gardencorev1beta1.ConditionTrue
	if fault != "" {
		healthy = gardencorev1beta1.ConditionFalse
	}
	managedResource.Status.Conditions = []gardencorev1beta1.Condition{
		{Type: resourcesv1alpha1.ResourcesApplied, Status: gardencorev1beta1.ConditionTrue},
		{Type: resourcesv1alpha1.ResourcesHealthy, Status: healthy, Message: fault},
	}
	return managedResource
}
