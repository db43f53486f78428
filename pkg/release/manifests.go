// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/fluxcd/flux2/v2/pkg/manifestgen/install"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
)

// watcherArgument is what flux install gives others if it installs source-watcher too.
const watcherArgument = "        - --feature-gates=ExternalArtifact=true\n"

// componentsComment is the line of comment in which flux install says which components it was told.
var componentsComment = regexp.MustCompile(`(?m)^(# Components: )\S+$`)

// object is what tells the objects of a release apart.
type object struct {
	metav1.PartialObjectMetadata `json:",inline"`
	// Spec is that of a CustomResourceDefinition.
	Spec struct {
		Group string `json:"group"`
	} `json:"spec"`
}

func (o *object) String() string {
	return o.Kind + " " + strings.TrimPrefix(o.Namespace+"/"+o.Name, "/")
}

// selectManifests returns those of a release's rendered manifests that belong to the components that are installed.
// Flux's OCI artifacts have all components. The rest is left as it is, so that the result is the same as if flux install
// had been told these components.
func selectManifests(manifests []byte, version string) ([]byte, error) {
	options := install.MakeDefaultOptions()
	var selected bytes.Buffer
	withoutWatcher := false
	err := eachObject(manifests, func(document []byte, object *object) error {
		if other := object.Labels[flux.LabelVersion]; other != "" && other != version && object.Labels[flux.LabelPartOf] == flux.PartOf {
			return fmt.Errorf("%s is of Flux %s", object, other)
		}
		if !belongs(object, options.Components) {
			withoutWatcher = withoutWatcher || object.Labels[flux.LabelComponent] == flux.SourceWatcher
			return nil
		}
		selected.WriteString("---\n")
		selected.Write(bytes.TrimPrefix(bytes.TrimSpace(document), []byte("---\n")))
		selected.WriteString("\n")
		return nil
	})
	if err != nil {
		return nil, err
	}
	result := componentsComment.ReplaceAll(selected.Bytes(), []byte("${1}"+strings.Join(options.Components, ",")))
	if withoutWatcher {
		result = bytes.ReplaceAll(result, []byte(watcherArgument), nil)
	}
	return result, checkComplete(result, options)
}

// belongs tells whether an object is part of one of the components, or of what they have in common.
func belongs(object *object, components []string) bool {
	if component := object.Labels[flux.LabelComponent]; component != "" {
		return slices.Contains(components, component)
	}
	switch object.Kind {
	case "CustomResourceDefinition":
		name, _, _ := strings.Cut(object.Spec.Group, ".")
		return object.Spec.Group == name+".toolkit.fluxcd.io" && slices.Contains(components, name+"-controller")
	case "Deployment", "ServiceAccount":
		return slices.Contains(components, object.Name)
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
	err := eachObject(manifests, func(_ []byte, object *object) error {
		missing.Delete(object.String())
		return nil
	})
	if err == nil && missing.Len() > 0 {
		err = fmt.Errorf("its manifests have no %s", strings.Join(sets.List(missing), ", no "))
	}
	return err
}

// eachObject visits the documents of a YAML stream, except the empty ones.
func eachObject(manifests []byte, visit func(document []byte, object *object) error) error {
	documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(manifests)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("its manifests can't be read: %w", err)
		}
		object := &object{}
		if err := yaml.Unmarshal(document, object); err != nil {
			return fmt.Errorf("its manifests can't be read: %w", err)
		}
		if object.Kind == "" && object.Name == "" {
			continue
		}
		if err := visit(document, object); err != nil {
			return err
		}
	}
}
