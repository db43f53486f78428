// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package fluxready

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
)

// NewMapper knows all kinds that are looked at in shoots.
func NewMapper() meta.RESTMapper {
	mapper := meta.NewDefaultRESTMapper(nil)
	for _, kind := range flux.Kinds() {
		for _, version := range flux.Versions() {
			mapper.Add(kind.WithVersion(version), meta.RESTScopeNamespace)
		}
	}
	mapper.Add(appsv1.SchemeGroupVersion.WithKind("Deployment"), meta.RESTScopeNamespace)
	mapper.Add(corev1.SchemeGroupVersion.WithKind("Pod"), meta.RESTScopeNamespace)
	return mapper
}

// get reads an object of Flux, in the newest version that the shoot serves. It tries the version first in
// which it found the kind last, and returns the one in which it finds it now: "" if the shoot does not know the kind. The object is nil if there
// is none.
func get(ctx context.Context, shoot client.Client, kind schema.GroupKind, key client.ObjectKey, last string) (*unstructured.Unstructured, string, error) {
	versions := flux.Versions()
	if last != "" {
		versions = append([]string{last}, versions...)
	}
	for _, version := range versions {
		object := &unstructured.Unstructured{}
		object.SetGroupVersionKind(kind.WithVersion(version))
		switch err := shoot.Get(ctx, key, object); {
		case err == nil:
			return object, version, nil
		case isUnknownKind(err):
		case apierrors.IsNotFound(err):
			return nil, version, nil
		default:
			return nil, "", fmt.Errorf("failed to read %s %s of the shoot: %w", kind.Kind, key, err)
		}
	}
	return nil, "", nil
}

// isUnknownKind tells whether an API server does not serve the kind at all. Of an object that is missing it says so itself, and of a path that
// it does not know client-go says that the answer was not expected.
func isUnknownKind(err error) bool {
	return apierrors.IsNotFound(err) && apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse)
}
