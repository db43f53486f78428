// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package takeover

import (
	"context"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
)

const (
	// pageSize bounds the memory for Kustomizations, which may have an inventory of thousands of objects each.
	pageSize = 100
	// maxPages bounds the time.
	maxPages = 50
	// maxFollowers bounds how many Kustomizations are named.
	maxFollowers = 3
)

// checkFollowers looks for other Kustomizations that follow the GitRepository, or would as soon as it is there, and would delete what they
// have deployed from another repository.
func (i *inspection) checkFollowers(ctx context.Context, source client.ObjectKey) error {
	gvk, err := i.served(kustomizationKind)
	if err != nil || gvk.Empty() {
		return err
	}
	kustomizations := &unstructured.UnstructuredList{}
	kustomizations.SetGroupVersionKind(gvk.GroupVersion().WithKind(gvk.Kind + "List"))
	var followers []client.ObjectKey
	for page := 0; page == 0 || kustomizations.GetContinue() != ""; page++ {
		if page == maxPages {
			i.conflict.add(fmt.Sprintf("there are more than %d Kustomizations, and each that follows GitRepository %s would delete what it has deployed", pageSize*maxPages, source))
			return nil
		}
		if err := i.shoot.List(ctx, kustomizations, client.Limit(pageSize), client.Continue(kustomizations.GetContinue())); err != nil {
			return fmt.Errorf("failed to list the objects of kind %s of the shoot: %w", gvk.Kind, err)
		}
		for n := range kustomizations.Items {
			candidate := &kustomizations.Items[n]
			// The root Kustomization is looked at by itself.
			if key := client.ObjectKeyFromObject(candidate); key != source && losesBy(candidate, source) {
				followers = append(followers, key)
			}
		}
		if len(followers) > maxFollowers {
			break
		}
	}
	i.addFollowers(followers, source)
	return nil
}

func (i *inspection) addFollowers(followers []client.ObjectKey, source client.ObjectKey) {
	if len(followers) == 0 {
		return
	}
	var names, commands []string
	for _, follower := range followers[:min(len(followers), maxFollowers)] {
		names = append(names, follower.String())
		commands = append(commands, forget(follower))
	}
	if len(followers) > maxFollowers {
		names = append(names, "…")
	}
	i.conflict.add(fmt.Sprintf("Kustomization %s would delete what it has deployed, because it follows GitRepository %s", strings.Join(names, ", "), source), commands...)
}

// losesBy tells whether a Kustomization follows a GitRepository, and deletes what is no longer in it.
func losesBy(kustomization *unstructured.Unstructured, source client.ObjectKey) bool {
	reference, _, _ := unstructured.NestedStringMap(kustomization.Object, "spec", "sourceRef")
	namespace := reference["namespace"]
	if namespace == "" {
		namespace = kustomization.GetNamespace()
	}
	prune, _, _ := unstructured.NestedBool(kustomization.Object, "spec", "prune")
	return prune && reference["kind"] == sourcev1.GitRepositoryKind && reference["name"] == source.Name && namespace == source.Namespace &&
		len(inventory(kustomization)) > 0
}
