// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package export knows what the command flux install --export prints for a release of Flux, with the default components in
// namespace flux-system: it makes that from the files of a release, or from the manifests of all components.
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

	"github.com/fluxcd/flux2/v2/pkg/manifestgen/install"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/failure"
)

// File is the name that flux bootstrap and Flux's OCI artifacts give to what flux install --export prints.
const File = "gotk-components.yaml"

// watcherArgument is what flux install gives others if it installs source-watcher too.
const watcherArgument = "        - --feature-gates=ExternalArtifact=true\n"

// componentsComment is the line of comment in which flux install says which components it was told.
var componentsComment = regexp.MustCompile(`(?m)^(# Components: )\S+$`)

// Select returns those of a release's rendered manifests that belong to the components that are installed.
// Flux's OCI artifacts have all components. The rest is left as it is, so that the result is the same as if flux install
// had been told these components. What can't be that is refused.
func Select(manifests []byte, version string) ([]byte, error) {
	options := install.MakeDefaultOptions()
	var selected bytes.Buffer
	withoutWatcher := false
	err := eachObject(manifests, func(document []byte, object *unstructured.Unstructured) error {
		labels := object.GetLabels()
		if other := labels[flux.LabelVersion]; other != "" && other != version && labels[flux.LabelPartOf] == flux.PartOf {
			return fmt.Errorf("%s is of Flux %s", nameOf(object), other)
		}
		if !belongs(object, options.Components) {
			withoutWatcher = withoutWatcher || object.GetLabels()[flux.LabelComponent] == flux.SourceWatcher
			return nil
		}
		selected.WriteString("---\n")
		selected.Write(bytes.TrimPrefix(bytes.TrimSpace(document), []byte("---\n")))
		selected.WriteString("\n")
		return nil
	})
	if err != nil {
		return nil, failure.Mark(failure.ErrRefused, err)
	}
	result := componentsComment.ReplaceAll(selected.Bytes(), []byte("${1}"+strings.Join(options.Components, ",")))
	if withoutWatcher {
		result = bytes.ReplaceAll(result, []byte(watcherArgument), nil)
	}
	if err := checkComplete(result, options); err != nil {
		return nil, failure.Mark(failure.ErrRefused, err)
	}
	return result, nil
}

// belongs tells whether an object is part of one of the components, or of what they have in common.
func belongs(object *unstructured.Unstructured, components []string) bool {
	if component := object.GetLabels()[flux.LabelComponent]; component != "" {
		return slices.Contains(components, component)
	}
	switch object.GetKind() {
	case "CustomResourceDefinition":
		group, _, _ := unstructured.NestedString(object.Object, "spec", "group")
		name, _, _ := strings.Cut(group, ".")
		return group == name+".toolkit.fluxcd.io" && slices.Contains(components, name+"-controller")
	case "Deployment", "ServiceAccount":
		return slices.Contains(components, object.GetName())
	default:
		return true
	}
}

// checkComplete refuses manifests that lack what everything else builds on. Kustomize does not mind an empty file.
func checkComplete(manifests []byte, options install.Options) error {
	missing := sets.New(
		"CustomResourceDefinition "+flux.GitRepository.Definition(),
		"CustomResourceDefinition "+flux.Kustomization.Definition(),
	)
	for _, component := range options.Components {
		missing.Insert("Deployment " + options.Namespace + "/" + component)
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
