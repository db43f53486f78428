// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// ConfigMapName is the ConfigMap in a project's namespace of the garden. Its keys are the names of the project's shoots.
	ConfigMapName = "flux-status"
	// KeyPublicKey is the key of the ConfigMap with the project's public key. No shoot can have this name.
	KeyPublicKey = "_identity.pub"

	fieldManagerPrefix = "gardener-extension-shoot-flux-"

	// minRoom is tried even if others left less.
	minRoom = 10_000
)

// Board is ConfigMap flux-status of a project, as one seed sees it. Each seed has keys of its own there, those of the project's
// shoots that it runs, and leaves those of other seeds alone: it writes by server-side apply with a field manager of its own.
// When a shoot moves, the new seed takes its key over, and the old one, which then no longer owns it, can't remove it.
type Board struct {
	project, manager string
	configMap        *corev1.ConfigMap
}

// ReadBoard reads the ConfigMap. It may not exist. seed is something that tells this seed from all others and never changes.
// The client must read from the garden and not from a cache.
func ReadBoard(ctx context.Context, garden client.Reader, project, seed string) (*Board, error) {
	b := &Board{project: project, manager: fieldManagerPrefix + seed, configMap: &corev1.ConfigMap{}}
	key := client.ObjectKey{Namespace: project, Name: ConfigMapName}
	if err := garden.Get(ctx, key, b.configMap); client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("failed to read ConfigMap %s in the garden: %w", key, err)
	}
	return b, nil
}

// Line returns what the ConfigMap says of a shoot, or nil.
func (b *Board) Line(shoot string) *Line {
	text, ok := b.configMap.Data[shoot]
	if !ok {
		return nil
	}
	line, err := ParseLine(text)
	if err != nil {
		return nil
	}
	return &line
}

// Room is how many bytes of lines this seed may write, for Fit: what others wrote stays, and so does what the seed writes besides
// lines.
func (b *Board) Room(besides map[string]string) int {
	room := maxSize
	owned := b.owned()
	for key, value := range b.configMap.Data {
		if _, again := besides[key]; !again && !slices.Contains(owned, key) {
			room -= keySize(key, value)
		}
	}
	for key, value := range besides {
		room -= keySize(key, value)
	}
	return max(room, minRoom)
}

// Write makes these the keys of the seed, and removes others that the seed has written. It writes nothing if that is so already,
// and tells whether it has written. The request carries the ConfigMap's name, so that RBAC rules restricted to it (resourceNames)
// suffice: create and patch.
func (b *Board) Write(ctx context.Context, garden client.Writer, data map[string]string) (bool, error) {
	if b.says(data) {
		return false, nil
	}
	// The keys are this seed's: what others wrote there goes.
	configMap := corev1ac.ConfigMap(ConfigMapName, b.project).WithData(data)
	if err := garden.Apply(ctx, configMap, client.FieldOwner(b.manager), client.ForceOwnership); err != nil {
		return false, fmt.Errorf("failed to write ConfigMap %s/%s in the garden: %w", b.project, ConfigMapName, err)
	}
	return true, nil
}

func (b *Board) says(data map[string]string) bool {
	for key, value := range data {
		if existing, ok := b.configMap.Data[key]; !ok || existing != value {
			return false
		}
	}
	return slices.Equal(b.owned(), slices.Sorted(maps.Keys(data)))
}

// owned are the keys that this seed has written, sorted.
func (b *Board) owned() []string {
	var owned []string
	for _, entry := range b.configMap.ManagedFields {
		if entry.Manager != b.manager || entry.Operation != metav1.ManagedFieldsOperationApply || entry.FieldsV1 == nil {
			continue
		}
		fields := struct {
			Data map[string]json.RawMessage `json:"f:data"`
		}{}
		// What can't be read is not owned, and is written again.
		_ = json.Unmarshal(entry.FieldsV1.GetRawBytes(), &fields)
		for field := range fields.Data {
			if key, ok := strings.CutPrefix(field, "f:"); ok {
				owned = append(owned, key)
			}
		}
	}
	slices.Sort(owned)
	return owned
}

// SeedIdentity returns what tells a seed from all others: the UID of its namespace kube-system. Its name could be used again.
func SeedIdentity(ctx context.Context, seed client.Reader) (string, error) {
	namespace := &corev1.Namespace{}
	if err := seed.Get(ctx, types.NamespacedName{Name: metav1.NamespaceSystem}, namespace); err != nil {
		return "", fmt.Errorf("failed to read Namespace %s of the seed: %w", metav1.NamespaceSystem, err)
	}
	return string(namespace.UID), nil
}
