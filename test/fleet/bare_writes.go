// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"
)

const (
	// extensionWorkers are how many shoots the extension works on at the same time by default.
	extensionWorkers = 5
	// bareType is the type of Extensions for which no extension is responsible.
	bareType = "bare"
)

// written is what the extension has written for a shoot.
type written struct {
	extension                   extensionsv1alpha1.Extension
	installation, configuration writtenResource
}

// writtenResource is a ManagedResource and its Secret.
type writtenResource struct {
	managedResource resourcesv1alpha1.ManagedResource
	secret          corev1.Secret
}

// readWritten reads what the extension has written for a shoot, so that bare writes are of the same objects.
func (l *landscape) readWritten(ctx context.Context, control string) (*written, error) {
	w := &written{}
	if err := l.seed.Client.Get(ctx, client.ObjectKey{Namespace: control, Name: extensionType}, &w.extension); err != nil {
		return nil, fmt.Errorf("failed to read the Extension of a shoot: %w", err)
	}
	for name, resource := range map[string]*writtenResource{installationResource: &w.installation, configurationResource: &w.configuration} {
		if err := l.seed.Client.Get(ctx, client.ObjectKey{Namespace: control, Name: name}, &resource.managedResource); err != nil {
			return nil, fmt.Errorf("failed to read a ManagedResource of a shoot: %w", err)
		}
		key := client.ObjectKey{Namespace: control, Name: resource.managedResource.Spec.SecretRefs[0].Name}
		if err := l.seed.Client.Get(ctx, key, &resource.secret); err != nil {
			return nil, fmt.Errorf("failed to read the Secret of a ManagedResource of a shoot: %w", err)
		}
	}
	return w, nil
}

// bareWriter writes the objects of shoots as fast as a plain client can, with as many writers as the extension has workers. The resource managers
// do for them what they do for shoots. The extension does not run meanwhile.
type bareWriter struct {
	seed client.Client
	// before is what is written first, and after has the changed configuration.
	before, after *written
}

// bareNamespaces are as many namespaces as there are shoots.
func (l *landscape) bareNamespaces(ctx context.Context) ([]string, error) {
	namespaces := make([]string, l.size.shoots)
	for i := range namespaces {
		namespaces[i] = fmt.Sprintf("bare--%d", i)
	}
	return namespaces, forEach(ctx, preparationWorkers, namespaces, func(ctx context.Context, name string) error {
		return l.seed.Client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	})
}

// timed returns how many seconds the writes to all namespaces take.
func timed(ctx context.Context, namespaces []string, write func(context.Context, string) error) (float64, error) {
	began := time.Now()
	err := forEach(ctx, extensionWorkers, namespaces, write)
	return time.Since(began).Seconds(), err
}

// create makes the nine writes of a first reconciliation: the Extension is created; the library adds its finalizer, removes the operation
// annotation and says that it works; two Secrets and two ManagedResources are created; the result is said.
func (b *bareWriter) create(ctx context.Context, namespace string) error {
	extension := newExtension(namespace, bareType)
	if err := b.seed.Create(ctx, extension); err != nil {
		return fmt.Errorf("failed to write an Extension: %w", err)
	}
	for _, patch := range []string{
		`{"metadata":{"finalizers":["extensions.gardener.cloud/bare"]}}`,
		`{"metadata":{"annotations":{"gardener.cloud/operation":null}}}`,
	} {
		if err := b.seed.Patch(ctx, extension, client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
			return fmt.Errorf("failed to write the metadata of an Extension: %w", err)
		}
	}
	if err := b.writeBegin(ctx, extension); err != nil {
		return err
	}
	for _, resource := range []*writtenResource{&b.before.installation, &b.before.configuration} {
		managedResource := &resourcesv1alpha1.ManagedResource{ObjectMeta: metadata(namespace, &resource.managedResource), Spec: resource.managedResource.Spec}
		for _, object := range []client.Object{newSecret(namespace, &resource.secret), managedResource} {
			if err := b.seed.Create(ctx, object); err != nil {
				return fmt.Errorf("failed to write a part of a ManagedResource: %w", err)
			}
		}
	}
	return b.writeEnd(ctx, extension)
}

// change makes the four writes of a change of the configuration: its Secret, the ManagedResource, and the operation's begin and end.
func (b *bareWriter) change(ctx context.Context, namespace string) error {
	extension := &extensionsv1alpha1.Extension{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: bareType}}
	if err := b.writeBegin(ctx, extension); err != nil {
		return err
	}
	resource := &b.after.configuration
	if err := b.seed.Create(ctx, newSecret(namespace, &resource.secret)); err != nil {
		return fmt.Errorf("failed to write a Secret: %w", err)
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"labels": resource.managedResource.Labels, "annotations": resource.managedResource.Annotations}, "spec": resource.managedResource.Spec,
	})
	if err != nil {
		return fmt.Errorf("failed to encode a ManagedResource: %w", err)
	}
	managedResource := &resourcesv1alpha1.ManagedResource{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: resource.managedResource.Name}}
	if err := b.seed.Patch(ctx, managedResource, client.RawPatch(types.MergePatchType, patch)); err != nil {
		return fmt.Errorf("failed to write a ManagedResource: %w", err)
	}
	return b.writeEnd(ctx, extension)
}

func (b *bareWriter) writeBegin(ctx context.Context, extension *extensionsv1alpha1.Extension) error {
	return b.writeStatus(ctx, extension, map[string]any{"lastOperation": map[string]any{
		"type": "Reconcile", "state": "Processing", "progress": 1, "description": "Reconciling Extension", "lastUpdateTime": metav1.Now(),
	}})
}

func (b *bareWriter) writeEnd(ctx context.Context, extension *extensionsv1alpha1.Extension) error {
	return b.writeStatus(ctx, extension, b.before.extension.Status)
}

func (b *bareWriter) writeStatus(ctx context.Context, extension *extensionsv1alpha1.Extension, status any) error {
	patch, err := json.Marshal(map[string]any{"status": status})
	if err != nil {
		return fmt.Errorf("failed to encode the status of an Extension: %w", err)
	}
	if err := b.seed.Status().Patch(ctx, extension, client.RawPatch(types.MergePatchType, patch)); err != nil {
		return fmt.Errorf("failed to write the status of an Extension: %w", err)
	}
	return nil
}

func newSecret(namespace string, of *corev1.Secret) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metadata(namespace, of), Data: of.Data, Type: of.Type, Immutable: of.Immutable}
}

func metadata(namespace string, of metav1.Object) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: of.GetName(), Labels: of.GetLabels(), Annotations: of.GetAnnotations()}
}
