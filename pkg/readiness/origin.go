// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package readiness

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/sourcesecret"
)

// field is what of the configuration a sentence is about.
type field struct {
	// path is of the field, or of a part that has fields of its own.
	path string
	// template is its name in an object as written, and written the field that such an object is in.
	template, written string
}

var fields = map[string]field{
	"version":    {path: project.FieldVersion},
	"url":        {path: project.FieldURL, template: "source.template.spec.url", written: project.FieldSourceTemplate},
	"type":       {path: project.FieldType},
	"knownHosts": {path: project.FieldKnownHosts},
	"verify":     {path: project.FieldVerify, template: "source.template.spec.verify", written: project.FieldSourceTemplate},
	"reference":  {path: "repository", template: "source.template.spec.ref", written: project.FieldSourceTemplate},
	"suspend":    {path: project.FieldSuspend},
	"syncMode":   {path: project.FieldSyncMode},
	"secretRef":  {template: "source.template.spec.secretRef", written: project.FieldSourceTemplate},
	"path":       {path: project.FieldPath, template: "kustomization.template.spec.path", written: project.FieldKustomizationTemplate},

	"decryption":       {template: "kustomization.template.spec.decryption", written: project.FieldKustomizationTemplate},
	"dependsOn":        {template: "kustomization.template.spec.dependsOn", written: project.FieldKustomizationTemplate},
	"healthCheckExprs": {template: "kustomization.template.spec.healthCheckExprs", written: project.FieldKustomizationTemplate},
	"sourceRef":        {template: "kustomization.template.spec.sourceRef", written: project.FieldKustomizationTemplate},
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
		of.path = "repository." + string(cmp.Or(o.Source.Reference.Kind, flux.Tag)) // artifacts can be followed without one
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
	return o.Origins.Of(of.path).Name(), o.placeOf(of.path)
}

// objectOf names the object of the shoot that a template stands for.
func (o Observation) objectOf(template string) string {
	if template == project.FieldKustomizationTemplate {
		return "the Kustomization " + nameOf(o.KustomizationKey) + " of the shoot"
	}
	return "the " + o.SourceKind.Kind + " " + nameOf(o.SourceKey) + " of the shoot"
}

// whoSuspends names what says that Flux is not to work on an object of a kind, and where that was written.
func (o Observation) whoSuspends(kind flux.ObjectKind) string {
	template := project.FieldSourceTemplate
	if kind.GroupKind == flux.Kustomization.GroupKind {
		template = project.FieldKustomizationTemplate
	}
	if o.Origins[project.FieldSuspend] == "" && o.Origins[template] != "" {
		return template + ".spec.suspend in " + o.placeOf(template)
	}
	return o.where("suspend")
}

// placeOf names the place where a field was written.
func (o Observation) placeOf(path string) string { return o.Origins.Of(path).Place(o.Project) }

// isMeant tells whether a field of the Kustomization is as somebody wrote it for good: in its template, or in the shoot if it belongs to its users. What
// was written there is rendered, and has a digest.
func (o Observation) isMeant(field string) bool {
	if o.OwnedByUsers {
		return true
	}
	digests := o.FluxStatus.Fields
	return o.Origins[project.FieldKustomizationTemplate] != "" && (len(digests) == 0 || digests[flux.Kustomization.Kind+"."+field] != "")
}

// fromTemplate tells whether the source was written as an object.
func (o Observation) fromTemplate() bool {
	return o.Origins[project.FieldSourceTemplate] != ""
}

// secret names the Secret that Flux gets its credentials from.
func (o Observation) secret() string {
	switch {
	case !o.fromTemplate():
		return fmt.Sprintf("Secret %s/%s of the garden", o.Project, sourcesecret.SecretName)
	case o.Origins[project.FieldSecretResourceName] != "":
		return "the Secret that source.secretResourceName names in " + o.placeOf(project.FieldSecretResourceName)
	case o.Source.HasCredentials:
		called, place := o.field("secretRef")
		return fmt.Sprintf("the Secret of the shoot that %s names in %s", called, place)
	default:
		return "a Secret that source.secretResourceName names in " + o.placeOf(project.FieldSourceTemplate)
	}
}
