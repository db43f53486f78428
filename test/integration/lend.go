// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// resetTimeout is longer than an API server takes to notice that kinds are gone, on a busy machine.
	resetTimeout = 3 * time.Minute
	// namespaceTimeout is longer than an API server takes to make its namespaces, which it tries each minute.
	namespaceTimeout = 2 * time.Minute
	// maxOperations is how many operations etcd accepts in one transaction.
	maxOperations = 128
)

// lendable is a kube-apiserver that one test after the other uses.
type lendable struct {
	*Server
	// initial is what it held before the first test, by key of etcd.
	initial map[string]record
	// groups are those that it served then.
	groups []string
}

// record is a value in etcd, and when it was written.
type record struct {
	value    string
	revision int64
}

// Lend gives a test a kube-apiserver that no other test uses meanwhile, with these controllers of kube-controller-manager besides those that all
// clusters have, or without kube-controller-manager if none is named. The test calls giveBack when nobody uses the server any more, before it ends:
// then the server gets back, in etcd, what it held when it was started, and serves the next test.
func (s *Servers) Lend(ctx context.Context, controllers ...string) (server *Server, giveBack func(context.Context) error, err error) {
	pool := strings.Join(controllers, ",")
	s.mutex.Lock()
	var lent *lendable
	if idle := s.idle[pool]; len(idle) > 0 {
		lent, s.idle[pool] = idle[len(idle)-1], idle[:len(idle)-1]
	} else {
		s.lent++
	}
	name := fmt.Sprintf("lent-%d", s.lent)
	s.mutex.Unlock()
	if lent == nil {
		if lent, err = s.startLendable(ctx, name, controllers); err != nil {
			return nil, nil, err
		}
	}
	return lent.Server, func(ctx context.Context) error {
		if err := lent.reset(ctx, s.store); err != nil {
			return fmt.Errorf("failed to make the API server %s as it was: %w", lent.Name, err)
		}
		s.mutex.Lock()
		defer s.mutex.Unlock()
		s.idle[pool] = append(s.idle[pool], lent)
		return nil
	}, nil
}

func (s *Servers) startLendable(ctx context.Context, name string, controllers []string) (*lendable, error) {
	server, err := s.Start(ctx, name)
	if err != nil {
		return nil, err
	}
	if len(controllers) > 0 {
		if err := server.StartControllers(ctx, controllers...); err != nil {
			return nil, err
		}
	}
	lent := &lendable{Server: server}
	if err := lent.waitForNamespaces(ctx); err != nil {
		return nil, err
	}
	if lent.groups, err = lent.servedGroups(); err != nil {
		return nil, err
	}
	lent.initial, err = lent.read(ctx, s.store)
	return lent, err
}

// waitForNamespaces waits for the namespaces that the API server makes when it is ready already.
func (l *lendable) waitForNamespaces(ctx context.Context) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, pollingInterval, namespaceTimeout, true, func(ctx context.Context) (bool, error) {
		last = nil
		for _, name := range []string{metav1.NamespaceSystem, metav1.NamespacePublic, corev1.NamespaceNodeLease, metav1.NamespaceDefault} {
			last = errors.Join(last, l.Client.Get(ctx, client.ObjectKey{Name: name}, &corev1.Namespace{}))
		}
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("the API server %s has not made its namespaces: %w: %w", l.Name, err, last)
	}
	return nil
}

// reset makes etcd hold what it held in the beginning, and waits until the API server knows that the kinds are gone that tests have defined.
func (l *lendable) reset(ctx context.Context, store *clientv3.Client) error {
	current, err := l.read(ctx, store, clientv3.WithKeysOnly())
	if err != nil {
		return err
	}
	var operations []clientv3.Op
	for key, now := range current {
		if initial, ok := l.initial[key]; !ok {
			operations = append(operations, clientv3.OpDelete(key))
		} else if now.revision != initial.revision {
			operations = append(operations, clientv3.OpPut(key, initial.value))
		}
	}
	for key, initial := range l.initial {
		if _, ok := current[key]; !ok {
			operations = append(operations, clientv3.OpPut(key, initial.value))
		}
	}
	for batch := range slices.Chunk(operations, maxOperations) {
		response, err := store.Txn(ctx).Then(batch...).Commit()
		if err != nil {
			return fmt.Errorf("failed to write to etcd: %w", err)
		}
		for _, operation := range batch {
			if key := string(operation.KeyBytes()); operation.IsPut() {
				l.initial[key] = record{value: l.initial[key].value, revision: response.Header.Revision}
			}
		}
	}
	var last error
	err = wait.PollUntilContextTimeout(ctx, pollingInterval, resetTimeout, true, func(context.Context) (bool, error) {
		groups, err := l.servedGroups()
		last = err
		return err == nil && slices.Equal(groups, l.groups), nil
	})
	return errors.Join(err, last)
}

// read reads what the API server keeps in etcd, without what it and its controllers have for themselves. What these make for other namespaces is not all
// there in the beginning: they make it again.
func (l *lendable) read(ctx context.Context, store *clientv3.Client, options ...clientv3.OpOption) (map[string]record, error) {
	response, err := store.Get(ctx, "/"+l.Name+"/", append(options, clientv3.WithPrefix())...)
	if err != nil {
		return nil, fmt.Errorf("failed to read etcd: %w", err)
	}
	records := map[string]record{}
	for _, pair := range response.Kvs {
		if key := string(pair.Key); !strings.Contains(key, "/"+metav1.NamespaceSystem+"/") {
			records[key] = record{value: string(pair.Value), revision: pair.ModRevision}
		}
	}
	return records, nil
}

// servedGroups are the groups of kinds that the API server serves, in their order by name.
func (l *lendable) servedGroups() ([]string, error) {
	client, err := discovery.NewDiscoveryClientForConfig(l.Config)
	if err != nil {
		return nil, err
	}
	list, err := client.ServerGroups()
	if err != nil {
		return nil, fmt.Errorf("failed to ask for the groups that are served: %w", err)
	}
	var names []string
	for _, group := range list.Groups {
		names = append(names, group.Name)
	}
	slices.Sort(names)
	return names, nil
}
