// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package readiness

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/sourcesecret"
)

// Where people write what a shoot follows. What Observation.Origins does not know was written in the project's flux-config.
const (
	// OriginLandscape, OriginProject and OriginShoot are the layers of the configuration. One of label overrides is overrides[0], and so on.
	OriginLandscape = "landscape"
	OriginProject   = "project"
	OriginShoot     = "shoot"
)

// field says what a field of the configuration is called.
type field struct {
	// path is its name in a FluxConfig, template that in an object as written, and key that of flux-config.
	path, template, key string
	// written is the field that says who wrote the template.
	written string
}

var fields = map[string]field{
	"version":    {path: "flux.version", key: "fluxVersion"},
	"url":        {path: "repository.url", template: "source.template.spec.url", key: "repositoryUrl", written: "source.template"},
	"type":       {path: "repository.type", key: "repositoryType"},
	"knownHosts": {path: "repository.knownHosts", key: "knownHosts"},
	"verify":     {path: "repository.verify", template: "source.template.spec.verify", key: "verifyKeys, verifyIssuer and verifySubject", written: "source.template"},
	"reference":  {path: "repository", template: "source.template.spec.ref", written: "source.template"},
	"suspend":    {path: "suspend", key: "suspend"},
	"path":       {path: "repository.path", template: "kustomization.template.spec.path", key: "repositoryPath", written: "kustomization.template"},
}

// where names a field of the configuration, and the place where it was written.
func (o Observation) where(name string) string {
	called, place := o.field(name)
	return called + " in " + place
}

// field is what a field of the configuration is called where it was written, and the place where that is.
func (o Observation) field(name string) (called, place string) {
	of := fields[name]
	if name == "reference" {
		kind := string(o.Source.Reference.Kind)
		of.path, of.key = "repository."+kind, "repository"+strings.ToUpper(kind[:min(len(kind), 1)])+kind[min(len(kind), 1):]
	}
	if name == "url" && o.SourceKind.GroupKind == flux.Bucket.GroupKind {
		of.template = "source.template.spec.endpoint or source.template.spec.bucketName"
	}
	if o.OwnedByUsers && of.written != "" {
		return strings.ReplaceAll(of.template, of.written+".", ""), o.objectOf(of.written)
	}
	if of.written != "" && o.Origins[of.written] != "" {
		return of.template, o.placeOf(of.written)
	}
	if o.originOf(of.path) == OriginProject {
		return of.key, o.placeOf(of.path)
	}
	return of.path, o.placeOf(of.path)
}

// objectOf names the object of the shoot that a template stands for.
func (o Observation) objectOf(template string) string {
	if template == "kustomization.template" {
		return "the Kustomization " + nameOf(o.KustomizationKey) + " of the shoot"
	}
	return "the " + o.SourceKind.Kind + " " + nameOf(o.SourceKey) + " of the shoot"
}

// whoSuspends names what says that Flux is not to work on an object of a kind, and where that was written.
func (o Observation) whoSuspends(kind flux.ObjectKind) string {
	template := "source.template"
	if kind.GroupKind == flux.Kustomization.GroupKind {
		template = "kustomization.template"
	}
	if o.Origins["suspend"] == "" && o.Origins[template] != "" {
		return template + ".spec.suspend in " + o.placeOf(template)
	}
	return o.where("suspend")
}

// placeOf names the place where a field was written.
func (o Observation) placeOf(path string) string {
	configMap := fmt.Sprintf("ConfigMap %s/%s of the garden", o.Project, project.ConfigMapName)
	switch origin := o.originOf(path); origin {
	case OriginProject:
		return configMap
	case OriginShoot:
		return "the Shoot's providerConfig"
	case OriginLandscape:
		return "the landscape's defaults"
	default:
		return origin + " of " + configMap
	}
}

// originOf is who wrote a field, or one of the fields of which it consists.
func (o Observation) originOf(path string) string {
	for _, written := range slices.Sorted(maps.Keys(o.Origins)) {
		if written == path || strings.HasPrefix(written, path+".") {
			return o.Origins[written]
		}
	}
	return OriginProject
}

// fromTemplate tells whether the source was written as an object.
func (o Observation) fromTemplate() bool {
	return o.Origins["source.template"] != ""
}

// secret names the Secret that Flux gets its credentials from.
func (o Observation) secret() string {
	if o.fromTemplate() {
		return "the Secret that source.secretResourceName names in " + o.placeOf("source.template")
	}
	return fmt.Sprintf("Secret %s/%s of the garden", o.Project, sourcesecret.SecretName)
}
