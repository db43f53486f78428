// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package project

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
)

// upstreamRegistry is where Flux's images come from if nobody says anything else. To write it must not defeat the landscape's registry.
const upstreamRegistry = "ghcr.io/fluxcd"

const (
	// maxEntries of a list.
	maxEntries = 32
	// maxTextLength in bytes of a text without key.
	maxTextLength = 512
)

// registryName is a host, maybe with a port, and a path.
var registryName = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$`)

// reservedNamespaces belong to Kubernetes. When Flux goes, its namespace does.
var reservedNamespaces = []string{"default", "kube-system", "kube-public", "kube-node-lease"}

// checkOther says what is wrong with the value of a field without key.
func checkOther(path string, value any) detail {
	switch path {
	case fieldRegistry:
		return checkRegistry(value.(string))
	case fieldNamespace:
		return checkNamespace(value.(string))
	case fieldComponents, fieldComponentsExtra:
		return checkComponents(value.([]any))
	case fieldSourceTemplate:
		return checkSourceTemplate(value)
	case fieldKustomizationTemplate:
		return checkKustomizationTemplate(value)
	case fieldSecretResourceName:
		if len(value.(string)) > maxTextLength {
			return tooLong(maxTextLength)
		}
	case fieldAdditionalSecrets:
		return checkSecretResources(value.([]any))
	}
	return nil
}

func tooLong(limit int) detail {
	return func(path *field.Path) *field.Error { return field.TooLong(path, "", limit) }
}

func checkRegistry(registry string) detail {
	if len(registry) > maxTextLength || !registryName.MatchString(strings.TrimSuffix(registry, "/")) {
		return invalid(echo(registry), `write host and path, without scheme and tag, such as "registry.example.org/mirror/fluxcd"`)
	}
	return nil
}

// dropUpstreamRegistry takes the upstream registry for not written.
func (l *layer) dropUpstreamRegistry() {
	if registry, ok := l.values[fieldRegistry].(string); ok {
		if registry = strings.TrimSuffix(registry, "/"); registry == upstreamRegistry {
			l.drop(fieldRegistry)
		} else {
			l.values[fieldRegistry] = registry
		}
	}
}

func checkNamespace(namespace string) detail {
	switch problems := validation.IsDNS1123Label(namespace); {
	case len(problems) > 0:
		return invalid(echo(namespace), `write the name of a namespace: small letters, digits and "-", at most 63`)
	case slices.Contains(reservedNamespaces, namespace):
		return invalid(namespace, "it belongs to Kubernetes, and the namespace of Flux goes with it: write another one, such as "+flux.Namespace)
	}
	return nil
}

// checkComponents wants names that Flux has.
func checkComponents(names []any) detail {
	if len(names) > maxEntries {
		return func(path *field.Path) *field.Error { return field.TooMany(path, len(names), maxEntries) }
	}
	for _, name := range names {
		if text, _ := name.(string); !slices.Contains(flux.Components(), text) {
			return func(path *field.Path) *field.Error { return field.NotSupported(path, echo(text), flux.Components()) }
		}
	}
	return nil
}

// requireComponents wants those without which nothing is followed.
func requireComponents(c *fluxv1alpha1.FluxConfig, _ naming) detail {
	for _, needed := range []string{flux.SourceController, flux.KustomizeController} {
		if !slices.Contains(c.Flux.AllComponents(), needed) {
			return required(fmt.Sprintf("%s is missing, without which nothing is followed: add it, or leave out the list to have the usual ones", needed))
		}
	}
	return nil
}

func checkSecretResources(entries []any) detail {
	if len(entries) > maxEntries {
		return func(path *field.Path) *field.Error { return field.TooMany(path, len(entries), maxEntries) }
	}
	targets := map[string]int{}
	for i, entry := range entries {
		fields, _ := entry.(map[string]any)
		if wrong := checkSecretResource(fields, i); wrong != nil {
			return wrong
		}
		target, _ := fields["targetName"].(string)
		if other, ok := targets[target]; ok && target != "" {
			return at(i, "targetName", invalid(target, fmt.Sprintf("entry %d has the same: each needs a Secret of its own", other)))
		}
		targets[target] = i
	}
	return nil
}

func checkSecretResource(fields map[string]any, i int) detail {
	name, _ := fields["name"].(string)
	if name == "" || len(name) > maxTextLength {
		return at(i, "name", required("write the name of an entry of spec.resources of the Shoot that refers to a Secret"))
	}
	target, _ := fields["targetName"].(string)
	if target != "" && len(apivalidation.NameIsDNSSubdomain(target, false)) > 0 {
		return at(i, "targetName", invalid(echo(target), `write the name of a Secret: small letters, digits, "-" and "."`))
	}
	labels, _ := fields["labels"].(map[string]any)
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		value, _ := labels[key].(string)
		if len(validation.IsQualifiedName(key)) > 0 || len(validation.IsValidLabelValue(value)) > 0 {
			return at(i, "labels", invalid(echo(key), "it is not a label of Kubernetes: see https://kubernetes.io/docs/concepts/overview/working-with-objects/labels"))
		}
	}
	return nil
}

// at is a detail of a field of an entry of a list.
func at(i int, name string, wrong detail) detail {
	return func(path *field.Path) *field.Error { return wrong(path.Index(i).Child(name)) }
}
