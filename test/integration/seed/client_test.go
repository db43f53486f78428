// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package seed_test registers the webhook of the extension in a seed, with a real API server.
package seed_test

import (
	"context"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/webhook"

	extensionscmdcontroller "github.com/gardener/gardener/extensions/pkg/controller/cmd"
	extensionswebhook "github.com/gardener/gardener/extensions/pkg/webhook"
	extensionscmdwebhook "github.com/gardener/gardener/extensions/pkg/webhook/cmd"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/controller/lifecycle"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/seed"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/webhook/controlplane"
	"github.com/23technologies/gardener-extension-shoot-flux/test/integration"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
)

const (
	timeout  = time.Minute
	loopback = "127.0.0.1"
)

var server *integration.Server

func TestMain(m *testing.M) {
	os.Exit(integration.Run(m, func(ctx context.Context, servers *integration.Servers) (_ func(), err error) {
		server, err = servers.Start(ctx, "seed")
		return nil, err
	}))
}

// newNamespace makes one for a test.
func newNamespace(t *testing.T) *corev1.Namespace {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "extension-"}}
	NewWithT(t).Expect(server.Client.Create(t.Context(), namespace)).To(Succeed())
	return namespace
}

// deleteLater deletes an object that is in no namespace when the test has ended.
func deleteLater(t *testing.T, object client.Object) {
	t.Cleanup(func() {
		NewWithT(t).Expect(client.IgnoreNotFound(server.Client.Delete(context.WithoutCancel(t.Context()), object))).To(Succeed())
	})
}

// TestOwner makes objects with the extension's client: a registration of a webhook has the owner that Gardener's library sets, or none is made.
func TestOwner(t *testing.T) {
	namespace := newNamespace(t)
	other := metav1.OwnerReference{APIVersion: "v1", Kind: "Namespace", Name: "other", UID: "other", Controller: new(true)}
	for name, c := range map[string]struct {
		namespace string
		object    client.Object
		owner     types.UID // empty: none
		err       string
	}{
		"registration": {namespace: namespace.Name, object: &admissionregistrationv1.MutatingWebhookConfiguration{}, owner: namespace.UID},
		"registration with an owner": {
			namespace: namespace.Name, owner: other.UID,
			object: &admissionregistrationv1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{OwnerReferences: []metav1.OwnerReference{other}}},
		},
		"the namespace is gone": {
			namespace: "gone", object: &admissionregistrationv1.MutatingWebhookConfiguration{},
			err: "failed to read namespace gone, which must own MutatingWebhookConfiguration owner-test",
		},
		"without a namespace": {object: &admissionregistrationv1.MutatingWebhookConfiguration{}},
		"another kind":        {namespace: namespace.Name, object: &rbacv1.ClusterRole{}},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			writer, err := seed.NewClient(c.namespace)(server.Config, client.Options{})
			g.Expect(err).NotTo(HaveOccurred())
			c.object.SetName("owner-test")
			deleteLater(t, c.object)

			if err := writer.Create(t.Context(), c.object); c.err != "" {
				g.Expect(err).To(MatchError(ContainSubstring(c.err)))
				err = server.Client.Get(t.Context(), client.ObjectKeyFromObject(c.object), c.object)
				g.Expect(apierrors.IsNotFound(err)).To(BeTrue(), "%v", err)
				return
			}
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(server.Client.Get(t.Context(), client.ObjectKeyFromObject(c.object), c.object)).To(Succeed())
			switch c.owner {
			case "":
				g.Expect(c.object.GetOwnerReferences()).To(BeEmpty())
			case namespace.UID:
				g.Expect(c.object.GetOwnerReferences()).To(ConsistOf(metav1.OwnerReference{
					APIVersion: "v1", Kind: "Namespace", Name: namespace.Name, UID: namespace.UID, Controller: new(true), BlockOwnerDeletion: new(false),
				}))
			default:
				g.Expect(c.object.GetOwnerReferences()).To(ConsistOf(HaveField("UID", c.owner)))
			}
		})
	}
}

// refusals counts registrations that a client could not make.
type refusals struct {
	client.Client
	count *atomic.Int32
}

func (r refusals) Create(ctx context.Context, object client.Object, options ...client.CreateOption) error {
	err := r.Client.Create(ctx, object, options...)
	if _, ok := object.(*admissionregistrationv1.MutatingWebhookConfiguration); ok && err != nil {
		r.count.Add(1)
	}
	return err
}

// TestNoRegistrationWithoutOwner lets Gardener's library register the webhook of an extension that may not read its namespace, as when it is
// uninstalled while it starts. Nothing would delete what is registered then.
func TestNoRegistrationWithoutOwner(t *testing.T) {
	g := NewWithT(t)
	namespace := newNamespace(t)
	user := namespace.Name
	allowed := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: user}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{"admissionregistration.k8s.io"}, Resources: []string{"mutatingwebhookconfigurations"}, Verbs: []string{"*"}},
		{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"*"}},
	}}
	g.Expect(server.Client.Create(t.Context(), allowed)).To(Succeed())
	deleteLater(t, allowed)
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: user},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: allowed.Name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	}
	g.Expect(server.Client.Create(t.Context(), binding)).To(Succeed())
	deleteLater(t, binding)
	access, err := server.UserConfig(user)
	g.Expect(err).NotTo(HaveOccurred())
	reader, err := client.New(access, client.Options{})
	g.Expect(err).NotTo(HaveOccurred())
	g.Eventually(func() error {
		return reader.List(t.Context(), &corev1.SecretList{}, client.InNamespace(namespace.Name))
	}, timeout).Should(Succeed(), "the rights are there in a moment")

	port, err := process.FreePort()
	g.Expect(err).NotTo(HaveOccurred())
	refused := &atomic.Int32{}
	mgr, err := manager.New(access, manager.Options{
		Metrics:       metricsserver.Options{BindAddress: "0"},
		WebhookServer: webhook.NewServer(webhook.Options{Host: loopback, Port: port, CertDir: t.TempDir()}),
		Controller:    config.Controller{SkipNameValidation: new(true)},
		Client:        client.Options{Cache: &client.CacheOptions{DisableFor: []client.Object{&corev1.Secret{}, &admissionregistrationv1.MutatingWebhookConfiguration{}}}},
		NewClient: func(config *rest.Config, options client.Options) (client.Client, error) {
			writer, err := seed.NewClient(namespace.Name)(config, options)
			return refusals{writer, refused}, err
		},
	})
	g.Expect(err).NotTo(HaveOccurred())
	options := extensionscmdwebhook.NewAddToManagerOptions(user, "", nil, &extensionscmdcontroller.GeneralOptions{},
		&extensionscmdwebhook.ServerOptions{Mode: extensionswebhook.ModeURL, URL: net.JoinHostPort(loopback, strconv.Itoa(port)), Namespace: namespace.Name},
		extensionscmdwebhook.NewSwitchOptions(extensionscmdwebhook.Switch(controlplane.Name, func(mgr manager.Manager) (*extensionswebhook.Webhook, error) {
			return controlplane.New(mgr, lifecycle.Type, "", nil)
		})))
	g.Expect(options.Complete()).To(Succeed())
	_, err = options.Completed().AddToManager(t.Context(), mgr, nil)
	g.Expect(err).NotTo(HaveOccurred())
	registration := &admissionregistrationv1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: extensionswebhook.NamePrefix + user}}
	deleteLater(t, registration)
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	g.Expect(mgr.Start(ctx)).To(MatchError(ContainSubstring("error reconciling seed webhook config")), "the library gives up after five seconds")

	g.Expect(refused.Load()).To(BeNumerically(">", 0), "it has tried")
	err = server.Client.Get(t.Context(), client.ObjectKeyFromObject(registration), registration)
	g.Expect(apierrors.IsNotFound(err)).To(BeTrue(), "%v, owners: %v", err, registration.OwnerReferences)
}
