// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package garden_test

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/garden"
)

// toldSecret is what a watch of Secrets has told.
type toldSecret struct{ old, secret *metav1.PartialObjectMetadata }

// The watch of Secrets is a named request, gets the metadata only, and keeps of it what is needed.
func TestTheWatchOfSecrets(t *testing.T) {
	g := NewWithT(t)
	namespace := newProject(t)
	one := secret(namespace, "flux-source", corev1.SecretTypeOpaque)
	one.Annotations = map[string]string{corev1.LastAppliedConfigAnnotation: "a private key"}
	g.Expect(admin.Create(t.Context(), one)).To(Succeed())

	server := newProxy(t)
	server.start(t)
	told := make(chan toldSecret, 100)
	watch := garden.SecretWatch{
		Access: garden.KubeconfigFile(mount(t, server.URL, token(t, ownSeed, "shoot-flux-garden")).kubeconfig()), Name: "flux-source", Log: logr.Discard(),
		Seen: func(_ context.Context, old, secret *metav1.PartialObjectMetadata) {
			if secret.Namespace == namespace {
				told <- toldSecret{old, secret}
			}
		},
		Note: func(kept, whole *metav1.PartialObjectMetadata) {
			kept.Labels = map[string]string{"managers": strconv.Itoa(len(whole.ManagedFields))}
		},
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		watch.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})

	first := toldSecret{}
	g.Eventually(told, timeout).Should(Receive(&first))
	g.Expect(first.old).To(BeNil())
	g.Expect(first.secret.ObjectMeta).To(Equal(metav1.ObjectMeta{Namespace: namespace, Name: "flux-source", UID: one.UID, ResourceVersion: one.ResourceVersion, Labels: map[string]string{"managers": "1"}}))

	g.Expect(admin.Create(t.Context(), secret(namespace, "other", corev1.SecretTypeOpaque))).To(Succeed())
	g.Expect(admin.Patch(t.Context(), one, client.RawPatch("application/merge-patch+json", []byte(`{"data":{"known_hosts":"eA=="}}`)))).To(Succeed())
	second := toldSecret{}
	g.Eventually(told, timeout).Should(Receive(&second))
	g.Expect(second.old).To(Equal(first.secret))
	g.Expect(second.secret.ResourceVersion).To(Equal(one.ResourceVersion))
	g.Expect(told).To(BeEmpty(), "not told of other Secrets")

	for _, request := range server.requests() {
		g.Expect(request).To(HavePrefix("GET /api/v1/secrets?"))
		g.Expect(request).To(ContainSubstring("fieldSelector=metadata.name%3Dflux-source"))
	}
	g.Expect(slices.DeleteFunc(server.requests(), func(request string) bool { return !strings.Contains(request, "watch=true") })).To(HaveLen(1))
}
