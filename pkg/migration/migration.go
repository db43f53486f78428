// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package migration makes a shoot ready for a Flux release whose CustomResourceDefinitions have other API versions than
// those in which the shoot's objects are stored.
//
// An API server refuses a CustomResourceDefinition without a version in which objects may still be stored, which it
// remembers in status.storedVersions
// (https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definition-versioning/). So the
// objects are stored anew first. Where the shoot does not know the version yet in which they are to be stored, it needs a
// bridge before: the new CustomResourceDefinition that also has the old versions.
package migration

import (
	"context"
	"fmt"
	"slices"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/shoot"
)

// SettlingTime is how long the API servers of a shoot have to learn a CustomResourceDefinition that has changed. Each hears of it by itself, and
// until then stores objects in the version of before. Kubernetes has seen them 800 milliseconds behind each other, and waits for two seconds where that
// matters (serveResource in pkg/apiserver/customresource_handler.go of k8s.io/apiextensions-apiserver); the time of a change has whole seconds.
const SettlingTime = 5 * time.Second

// maxAhead is how far the clock of an API server may be ahead. A change that is to come later was written by somebody who wants to stop the upgrade.
const maxAhead = time.Minute

// Prepare stores all objects of the shoot anew that are stored in a version that the wanted CustomResourceDefinitions don't
// have. It can be repeated at any time, and continues where an earlier call was interrupted, on whatever seed. It holds a worker
// for some seconds: the error is a *shoot.Unfinished if there are more objects than can be stored anew in that time, or if a definition has
// changed within the settling time, which is SettlingTime but in tests.
//
// Where the shoot must first learn the version in which objects are to be stored, nothing is stored anew yet. Then the
// bridges are what to give to the shoot in place of the wanted CustomResourceDefinitions of the same names, before the next
// call. Without bridges, the wanted ones are accepted.
//
// The client must not cache. The error says which object of the shoot could not be read or written.
func Prepare(ctx context.Context, c client.Client, settling time.Duration, wanted []*apiextensionsv1.CustomResourceDefinition) (bridges []*apiextensionsv1.CustomResourceDefinition, err error) {
	slice, stored := shoot.NewSlice(), false
	for _, definition := range wanted {
		if serves, err := isServed(c, schema.GroupKind{Group: definition.Spec.Group, Kind: definition.Spec.Names.Kind}); err != nil {
			return nil, err
		} else if !serves {
			continue
		}
		live := &apiextensionsv1.CustomResourceDefinition{}
		if err := c.Get(ctx, client.ObjectKeyFromObject(definition), live); apierrors.IsNotFound(err) {
			continue
		} else if err != nil {
			return nil, fmt.Errorf("failed to read CustomResourceDefinition %s of the shoot: %w", definition.Name, err)
		}

		switch dropped := droppedVersions(live, definition); {
		case len(dropped) == 0:
		case hasVersion(definition, shoot.KindOf(live).Version):
			if stored && slice.Over() {
				return nil, storing(shoot.KindOf(live), &shoot.Unfinished{Kind: live.Spec.Names.Kind})
			}
			stored = true
			if err := storeAnew(ctx, c, slice, settling, live); err != nil {
				return nil, err
			}
		default:
			bridges = append(bridges, bridge(live, definition, dropped))
		}
	}
	return bridges, nil
}

// droppedVersions are those in which objects may be stored, and which the wanted definition does not have.
func droppedVersions(live, wanted *apiextensionsv1.CustomResourceDefinition) []string {
	var dropped []string
	for _, version := range live.Status.StoredVersions {
		if !hasVersion(wanted, version) {
			dropped = append(dropped, version)
		}
	}
	return dropped
}

func hasVersion(definition *apiextensionsv1.CustomResourceDefinition, name string) bool {
	return slices.ContainsFunc(definition.Spec.Versions, func(version apiextensionsv1.CustomResourceDefinitionVersion) bool {
		return version.Name == name
	})
}

// bridge is the wanted definition with the versions that it drops, as the shoot has them.
func bridge(live, wanted *apiextensionsv1.CustomResourceDefinition, dropped []string) *apiextensionsv1.CustomResourceDefinition {
	both := wanted.DeepCopy()
	for _, version := range live.Spec.Versions {
		if slices.Contains(dropped, version.Name) {
			version.Storage = false
			both.Spec.Versions = append(both.Spec.Versions, version)
		}
	}
	return both
}
