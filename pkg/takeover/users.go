// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package takeover

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
)

// HasUsers tells whether the shoot has all of the objects, and none of them from the extension. namespace is the shoot's in the seed.
func HasUsers(ctx context.Context, shoot client.Client, namespace string, objects []client.Object) (bool, error) {
	i := &inspection{shoot: shoot}
	for _, object := range objects {
		found, err := i.read(ctx, object.GetObjectKind().GroupVersionKind().GroupKind(), client.ObjectKeyFromObject(object))
		if err != nil || found == nil || managedresource.CameFrom(found, namespace) {
			return false, err
		}
	}
	return len(objects) > 0, nil
}
