// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package render says which objects belong in a shoot: the Flux installation of a release, and the source and
// Kustomization that make Flux follow something. It is pure: no I/O, the same input gives the same objects.
//
// CustomResourceDefinitions and custom resources carry the values that the shoot's kube-apiserver would default, so that a
// gardener-resource-manager that compares them with what the API server returns finds no difference
// (pkg/resourcemanager/controller/managedresource/merger.go of Gardener).
package render

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
)

// Installation is a Flux release, ready to be put into a shoot.
type Installation struct {
	// Objects are the objects of the release: namespace, CRDs, RBAC, Deployments and what belongs to them. If there is a
	// pull secret for the images, it is among them.
	Objects []client.Object

	// followed are the kinds by which Flux follows a source, by the names of their CustomResourceDefinitions.
	followed map[string]*customResource
}

// NewInstallation reads the manifests of a Flux release (multi-document YAML as `flux install --export` prints it), and lets
// its pods take their images from where images says. The objects are protected from Flux itself (Protect). The error says which
// document cannot be used, which CustomResourceDefinition is missing, or what is wrong with images.
func NewInstallation(manifests []byte, images Images) (*Installation, error) {
	if err := images.Validate(); err != nil {
		return nil, err
	}
	objects, err := decode(manifests)
	if err != nil {
		return nil, err
	}

	installation := &Installation{}
	for _, object := range objects {
		if err := normalise(object); err != nil {
			return nil, fmt.Errorf("failed to normalise %s %s of the Flux manifests: %w", object.GetKind(), client.ObjectKeyFromObject(object), err)
		}
		if err := images.apply(object); err != nil {
			return nil, fmt.Errorf("failed to set the images of %s %s of the Flux manifests: %w", object.GetKind(), client.ObjectKeyFromObject(object), err)
		}
		if err := installation.add(object); err != nil {
			return nil, err
		}
	}
	if images.PullSecret != nil {
		installation.Objects = append(installation.Objects, images.secret(namespaceOf(objects)))
	}

	if err := installation.checkComplete(); err != nil {
		return nil, err
	}
	if err := installation.boundRetryDelay(); err != nil {
		return nil, err
	}
	for _, object := range installation.Objects {
		Protect(object)
	}
	return installation, nil
}

// AdoptInstallation takes the objects of an installation as they are: one that was rendered before, or of one that the shoot has, as far as they
// are needed.
func AdoptInstallation(objects []*unstructured.Unstructured) (*Installation, error) {
	installation := &Installation{}
	for _, object := range objects {
		if err := installation.add(object); err != nil {
			return nil, err
		}
	}
	return installation, nil
}

// namespaceOf is where a release is installed.
func namespaceOf(objects []*unstructured.Unstructured) string {
	for _, object := range objects {
		if object.GetKind() == "Namespace" {
			return object.GetName()
		}
	}
	return flux.Namespace
}

func (i *Installation) checkComplete() error {
	for _, kind := range []flux.ObjectKind{flux.GitRepository.ObjectKind, flux.Kustomization} {
		if i.followed[kind.Definition()] == nil {
			return fmt.Errorf("the Flux manifests hold no CustomResourceDefinition of kind %s: they are not those of a Flux release", kind.Kind)
		}
	}
	return nil
}

func (i *Installation) add(object *unstructured.Unstructured) error {
	i.Objects = append(i.Objects, object)
	if object.GroupVersionKind().GroupKind() != crdGroupKind {
		return nil
	}

	isFollowed := func(kind flux.ObjectKind) bool { return kind.Definition() == object.GetName() }
	if !slices.ContainsFunc(flux.Kinds(), isFollowed) {
		return nil
	}
	definition, err := newCustomResource(object)
	if err != nil {
		return err
	}
	if i.followed == nil {
		i.followed = map[string]*customResource{}
	}
	i.followed[object.GetName()] = definition
	return nil
}

var crdGroupKind = schema.GroupKind{Group: apiextensionsv1.GroupName, Kind: "CustomResourceDefinition"}

func decode(manifests []byte) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(manifests), 4096)
	for document := 1; ; document++ {
		object := &unstructured.Unstructured{}
		if err := decoder.Decode(&object.Object); errors.Is(err, io.EOF) {
			return objects, nil
		} else if err != nil {
			return nil, fmt.Errorf("document %d of the Flux manifests is not YAML: %w", document, err)
		}
		if len(object.Object) == 0 {
			continue
		}
		if object.GetKind() == "" || object.GetAPIVersion() == "" || object.GetName() == "" {
			return nil, fmt.Errorf("document %d of the Flux manifests is not a Kubernetes object: apiVersion, kind or metadata.name is missing", document)
		}
		objects = append(objects, object)
	}
}
