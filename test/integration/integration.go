// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package integration starts the kube-apiservers that integration tests run against, and prepares those that are seeds. The servers of a test
// package share one etcd, and stop when its tests have ended.
package integration

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/onsi/gomega"
	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/cluster"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
)

// userLifetime is longer than any test takes.
const userLifetime = 24 * time.Hour

// pollingInterval is how often tests look whether what they wait for has come.
const pollingInterval = 200 * time.Millisecond

// admins is the group that may do everything.
const admins = "system:masters"

// Servers are the kube-apiservers of a test package. It is safe for concurrent use.
type Servers struct {
	etcd  *cluster.Etcd
	store *clientv3.Client // of etcd

	mutex   sync.Mutex
	started []*Server
	// idle are the servers that wait for a test, by the names of their controllers.
	idle map[string][]*lendable
	lent int
}

// Server is one kube-apiserver.
type Server struct {
	*cluster.Cluster
	// Config has all rights, without a client-side rate limit.
	Config *rest.Config
	// Client has all rights, and knows the kinds of client-go's scheme.
	Client client.Client
	// EtcdURL is where its etcd is, and EtcdPID its process.
	EtcdURL string
	EtcdPID int
}

// Run is what TestMain does: it starts etcd, lets prepare start servers, runs the tests, and stops everything. It returns the exit code. The
// context ends after the tests and before the servers; prepare may return a function that waits for what it has started with it.
func Run(m *testing.M, prepare func(context.Context, *Servers) (stopped func(), err error)) int {
	log.SetLogger(zap.New(zap.WriteTo(os.Stderr), zap.UseDevMode(true)))
	// By default 10 milliseconds: then the API servers are busy with answering those who wait.
	gomega.SetDefaultEventuallyPollingInterval(pollingInterval)
	gomega.SetDefaultConsistentlyPollingInterval(pollingInterval)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	servers, err := start(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "etcd does not start:", err)
		return 1
	}
	defer servers.stop()
	stopped, err := prepare(ctx, servers)
	if err != nil {
		fmt.Fprintln(os.Stderr, "the API servers of the tests can't be prepared:", err)
		return 1
	}
	code := m.Run()
	cancel()
	if stopped != nil {
		stopped()
	}
	return code
}

func start(ctx context.Context) (*Servers, error) {
	bin, err := process.FindBinaries()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "integration-")
	if err != nil {
		return nil, err
	}
	etcd, err := cluster.StartEtcd(ctx, cluster.Options{Dir: dir, Bin: bin})
	if err != nil {
		return nil, err
	}
	store, err := clientv3.New(clientv3.Config{Endpoints: []string{etcd.URL()}})
	return &Servers{etcd: etcd, store: store, idle: map[string][]*lendable{}}, err
}

func (s *Servers) stop() {
	var stopping sync.WaitGroup
	for _, server := range s.started {
		stopping.Go(func() { _ = server.Stop() })
	}
	stopping.Wait()
	_ = s.store.Close()
	_ = s.etcd.Stop()
	_ = os.RemoveAll(s.etcd.Dir())
}

// Start starts a kube-apiserver. The name must be its own. It runs until the tests have ended or it is stopped.
func (s *Servers) Start(ctx context.Context, name string) (*Server, error) {
	started, err := cluster.Start(ctx, name, s.etcd)
	if err != nil {
		return nil, fmt.Errorf("failed to start the API server %s: %w", name, err)
	}
	server := &Server{Cluster: started, Config: started.AdminConfig, EtcdURL: s.etcd.URL(), EtcdPID: s.etcd.Process.PID()}
	s.mutex.Lock()
	s.started = append(s.started, server)
	s.mutex.Unlock()
	if server.Client, err = client.New(server.Config, client.Options{}); err != nil {
		return nil, fmt.Errorf("failed to make a client of the API server %s: %w", name, err)
	}
	return server, nil
}

// Kubeconfig is one of a user of the API server. A user without groups has the rights that the tests give.
func (s *Server) Kubeconfig(user string, groups ...string) ([]byte, error) {
	return s.ClientCertKubeconfig(user, groups, userLifetime)
}

// AdminKubeconfig is one with which a program may do everything.
func (s *Server) AdminKubeconfig() ([]byte, error) {
	return s.Kubeconfig("gardener", admins)
}

// UserConfig is like Kubeconfig, for clients of the tests.
func (s *Server) UserConfig(user string, groups ...string) (*rest.Config, error) {
	kubeconfig, err := s.Kubeconfig(user, groups...)
	if err != nil {
		return nil, err
	}
	config, err := clientcmd.RESTConfigFromKubeConfig(kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("failed to read the kubeconfig of user %s: %w", user, err)
	}
	config.QPS = -1
	return config, nil
}
