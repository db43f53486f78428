// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"context"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/managedfields"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
)

const (
	// ConfigMapName is the ConfigMap in a project's namespace of the garden. Its keys are the names of the project's shoots.
	ConfigMapName = "flux-status"
	// KeyPublicKey is the key of the ConfigMap with the project's public key. No shoot can have this name.
	KeyPublicKey = "_identity.pub"

	// keyLeftOutPrefix is followed by something of the seed that has left shoots out. No shoot can have this name.
	keyLeftOutPrefix = "_left-out."

	fieldManagerPrefix = "gardener-extension-shoot-flux-"

	// minRoom is tried even if others left less.
	minRoom = 10_000
)

// StatusConfigMap is ConfigMap flux-status of a project, as one seed sees it. Each seed has keys of its own there, those of the
// project's shoots that it runs, and leaves those of other seeds alone: it writes by server-side apply with a field manager of its
// own. When a shoot moves, the new seed takes its key over, and the old one, which then no longer owns it, can't remove it.
type StatusConfigMap struct {
	project, manager string
	// data are all keys, and own those that this seed has written and nobody has changed.
	data, own map[string]string
}

// ReadStatusConfigMap reads the ConfigMap. It may not exist. seed is something that tells this seed from all others and never changes.
// The client must read from the garden and not from a cache.
func ReadStatusConfigMap(ctx context.Context, garden client.Reader, project, seed string) (*StatusConfigMap, error) {
	configMap := &corev1.ConfigMap{}
	key := client.ObjectKey{Namespace: project, Name: ConfigMapName}
	if err := garden.Get(ctx, key, configMap); client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("failed to read ConfigMap %s in the garden: %w", key, err)
	}
	s := &StatusConfigMap{project: project, manager: managerOf(seed), data: configMap.Data}
	own := corev1ac.ConfigMap(ConfigMapName, project)
	if err := managedfields.ExtractInto(configMap, typed.DeducedParseableType, s.manager, own, ""); err != nil {
		return nil, fmt.Errorf("failed to find out who has written what of ConfigMap %s in the garden: %w", key, err)
	}
	s.own = own.Data
	return s, nil
}

// Status returns what the ConfigMap says of a shoot, or nil.
func (s *StatusConfigMap) Status(shoot string) *ShootStatus {
	text, ok := s.data[shoot]
	if !ok {
		return nil
	}
	status, err := ParseShootStatus(text)
	if err != nil {
		return nil
	}
	return &status
}

// keyLeftOut is the key under which the seed says how many of its shoots are left out.
func (s *StatusConfigMap) keyLeftOut() string {
	seed := s.manager[len(fieldManagerPrefix):]
	return keyLeftOutPrefix + seed[:min(len(seed), 8)]
}

// hasLeftOut tells whether shoots of the seed are left out.
func (s *StatusConfigMap) hasLeftOut() bool {
	_, ok := s.own[s.keyLeftOut()]
	return ok
}

// Room is how many bytes of statuses this seed may write, for Fit: what others wrote stays, and so does what the seed writes besides
// statuses.
func (s *StatusConfigMap) Room(besides map[string]string) int {
	room := maxSize
	for key, value := range s.data {
		_, own := s.own[key]
		if _, again := besides[key]; !own && !again {
			room -= keySize(key, value)
		}
	}
	for key, value := range besides {
		room -= keySize(key, value)
	}
	return max(room, minRoom)
}

// Data returns what the seed is to have in the ConfigMap: the statuses, as far as there is room, what stands for the others, and what else the
// seed writes.
func (s *StatusConfigMap) Data(statuses map[string]ShootStatus, besides map[string]string) map[string]string {
	fitting := Fit(statuses, s.Room(besides))
	data := make(map[string]string, len(fitting)+len(besides)+1)
	maps.Copy(data, besides)
	for shoot, status := range fitting {
		data[shoot] = status.String()
	}
	if others := leftOut(statuses, fitting); others != nil {
		data[s.keyLeftOut()] = others.String()
	}
	return data
}

// Write makes these the keys of the seed, and removes others that the seed has written. It writes nothing if that is so already,
// and tells whether it has written. The request carries the ConfigMap's name, so that RBAC rules restricted to it (resourceNames)
// suffice: create and patch.
func (s *StatusConfigMap) Write(ctx context.Context, garden client.Writer, data map[string]string) (bool, error) {
	if maps.Equal(s.own, data) {
		return false, nil
	}
	// The keys are this seed's: what others wrote there goes.
	configMap := corev1ac.ConfigMap(ConfigMapName, s.project).WithData(data)
	if err := garden.Apply(ctx, configMap, client.FieldOwner(s.manager), client.ForceOwnership); err != nil {
		return false, fmt.Errorf("failed to write ConfigMap %s/%s in the garden: %w", s.project, ConfigMapName, err)
	}
	return true, nil
}

func managerOf(seed string) string { return fieldManagerPrefix + seed }

// SeedIdentity returns what tells a seed from all others: the UID of its namespace kube-system. Its name could be used again.
func SeedIdentity(ctx context.Context, seed client.Reader) (string, error) {
	namespace := &corev1.Namespace{}
	if err := seed.Get(ctx, types.NamespacedName{Name: metav1.NamespaceSystem}, namespace); err != nil {
		return "", fmt.Errorf("failed to read Namespace %s of the seed: %w", metav1.NamespaceSystem, err)
	}
	return string(namespace.UID), nil
}
