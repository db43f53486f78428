// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

const (
	fieldOwner = client.FieldOwner("landscape")

	definitionsTimeout  = 10 * time.Minute
	definitionsInterval = 100 * time.Millisecond
)

var (
	kindCRD       = schema.GroupKind{Group: apiextensionsv1.GroupName, Kind: "CustomResourceDefinition"}
	kindNamespace = schema.GroupKind{Kind: "Namespace"}
)

// ApplyYAML applies the documents of a manifest to the cluster (server-side, as administrator): CustomResourceDefinitions first, which it
// waits for, then Namespaces, then the rest in its order. The error names the object that could not be applied.
func (c *Cluster) ApplyYAML(ctx context.Context, manifest []byte) error {
	objects, err := decode(manifest)
	if err != nil {
		return fmt.Errorf("failed to read a manifest for cluster %s: %w", c.Name, err)
	}
	var definitions, namespaces, others []*unstructured.Unstructured
	for _, object := range objects {
		switch object.GroupVersionKind().GroupKind() {
		case kindCRD:
			definitions = append(definitions, object)
		case kindNamespace:
			namespaces = append(namespaces, object)
		default:
			others = append(others, object)
		}
	}
	if err := c.applyDefinitions(ctx, definitions); err != nil {
		return err
	}
	return c.apply(ctx, append(namespaces, others...))
}

// applyDefinitions applies CustomResourceDefinitions and waits until their kinds are served.
func (c *Cluster) applyDefinitions(ctx context.Context, objects []*unstructured.Unstructured) error {
	if err := c.apply(ctx, objects); err != nil || len(objects) == 0 {
		return err
	}
	definitions := make([]*apiextensionsv1.CustomResourceDefinition, len(objects))
	for i, object := range objects {
		definitions[i] = &apiextensionsv1.CustomResourceDefinition{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, definitions[i]); err != nil {
			return fmt.Errorf("failed to read CustomResourceDefinition %s: %w", object.GetName(), err)
		}
	}
	wait := envtest.CRDInstallOptions{MaxTime: definitionsTimeout, PollInterval: definitionsInterval}
	if err := envtest.WaitForCRDs(c.AdminConfig, definitions, wait); err != nil {
		return fmt.Errorf("cluster %s does not serve all kinds of its CustomResourceDefinitions: %w", c.Name, err)
	}
	return nil
}

func (c *Cluster) apply(ctx context.Context, objects []*unstructured.Unstructured) error {
	for _, object := range objects {
		if err := c.admin.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), fieldOwner, client.ForceOwnership); err != nil {
			return fmt.Errorf("failed to apply %s %s to cluster %s: %w", object.GetKind(), client.ObjectKeyFromObject(object), c.Name, err)
		}
	}
	return nil
}

// decode reads the documents of a manifest, leaving out empty ones.
func decode(manifest []byte) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(manifest), 4096)
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(object)
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, fmt.Errorf("document %d: %w", len(objects)+1, err)
		}
		if len(object.Object) > 0 {
			objects = append(objects, object)
		}
	}
}
