// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package cluster runs real Kubernetes control planes as plain processes on the loopback interface: several kube-apiservers on one etcd
// and, where workloads are wanted, kube-controller-manager, kube-scheduler and kwok, whose nodes and pods exist in the API only.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/certificates"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
)

const (
	serviceRange        = "10.96.0.0/16"
	kubernetesServiceIP = "10.96.0.1"
	admins              = "system:masters"
)

// Cluster is a Kubernetes control plane. Its methods may be called concurrently.
type Cluster struct {
	// Name is the cluster's name in the landscape, e.g. "garden", "seed", "shoot--local--one".
	Name string
	// AdminConfig is the access of an administrator (group system:masters), without client-side rate limits.
	AdminConfig *rest.Config
	// Kubeconfig is the file with the same access.
	Kubeconfig string
	// CA is the certificate (PEM) of the authority that signs servers and clients of the cluster.
	CA []byte

	// APIServer is the running kube-apiserver.
	APIServer *process.Process
	// ControllerManager is the running kube-controller-manager; nil without StartControllers or StartNodes.
	ControllerManager *process.Process
	// Scheduler is the running kube-scheduler; nil without StartNodes.
	Scheduler *process.Process
	// Kwok is the running kwok; nil without StartNodes.
	Kwok *process.Process

	etcd  *Etcd
	pki   *pki
	admin client.Client
	mu    sync.Mutex // guards the processes
}

// Start starts a kube-apiserver on etcd, under the prefix that is the cluster's name, and waits until it is ready. RBAC is on; with
// an argument --authorization-config, that file decides instead. apiServerArgs are added to the kube-apiserver's command line, where the
// last one wins. Several clusters may be started at once.
func Start(ctx context.Context, name string, etcd *Etcd, apiServerArgs ...string) (*Cluster, error) {
	c := &Cluster{Name: name, etcd: etcd}
	var err error
	if c.pki, err = newPKI(filepath.Join(etcd.options.Dir, name, "pki"), name); err != nil {
		return nil, fmt.Errorf("failed to create the PKI of cluster %s: %w", name, err)
	}
	if c.CA, err = c.pki.ca.PEM(); err != nil {
		return nil, fmt.Errorf("failed to encode the CA of cluster %s: %w", name, err)
	}
	port, err := process.FreePort()
	if err != nil {
		return nil, err
	}
	if err := c.prepareAdmin("https://" + net.JoinHostPort(loopback, strconv.Itoa(port))); err != nil {
		return nil, fmt.Errorf("failed to prepare the access to cluster %s: %w", name, err)
	}
	readiness, err := kubernetes.NewForConfig(c.AdminConfig)
	if err != nil {
		return nil, err
	}
	ready := func(ctx context.Context) error {
		return readiness.RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
	}
	audit, err := c.auditArgs()
	if err != nil {
		return nil, err
	}
	c.APIServer, err = etcd.StartProgram(ctx, name+"-kube-apiserver", "kube-apiserver", ready, c.apiServerArgs(port, append(audit, apiServerArgs...))...)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Stop ends the cluster's programs, the kube-apiserver last. It reports those that had ended before by themselves.
func (c *Cluster) Stop() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	clients := []*process.Process{c.Kwok, c.Scheduler, c.ControllerManager}
	errs := make([]error, len(clients)+1)
	var wg sync.WaitGroup
	for i, p := range clients {
		if p != nil {
			wg.Go(func() { errs[i] = p.Stop() })
		}
	}
	wg.Wait()
	errs[len(clients)] = c.APIServer.Stop()
	return errors.Join(errs...)
}

// Wake starts the programs again that Stop has ended, with the state, the addresses and the credentials of before. To end a cluster like that is what
// the hibernation of a control plane does.
func (c *Cluster) Wake(ctx context.Context) error {
	if err := c.APIServer.Restart(ctx); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	group, ctx := errgroup.WithContext(ctx)
	for _, p := range []*process.Process{c.Kwok, c.Scheduler, c.ControllerManager} {
		if p != nil {
			group.Go(func() error { return p.Restart(ctx) })
		}
	}
	return group.Wait()
}

// prepareAdmin makes the administrator's kubeconfig and clients for the server.
func (c *Cluster) prepareAdmin(server string) error {
	kubeconfig, err := c.clientCertKubeconfig(server, "admin", []string{admins}, certificates.Lifetime)
	if err != nil {
		return err
	}
	c.Kubeconfig = filepath.Join(c.etcd.options.Dir, c.Name, "kubeconfig.yaml")
	if err := os.WriteFile(c.Kubeconfig, kubeconfig, 0o600); err != nil {
		return err
	}
	if c.AdminConfig, err = clientcmd.RESTConfigFromKubeConfig(kubeconfig); err != nil {
		return err
	}
	c.AdminConfig.QPS = -1
	c.admin, err = client.New(c.AdminConfig, client.Options{})
	return err
}

// apiServerArgs is the kube-apiserver's command line.
func (c *Cluster) apiServerArgs(port int, extra []string) []string {
	args := []string{
		"--etcd-servers=" + c.etcd.url,
		"--etcd-prefix=/" + c.Name,
		"--bind-address=" + loopback,
		"--secure-port=" + strconv.Itoa(port),
		"--advertise-address=" + loopback,
		"--endpoint-reconciler-type=none", // a loopback address is no valid endpoint of Service kubernetes
		"--service-cluster-ip-range=" + serviceRange,
		"--allow-privileged=true",

		"--tls-cert-file=" + c.pki.path("kube-apiserver.crt"),
		"--tls-private-key-file=" + c.pki.path("kube-apiserver.key"),
		"--client-ca-file=" + c.pki.path("ca.crt"),
		"--service-account-issuer=" + c.AdminConfig.Host,
		"--service-account-key-file=" + c.pki.path("service-account.key"),
		"--service-account-signing-key-file=" + c.pki.path("service-account.key"),

		"--profiling=false",
	}
	structured := func(arg string) bool { return strings.HasPrefix(arg, "--authorization-config") }
	if !slices.ContainsFunc(extra, structured) {
		args = append(args, "--authorization-mode=Node,RBAC")
	}
	return append(args, extra...)
}
