// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package status_test

import (
	"testing"

	. "github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	extensionscmdcontroller "github.com/gardener/gardener/extensions/pkg/controller/cmd"
	extensionswebhook "github.com/gardener/gardener/extensions/pkg/webhook"
	extensionscmdwebhook "github.com/gardener/gardener/extensions/pkg/webhook/cmd"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/controller/lifecycle"
	extensionseed "github.com/23technologies/gardener-extension-shoot-flux/pkg/seed"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/webhook/controlplane"
)

// TestNoRegistrationWithoutOwner takes from the extension what it knows its namespace by, as if it was uninstalled while it starts. The registration of its
// webhook, which goes with the namespace, must not be made then.
func TestNoRegistrationWithoutOwner(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	seed := seeds[0]
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "extension-uninstalled"}}
	g.Expect(seed.client.Create(t.Context(), namespace)).To(Succeed())
	allowed := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "extension-uninstalled"}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{"admissionregistration.k8s.io"}, Resources: []string{"mutatingwebhookconfigurations"}, Verbs: []string{"*"}},
		{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"*"}},
	}}
	g.Expect(seed.client.Create(t.Context(), allowed)).To(Succeed())
	g.Expect(seed.client.Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: allowed.Name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: allowed.Name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "uninstalled"}},
	})).To(Succeed())
	config, err := seed.server.UserConfig("uninstalled")
	g.Expect(err).NotTo(HaveOccurred())

	mgr, err := manager.New(config, manager.Options{
		Metrics: metricsserver.Options{BindAddress: "0"}, NewClient: extensionseed.NewClient(namespace.Name),
		Client: client.Options{Cache: &client.CacheOptions{DisableFor: []client.Object{&corev1.Secret{}, &admissionregistrationv1.MutatingWebhookConfiguration{}}}},
	})
	g.Expect(err).NotTo(HaveOccurred())
	options := extensionscmdwebhook.NewAddToManagerOptions("uninstalled", "", nil, &extensionscmdcontroller.GeneralOptions{},
		&extensionscmdwebhook.ServerOptions{Mode: extensionswebhook.ModeURL, URL: "127.0.0.1:1", Namespace: namespace.Name},
		extensionscmdwebhook.NewSwitchOptions(extensionscmdwebhook.Switch(controlplane.Name, func(mgr manager.Manager) (*extensionswebhook.Webhook, error) {
			return controlplane.New(mgr, lifecycle.Type, "", nil)
		})))
	g.Expect(options.Complete()).To(Succeed())
	_, err = options.Completed().AddToManager(t.Context(), mgr, nil)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(mgr.Start(t.Context())).To(MatchError(ContainSubstring("error reconciling seed webhook config")), "the library gives up after five seconds")

	registration := &admissionregistrationv1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "gardener-extension-uninstalled"}}
	err = seed.client.Get(t.Context(), client.ObjectKeyFromObject(registration), registration)
	g.Expect(apierrors.IsNotFound(err)).To(BeTrue(), "%v, owners: %v", err, registration.OwnerReferences)
}
