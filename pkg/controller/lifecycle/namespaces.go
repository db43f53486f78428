// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
)

// Where Flux and what it follows are in the shoot is noted before anything comes there (FluxState), because who removes it may know nothing else.

// namespaceIn is where Flux is, or is getting.
func namespaceIn(state fluxv1alpha1.FluxState) string {
	return cmp.Or(state.Namespace, flux.Namespace)
}

// followedNamespaces are those of the source and the Kustomization that are noted. Others than that of Flux are there only if a template says so.
func followedNamespaces(state fluxv1alpha1.FluxState) []string {
	installed := namespaceIn(state)
	return []string{flux.KeyOf(state.Source, installed).Namespace, flux.KeyOf(state.Kustomization, installed).Namespace}
}

// rootIn is the Kustomization by which the extension makes Flux follow something. It is empty if nothing is noted.
func rootIn(state fluxv1alpha1.FluxState) client.ObjectKey {
	if state.FluxVersion == "" {
		return client.ObjectKey{}
	}
	return flux.KeyOf(state.Kustomization, namespaceIn(state))
}

// writtenBefore is where a field is written, or was when the shoot got what it has. Somebody who removes it from one shoot is not to write it for all
// of the project: if nobody knows where it was, it is to be written for this one.
func (r *reconciliation) writtenBefore(path string) project.Location {
	origins := r.desired.origins
	if _, written := origins[path]; !written {
		origins = project.Origins{path: project.OriginShoot}
		for _, before := range fluxv1alpha1.StatusOf(r.extension).Configuration {
			if before.Field == path {
				origins[path] = before.Origin
			}
		}
	}
	return origins.Of(path)
}

// checkNamespace refuses to move Flux: what is in its namespace, of the shoot's users too, would be left behind, and for a while two would run.
func (r *reconciliation) checkNamespace(context.Context) error {
	state := r.observed.state
	if installed := namespaceIn(state); state.FluxVersion != "" && installed != r.desired.Flux.Namespace {
		return fmt.Errorf("Flux is in namespace %[1]s of the shoot, and does not move to %[2]s: set %[3]s to %[1]s, or switch the extension off and, when Flux is gone, on again",
			installed, r.desired.Flux.Namespace, r.writtenBefore(project.FieldNamespace))
	}
	return nil
}

// noteNamespace notes where Flux is about to be.
func (r *reconciliation) noteNamespace(state *fluxv1alpha1.FluxState) {
	if state.Namespace = r.desired.Flux.Namespace; state.Namespace == flux.Namespace {
		state.Namespace = ""
	}
	state.NamespaceOfUsers = state.NamespaceOfUsers || r.desired.namespaceOfUsers
}

// checkUsersNamespace finds out, before anything is noted, whether Flux gets into a namespace that the shoot's users have made. One by the name of
// flux-system is Flux's, whoever made it.
func (r *reconciliation) checkUsersNamespace(ctx context.Context, shootClient client.Client) error {
	name := r.desired.Flux.Namespace
	if r.observed.state.FluxVersion != "" || name == flux.Namespace {
		return nil
	}
	there := &metav1.PartialObjectMetadata{}
	there.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	if err := shootClient.Get(ctx, client.ObjectKey{Name: name}, there); apierrors.IsNotFound(err) {
		return nil
	} else if err != nil {
		return fmt.Errorf("failed to read Namespace %s of the shoot: %w", name, err)
	}
	isFlux := labels.SelectorFromSet(flux.InstallationLabels(name)).Matches(labels.Set(there.Labels))
	r.desired.namespaceOfUsers = !isFlux && !managedresource.CameFrom(there, r.extension.Namespace)
	return nil
}

// checkBeforeReplacing fails if gardener-resource-manager does not manage a namespace yet where a shoot is to get a Secret or a ConfigMap in place of what it has:
// it would delete that before it fails to apply the rest. All else it applies everywhere. The namespaces are written into the status, from which the
// webhook takes them when Gardener next reconciles the shoot.
func (r *reconciliation) checkBeforeReplacing(ctx context.Context) error {
	if !hasApplied(r.observed.configuration) {
		return nil
	}
	var needed []string
	for _, object := range r.desired.objects {
		switch object.(type) {
		case *corev1.Secret, *corev1.ConfigMap:
			if namespace := object.GetNamespace(); namespace != namespacesOf(r.desired.status)[0] && !slices.Contains(needed, namespace) {
				needed = append(needed, namespace)
			}
		}
	}
	if len(needed) == 0 {
		return nil
	}
	problem := r.checkNamespacesManaged(ctx, needed...)
	if problem == nil {
		return nil
	}
	status := fluxv1alpha1.StatusOf(r.extension)
	for _, namespace := range needed {
		if !slices.Contains(status.OtherNamespaces, namespace) {
			status.OtherNamespaces = append(slices.Clip(status.OtherNamespaces), namespace)
		}
	}
	if err := r.writeStatus(ctx, status); err != nil {
		return mustFail(err)
	}
	return problem
}
