// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/go-logr/logr"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
)

func operation(operationType gardencorev1beta1.LastOperationType, state gardencorev1beta1.LastOperationState) *gardencorev1beta1.LastOperation {
	return &gardencorev1beta1.LastOperation{Type: operationType, State: state}
}

// What is not reconciled here, gardenlet reconciles or does not want to be touched.
func TestMayReconcile(t *testing.T) {
	const (
		succeeded = gardencorev1beta1.LastOperationStateSucceeded
		failing   = gardencorev1beta1.LastOperationStateError
	)
	now := metav1.Now()
	annotated := func(operation string) func(*extensionsv1alpha1.Extension, *gardencorev1beta1.Shoot) {
		return func(ex *extensionsv1alpha1.Extension, _ *gardencorev1beta1.Shoot) {
			ex.Annotations = map[string]string{"gardener.cloud/operation": operation}
		}
	}
	last := func(operationType gardencorev1beta1.LastOperationType, state gardencorev1beta1.LastOperationState) func(*extensionsv1alpha1.Extension, *gardencorev1beta1.Shoot) {
		return func(ex *extensionsv1alpha1.Extension, _ *gardencorev1beta1.Shoot) {
			ex.Status.LastOperation = operation(operationType, state)
		}
	}
	for name, tc := range map[string]struct {
		change func(*extensionsv1alpha1.Extension, *gardencorev1beta1.Shoot)
		want   bool
	}{
		"reconciled":       {func(*extensionsv1alpha1.Extension, *gardencorev1beta1.Shoot) {}, true},
		"fails":            {last(gardencorev1beta1.LastOperationTypeReconcile, failing), true},
		"created":          {last(gardencorev1beta1.LastOperationTypeCreate, succeeded), true},
		"fails to create":  {last(gardencorev1beta1.LastOperationTypeCreate, failing), true},
		"restored":         {last(gardencorev1beta1.LastOperationTypeRestore, succeeded), true},
		"fails to restore": {last(gardencorev1beta1.LastOperationTypeRestore, failing), false},
		"migrated":         {last(gardencorev1beta1.LastOperationTypeMigrate, succeeded), false},
		"fails to migrate": {last(gardencorev1beta1.LastOperationTypeMigrate, failing), false},
		"never reconciled": {func(ex *extensionsv1alpha1.Extension, _ *gardencorev1beta1.Shoot) { ex.Status.LastOperation = nil }, false},
		"to be reconciled": {annotated("reconcile"), false},
		"to be migrated":   {annotated("migrate"), false},
		"to be restored":   {annotated("restore"), false},
		"waits for state":  {annotated("wait-for-state"), false},
		"being deleted":    {func(ex *extensionsv1alpha1.Extension, _ *gardencorev1beta1.Shoot) { ex.DeletionTimestamp = &now }, false},
		"shoot is deleted": {func(_ *extensionsv1alpha1.Extension, shoot *gardencorev1beta1.Shoot) { shoot.DeletionTimestamp = &now }, false},
		"shoot has failed": {func(_ *extensionsv1alpha1.Extension, shoot *gardencorev1beta1.Shoot) {
			shoot.Status.LastOperation = operation(gardencorev1beta1.LastOperationTypeReconcile, gardencorev1beta1.LastOperationStateFailed)
		}, false},
		"shoot goes to sleep": {func(_ *extensionsv1alpha1.Extension, shoot *gardencorev1beta1.Shoot) {
			shoot.Spec.Hibernation = &gardencorev1beta1.Hibernation{Enabled: new(true)}
		}, false},
		"shoot is ignored": {func(_ *extensionsv1alpha1.Extension, shoot *gardencorev1beta1.Shoot) {
			shoot.Annotations = map[string]string{"shoot.gardener.cloud/ignore": "true"}
		}, false},
		"shoot wakes up": {func(_ *extensionsv1alpha1.Extension, shoot *gardencorev1beta1.Shoot) {
			shoot.Status.IsHibernated = true
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			ex := &extensionsv1alpha1.Extension{}
			ex.Status.LastOperation = operation(gardencorev1beta1.LastOperationTypeReconcile, succeeded)
			shoot := &gardencorev1beta1.Shoot{}
			tc.change(ex, shoot)
			NewWithT(t).Expect(mayReconcile(ex, shoot)).To(Equal(tc.want))
		})
	}
	NewWithT(t).Expect(mayReconcile(&extensionsv1alpha1.Extension{}, nil)).To(BeFalse(), "gardenlet has not written the Shoot yet")
}

// Shoots of a project without ConfigMap get the defaults of the landscape, and those of a project with one what that says.
func TestProjectsWithoutConfigMap(t *testing.T) {
	g := NewWithT(t)
	scheme := runtime.NewScheme()
	g.Expect(errors.Join(extensionsv1alpha1.AddToScheme(scheme), resourcesv1alpha1.AddToScheme(scheme))).To(Succeed())
	defaults, err := project.ReadDefaults("repository: {url: https://git.example.com/fleet/shoots}")
	g.Expect(err).NotTo(HaveOccurred())
	seed := fake.NewClientBuilder().WithScheme(scheme).WithIndex(&extensionsv1alpha1.Cluster{}, projectField, projectOfCluster)
	for _, name := range []string{"without", "current", "with"} {
		owner := &gardencorev1beta1.Shoot{TypeMeta: metav1.TypeMeta{APIVersion: "core.gardener.cloud/v1beta1", Kind: "Shoot"}}
		owner.Namespace, owner.Name = "garden-"+name, "one"
		raw, err := json.Marshal(owner)
		g.Expect(err).NotTo(HaveOccurred())
		cluster := &extensionsv1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name}}
		cluster.Spec.Shoot.Raw = raw
		extension := &extensionsv1alpha1.Extension{ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: Type}}
		extension.Status.LastOperation = operation(gardencorev1beta1.LastOperationTypeReconcile, gardencorev1beta1.LastOperationStateSucceeded)
		has := &resourcesv1alpha1.ManagedResource{ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: managedresource.Configuration}}
		if name == "current" {
			has.Labels = map[string]string{managedresource.ConfigurationDigestLabel: digestsOf(project.Read(defaults, nil), extension, owner)[0]}
		}
		seed = seed.WithObjects(cluster, extension, has)
	}
	w := &configurationWatch{seed: seed.Build(), defaults: defaults, missed: &missedChanges{}, log: logr.Discard()}
	w.configured.Store("garden-with", nil)
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	defer queue.ShutDown()

	w.enqueueWithoutConfigMap(t.Context(), queue)
	g.Expect(queue.Len()).To(Equal(1))
	request, _ := queue.Get()
	g.Expect(request.Namespace).To(Equal("without"))

	w.defaults = nil
	queue.Done(request)
	w.enqueueWithoutConfigMap(t.Context(), queue)
	g.Expect(queue.Len()).To(BeZero(), "there is nothing that they could get")
}

func TestProjectOfCluster(t *testing.T) {
	g := NewWithT(t)
	cluster := &extensionsv1alpha1.Cluster{}
	g.Expect(projectOfCluster(cluster)).To(BeEmpty())
	cluster.Spec.Shoot = runtime.RawExtension{Raw: []byte(`{"apiVersion":"core.gardener.cloud/v1beta1","kind":"Shoot","metadata":{"namespace":"garden-one","name":"shoot"},"spec":{"region":"local"}}`)}
	g.Expect(projectOfCluster(cluster)).To(ConsistOf("garden-one"))
}
