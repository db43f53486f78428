// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package export knows what the command flux install --export prints for a release of Flux: it makes that from the files of a release, or
// from the manifests of all components.
package export

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/sets"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/failure"
)

// File is the name that flux bootstrap and Flux's OCI artifacts give to what flux install --export prints.
const File = "gotk-components.yaml"

const (
	// watcherArgument is what flux install gives others if it installs source-watcher too.
	watcherArgument = "        - --feature-gates=ExternalArtifact=true\n"

	customResourceDefinition = "CustomResourceDefinition"
)

var (
	// componentsComment is the line of comment in which flux install says which components it was told.
	componentsComment = regexp.MustCompile(`(?m)^(# Components: )\S+$`)
	// eventsAddress is what flux install tells others if it installs notification-controller too.
	eventsAddress = regexp.MustCompile(`(?m)^( *- --events-addr=)http://` + flux.NotificationController + `\.\S+$`)
	// namespaceName is the name of the default namespace wherever it stands by itself, or at the end of another name.
	namespaceName = regexp.MustCompile(`\b` + flux.Namespace + `\b`)
	// instanceLabel is the only place of a CustomResourceDefinition in which the namespace stands, other than in its words for people.
	instanceLabel = regexp.MustCompile(`(?m)^(    ` + flux.LabelInstance + `: )` + flux.Namespace + `$`)
)

// Available returns those of a release's rendered manifests that belong to components that are known, and checks that the default ones are
// among them. What can't be what flux install prints is refused.
func Available(manifests []byte, version string) ([]byte, error) {
	selected, err := filter(manifests, version, flux.Components())
	if err == nil {
		err = checkComplete(selected, Options{}.complete())
	}
	if err != nil {
		return nil, failure.Mark(failure.ErrRefused, err)
	}
	return selected, nil
}

// Select returns those of a release's rendered manifests, which are for namespace flux-system, that belong to the components of the options.
// The rest is left as it is, so that the result is the same as if flux install had been told these options. What can't be that is refused.
func Select(manifests []byte, version string, options Options) ([]byte, error) {
	options = options.complete()
	selected, err := filter(manifests, version, options.Components)
	if err == nil {
		err = checkComplete(selected, options)
	}
	if err != nil {
		return nil, failure.Mark(failure.ErrRefused, err)
	}
	result := componentsComment.ReplaceAll(selected, []byte("${1}"+strings.Join(options.Components, ",")))
	if !slices.Contains(options.Components, flux.SourceWatcher) {
		result = bytes.ReplaceAll(result, []byte(watcherArgument), nil)
	}
	if !slices.Contains(options.Components, flux.NotificationController) {
		result = eventsAddress.ReplaceAll(result, []byte("${1}"))
	}
	return move(result, options.Namespace)
}

// Components returns the components that manifests have, in the order of package flux.
func Components(manifests []byte) ([]string, error) {
	found := sets.New[string]()
	err := eachObject(manifests, func(_ []byte, object *unstructured.Unstructured) error {
		if object.GetKind() == "Deployment" {
			found.Insert(object.GetName())
		}
		return nil
	})
	return slices.DeleteFunc(flux.Components(), func(component string) bool { return !found.Has(component) }), err
}

// filter returns the documents that belong to components.
func filter(manifests []byte, version string, components []string) ([]byte, error) {
	var selected bytes.Buffer
	err := eachObject(manifests, func(document []byte, object *unstructured.Unstructured) error {
		labels := object.GetLabels()
		if other := labels[flux.LabelVersion]; other != "" && other != version && labels[flux.LabelPartOf] == flux.PartOf {
			return fmt.Errorf("%s is of Flux %s", nameOf(object), other)
		}
		if belongs(object, components) {
			writeDocument(&selected, document)
		}
		return nil
	})
	return selected.Bytes(), err
}

func writeDocument(to *bytes.Buffer, document []byte) {
	to.WriteString("---\n")
	to.Write(bytes.TrimPrefix(bytes.TrimSpace(document), []byte("---\n")))
	to.WriteString("\n")
}

// move puts manifests into another namespace, as flux install --namespace does.
func move(manifests []byte, namespace string) ([]byte, error) {
	if namespace == flux.Namespace {
		return manifests, nil
	}
	var moved bytes.Buffer
	err := eachObject(manifests, func(document []byte, object *unstructured.Unstructured) error {
		if object.GetKind() == customResourceDefinition {
			writeDocument(&moved, instanceLabel.ReplaceAll(document, []byte("${1}"+namespace)))
			return nil
		}
		writeDocument(&moved, namespaceName.ReplaceAll(document, []byte(namespace)))
		return nil
	})
	return moved.Bytes(), err
}

// belongs tells whether an object is part of one of the components, or of what they have in common.
func belongs(object *unstructured.Unstructured, components []string) bool {
	if component := object.GetLabels()[flux.LabelComponent]; component != "" {
		return slices.Contains(components, component)
	}
	switch object.GetKind() {
	case customResourceDefinition:
		return slices.Contains(components, componentOf(object))
	case "Deployment", "ServiceAccount":
		return slices.Contains(components, object.GetName())
	default:
		return true
	}
}

// componentOf tells which component a CustomResourceDefinition without label belongs to.
func componentOf(definition *unstructured.Unstructured) string {
	group, _, _ := unstructured.NestedString(definition.Object, "spec", "group")
	name, _, _ := strings.Cut(group, ".")
	switch {
	case group != name+".toolkit.fluxcd.io":
		return ""
	case name != "image":
		return name + "-controller"
	case definition.GetName() == "imageupdateautomations."+group:
		return "image-automation-controller"
	}
	return "image-reflector-controller"
}

// checkComplete refuses manifests that lack what everything else builds on. Kustomize does not mind an empty file.
func checkComplete(manifests []byte, options Options) error {
	missing := sets.New(
		customResourceDefinition+" "+flux.GitRepository.Definition(),
		customResourceDefinition+" "+flux.Kustomization.Definition(),
	)
	for _, component := range options.Components {
		missing.Insert("Deployment " + flux.Namespace + "/" + component)
	}
	err := eachObject(manifests, func(_ []byte, object *unstructured.Unstructured) error {
		missing.Delete(nameOf(object))
		return nil
	})
	if err == nil && missing.Len() > 0 {
		err = fmt.Errorf("its manifests have no %s", strings.Join(sets.List(missing), ", no "))
	}
	return err
}

// eachObject visits the documents of a YAML stream, except the empty ones.
func eachObject(manifests []byte, visit func(document []byte, object *unstructured.Unstructured) error) error {
	documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(manifests)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("its manifests can't be read: %w", err)
		}
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(document, &object.Object); err != nil {
			return fmt.Errorf("its manifests can't be read: %w", err)
		}
		if object.GetKind() == "" && object.GetName() == "" {
			continue
		}
		if err := visit(document, object); err != nil {
			return err
		}
	}
}

func nameOf(object *unstructured.Unstructured) string {
	return object.GetKind() + " " + strings.TrimPrefix(object.GetNamespace()+"/"+object.GetName(), "/")
}
