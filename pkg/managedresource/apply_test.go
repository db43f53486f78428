// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package managedresource_test

import (
	"context"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
)

// applications are what is there when a ManagedResource is applied, and what is asked of the seed then.
var applications = map[string]struct {
	// change is done to what has been applied, which is then found, unless it is gone.
	change   func(*seed, *resourcesv1alpha1.ManagedResource) *resourcesv1alpha1.ManagedResource
	labels   map[string]string
	data     managedresource.Data
	requests []string
}{
	"all is there": {requests: nil},
	"an interrupted try left the Secret": {requests: []string{"create Secret", "get Secret", "get ManagedResource", "create ManagedResource"},
		change: func(s *seed, managedResource *resourcesv1alpha1.ManagedResource) *resourcesv1alpha1.ManagedResource {
			s.g.Expect(s.Delete(s.ctx, managedResource)).To(Succeed())
			return nil
		}},
	"somebody deleted the Secret": {requests: []string{"get Secret", "create Secret", "get Secret"},
		change: func(s *seed, managedResource *resourcesv1alpha1.ManagedResource) *resourcesv1alpha1.ManagedResource {
			s.g.Expect(s.DeleteAllOf(s.ctx, &corev1.Secret{}, client.InNamespace("one"))).To(Succeed())
			managedResource.Status.Conditions[0].Status = gardencorev1beta1.ConditionFalse
			return managedResource
		}},
	"another label": {labels: map[string]string{"version": "2"}, requests: []string{"get Secret", "get Secret", "update ManagedResource"}},
	"other data":    {data: managedresource.Data{"objects": []byte("y")}, requests: []string{"create Secret", "update ManagedResource"}},
	"other data, and its Secret is there": {data: managedresource.Data{"objects": []byte("y")},
		requests: []string{"create Secret", "get Secret", "get ManagedResource", "get Secret", "update ManagedResource"},
		change: func(s *seed, managedResource *resourcesv1alpha1.ManagedResource) *resourcesv1alpha1.ManagedResource {
			other := managedResource.DeepCopy()
			s.g.Expect(managedresource.Apply(s.ctx, s, "one", managedresource.Configuration, nil, managedresource.Data{"objects": []byte("y")}, other)).To(Succeed())
			other = s.applied()
			s.g.Expect(managedresource.Apply(s.ctx, s, "one", managedresource.Configuration, nil, managedresource.Data{"objects": []byte("x")}, other)).To(Succeed())
			return s.applied()
		}},
	"gardener-resource-manager has written meanwhile": {data: managedresource.Data{"objects": []byte("y")},
		requests: []string{"create Secret", "update ManagedResource", "get Secret", "get ManagedResource", "get Secret", "update ManagedResource"},
		change: func(s *seed, managedResource *resourcesv1alpha1.ManagedResource) *resourcesv1alpha1.ManagedResource {
			s.g.Expect(s.Update(s.ctx, managedResource.DeepCopy())).To(Succeed())
			return managedResource
		}},
}

// Each request counts, times a thousand shoots.
func TestApplyAsksForNoMoreThanItNeeds(t *testing.T) {
	labels, data := map[string]string{"version": "1"}, managedresource.Data{"objects": []byte("x")}
	for name, test := range applications {
		t.Run(name, func(t *testing.T) {
			s := newSeed(t)
			s.g.Expect(managedresource.Apply(s.ctx, s, "one", managedresource.Configuration, labels, data, nil)).To(Succeed())
			s.g.Expect(s.requests).To(Equal([]string{"create Secret", "create ManagedResource"}), "nothing is there")

			existing := s.applied()
			if test.change != nil {
				existing = test.change(s, existing)
			}
			if test.labels == nil {
				test.labels = labels
			}
			if test.data == nil {
				test.data = data
			}
			s.requests = nil
			s.g.Expect(managedresource.Apply(s.ctx, s, "one", managedresource.Configuration, test.labels, test.data, existing)).To(Succeed())
			s.g.Expect(s.requests).To(Equal(test.requests))
			managedResource := s.applied()
			s.g.Expect(managedResource.Labels).To(HaveKeyWithValue("version", test.labels["version"]))
			s.g.Expect(managedresource.DataOf(s.ctx, s, managedResource)).To(Equal(test.data))
		})
	}
}

// seed notes what it is asked for.
type seed struct {
	client.Client
	g        *WithT
	ctx      context.Context
	requests []string
}

func newSeed(t *testing.T) *seed {
	s := &seed{g: NewWithT(t), ctx: t.Context()}
	scheme := runtime.NewScheme()
	s.g.Expect(corev1.AddToScheme(scheme)).To(Succeed())
	s.g.Expect(resourcesv1alpha1.AddToScheme(scheme)).To(Succeed())
	note := func(verb string, object client.Object) {
		kind := "Secret"
		if _, ok := object.(*resourcesv1alpha1.ManagedResource); ok {
			kind = "ManagedResource"
		}
		s.requests = append(s.requests, verb+" "+kind)
	}
	s.Client = fake.NewClientBuilder().WithScheme(scheme).WithInterceptorFuncs(interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
			note("get", object)
			return c.Get(ctx, key, object, options...)
		},
		Create: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.CreateOption) error {
			note("create", object)
			return c.Create(ctx, object, options...)
		},
		Update: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.UpdateOption) error {
			note("update", object)
			return c.Update(ctx, object, options...)
		},
	}).Build()
	return s
}

// applied returns the ManagedResource, as if gardener-resource-manager had applied it.
func (s *seed) applied() *resourcesv1alpha1.ManagedResource {
	managedResource, err := managedresource.Get(s.ctx, s, "one", managedresource.Configuration)
	s.g.Expect(err).NotTo(HaveOccurred())
	managedResource.Status.ObservedGeneration = managedResource.Generation
	managedResource.Status.Conditions = []gardencorev1beta1.Condition{{Type: resourcesv1alpha1.ResourcesApplied, Status: gardencorev1beta1.ConditionTrue}}
	return managedResource
}
