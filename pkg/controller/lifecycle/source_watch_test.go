// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	extensionscontroller "github.com/gardener/gardener/extensions/pkg/controller"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/sourcesecret"
)

func newSeed(t *testing.T, objects ...client.Object) client.Client {
	t.Helper()
	scheme := runtime.NewScheme()
	NewWithT(t).Expect(extensionscontroller.AddToScheme(scheme)).To(Succeed())
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithIndex(&extensionsv1alpha1.Cluster{}, projectField, projectOfCluster).Build()
}

func TestIsOutdated(t *testing.T) {
	const (
		succeeded  = gardencorev1beta1.LastOperationStateSucceeded
		failing    = gardencorev1beta1.LastOperationStateError
		processing = gardencorev1beta1.LastOperationStateProcessing
	)
	for name, test := range map[string]struct {
		labels  map[string]string // of the ManagedResource, or nil if there is none
		state   gardencorev1beta1.LastOperationState
		told    string // in the providerStatus
		changed bool
		made    bool // the key pair, by an extension
		want    bool
	}{
		"has this version":                       {labels: map[string]string{managedresource.SourceVersionLabel: "a.5"}, state: succeeded, changed: true},
		"has another version":                    {labels: map[string]string{managedresource.SourceVersionLabel: "a.4"}, state: succeeded, want: true},
		"has another version, after a restart":   {labels: map[string]string{managedresource.SourceVersionLabel: "a.4"}, state: succeeded, changed: false, want: true},
		"is getting another version":             {labels: map[string]string{managedresource.SourceVersionLabel: "a.4"}, state: processing, changed: true, want: true},
		"fails with this version":                {labels: map[string]string{managedresource.SourceVersionLabel: "a.5"}, state: failing, want: true},
		"has another version of a key pair":      {labels: map[string]string{managedresource.SourceVersionLabel: "a.4"}, state: succeeded, made: true, want: true},
		"has that of a Secret that has gone":     {labels: map[string]string{managedresource.SourceVersionLabel: "b.4"}, state: succeeded, want: true},
		"nobody knows the new key pair yet":      {labels: map[string]string{managedresource.SourceVersionLabel: "b.4"}, state: succeeded, changed: true, made: true},
		"public repository":                      {labels: map[string]string{managedresource.SourceVersionLabel: ""}, state: succeeded, changed: true},
		"of an earlier extension":                {labels: map[string]string{}, state: succeeded, told: "ssh-ed25519 AAAA", changed: true, want: true},
		"of an earlier extension, after a start": {labels: map[string]string{}, state: succeeded, told: "ssh-ed25519 AAAA"},
		"fails for the first time":               {state: failing, want: true},
		"is reconciled for the first time":       {state: processing, changed: true, want: true},
		"makes the Secret":                       {state: processing},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			ex := &extensionsv1alpha1.Extension{ObjectMeta: metav1.ObjectMeta{Namespace: "shoot--one--a", Name: Type}}
			ex.Status.LastOperation = operation(gardencorev1beta1.LastOperationTypeReconcile, test.state)
			ex.Status.ProviderStatus = &runtime.RawExtension{Raw: []byte(
				`{"apiVersion":"flux.extensions.gardener.cloud/v1alpha1","kind":"FluxStatus","publicKey":"` + test.told + `"}`)}
			var objects []client.Object
			if test.labels != nil {
				objects = append(objects, &resourcesv1alpha1.ManagedResource{ObjectMeta: metav1.ObjectMeta{Namespace: ex.Namespace, Name: managedresource.Configuration, Labels: test.labels}})
			}
			w := &sourceWatch{seed: newSeed(t, objects...)}
			secret := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{UID: "a", ResourceVersion: "5"}}
			if test.made {
				sourcesecret.NoteKeyPairMade(secret, &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{
					{Manager: "gardener-extension-shoot-flux-X", FieldsV1: metav1.NewFieldsV1(`{"f:data":{".":{},"f:identity":{}}}`)},
				}}})
			}
			g.Expect(w.isOutdated(t.Context(), ex, secret, test.changed)).To(Equal(test.want))
		})
	}
}

// TestShootsThatWait are all of the project that may be reconciled, and no others.
func TestShootsThatWait(t *testing.T) {
	g := NewWithT(t)
	var objects []client.Object
	for namespace, project := range map[string]string{"shoot--one--a": "garden-one", "shoot--one--sleeps": "garden-one", "shoot--one--without": "garden-one", "shoot--two--a": "garden-two"} {
		shoot := `{"apiVersion":"core.gardener.cloud/v1beta1","kind":"Shoot","metadata":{"namespace":"` + project + `","name":"a"},"spec":{"hibernation":{"enabled":false}}}`
		if namespace == "shoot--one--sleeps" {
			shoot = `{"apiVersion":"core.gardener.cloud/v1beta1","kind":"Shoot","metadata":{"namespace":"` + project + `","name":"a"},"spec":{"hibernation":{"enabled":true}}}`
		}
		cluster := &extensionsv1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
		cluster.Spec.Shoot.Raw = []byte(shoot)
		objects = append(objects, cluster)
		if namespace == "shoot--one--without" {
			continue
		}
		ex := &extensionsv1alpha1.Extension{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: Type}}
		ex.Status.LastOperation = operation(gardencorev1beta1.LastOperationTypeCreate, gardencorev1beta1.LastOperationStateError)
		objects = append(objects, ex)
	}
	w := &sourceWatch{seed: newSeed(t, objects...)}
	requests, err := w.requests(t.Context(), "garden-one", func(_ *extensionsv1alpha1.Extension, may bool) (bool, error) { return may, nil })
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(requests).To(HaveExactElements(HaveField("Namespace", "shoot--one--a")))
}
