// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/cluster"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
)

const timeout = time.Minute

// TestControlPlanes runs three clusters on one etcd as the landscape does: without controllers, with some, and with nodes.
func TestControlPlanes(t *testing.T) {
	g := NewWithT(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()

	bin, err := process.FindBinaries()
	g.Expect(err).NotTo(HaveOccurred())
	dir := filepath.Join(t.TempDir(), "landscape")
	etcd, err := cluster.StartEtcd(ctx, cluster.Options{
		Dir: dir, Bin: bin, Progress: t.Output(),
		OnExit: func(err error) { t.Errorf("unexpected end: %v", err) },
	})
	g.Expect(err).NotTo(HaveOccurred())
	var stoppers []func() error
	stoppers = append(stoppers, etcd.Stop)
	t.Cleanup(func() {
		for _, stop := range stoppers { // a failed test leaves no process either
			_ = stop()
		}
	})

	began := time.Now()
	var garden, seed, shoot *cluster.Cluster
	var group errgroup.Group
	group.Go(func() (err error) { garden, err = cluster.Start(ctx, "garden", etcd); return err })
	group.Go(func() (err error) { seed, err = cluster.Start(ctx, "seed", etcd); return err })
	group.Go(func() (err error) { shoot, err = cluster.Start(ctx, "shoot--local--one", etcd); return err })
	err = group.Wait()
	for _, c := range []*cluster.Cluster{garden, seed, shoot} {
		if c != nil {
			stoppers = append([]func() error{c.Stop}, stoppers...)
		}
	}
	g.Expect(err).NotTo(HaveOccurred())
	group.Go(func() error { return seed.StartControllers(ctx) })
	group.Go(func() error { return shoot.StartNodes(ctx) })
	g.Expect(group.Wait()).To(Succeed())
	t.Logf("started in %s", time.Since(began))
	processes := []*process.Process{
		etcd.Process, garden.APIServer, seed.APIServer, seed.ControllerManager, shoot.APIServer, shoot.ControllerManager, shoot.Scheduler, shoot.Kwok,
	}

	t.Run("clusters on one etcd do not see each other", func(t *testing.T) {
		g := NewWithT(t)
		g.Expect(seed.ApplyYAML(ctx, []byte("apiVersion: v1\nkind: Namespace\nmetadata: {name: only-in-seed}"))).To(Succeed())
		key := client.ObjectKey{Name: "only-in-seed"}
		g.Expect(admin(t, seed).Get(ctx, key, &corev1.Namespace{})).To(Succeed())
		g.Expect(admin(t, shoot).Get(ctx, key, &corev1.Namespace{})).To(Satisfy(apierrors.IsNotFound))
	})
	t.Run("namespaces finish their deletion without nodes", func(t *testing.T) {
		g := NewWithT(t)
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "short-lived"}}
		g.Expect(admin(t, seed).Create(ctx, namespace)).To(Succeed())
		g.Expect(admin(t, seed).Delete(ctx, namespace)).To(Succeed())
		g.Eventually(ctx, func() error {
			return admin(t, seed).Get(ctx, client.ObjectKeyFromObject(namespace), &corev1.Namespace{})
		}, timeout, "200ms").Should(Satisfy(apierrors.IsNotFound))
	})
	t.Run("a CRD, a namespace and their objects are applied whatever their order", func(t *testing.T) { testApplyOrder(ctx, t, shoot) })
	t.Run("an object that is refused is named", func(t *testing.T) {
		g := NewWithT(t)
		err := shoot.ApplyYAML(ctx, []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: lost, namespace: nowhere}"))
		g.Expect(err).To(MatchError(`failed to apply ConfigMap nowhere/lost to cluster shoot--local--one: namespaces "nowhere" not found`))
	})
	t.Run("a Deployment becomes available and its pods go with it", func(t *testing.T) { testDeployment(ctx, t, shoot) })
	t.Run("a client certificate has the rights of its user and groups", func(t *testing.T) {
		kubeconfig, err := shoot.ClientCertKubeconfig("alice", []string{"readers"}, time.Hour)
		NewWithT(t).Expect(err).NotTo(HaveOccurred())
		testRights(ctx, t, shoot, kubeconfig, "alice", "{kind: Group, apiGroup: rbac.authorization.k8s.io, name: readers}")
	})
	t.Run("a ServiceAccount has the rights of its bindings", func(t *testing.T) {
		kubeconfig, err := shoot.ServiceAccountKubeconfig(ctx, "default", "default")
		NewWithT(t).Expect(err).NotTo(HaveOccurred())
		testRights(ctx, t, shoot, kubeconfig, "system:serviceaccount:default:default", "{kind: ServiceAccount, namespace: default, name: default}")
	})
	t.Run("an unknown ServiceAccount is an error that names it", func(t *testing.T) {
		_, err := shoot.ServiceAccountKubeconfig(ctx, "default", "nobody")
		NewWithT(t).Expect(err).To(MatchError(`failed to request a token of ServiceAccount default/nobody of cluster shoot--local--one: serviceaccounts "nobody" not found`))
	})
	t.Run("a kube-apiserver that was killed comes back with its objects", func(t *testing.T) {
		g := NewWithT(t)
		seed.APIServer.Kill()
		g.Expect(admin(t, shoot).Get(ctx, client.ObjectKey{Name: "default"}, &corev1.Namespace{})).To(Succeed())
		g.Expect(seed.APIServer.Restart(ctx)).To(Succeed())
		g.Expect(admin(t, seed).Get(ctx, client.ObjectKey{Name: "only-in-seed"}, &corev1.Namespace{})).To(Succeed())
	})

	began = time.Now()
	g.Expect(garden.Stop()).To(Succeed())
	g.Expect(shoot.Stop()).To(Succeed())
	g.Expect(seed.Stop()).To(Succeed())
	g.Expect(etcd.Stop()).To(Succeed())
	t.Logf("stopped in %s", time.Since(began))
	for _, p := range processes {
		g.Expect(syscall.Kill(-p.PID(), 0)).To(MatchError(syscall.ESRCH), "something of %s is left", p.Name())
	}
}

// TestMissingProgram tells people what to do who have not built the programs.
func TestMissingProgram(t *testing.T) {
	g := NewWithT(t)
	empty := t.TempDir()
	_, err := cluster.StartEtcd(t.Context(), cluster.Options{Dir: filepath.Join(empty, "landscape"), Bin: process.Binaries(empty)})
	g.Expect(err).To(MatchError("etcd is missing in " + empty + ": run `make tools` to build the landscape's programs"))
}

// TestOldLandscape makes sure that the state of an old landscape is not taken over silently.
func TestOldLandscape(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	g.Expect(os.Mkdir(filepath.Join(dir, "etcd"), 0o700)).To(Succeed())
	_, err := cluster.StartEtcd(t.Context(), cluster.Options{Dir: dir})
	g.Expect(err).To(MatchError(os.ErrExist))
	g.Expect(err).To(MatchError(ContainSubstring("end it and remove its directory")))
}

// TestRefusedArgument makes sure that the reason of a failed start is in the error, and no process is left.
func TestRefusedArgument(t *testing.T) {
	g := NewWithT(t)
	bin, err := process.FindBinaries()
	g.Expect(err).NotTo(HaveOccurred())
	etcd, err := cluster.StartEtcd(t.Context(), cluster.Options{Dir: filepath.Join(t.TempDir(), "landscape"), Bin: bin})
	g.Expect(err).NotTo(HaveOccurred())
	defer func() { g.Expect(etcd.Stop()).To(Succeed()) }()
	_, err = cluster.Start(t.Context(), "garden", etcd, "--no-such-flag")
	var exit *process.ExitError
	g.Expect(errors.As(err, &exit)).To(BeTrue())
	g.Expect(err).To(MatchError(And(
		ContainSubstring("garden-kube-apiserver ended unexpectedly with exit code 1"), ContainSubstring("unknown flag: --no-such-flag"))))
}

func admin(t *testing.T, c *cluster.Cluster) client.Client {
	t.Helper()
	admin, err := client.New(c.AdminConfig, client.Options{})
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return admin
}

func testApplyOrder(ctx context.Context, t *testing.T, c *cluster.Cluster) {
	g := NewWithT(t)
	manifest := []byte(`
apiVersion: example.org/v1
kind: Lamp
metadata: {name: desk, namespace: office}
spec: {bright: true}
---
apiVersion: v1
kind: Namespace
metadata: {name: office}
---
# an empty document
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: lamps.example.org}
spec:
  group: example.org
  scope: Namespaced
  names: {kind: Lamp, plural: lamps}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {bright: {type: boolean}}}}}}
`)
	g.Expect(c.ApplyYAML(ctx, manifest)).To(Succeed())
	g.Expect(c.ApplyYAML(ctx, manifest)).To(Succeed(), "applying twice is no fault")
	lamp := &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "example.org/v1", Kind: "Lamp"}}
	g.Expect(admin(t, c).Get(ctx, client.ObjectKey{Namespace: "office", Name: "desk"}, lamp)).To(Succeed())
}

func testDeployment(ctx context.Context, t *testing.T, c *cluster.Cluster) {
	g := NewWithT(t)
	g.Expect(c.ApplyYAML(ctx, []byte(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: default}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      nodeSelector: {kubernetes.io/os: linux}
      containers:
      - name: web
        image: registry.example.org/web:v1
        readinessProbe: {httpGet: {path: /, port: 8080}}
        resources: {requests: {cpu: 100m, memory: 64Mi}}
`))).To(Succeed())
	deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"}}
	g.Eventually(ctx, func(g Gomega) {
		g.Expect(admin(t, c).Get(ctx, client.ObjectKeyFromObject(deployment), deployment)).To(Succeed())
		g.Expect(deployment.Status.AvailableReplicas).To(BeEquivalentTo(2))
	}, timeout, "200ms").Should(Succeed())

	g.Expect(admin(t, c).Delete(ctx, deployment)).To(Succeed())
	g.Eventually(ctx, func(g Gomega) {
		pods := &corev1.PodList{}
		g.Expect(admin(t, c).List(ctx, pods, client.InNamespace("default"))).To(Succeed())
		g.Expect(pods.Items).To(BeEmpty())
	}, timeout, "200ms").Should(Succeed())
}

// testRights checks who the kubeconfig is, that nothing is allowed without a binding, and with one that what is bound.
func testRights(ctx context.Context, t *testing.T, c *cluster.Cluster, kubeconfig []byte, user, subject string) {
	g := NewWithT(t)
	config, err := clientcmd.RESTConfigFromKubeConfig(kubeconfig)
	g.Expect(err).NotTo(HaveOccurred())
	somebody, err := client.New(config, client.Options{})
	g.Expect(err).NotTo(HaveOccurred())

	review := &authenticationv1.SelfSubjectReview{}
	g.Expect(somebody.Create(ctx, review)).To(Succeed())
	g.Expect(review.Status.UserInfo.Username).To(Equal(user))
	configMaps := &corev1.ConfigMapList{}
	g.Expect(somebody.List(ctx, configMaps, client.InNamespace("default"))).To(Satisfy(apierrors.IsForbidden))

	g.Expect(c.ApplyYAML(ctx, []byte(`
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader, namespace: default}
rules: [{apiGroups: [""], resources: [configmaps], verbs: [list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: "reader-`+user+`", namespace: default}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [`+subject+`]
`))).To(Succeed())
	g.Eventually(ctx, func() error { return somebody.List(ctx, configMaps, client.InNamespace("default")) }, timeout, "100ms").Should(Succeed())
	g.Expect(somebody.List(ctx, &corev1.SecretList{}, client.InNamespace("default"))).To(Satisfy(apierrors.IsForbidden))
	g.Expect(somebody.List(ctx, configMaps, client.InNamespace("kube-system"))).To(Satisfy(apierrors.IsForbidden))
}
