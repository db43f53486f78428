// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package project

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
)

// OriginConfig is the project's admin as well, by key config of ConfigMap flux-config.
const OriginConfig = keyConfig

// Fields of FluxConfig, by their paths, of which others say where they are written.
const (
	FieldVersion         = fieldVersion
	FieldAllowDowngrade  = "flux.allowDowngrade"
	FieldNamespace       = fieldNamespace
	FieldComponents      = fieldComponents
	FieldComponentsExtra = fieldComponentsExtra
	FieldInstallation    = fieldInstallation
	FieldSyncMode        = fieldSyncMode

	FieldURL        = fieldURL
	FieldType       = fieldType
	FieldPath       = fieldPath
	FieldKnownHosts = fieldKnownHosts

	FieldBranch  = fieldBranch
	FieldTag     = fieldTag
	FieldSemver  = fieldSemver
	FieldCommit  = fieldCommit
	FieldRefName = fieldRefName
	FieldDigest  = fieldDigest

	FieldVerify        = "repository.verify"
	FieldVerifyKeys    = fieldVerifyKeys
	FieldVerifyIssuer  = fieldVerifyIssuer
	FieldVerifySubject = fieldVerifySubject

	FieldSourceTemplate        = fieldSourceTemplate
	FieldSecretResourceName    = fieldSecretResourceName
	FieldKustomizationTemplate = fieldKustomizationTemplate
	FieldAdditionalSecrets     = fieldAdditionalSecrets

	FieldSuspend = "suspend"
)

// Origins say who wrote a value, by the path of the field. What nobody wrote is missing.
type Origins map[string]string

// Location is where a field of the configuration is written, or is to be written. Sentences about that take their words from here.
type Location struct {
	// Path is of the field, or of a part that has fields of its own.
	Path string
	// Origin is who wrote it.
	Origin string
}

// Of is where a field is written. Of a part, the highest layer counts that wrote some of it. What nobody wrote is to be written into ConfigMap
// flux-config; what belongs to a repository, beside the URL: that of one shoot says nothing about the others.
func (o Origins) Of(path string) Location {
	origin := o.highest(path)
	if origin == "" && isOfRepository(path) {
		origin = o.highest(FieldURL)
	}
	return locate(path, origin)
}

// Beside is where a field is to be written for what another one says: in the higher of their layers. In a lower one it would have no effect, or
// one on more shoots. In the same layer it stays where it is: written twice, it would be refused.
func (o Origins) Beside(path, other string) Location {
	origin := o.highest(path)
	if above := o.highest(other); origin == "" || above != "" && levelOf(above) > levelOf(origin) {
		origin = above
	}
	return locate(path, origin)
}

// Upgrade says how the shoot gets a newer release of Flux. If Flux is its users', with the mode, no version that is written changes it.
func (o Origins) Upgrade(fluxOfUsers bool, mode fluxv1alpha1.SyncMode) string {
	if fluxOfUsers {
		return fmt.Sprintf("upgrade Flux in the shoot, whose users it belongs to (%s), or %s, so that the extension does", leavesFlux(mode), o.ManageFlux(mode))
	}
	return fmt.Sprintf("set %s to a newer release", o.Of(FieldVersion))
}

// WhoLeavesFlux is the field, with its value, that leaves Flux to the shoot's users, and where it is written.
func (o Origins) WhoLeavesFlux(mode fluxv1alpha1.SyncMode) (string, Location) {
	if mode == fluxv1alpha1.SyncManifestsOnly {
		return leavesFlux(mode), o.Of(FieldSyncMode)
	}
	return leavesFlux(mode), o.Of(FieldInstallation)
}

func leavesFlux(mode fluxv1alpha1.SyncMode) string {
	if mode == fluxv1alpha1.SyncManifestsOnly {
		return FieldSyncMode + ": " + string(mode)
	}
	return FieldInstallation + ": " + string(fluxv1alpha1.InstallationOnce)
}

// ManageFlux says how a Flux that belongs to the shoot's users becomes the extension's. SyncManifestsOnly would refuse it alone, and, if it is not all that
// leaves Flux to them, is not enough alone.
func (o Origins) ManageFlux(mode fluxv1alpha1.SyncMode) string {
	manage := fmt.Sprintf("set %s to %s", o.Of(FieldInstallation), fluxv1alpha1.InstallationManaged)
	switch {
	case mode != fluxv1alpha1.SyncManifestsOnly:
		return manage
	case o.highest(FieldInstallation) == "":
		return o.ManageFollowed()
	}
	return o.ManageFollowed() + ", and " + manage
}

// ManageFollowed says how a source and a Kustomization that belong to the shoot's users become the extension's.
func (o Origins) ManageFollowed() string {
	return fmt.Sprintf("set %s to %s", o.Of(FieldSyncMode), fluxv1alpha1.SyncManaged)
}

// locate takes the ConfigMap of the project if nobody has written anything, and there key config for what has no key.
func locate(path, origin string) Location {
	origin = cmp.Or(origin, OriginProject)
	if origin == OriginProject && len(keysOf(path)) == 0 {
		origin = OriginConfig
	}
	return Location{Path: path, Origin: origin}
}

// highest is the origin in the highest layer that wrote a field, or one of a part; or "" if none did. It is always the same one.
func (o Origins) highest(path string) string {
	highest := ""
	for _, written := range slices.Sorted(maps.Keys(o)) {
		isMeant := written == path || strings.HasPrefix(written, path+".")
		if origin := o[written]; isMeant && (highest == "" || levelOf(origin) > levelOf(highest)) {
			highest = origin
		}
	}
	return highest
}

// levelOf is the place of an origin among the layers.
func levelOf(origin string) int {
	switch origin {
	case OriginLandscape:
		return -2
	case OriginConfig, OriginProject:
		return -1
	case OriginShoot, OriginForm:
		return math.MaxInt
	}
	index, _ := strconv.Atoi(strings.Trim(strings.TrimPrefix(origin, keyOverrides), "[]"))
	return index
}

// IsInConfigMap tells of an origin whether it is ConfigMap flux-config of the project.
func IsInConfigMap(origin string) bool {
	return origin == OriginProject || origin == OriginConfig || strings.HasPrefix(origin, keyOverrides+"[")
}

// IsKey tells whether the field is written as a key of ConfigMap flux-config, whose values are text.
func (l Location) IsKey() bool { return l.Origin == OriginProject }

// Name is what people know the field by there.
func (l Location) Name() string {
	names := keysOf(l.Path)
	if !l.IsKey() || len(names) == 0 {
		return l.Path
	}
	last := len(names) - 1
	return strings.TrimPrefix(strings.Join(names[:last], ", ")+" and "+names[last], " and ")
}

// Place is what it is written in. The namespace of the project names the ConfigMap to those who don't see which one it is, and can be empty.
func (l Location) Place(namespace string) string {
	configMap := "ConfigMap " + ConfigMapName
	if namespace != "" {
		configMap = "ConfigMap " + namespace + "/" + ConfigMapName + " of the garden"
	}
	switch l.Origin {
	case OriginLandscape:
		return "the defaults of the landscape (value defaults of the chart)"
	case OriginProject:
		return configMap
	case OriginConfig:
		return "key " + keyConfig + " of " + configMap
	case OriginShoot, OriginForm:
		return "the providerConfig of the shoot"
	}
	return l.Origin + " of " + configMap // such as overrides[1]
}

// Cause is what a value comes from: the place, or the form of a providerConfig, which has defaults that nobody has written there.
func (l Location) Cause() string {
	if l.Origin == OriginForm {
		return "the form of " + l.Place("")
	}
	return l.Place("")
}

// String names the field and the place.
func (l Location) String() string {
	if l.IsKey() {
		return "key " + l.Name() + " of " + l.Place("")
	}
	return l.Name() + " in " + l.Place("")
}

// keysOf are the names of the keys that stand for a field, or for the fields of a part.
func keysOf(path string) []string {
	var names []string
	for _, key := range keys {
		if key.Field != "" && (key.Field == path || strings.HasPrefix(key.Field, path+".")) {
			names = append(names, key.Name)
		}
	}
	return names
}

// originOf is who wrote a field in this layer, and for the project's ConfigMap also how.
func (l *layer) originOf(path string) string {
	if l.origin == OriginProject && strings.HasPrefix(l.names[path], l.prefix) {
		return OriginConfig
	}
	return l.origin
}
