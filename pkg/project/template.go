// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package project

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
)

// checkGroupVersion accepts a template that says nothing of its type, or one of the group's API versions: what the shoot's Flux serves is
// rendered from any of them.
func checkGroupVersion(template map[string]any, group string) detail {
	written, present := template["apiVersion"]
	if !present {
		return nil
	}
	text, _ := written.(string)
	version, err := schema.ParseGroupVersion(text)
	if err != nil || version.Group != group || version.Version == "" {
		return below("apiVersion", invalid(echo(text), fmt.Sprintf("write %s/v1, or leave out apiVersion and kind", group)))
	}
	return nil
}

// below is a detail of a field of a template.
func below(name string, wrong detail) detail {
	return func(path *field.Path) *field.Error {
		for part := range strings.SplitSeq(name, ".") {
			path = path.Child(part)
		}
		return wrong(path)
	}
}

func checkSourceTemplate(value any) detail {
	template, ok := value.(map[string]any)
	if !ok || len(template) == 0 {
		return required("write an object: a GitRepository, an OCIRepository or a Bucket")
	}
	if wrong := checkGroupVersion(template, sourceGroup); wrong != nil {
		return wrong
	}
	if wrong := checkMetadata(template); wrong != nil {
		return wrong
	}
	spec, _ := template["spec"].(map[string]any)
	switch kind, written := template["kind"]; {
	case !written, kind == "GitRepository":
		return checkGitTemplate(spec)
	case kind == "OCIRepository":
		return checkOCITemplate(spec)
	case kind == "Bucket":
		return checkBucketTemplate(spec)
	default:
		text, _ := kind.(string)
		return below("kind", func(path *field.Path) *field.Error {
			return field.NotSupported(path, echo(text), []string{"GitRepository", "OCIRepository", "Bucket"})
		})
	}
}

const (
	sourceGroup    = "source.toolkit.fluxcd.io"
	kustomizeGroup = "kustomize.toolkit.fluxcd.io"
)

func checkMetadata(template map[string]any) detail {
	metadata, _ := template["metadata"].(map[string]any)
	if name, _ := metadata["name"].(string); name != "" && len(apivalidation.NameIsDNSSubdomain(name, false)) > 0 {
		return below("metadata.name", invalid(echo(name), `write the name of an object: small letters, digits, "-" and "."`))
	}
	if namespace, _ := metadata["namespace"].(string); namespace != "" {
		if wrong := checkNamespace(namespace); wrong != nil {
			return below("metadata.namespace", wrong)
		}
	}
	return nil
}

func checkGitTemplate(spec map[string]any) detail {
	text, _ := spec["url"].(string)
	if text == "" {
		return below("spec.url", required("write the URL of a Git repository"))
	}
	if wrong := checkTemplateURL(text, "https", "http", "ssh"); wrong != nil {
		return below("spec.url", wrong)
	}
	if !hasOneOf(spec["ref"], "branch", "tag", "semver", "name", "commit") {
		return below("spec.ref", required("write branch, tag, semver, name or commit"))
	}
	return nil
}

func checkOCITemplate(spec map[string]any) detail {
	text, _ := spec["url"].(string)
	if text == "" {
		return below("spec.url", required("write the URL of an OCI repository"))
	}
	if wrong := checkTemplateURL(text, "oci"); wrong != nil {
		return below("spec.url", wrong)
	}
	if !hasOneOf(spec["ref"], "tag", "semver", "digest") {
		return below("spec.ref", required("write tag, semver or digest"))
	}
	return nil
}

func checkBucketTemplate(spec map[string]any) detail {
	for _, name := range []string{"endpoint", "bucketName"} {
		if text, _ := spec[name].(string); text == "" {
			return below("spec."+name, required("a Bucket needs endpoint and bucketName"))
		}
	}
	return nil
}

func hasOneOf(reference any, names ...string) bool {
	fields, _ := reference.(map[string]any)
	return slices.ContainsFunc(names, func(name string) bool {
		text, _ := fields[name].(string)
		return text != ""
	})
}

// checkTemplateURL repeats nothing of the URL: it may hold a secret.
func checkTemplateURL(text string, schemes ...string) detail {
	u, err := url.Parse(text)
	if err != nil || !slices.Contains(schemes, u.Scheme) || u.Host == "" {
		return invalidHidden(fmt.Sprintf("it must start with %s://, and have a host", strings.Join(schemes, ":// or ")))
	}
	if _, hasPassword := u.User.Password(); hasPassword || u.User != nil && u.Scheme != schemeSSH {
		return invalidHidden("it must not hold a user, password or token, because many people can read it: put them into a Secret, and name it in spec.secretRef")
	}
	return nil
}

func checkKustomizationTemplate(value any) detail {
	template, ok := value.(map[string]any)
	if !ok || len(template) == 0 {
		return required("write an object: a Kustomization")
	}
	if wrong := checkGroupVersion(template, kustomizeGroup); wrong != nil {
		return wrong
	}
	if wrong := checkMetadata(template); wrong != nil {
		return wrong
	}
	if kind, written := template["kind"]; written && kind != "Kustomization" {
		text, _ := kind.(string)
		return below("kind", func(path *field.Path) *field.Error {
			return field.NotSupported(path, echo(text), []string{"Kustomization"})
		})
	}
	spec, _ := template["spec"].(map[string]any)
	if text, _ := spec["path"].(string); text == "" {
		return below("spec.path", required(`write the directory in what is followed, such as "./clusters/production"`))
	}
	return nil
}

// requireSource: a Kustomization alone follows nothing.
func requireSource(c *fluxv1alpha1.FluxConfig, name naming) detail {
	if c.Kustomization != nil && c.Source == nil && (c.Repository == nil || c.Repository.URL == "") {
		return required(fmt.Sprintf("%s is written, and there is nothing that it could follow: write %s as well, or %s", name(fieldKustomizationTemplate), name(fieldSourceTemplate), name(fieldURL)))
	}
	return nil
}

// requireKustomization: a source alone is not followed.
func requireKustomization(c *fluxv1alpha1.FluxConfig, name naming) detail {
	if c.Source != nil && c.Kustomization == nil && (c.Repository == nil || c.Repository.Path == "") {
		return required(fmt.Sprintf("%s is written, and nothing follows it: write %s as well, or %s", name(fieldSourceTemplate), name(fieldKustomizationTemplate), name(fieldPath)))
	}
	return nil
}
