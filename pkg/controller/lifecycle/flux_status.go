// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1beta1helper "github.com/gardener/gardener/pkg/api/core/v1beta1/helper"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/readiness"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/sourcesecret"
)

// How much status.providerStatus repeats of what a project's admin wrote. The longest RSA key that OpenSSH makes has 2.7 kB.
const (
	maxStatusURL       = 2048
	maxStatusReference = 300
	maxStatusKey       = 4096
	maxStatusHostKey   = 200
	maxStatusHostKeys  = 16
)

// describeSource says where Flux is, what the shoot follows by the objects that it is to have, and how Flux gets in. credentials are nil for a public repository.
func describeSource(status *fluxv1alpha1.FluxStatus, namespace string, objects []client.Object, credentials *sourcesecret.Credentials) error {
	setNamespaces(status, namespace, namespacesAmong(objects)...)
	status.RepositoryURL, status.Reference, status.PublicKey, status.HostKeys = "", "", "", nil
	followed, err := sourceAmong(objects)
	if err != nil {
		return err
	}
	if followed != nil {
		status.RepositoryURL = readiness.Shorten(followed.URL, maxStatusURL)
		status.Reference = readiness.Shorten(followed.Reference.String(), maxStatusReference)
	}
	if credentials == nil {
		return nil
	}
	status.PublicKey = readiness.Shorten(credentials.PublicKey(), maxStatusKey)
	for i, key := range credentials.HostKeys {
		if i == maxStatusHostKeys {
			status.HostKeys = append(status.HostKeys, fmt.Sprintf("and %d more", len(credentials.HostKeys)-i))
			break
		}
		status.HostKeys = append(status.HostKeys, readiness.Shorten(key.Type+" "+key.Fingerprint, maxStatusHostKey))
	}
	return nil
}

// setNamespaces says where Flux is, and what else of it is in other namespaces.
func setNamespaces(status *fluxv1alpha1.FluxStatus, namespace string, others ...string) {
	status.Namespace, status.OtherNamespaces = "", nil
	if namespace = cmp.Or(namespace, flux.Namespace); namespace != flux.Namespace {
		status.Namespace = namespace
	}
	known := namespacesOf(*status)
	for _, other := range others {
		if !slices.Contains(known, other) {
			known = append(known, other)
		}
	}
	if len(known) > 1 {
		status.OtherNamespaces = slices.Clone(known[1:])
	}
}

func namespacesAmong(objects []client.Object) []string {
	var namespaces []string
	for _, object := range objects {
		if namespace := object.GetNamespace(); namespace != "" {
			namespaces = append(namespaces, namespace)
		}
	}
	return namespaces
}

// namespacesOf returns the namespaces in which the shoot has something of Flux.
func namespacesOf(status fluxv1alpha1.FluxStatus) []string {
	return append([]string{cmp.Or(status.Namespace, flux.Namespace)}, status.OtherNamespaces...)
}

// sourceAmong reads the source among some objects, or returns nil if there is none.
func sourceAmong(objects []client.Object) (*flux.Source, error) {
	for _, object := range objects {
		kind, ok := flux.SourceKindOf(object.GetObjectKind().GroupVersionKind().GroupKind())
		if !ok {
			continue
		}
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
		if err != nil {
			return nil, err
		}
		followed, err := kind.Read(&unstructured.Unstructured{Object: content})
		if err != nil {
			return nil, fmt.Errorf("failed to read the rendered %s: %w", kind.Kind, err)
		}
		return followed, nil
	}
	return nil, nil
}

// nextStatus is what is to be said from now on. The revision is left to who looks into the shoot, a problem stands until all is done, and a
// notice until people know it.
func nextStatus(ex *extensionsv1alpha1.Extension, status fluxv1alpha1.FluxStatus) fluxv1alpha1.FluxStatus {
	before := fluxv1alpha1.StatusOf(ex)
	status.Revision, status.Problem = "", before.Problem
	status.Notices = withNotices(withoutPast(before.Notices, status.Notices), status.Notices)
	if status.RepositoryURL == before.RepositoryURL {
		status.Revision = before.Revision
	}
	return status
}

// setProgressing says of a new shoot that Flux is on its way, as whoever looks into the shoot would say next.
func setProgressing(ex *extensionsv1alpha1.Extension) error {
	if v1beta1helper.GetCondition(ex.Status.Conditions, fluxv1alpha1.FluxReady) != nil {
		return nil
	}
	condition, err := readiness.NotAppliedYet("").Condition(nil)
	if err != nil {
		return err
	}
	ex.Status.Conditions = v1beta1helper.MergeConditions(ex.Status.Conditions, condition)
	return nil
}

// writeDesiredStatus says what the shoot is getting.
func (r *reconciliation) writeDesiredStatus(ctx context.Context) error {
	return mustFail(r.writeStatus(ctx, nextStatus(r.extension, r.desired.status)))
}

// writeStatus writes the status if it is not what the Extension says already.
func (r *reconciliation) writeStatus(ctx context.Context, status fluxv1alpha1.FluxStatus) error {
	patch := client.MergeFrom(r.extension.DeepCopy())
	if changed, err := setStatus(r.extension, status); err != nil || !changed {
		return err
	}
	if err := r.Seed.Status().Patch(ctx, r.extension, patch); err != nil {
		return fmt.Errorf("failed to write the status of Extension %s in the seed: %w", client.ObjectKeyFromObject(r.extension), err)
	}
	return nil
}

// setStatus changes the status in memory, and tells whether it has changed.
func setStatus(ex *extensionsv1alpha1.Extension, status fluxv1alpha1.FluxStatus) (bool, error) {
	status.TypeMeta = metav1.TypeMeta{APIVersion: fluxv1alpha1.GroupVersion.String(), Kind: "FluxStatus"}
	before := fluxv1alpha1.StatusOf(ex)
	if before.Kind == "" && status.Version == "" && len(status.Notices) == 0 { // there is nothing to say
		return false, nil
	}
	if apiequality.Semantic.DeepEqual(status, before) {
		return false, nil
	}
	return true, fluxv1alpha1.SetStatus(ex, status)
}
