// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle_test

import (
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
)

// TestRepositoryStaysWhenItCanNotBeRead has what kubectl makes of a file as UTF-16: the key is there, but not in the data.
func TestRepositoryStaysWhenItCanNotBeRead(t *testing.T) {
	t.Parallel()
	s := newShoot(t, targetNamespace)
	s.configure(publicRepository)
	s.operate("reconcile")
	s.expectSuccess()
	before, _ := s.managedResource(managedresource.Configuration)

	configMap := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: s.project, Name: project.ConfigMapName}}
	configMap.BinaryData = map[string][]byte{"repositoryUrl": []byte("\xff\xfeh\x00t\x00t\x00p\x00s\x00")}
	s.Expect(shared.gardenClient.Update(s.ctx, configMap)).To(Succeed())
	s.operate("reconcile")
	s.Eventually(func(g Gomega) { _, _ = s.lastOperation(g) }, timeout).Should(Succeed())
	after, _ := s.managedResource(managedresource.Configuration)
	s.Expect(after.ResourceVersion).To(Equal(before.ResourceVersion))
}
