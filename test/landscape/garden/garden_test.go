// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package garden_test

import (
	"context"
	"os"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/types"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	"github.com/gardener/gardener/pkg/client/kubernetes"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/cluster"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/garden"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
)

// timeout is long enough for a machine that is busy with other tests.
const timeout = time.Minute

// pollingInterval is how often tests look whether what they wait for has come.
const pollingInterval = 200 * time.Millisecond

func TestMain(m *testing.M) {
	// By default 10 milliseconds: then the API servers are busy with answering those who wait.
	SetDefaultEventuallyPollingInterval(pollingInterval)
	SetDefaultConsistentlyPollingInterval(pollingInterval)
	os.Exit(m.Run())
}

func start(t *testing.T, options garden.Options) *garden.Garden {
	t.Helper()
	g := NewWithT(t)
	bin, err := process.FindBinaries()
	g.Expect(err).NotTo(HaveOccurred())
	dir := t.TempDir()
	options.Etcd, err = cluster.StartEtcd(t.Context(), cluster.Options{Dir: dir, Bin: bin, Progress: os.Stderr})
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { g.Expect(options.Etcd.Stop()).To(Succeed()) })
	started, err := garden.Start(t.Context(), options)
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { g.Expect(started.Stop()).To(Succeed()) })
	return started
}

// request is what an identity tries with the project's objects, and what the garden answers.
type request struct {
	do       func(client.Client) error
	expected types.GomegaMatcher
}

func (r request) check(t *testing.T, config *rest.Config) {
	t.Helper()
	g := NewWithT(t)
	c, err := client.New(config, client.Options{Scheme: kubernetes.GardenScheme})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(r.do(client.WithFieldOwner(c, "test"))).To(r.expected)
}

func get(namespace, name string, object client.Object) func(client.Client) error {
	return func(c client.Client) error {
		return c.Get(context.Background(), client.ObjectKey{Namespace: namespace, Name: name}, object)
	}
}

func createSecret(namespace, name string) func(client.Client) error {
	return func(c client.Client) error {
		return c.Create(context.Background(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}, client.DryRunAll)
	}
}

func prepareProject(t *testing.T, running *garden.Garden) string {
	t.Helper()
	g := NewWithT(t)
	namespace, err := running.CreateProject(t.Context(), "local", gardencorev1beta1.ProjectMember{
		Subject: rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "alice"}, Role: gardencorev1beta1.ProjectMemberAdmin,
	})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(namespace).To(Equal("garden-local"))
	admin, err := client.New(running.AdminConfig, client.Options{})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(admin.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "flux-config"}})).To(Succeed())
	// The API server's cache knows the rights of members a moment later.
	config, err := running.UserConfig("alice")
	g.Expect(err).NotTo(HaveOccurred())
	member, err := client.New(config, client.Options{})
	g.Expect(err).NotTo(HaveOccurred())
	g.Eventually(func() error { return get(namespace, "flux-config", &corev1.ConfigMap{})(member) }, timeout).Should(Succeed())
	return namespace
}

func TestGarden(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	running := start(t, garden.Options{})
	namespace := prepareProject(t, running)
	gardenlet, err := running.GardenletConfig("local")
	g.Expect(err).NotTo(HaveOccurred())
	member, err := running.UserConfig("alice")
	g.Expect(err).NotTo(HaveOccurred())
	stranger, err := running.UserConfig("bob")
	g.Expect(err).NotTo(HaveOccurred())
	extension := account(t, running, "extension-shoot-flux", nil)

	forbidden := WithTransform(apierrors.IsForbidden, BeTrue())
	for name, test := range map[string]struct {
		identity *rest.Config
		sends    request
	}{
		"a gardenlet reads no ConfigMap that no Shoot refers to": {gardenlet, request{get(namespace, "flux-config", &corev1.ConfigMap{}), forbidden}},
		"a gardenlet lists no ConfigMaps": {gardenlet, request{func(c client.Client) error {
			return c.List(context.Background(), &corev1.ConfigMapList{})
		}, forbidden}},
		"a gardenlet creates no Secret in a project": {gardenlet, request{createSecret(namespace, "flux-source"),
			And(forbidden, MatchError(ContainSubstring(`object does not belong to seed "local"`)))}},
		"an extension's own account reads no ConfigMap of a project": {extension, request{get(namespace, "flux-config", &corev1.ConfigMap{}), forbidden}},
		"an extension's own account creates no Secret in a project": {extension, request{createSecret(namespace, "flux-source"),
			And(forbidden, MatchError(ContainSubstring(`object does not belong to seed "local"`)))}},
		"a gardenlet reads the CloudProfile": {gardenlet, request{get("", garden.CloudProfileName, &gardencorev1beta1.CloudProfile{}), Succeed()}},
		"a project admin reads ConfigMaps":   {member, request{get(namespace, "flux-config", &corev1.ConfigMap{}), Succeed()}},
		"a project admin creates Secrets":    {member, request{createSecret(namespace, "flux-source"), Succeed()}},
		"a stranger reads no ConfigMap":      {stranger, request{get(namespace, "flux-config", &corev1.ConfigMap{}), forbidden}},
	} {
		t.Run(name, func(t *testing.T) { test.sends.check(t, test.identity) })
	}
}

func TestGardenWithoutSeedAuthorizer(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	running := start(t, garden.Options{WithoutSeedAuthorizer: true})
	namespace := prepareProject(t, running)
	gardenlet, err := running.GardenletConfig("local")
	g.Expect(err).NotTo(HaveOccurred())
	request{get(namespace, "flux-config", &corev1.ConfigMap{}), Succeed()}.check(t, gardenlet)
	request{createSecret(namespace, "flux-source"), Succeed()}.check(t, gardenlet)
}
