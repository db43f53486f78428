// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"testing"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
	"github.com/gardener/gardener/pkg/client/kubernetes"
)

// endedOperations collects how the operations on the Extensions in a namespace of a seed end, until the watch stops.
func endedOperations(extensions watch.Interface) <-chan []gardencorev1beta1.LastOperation {
	ended := make(chan []gardencorev1beta1.LastOperation, 1)
	go func() {
		var operations []gardencorev1beta1.LastOperation
		for event := range extensions.ResultChan() {
			ex, ok := event.Object.(*extensionsv1alpha1.Extension)
			if ok && ex.Status.LastOperation != nil && ex.Status.LastOperation.State != gardencorev1beta1.LastOperationStateProcessing {
				operations = append(operations, *ex.Status.LastOperation)
			}
		}
		ended <- operations
	}()
	return ended
}

// TestNewShootWithAnotherNamespace: from its beginning, gardener-resource-manager manages the namespace that the project has chosen for Flux, so
// that the first operation succeeds. (The landscape runs Flux's controllers only in flux-system.)
func TestNewShootWithAnotherNamespace(t *testing.T) {
	parallel(t)
	p := newProject(t, "namespace")
	repository := p.newRepository(true)
	url, err := repository.HTTPURL()
	p.Expect(err).NotTo(HaveOccurred())
	p.configure(map[string]string{"fluxVersion": fluxVersion, "repositoryUrl": url, "config": "flux: {namespace: gitops, components: [source-controller, kustomize-controller]}"})

	seed, err := client.NewWithWatch(p.landscape.Seed.AdminConfig, client.Options{Scheme: kubernetes.SeedScheme})
	p.Expect(err).NotTo(HaveOccurred())
	extensions, err := seed.Watch(t.Context(), &extensionsv1alpha1.ExtensionList{}, client.InNamespace("shoot--namespace--one"))
	p.Expect(err).NotTo(HaveOccurred())
	ended := endedOperations(extensions)
	shoot := p.newShoot("one")
	p.Eventually(func(g Gomega) {
		deployments := &appsv1.DeploymentList{}
		g.Expect(shoot.cluster().List(t.Context(), deployments, client.InNamespace("gitops"))).To(Succeed())
		g.Expect(deployments.Items).To(HaveLen(2))
	}, timeout, interval).Should(Succeed())
	shoot.expectSucceeded()
	extensions.Stop()
	p.Expect(<-ended).To(And(Not(BeEmpty()), HaveEach(HaveField("State", gardencorev1beta1.LastOperationStateSucceeded))))
}
