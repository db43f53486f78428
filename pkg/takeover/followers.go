// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package takeover

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/shoot"
)

const (
	// maxKustomizations and searchTime bound how long a worker is held. Kustomizations may have an inventory of thousands of objects each.
	maxKustomizations = 5000
	searchTime        = 10 * time.Second
	// maxFollowers bounds how many Kustomizations are named.
	maxFollowers = 3
)

// checkFollowers looks for other Kustomizations that follow the source, or would as soon as it is there, and would delete what they
// have deployed from another repository.
func (i *inspection) checkFollowers(ctx context.Context, source changedSource) error {
	gvk, err := i.served(kustomizationKind)
	if err != nil || gvk.Empty() {
		return err
	}
	search := &search{source: source, root: rootAmong(i.request.Objects), end: time.Now().Add(searchTime)}
	if err := shoot.ListWhole(ctx, i.shoot, gvk, search.visit); err != nil {
		return err
	}
	i.addFollowers(search.followers, source)
	if search.givenUp {
		i.conflict.add(ofFollowers, fmt.Sprintf("there are more than %d Kustomizations, which are too many to look at all of them, and each that follows %s %s would delete what it has deployed",
			search.seen, source.kind.Kind, nameOf(source.key)))
	}
	return nil
}

// search is a search for followers of a source.
type search struct {
	source changedSource
	// root is the Kustomization that is looked at by itself.
	root client.ObjectKey
	end  time.Time

	followers []client.ObjectKey
	seen      int
	// givenUp tells that there may be more Kustomizations than have been seen.
	givenUp bool
}

// visit tells whether the search goes on.
func (s *search) visit(page []unstructured.Unstructured) bool {
	if s.givenUp = s.seen >= maxKustomizations || time.Now().After(s.end); s.givenUp {
		return false
	}
	s.seen += len(page)
	for n := range page {
		if key := client.ObjectKeyFromObject(&page[n]); key != s.root && losesBy(&page[n], s.source) && !slices.Contains(s.followers, key) {
			s.followers = append(s.followers, key)
		}
	}
	return len(s.followers) <= maxFollowers
}

func (i *inspection) addFollowers(followers []client.ObjectKey, source changedSource) {
	if len(followers) == 0 {
		return
	}
	var names, commands []string
	for _, follower := range followers[:min(len(followers), maxFollowers)] {
		names = append(names, nameOf(follower))
		commands = append(commands, forget(follower))
	}
	if len(followers) > maxFollowers {
		names = append(names, "…")
	}
	i.conflict.add(ofFollowers, fmt.Sprintf("Kustomization %s would delete what it has deployed, because it follows %s %s", strings.Join(names, ", "), source.kind.Kind, nameOf(source.key)), commands...)
}

// losesBy tells whether a Kustomization follows a source, and deletes what is no longer in it.
func losesBy(kustomization *unstructured.Unstructured, source changedSource) bool {
	reference, _, _ := unstructured.NestedStringMap(kustomization.Object, "spec", "sourceRef")
	namespace := reference["namespace"]
	if namespace == "" {
		namespace = kustomization.GetNamespace()
	}
	prune, _, _ := unstructured.NestedBool(kustomization.Object, "spec", "prune")
	return prune && reference["kind"] == source.kind.Kind && reference["name"] == source.key.Name && namespace == source.key.Namespace &&
		len(inventory(kustomization)) > 0
}
