// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package seed_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
	"github.com/gardener/gardener/pkg/extensions"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/seed"
)

// Gardener's library reads Clusters from the cache, too: it decodes what is left, and finds what it looks at.
func TestTrimCluster(t *testing.T) {
	g := NewWithT(t)
	metadata := metav1.ObjectMeta{Namespace: "garden-p", Name: "one", UID: "1", Generation: 3, DeletionTimestamp: &metav1.Time{Time: time.Unix(1e9, 0)},
		Annotations: map[string]string{v1beta1constants.ShootIgnore: "true"}, ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl"}}}
	shoot := &gardencorev1beta1.Shoot{TypeMeta: metav1.TypeMeta{APIVersion: "core.gardener.cloud/v1beta1", Kind: "Shoot"}, ObjectMeta: metadata}
	shoot.Spec.Hibernation = &gardencorev1beta1.Hibernation{Enabled: new(true)}
	shoot.Spec.Provider.InfrastructureConfig = &runtime.RawExtension{Raw: []byte(`{"big":"` + strings.Repeat("x", 10000) + `"}`)}
	shoot.Status = gardencorev1beta1.ShootStatus{IsHibernated: true, ObservedGeneration: 2, LastOperation: &gardencorev1beta1.LastOperation{State: gardencorev1beta1.LastOperationStateFailed}}
	seedObject := &gardencorev1beta1.Seed{TypeMeta: metav1.TypeMeta{APIVersion: "core.gardener.cloud/v1beta1", Kind: "Seed"}, ObjectMeta: metav1.ObjectMeta{Name: "s", Annotations: map[string]string{"stop": "true"}}}
	seedObject.Spec.Provider.Region = "somewhere"
	cluster := &extensionsv1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "shoot--p--one"}}
	cluster.Spec.CloudProfile.Raw = []byte(`{"apiVersion":"core.gardener.cloud/v1beta1","kind":"CloudProfile","spec":{"regions":[` + strings.Repeat(`{"name":"r"},`, 10000) + `{"name":"z"}]}}`)
	cluster.Spec.Shoot.Raw, cluster.Spec.Seed = marshal(g, shoot), &runtime.RawExtension{Raw: marshal(g, seedObject)}

	trimmed, err := seed.TrimCluster(cluster)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(len(marshal(g, trimmed))).To(BeNumerically("<", 2000))

	profile, err := extensions.CloudProfileFromCluster(cluster)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(profile).To(BeNil())
	leftShoot, err := extensions.ShootFromCluster(cluster)
	g.Expect(err).NotTo(HaveOccurred())
	metadata.ManagedFields = nil
	g.Expect(leftShoot.DeletionTimestamp.Equal(metadata.DeletionTimestamp)).To(BeTrue())
	leftShoot.DeletionTimestamp = metadata.DeletionTimestamp
	g.Expect(leftShoot.ObjectMeta).To(Equal(metadata))
	g.Expect(leftShoot.Spec.Hibernation.Enabled).To(HaveValue(BeTrue()))
	g.Expect(leftShoot.Spec.Provider.InfrastructureConfig).To(BeNil())
	g.Expect(leftShoot.Status.IsHibernated).To(BeTrue())
	g.Expect(leftShoot.Status.ObservedGeneration).To(Equal(int64(2)))
	g.Expect(leftShoot.Status.LastOperation.State).To(Equal(gardencorev1beta1.LastOperationStateFailed))
	leftSeed, err := extensions.SeedFromCluster(cluster)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(leftSeed.ObjectMeta).To(Equal(seedObject.ObjectMeta))
	g.Expect(leftSeed.Spec.Provider.Region).To(BeEmpty())
}

// Who reads such a Cluster says what is wrong with it.
func TestTrimLeavesWhatCanNotBeRead(t *testing.T) {
	g := NewWithT(t)
	cluster := &extensionsv1alpha1.Cluster{}
	cluster.Spec.Shoot.Raw = []byte(`{"metadata":7}`)
	trimmed, err := seed.TrimCluster(cluster)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(trimmed).To(BeIdenticalTo(any(cluster)))
	g.Expect(string(cluster.Spec.Shoot.Raw)).To(Equal(`{"metadata":7}`))
	g.Expect(cluster.Spec.Seed).To(BeNil())
}

func marshal(g *WithT, object any) []byte {
	raw, err := json.Marshal(object)
	g.Expect(err).NotTo(HaveOccurred())
	return raw
}
