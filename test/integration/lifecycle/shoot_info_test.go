// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle_test

import (
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
)

func (l *living) shootInfo() *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "flux-system", Name: "shoot-info"}}
}

// identify gives the Shoot the status that Gardener gives it.
func (s *shoot) identify() {
	s.object.Status.TechnicalID = s.control
	s.object.Status.ClusterIdentity = new(s.control + "-0f0b7f0e-garden-prod")
	s.syncCluster()
}

func TestShootInfo(t *testing.T) {
	t.Parallel()
	l := newLiving(t)
	l.identify()
	l.configure(publicRepository)
	l.operate("reconcile")
	l.expectVersion("v2.9.4")
	info := l.shootInfo()
	l.Expect(l.exists(info)).To(BeTrue())
	l.Expect(info.Labels).To(HaveKeyWithValue("app.kubernetes.io/managed-by", "gardener-extension-shoot-flux"))
	l.Expect(info.Data).To(Equal(map[string]string{
		"SHOOT_INFO_CLUSTER_IDENTITY":        l.control + "-0f0b7f0e-garden-prod",
		"SHOOT_INFO_GARDEN_CLUSTER_IDENTITY": "garden-prod",
		"SHOOT_INFO_NAME":                    "one",
		"SHOOT_INFO_TECHNICAL_ID":            l.control,
	}))
}

// TestShootInfoOfUsers stays as it is, and people are told. As soon as it is gone, ours comes.
func TestShootInfoOfUsers(t *testing.T) {
	t.Parallel()
	l := newLiving(t)
	l.upgradeByUsers("v2.9.4")
	theirs := l.shootInfo()
	theirs.Data = map[string]string{"region": "eu"}
	l.Expect(l.client.Create(l.ctx, theirs)).To(Succeed())
	l.configure(publicRepository)
	l.operate("reconcile")
	l.expectVersion("v2.9.4")
	kept := l.shootInfo()
	l.Expect(l.exists(kept)).To(BeTrue())
	l.Expect(kept.Data).To(Equal(theirs.Data))
	l.Expect(l.contentOf(managedresource.Configuration)).NotTo(HaveKey("ConfigMap flux-system/shoot-info"))
	l.Expect(l.status(l).Notices).To(ContainElement(And(HaveField("Reason", fluxv1alpha1.NoticeConfigMapKept), HaveField("Message", ContainSubstring("ConfigMap flux-system/shoot-info of the shoot is not the extension's")))))

	l.Expect(l.client.Delete(l.ctx, theirs)).To(Succeed())
	l.operate("reconcile")
	l.Eventually(func() bool { return l.exists(l.shootInfo()) }, timeout).Should(BeTrue())
}

// TestShootInfoOfAnotherExtension is that of the one that Gardener lists: it becomes ours, with the same keys.
func TestShootInfoOfAnotherExtension(t *testing.T) {
	t.Parallel()
	l := newLiving(t)
	l.upgradeByUsers("v2.9.4")
	theirs := l.shootInfo()
	theirs.Labels = map[string]string{"app.kubernetes.io/managed-by": "gardener-extension-shoot-flux"}
	theirs.Data = map[string]string{"SHOOT_INFO_NAME": "another"}
	l.Expect(l.client.Create(l.ctx, theirs)).To(Succeed())
	l.configure(publicRepository)
	l.operate("reconcile")
	l.expectVersion("v2.9.4")
	l.Expect(l.client.Get(l.ctx, client.ObjectKeyFromObject(theirs), theirs)).To(Succeed())
	l.Expect(theirs.Data).To(HaveKeyWithValue("SHOOT_INFO_NAME", "one"))
}

// TestShootInfoNeedsANamespace: a Flux that its users have installed elsewhere, and that follows nothing of the project's.
func TestShootInfoNeedsANamespace(t *testing.T) {
	t.Parallel()
	l := newLiving(t)
	l.installByUsers("v2.9.4", "gitops")
	l.configure(map[string]string{"fluxVersion": "v2.9.4", "installation": "once"})
	l.operate("reconcile")
	l.expectSuccess()
	l.Eventually(func(g Gomega) {
		configuration, content := l.managedResource(managedresource.Configuration)
		g.Expect(content).To(BeEmpty())
		g.Expect(managedresource.CheckApplied(configuration)).To(Succeed())
	}, timeout).Should(Succeed())
	l.Expect(apierrors.IsNotFound(l.client.Get(l.ctx, client.ObjectKey{Name: "flux-system"}, &corev1.Namespace{}))).To(BeTrue())
}

// TestShootInfoComesWithTheNextReconciliation: of a shoot that an earlier release of the extension has served, which had none. Only then.
func TestShootInfoComesWithTheNextReconciliation(t *testing.T) {
	t.Parallel()
	s := newShoot(t, targetNamespace)
	s.configure(publicRepository)
	s.operate("reconcile")
	s.expectSuccess()
	s.settle()
	configuration, _ := s.managedResource(managedresource.Configuration)
	full, err := managedresource.DataOf(s.ctx, shared.seedClient, configuration)
	s.Expect(err).NotTo(HaveOccurred())
	objects, err := full.Objects()
	s.Expect(err).NotTo(HaveOccurred())
	var before []client.Object
	for _, object := range objects {
		if object.GetKind() != "ConfigMap" {
			before = append(before, object)
		}
	}
	s.Expect(before).To(HaveLen(len(objects) - 1))
	data, err := managedresource.Serialize(before)
	s.Expect(err).NotTo(HaveOccurred())
	s.Expect(managedresource.Apply(s.ctx, shared.seedClient, s.control, managedresource.Configuration, configuration.Labels, data, configuration)).To(Succeed())

	// Another shoot's reconciliation, and what the project's admin writes without a change, do not reach it.
	s.configure(with(publicRepository, "repositoryBranch", "main"))
	other := newShootOf(t, s.project, "other", targetNamespace)
	other.operate("reconcile")
	other.expectSuccess()
	s.Expect(s.contentOf(managedresource.Configuration)).NotTo(HaveKey("ConfigMap flux-system/shoot-info"))
	s.operate("reconcile")
	s.Eventually(func() any { return s.contentOf(managedresource.Configuration) }, timeout).Should(HaveKey("ConfigMap flux-system/shoot-info"))
}
