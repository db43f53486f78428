// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package render

import (
	"maps"

	"github.com/Masterminds/semver/v3"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
)

// protection are the annotations by which kustomize-controller leaves an object of the shoot alone, although it is among what a
// repository holds: it neither applies nor prunes it. It reads them on the object in the shoot, so that no repository can take them away
// (ApplyOptions.ExclusionSelector and DeleteOptions.Exclusions of github.com/fluxcd/pkg/ssa). Which release of Flux heeds which, by the
// CHANGELOG of kustomize-controller:
//
//	| annotation | since Flux                          | not applied | not pruned |
//	|------------|-------------------------------------|-------------|------------|
//	| ssa        | v2.1 (kustomize-controller v1.1.0)  | yes         | yes        |
//	| reconcile  | v0.21 (kustomize-controller v0.17.0)| yes         | yes        |
//	| prune      | v0.8 (kustomize-controller v0.8.0)  |             | yes        |
var protection = map[string]string{
	kustomizev1.GroupVersion.Group + "/ssa":       "Ignore",
	kustomizev1.GroupVersion.Group + "/reconcile": "disabled",
	pruneAnnotation: "disabled",
}

// Protect makes Flux leave an object alone that the repository holds too, such as the files that `flux bootstrap` commits.
func Protect(object client.Object) {
	annotations := maps.Clone(object.GetAnnotations())
	if annotations == nil {
		annotations = map[string]string{}
	}
	maps.Copy(annotations, protection)
	object.SetAnnotations(annotations)
}

// Unprotect takes Protect back, so that Flux may apply the object from a repository. It tells whether anything has changed.
func Unprotect(object client.Object) bool {
	annotations := maps.Clone(object.GetAnnotations())
	maps.DeleteFunc(annotations, func(key, _ string) bool { return protection[key] != "" })
	if len(annotations) == len(object.GetAnnotations()) {
		return false
	}
	if len(annotations) == 0 {
		annotations = nil
	}
	object.SetAnnotations(annotations)
	return true
}

// pruneAnnotation keeps Flux from deleting an object, but not from applying it.
var pruneAnnotation = kustomizev1.GroupVersion.Group + "/prune"

// PreventPruning makes Flux leave an object in the shoot that it has deployed, though the repository no longer holds it. The repository can
// still change it. It tells whether anything has changed.
func PreventPruning(object client.Object) bool {
	if preventsPruning(object.GetAnnotations()) {
		return false
	}
	annotations := maps.Clone(object.GetAnnotations())
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[pruneAnnotation] = protection[pruneAnnotation]
	object.SetAnnotations(annotations)
	return true
}

// preventsPruning tells whether Flux leaves an object with these annotations in the shoot, whatever the repository holds.
func preventsPruning(annotations map[string]string) bool {
	return annotations[pruneAnnotation] == protection[pruneAnnotation]
}

// IsProtected tells whether Protect has been called for the object with these annotations.
func IsProtected(annotations map[string]string) bool {
	for key, value := range protection {
		if annotations[key] != value {
			return false
		}
	}
	return true
}

// heeding is the first release of Flux that applies no protected object.
var heeding = semver.New(0, 21, 0, "", "")

// HeedsProtection tells whether a release of Flux, such as v2.9.4, leaves the objects alone that are protected. Older ones don't prune them,
// but write them if a repository holds them. Of a version that can't be read it is taken to be true.
func HeedsProtection(fluxVersion string) bool {
	version, err := semver.NewVersion(fluxVersion)
	return err != nil || !version.LessThan(heeding)
}
