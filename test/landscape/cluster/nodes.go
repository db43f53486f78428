// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/certificates"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
)

// nodeName is the name of the one node of a cluster with nodes.
const nodeName = "node-0"

var (
	// housekeeping are the controllers of a cluster without nodes: namespaces finish their deletion, owned objects go with their owners,
	// and namespaces get their ServiceAccount and CA.
	housekeeping = []string{
		"namespace-controller", "garbage-collector-controller", "serviceaccount-controller", "serviceaccount-token-controller",
		"root-ca-certificate-publisher-controller", "clusterrole-aggregation-controller",
	}
	// WorkloadControllers are the controllers that a cluster with nodes needs besides. There is none for the health of nodes: on a busy
	// machine it would evict pods because the node's heartbeat came late.
	WorkloadControllers = []string{
		"deployment-controller", "replicaset-controller", "statefulset-controller", "daemonset-controller", "job-controller", "cronjob-controller",
		"endpoints-controller", "endpointslice-controller", "disruption-controller", "resourcequota-controller", "pod-garbage-collector-controller",
	}
)

// StartControllers runs a kube-controller-manager that lets namespaces finish their deletion, deletes owned objects with their owners, and
// gives namespaces their ServiceAccount, and runs more of its controllers if they are named. It waits until it works. A cluster with nodes has
// it already.
func (c *Cluster) StartControllers(ctx context.Context, more ...string) error {
	p, err := c.startControllerManager(ctx, slices.Concat(housekeeping, more))
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ControllerManager = p
	return nil
}

// StartNodes makes workloads run, as far as the API can tell: kube-controller-manager, kube-scheduler, and kwok with one node that has the
// taints, on which pods become ready at once. It waits until pods can be created and scheduled. Not to be called after StartControllers.
func (c *Cluster) StartNodes(ctx context.Context, taints ...corev1.Taint) error {
	stages, err := c.etcd.options.Bin.Path("kwok-stages.yaml")
	if err != nil {
		return err
	}
	var manager, scheduler, kwok *process.Process
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		manager, err = c.startControllerManager(groupCtx, slices.Concat(housekeeping, WorkloadControllers))
		return err
	})
	group.Go(func() (err error) {
		scheduler, err = c.startComponent(groupCtx, "kube-scheduler", nil,
			"system:kube-scheduler", nil, "--leader-elect=false", "--secure-port=0", "--profiling=false")
		return err
	})
	group.Go(func() (err error) {
		kwok, err = c.startComponent(groupCtx, "kwok", func(ctx context.Context) error { return c.nodeReady(ctx, taints) },
			"kwok", []string{admins}, "--config="+stages, "--manage-all-nodes", "--node-lease-duration-seconds=40")
		return err
	})
	if err := group.Wait(); err != nil {
		for _, started := range []*process.Process{manager, scheduler, kwok} {
			if started != nil {
				err = errors.Join(err, started.Stop())
			}
		}
		return err
	}
	c.mu.Lock()
	c.ControllerManager, c.Scheduler, c.Kwok = manager, scheduler, kwok
	c.mu.Unlock()
	return nil
}

// startControllerManager runs a kube-controller-manager with the controllers.
func (c *Cluster) startControllerManager(ctx context.Context, controllers []string) (*process.Process, error) {
	return c.startComponent(ctx, "kube-controller-manager", c.accountsReady,
		"system:kube-controller-manager", nil,
		"--controllers="+strings.Join(controllers, ","),
		"--use-service-account-credentials=true",
		"--service-account-private-key-file="+c.pki.path("service-account.key"),
		"--root-ca-file="+c.pki.path("ca.crt"),
		"--leader-elect=false",
		"--secure-port=0",
		"--profiling=false",
	)
}

// startComponent runs one of the cluster's programs with a kubeconfig of its user.
func (c *Cluster) startComponent(ctx context.Context, program string, ready func(context.Context) error, user string, groups []string, args ...string) (*process.Process, error) {
	kubeconfig, err := c.ClientCertKubeconfig(user, groups, certificates.Lifetime)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(c.etcd.options.Dir, c.Name, program+".kubeconfig.yaml")
	if err := os.WriteFile(file, kubeconfig, 0o600); err != nil {
		return nil, fmt.Errorf("failed to write the kubeconfig of %s of cluster %s: %w", program, c.Name, err)
	}
	return c.etcd.StartProgram(ctx, c.Name+"-"+program, program, ready, append([]string{"--kubeconfig=" + file}, args...)...)
}

// accountsReady is satisfied once pods can be created in namespace default: its ServiceAccount and CA are there.
func (c *Cluster) accountsReady(ctx context.Context) error {
	if err := c.admin.Get(ctx, client.ObjectKey{Namespace: metav1.NamespaceDefault, Name: "default"}, &corev1.ServiceAccount{}); err != nil {
		return err
	}
	return c.admin.Get(ctx, client.ObjectKey{Namespace: metav1.NamespaceDefault, Name: "kube-root-ca.crt"}, &corev1.ConfigMap{})
}

// nodeReady creates the node if needed, and is satisfied once kwok has made it ready.
func (c *Cluster) nodeReady(ctx context.Context, taints []corev1.Taint) error {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: nodeName, Labels: map[string]string{
		corev1.LabelHostname: nodeName, corev1.LabelOSStable: "linux", corev1.LabelArchStable: runtime.GOARCH,
	}}}
	if err := c.admin.Create(ctx, node); client.IgnoreAlreadyExists(err) != nil {
		return err
	}
	if err := c.admin.Get(ctx, client.ObjectKeyFromObject(node), node); err != nil {
		return err
	}
	if !slices.Equal(node.Spec.Taints, taints) {
		// Admission taints new nodes as not ready, and we run no controller that would remove it.
		patch := client.MergeFrom(node.DeepCopy())
		node.Spec.Taints = taints
		if err := c.admin.Patch(ctx, node, patch); err != nil {
			return err
		}
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue {
			return nil
		}
	}
	return fmt.Errorf("node %s is not ready", nodeName)
}
