// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package managedresource puts objects for a shoot into ManagedResources in the shoot's namespace of the seed, and takes
// them away again, in the right order and without waiting for the shoot.
package managedresource

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/bits"
	"slices"

	"github.com/andybalholm/brotli"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	v1beta1helper "github.com/gardener/gardener/pkg/api/core/v1beta1/helper"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"
	"github.com/gardener/gardener/pkg/utils/managedresources"
)

const (
	// Installation is the name of the ManagedResource with the Flux installation.
	Installation = "extension-shoot-flux-installation"
	// Configuration is the name of the ManagedResource with what makes Flux follow the project's repository. It goes
	// before the installation does, because its objects are of kinds that the installation brings.
	Configuration = "extension-shoot-flux-configuration"

	// ConfigurationDigestLabel is the label of ManagedResource Configuration that tells from which project's
	// configuration it was made.
	ConfigurationDigestLabel = "flux.extensions.gardener.cloud/configuration-digest"
	// SourceVersionLabel is the label of ManagedResource Configuration that tells from which version of the project's Secret flux-source
	// it was made. It is empty if it has no credentials, and missing on what an earlier extension made.
	SourceVersionLabel = "flux.extensions.gardener.cloud/source-version"
	// FluxVersionLabel is the label of ManagedResource Installation that tells which Flux release it holds.
	FluxVersionLabel = "flux.extensions.gardener.cloud/flux-version"
	// MigratingLabel is "true" on ManagedResource Installation while it holds CustomResourceDefinitions that have the API
	// versions of the release before, because objects of the shoot are still stored in them, and else "false".
	MigratingLabel = "flux.extensions.gardener.cloud/migrating"
	// ProtectedLabel is "true" on ManagedResource Installation if its objects are protected from Flux itself (render.Protect), and else
	// "false": then their users' repository may upgrade Flux.
	ProtectedLabel = "flux.extensions.gardener.cloud/protected"
	// RemovalPolicyLabel is the label of ManagedResource Installation that tells what is to happen when the extension is
	// switched off. It is what remains of the choice when the project's configuration can't be read any more.
	RemovalPolicyLabel = "flux.extensions.gardener.cloud/removal-policy"

	origin = "gardener-extension-shoot-flux"

	// minWindow and maxWindow bound how far back brotli looks, as powers of two.
	minWindow, maxWindow = 12, 22
)

// OfPredecessor are the ManagedResources of the archived first version of the extension (pkg/constants/constants.go of it), which nobody
// else would ever delete. Gardener deletes no Shoot that has one. The second one goes first: its objects are of kinds that the first one
// brought.
var OfPredecessor = []string{predecessorConfiguration, PredecessorInstallation}

const (
	// PredecessorInstallation is the one that came first and went last.
	PredecessorInstallation  = "extension-shoot-flux-flux-install"
	predecessorConfiguration = "extension-shoot-flux-flux-config"
)

// OriginLabels are the labels by which the extension's ManagedResources are told from those of others. Only they have them.
func OriginLabels() map[string]string {
	return map[string]string{managedresources.LabelKeyOrigin: origin}
}

// Data is what the Secret of a ManagedResource holds: objects, serialized and compressed.
type Data map[string][]byte

// Serialize turns objects into the data of a ManagedResource. Their kinds need not be known to Gardener. The same objects
// give the same data. The same object twice is an error.
func Serialize(objects []client.Object) (Data, error) {
	documents := map[string][]byte{}
	for _, object := range objects {
		gvk := object.GetObjectKind().GroupVersionKind()
		name := fmt.Sprintf("%s__%s__%s", gvk, object.GetNamespace(), object.GetName())
		if documents[name] != nil {
			return nil, fmt.Errorf("%s %s is there twice", gvk.Kind, client.ObjectKeyFromObject(object))
		}
		var err error
		if documents[name], err = yaml.Marshal(object); err != nil {
			return nil, fmt.Errorf("failed to serialize %s %s: %w", gvk.Kind, client.ObjectKeyFromObject(object), err)
		}
	}
	var content []byte
	for i, name := range slices.Sorted(maps.Keys(documents)) {
		if i > 0 {
			content = append(content, "---\n"...)
		}
		content = append(content, documents[name]...)
	}
	compressed, err := compress(content)
	if err != nil {
		return nil, fmt.Errorf("failed to compress the objects of a ManagedResource: %w", err)
	}
	return Data{resourcesv1alpha1.CompressedDataKey: compressed}, nil
}

// compress does what managedresources.Registry of Gardener does, with a window that is not larger than the content: by default it takes ten
// megabytes of memory to compress two kilobytes.
func compress(content []byte) ([]byte, error) {
	window := min(max(bits.Len(uint(len(content))), minWindow), maxWindow)
	var compressed bytes.Buffer
	writer := brotli.NewWriterOptions(&compressed, brotli.WriterOptions{Quality: brotli.DefaultCompression, LGWin: window})
	if _, err := writer.Write(content); err != nil {
		return nil, err
	}
	if err := writer.Close(); err != nil {
		return nil, err
	}
	return compressed.Bytes(), nil
}

// Delete deletes the ManagedResource of the given name, and with it the objects in the shoot. It does not wait until they
// are gone: call CheckDeleted for that.
func Delete(ctx context.Context, seed client.Client, namespace, name string) error {
	if err := managedresources.DeleteForShoot(ctx, seed, namespace, name); err != nil {
		return fmt.Errorf("failed to delete ManagedResource %s/%s in the seed: %w", namespace, name, err)
	}
	return nil
}

// Orphan deletes the ManagedResource of the given name but leaves its objects in the shoot.
func Orphan(ctx context.Context, seed client.Client, namespace, name string) error {
	if err := managedresources.SetKeepObjects(ctx, seed, namespace, name, true); err != nil {
		return fmt.Errorf("failed to keep the objects of ManagedResource %s/%s: %w", namespace, name, err)
	}
	return Delete(ctx, seed, namespace, name)
}

// CheckDeleted returns nil if the ManagedResource, which was asked to be deleted, is nil, because it is gone, and else an error that says
// what it is waiting for.
func CheckDeleted(managedResource *resourcesv1alpha1.ManagedResource) error {
	if managedResource == nil {
		return nil
	}
	where := client.ObjectKeyFromObject(managedResource)
	condition := v1beta1helper.GetCondition(managedResource.Status.Conditions, resourcesv1alpha1.ResourcesApplied)
	if condition != nil && condition.Status != gardencorev1beta1.ConditionTrue && condition.Message != "" {
		return fmt.Errorf("ManagedResource %s is still being deleted: %s", where, condition.Message)
	}
	return fmt.Errorf("ManagedResource %s is still being deleted: gardener-resource-manager removes its objects from the shoot", where)
}
