// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package garden_test

import (
	"context"
	"io"
	"net"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/controller/report"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/garden"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/sourcesecret"
)

// Project garden has the Shoots of managed seeds, in namespace garden: it is a project as any other.
func TestProjectGarden(t *testing.T) {
	g := NewWithT(t)
	const namespace = "garden"
	server := newProxy(t)
	server.start(t)
	seed, err := garden.KubeconfigFile(mount(t, server.URL, token(t, ownSeed, "shoot-flux-garden")).kubeconfig()).Client(t.Context())
	g.Expect(err).NotTo(HaveOccurred())

	noHost := func(context.Context, string, string) (net.Conn, error) { return nil, io.EOF }
	var made *sourcesecret.Credentials
	g.Eventually(func() (err error) { // roles and policies act a moment after they were written
		made, err = sourcesecret.NewKeeper(noHost).Ensure(t.Context(), seed, namespace, &fluxv1alpha1.Repository{URL: "ssh://git@github.com/owner/repo", Type: fluxv1alpha1.RepositoryPrivate}, nil)
		return err
	}, timeout).Should(Succeed())
	completed, err := sourcesecret.NewKeeper(noHost).Ensure(t.Context(), seed, namespace, &fluxv1alpha1.Repository{URL: "ssh://git@gitlab.com/owner/repo", Type: fluxv1alpha1.RepositoryPrivate}, nil)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(completed.SecretRef.Data["identity"]).To(Equal(made.SecretRef.Data["identity"]))

	configMap, err := report.ReadStatusConfigMap(t.Context(), seed, namespace, ownSeed)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(configMap.Write(t.Context(), seed, map[string]string{"managed-seed": "ready"})).To(BeTrue())
	event := report.Event{Type: corev1.EventTypeNormal, Reason: "FluxReady", Note: "Flux follows the repository"}
	g.Expect(event.Create(t.Context(), seed, report.ShootReference(&metav1.ObjectMeta{Namespace: namespace, Name: "managed-seed", UID: "1"}))).To(Succeed())
}

// Its admins are told of mistakes at once, too.
func TestConfigurationOfProjectGarden(t *testing.T) {
	NewWithT(t).Eventually(func() error {
		return admin.Create(t.Context(), configuration("garden", map[string]string{"typo": "x"}), client.DryRunAll)
	}, timeout).Should(MatchError(ContainSubstring("typo: unknown key")))
}
