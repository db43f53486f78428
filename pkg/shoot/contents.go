// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package shoot

import (
	"context"
	"errors"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/metadata"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Contents reads what is in namespaces of a shoot, of whatever kind.
type Contents struct {
	discovery discovery.AggregatedDiscoveryInterface
	metadata  metadata.Interface
}

// Resource is a kind of objects in namespaces.
type Resource struct {
	schema.GroupVersionResource
	Kind string
}

// NewContents returns the Contents of the shoot with the given namespace in the seed. The error says where credentials were looked
// for.
func NewContents(ctx context.Context, seed client.Reader, namespace string) (*Contents, error) {
	config, err := newConfig(ctx, seed, namespace)
	if err != nil {
		return nil, err
	}
	contents := &Contents{}
	if contents.discovery, err = discovery.NewDiscoveryClientForConfig(config); err != nil {
		return nil, noAccessError(namespace, err)
	}
	if contents.metadata, err = metadata.NewForConfig(metadata.ConfigFor(config)); err != nil {
		return nil, noAccessError(namespace, err)
	}
	return contents, nil
}

// Resources returns the kinds of objects that would be deleted with a namespace: those that can be listed and deleted, each in the
// version that the API server prefers. It also returns the groups and versions of which the API server could not say what they
// have, because somebody else serves them, who does not answer.
func (c *Contents) Resources() (resources []Resource, unknown []string, err error) {
	lists, err := discovery.ServerPreferredNamespacedResources(c.discovery)
	if failed, ok := errors.AsType[*discovery.ErrGroupDiscoveryFailed](err); ok {
		for version := range failed.Groups {
			unknown = append(unknown, version.String())
		}
		slices.Sort(unknown)
	} else if err != nil {
		return nil, nil, fmt.Errorf("failed to find out which kinds of objects the shoot has: %w", err)
	}
	for _, list := range discovery.FilteredBy(discovery.SupportsAllVerbs{Verbs: []string{"list", "delete"}}, lists) {
		version, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			return nil, nil, fmt.Errorf("failed to find out which kinds of objects the shoot has: %w", err)
		}
		for _, resource := range list.APIResources {
			resources = append(resources, Resource{GroupVersionResource: version.WithResource(resource.Name), Kind: resource.Kind})
		}
	}
	return resources, unknown, nil
}

// List visits the objects of a kind in a namespace, with their metadata only, until visit returns false. It reads them in pages.
func (c *Contents) List(ctx context.Context, resource Resource, namespace string, visit func(*metav1.PartialObjectMetadata) (more bool)) error {
	reader := &metadataReader{objects: c.metadata.Resource(resource.GroupVersionResource).Namespace(namespace)}
	return List(ctx, reader, resource.GroupVersion().WithKind(resource.Kind), func(object *metav1.PartialObjectMetadata) (bool, error) {
		return visit(object), nil
	})
}

// metadataReader reads the objects of one resource, without asking the shoot which resource has which kind.
type metadataReader struct {
	client.Reader
	objects metadata.ResourceInterface
}

// List implements client.Reader.
func (r *metadataReader) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	listOptions := (&client.ListOptions{}).ApplyOptions(options)
	objects, err := r.objects.List(ctx, *listOptions.AsListOptions())
	if err != nil {
		return err
	}
	objects.DeepCopyInto(list.(*metav1.PartialObjectMetadataList))
	return nil
}
