// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package garden_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/controller/report"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/garden"
)

// What the garden answers. Allowed is also that something does not exist.
const allowed, refused = "allowed", "refused"

// row is what the garden answers each identity.
type row struct {
	request                    func(client.Client) error
	gardenlet, extension, ours string
}

// TestIdentities asks the real authorizers and admission what the identities that exist in a seed may do with flux-config and
// flux-source, in a project that has nothing to do with the seed as in any other: gardenlet, the account that Gardener gives
// an extension, and the one that ours asks for, with the rights that the operator gives it.
func TestIdentities(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	running := start(t, garden.Options{})
	project := prepareProject(t, running)
	foreign, err := running.CreateProject(t.Context(), "foreign")
	g.Expect(err).NotTo(HaveOccurred())
	for _, manifest := range []string{"policies.yaml", "rights.yaml"} {
		content, err := os.ReadFile(filepath.Join("../../../example/garden", manifest))
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(running.ApplyYAML(t.Context(), content)).To(Succeed())
	}

	gardenlet, err := running.GardenletConfig("local")
	g.Expect(err).NotTo(HaveOccurred())
	identities := map[string]*rest.Config{
		"gardenlet": gardenlet,
		"extension": account(t, running, "extension-shoot-flux", nil),
		"ours":      account(t, running, "shoot-flux-garden", map[string]string{"flux.extensions.gardener.cloud/garden-access": "true"}),
	}
	// gardener-controller-manager binds the rights.
	g.Eventually(func() error { return ask(t, identities["ours"], readConfiguration(project)) }, timeout).Should(Succeed())

	table := map[string]row{
		"list flux-config of all projects by its name": {listConfigurations, refused, refused, allowed},
		"list all ConfigMaps":                          {func(c client.Client) error { return c.List(t.Context(), &corev1.ConfigMapList{}) }, refused, refused, refused},
		"list all Secrets":                             {func(c client.Client) error { return c.List(t.Context(), &corev1.SecretList{}) }, refused, refused, refused},
		"make a bootstrap token":                       {applySecret(metav1.NamespaceSystem, "bootstrap-token-abcdef"), refused, refused, refused},
	}
	for name, namespace := range map[string]string{" of the project": project, " of a foreign project": foreign} {
		table["read flux-config"+name] = row{readConfiguration(namespace), refused, refused, allowed}
		table["read flux-source"+name] = row{get(namespace, "flux-source", &corev1.Secret{}), refused, refused, allowed}
		table["make flux-source by server-side apply"+name] = row{applySecret(namespace, "flux-source"), refused, refused, allowed}
		table["make flux-source by POST"+name] = row{createSecret(namespace, "flux-source"), refused, refused, refused}
		table["write flux-status by server-side apply"+name] = row{applyConfigMap(namespace, "flux-status"), refused, refused, allowed}
		table["tell of a Shoot"+name] = row{tellOfShoot(namespace), allowed, allowed, allowed}
		table["make another Secret"+name] = row{applySecret(namespace, "another"), refused, refused, refused}
	}

	for name, test := range table {
		for identity, expected := range map[string]string{"gardenlet": test.gardenlet, "extension": test.extension, "ours": test.ours} {
			t.Run(identity+": "+name, func(t *testing.T) {
				got := allowed
				if err := ask(t, identities[identity], test.request); apierrors.IsForbidden(err) {
					got = refused
				} else if err != nil && !apierrors.IsNotFound(err) {
					got = err.Error()
				}
				NewWithT(t).Expect(got).To(Equal(expected))
			})
		}
	}
}

func ask(t *testing.T, identity *rest.Config, request func(client.Client) error) error {
	t.Helper()
	c, err := client.New(identity, client.Options{})
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return request(c)
}

func readConfiguration(namespace string) func(client.Client) error {
	return get(namespace, "flux-config", &corev1.ConfigMap{})
}

func listConfigurations(c client.Client) error {
	return c.List(context.Background(), &corev1.ConfigMapList{}, client.MatchingFieldsSelector{Selector: fields.OneTermEqualSelector("metadata.name", "flux-config")})
}

func applySecret(namespace, name string) func(client.Client) error {
	return func(c client.Client) error {
		secret := corev1ac.Secret(name, namespace).WithType(corev1.SecretTypeOpaque).WithData(map[string][]byte{"identity": []byte("not a real key")})
		return c.Apply(context.Background(), secret, client.FieldOwner("test"), client.DryRunAll)
	}
}

func applyConfigMap(namespace, name string) func(client.Client) error {
	return func(c client.Client) error {
		configMap := corev1ac.ConfigMap(name, namespace).WithData(map[string]string{"one": "{}"})
		return c.Apply(context.Background(), configMap, client.FieldOwner("test"), client.DryRunAll)
	}
}

func tellOfShoot(namespace string) func(client.Client) error {
	return func(c client.Client) error {
		return report.Event{Type: corev1.EventTypeNormal, Reason: "FluxReady"}.Create(context.Background(), c, report.ShootReference(&metav1.ObjectMeta{Namespace: namespace, Name: "one"}))
	}
}

// account makes a ServiceAccount in the seed's namespace of the garden, as gardenlet's TokenRequestor does.
func account(t *testing.T, running *garden.Garden, name string, labels map[string]string) *rest.Config {
	t.Helper()
	g := NewWithT(t)
	admin, err := client.New(running.AdminConfig, client.Options{})
	g.Expect(err).NotTo(HaveOccurred())
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "seed-local", Name: name, Labels: labels}}
	g.Expect(client.IgnoreAlreadyExists(admin.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: account.Namespace}}))).To(Succeed())
	g.Expect(admin.Create(t.Context(), account)).To(Succeed())
	config, err := running.ServiceAccountConfig(t.Context(), account.Namespace, account.Name)
	g.Expect(err).NotTo(HaveOccurred())
	return config
}
