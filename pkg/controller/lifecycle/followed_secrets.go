// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/sourcesecret"
)

// A source and a Kustomization that belong to the shoot's users (syncMode: Once) go on naming the Secrets that came with them, whatever is
// configured later. As long as that is for another server, or not private, those Secrets are kept as ManagedResource Configuration has them: what the
// project's Secret holds by then may be for another server. The names are noted in the state.

// followedSecrets are Secrets that a source and a Kustomization need.
type followedSecrets struct {
	// names are those that they refer to, as <namespace>/<name>, separated by commas.
	names string
	// url is of the repository whose credentials of the project they are for. It is empty if they are for none.
	url string
}

// followedSecretsOf returns what the source and the Kustomization among some objects need of the others.
func followedSecretsOf(objects []client.Object, config *fluxv1alpha1.FluxConfig) followedSecrets {
	var names []string
	for _, object := range objects {
		secret, isSecret := object.(*corev1.Secret)
		if isSecret && slices.ContainsFunc(objects, func(other client.Object) bool { return refersTo(other, secret) }) {
			names = append(names, client.ObjectKeyFromObject(secret).String())
		}
	}
	found := followedSecrets{names: strings.Join(names, ",")}
	if config.Source == nil && config.Repository.IsPrivate() {
		found.url = config.Repository.URL
	}
	return found
}

func refersTo(object client.Object, secret *corev1.Secret) bool {
	followed, ok := object.(*unstructured.Unstructured)
	return ok && isFollowed(followed) && followed.GetNamespace() == secret.Namespace && render.RefersTo(followed.Object["spec"], secret.Name)
}

// isOtherFollowed tells whether something else is configured by now than the source and the Kustomization that belong to the shoot's users.
func (r *reconciliation) isOtherFollowed() bool {
	return r.isFollowedOnce() && r.observed.state.FollowedDigest != followedDigest(r.desired.FluxConfig)
}

// keepsSecrets tells whether credentials are for the source that belongs to the shoot's users, and not for what is configured by now, which has no
// effect.
func (r *reconciliation) keepsSecrets() bool {
	state, repository := r.observed.state, r.desired.Repository
	if !r.isOtherFollowed() || !state.FollowedSecretsNoted {
		return false
	}
	configured := ""
	if r.desired.Source == nil && repository.IsPrivate() {
		configured = repository.URL
	}
	return serverOf(configured) != serverOf(state.FollowedURL)
}

// serverOf is who gets the credentials for a URL.
func serverOf(address string) string {
	parsed, err := url.Parse(address)
	if err != nil {
		return address
	}
	return parsed.Scheme + "://" + parsed.Host
}

// followedNamespace is where the source is that belongs to the shoot's users.
func (r *reconciliation) followedNamespace() string {
	return flux.KeyOf(r.observed.state.Source, r.desired.Flux.Namespace).Namespace
}

// keptSecrets are the Secrets that ManagedResource Configuration has.
func (r *reconciliation) keptSecrets(ctx context.Context) (map[client.ObjectKey]*corev1.Secret, error) {
	if r.observed.configuration == nil {
		return nil, nil
	}
	data, err := managedresource.DataOf(ctx, r.Seed, r.observed.configuration)
	if err != nil {
		return nil, err
	}
	objects, err := data.Objects()
	if err != nil {
		return nil, err
	}
	secrets := map[client.ObjectKey]*corev1.Secret{}
	for _, object := range objects {
		if object.GroupVersionKind() != corev1.SchemeGroupVersion.WithKind("Secret") {
			continue
		}
		secret := &corev1.Secret{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, secret); err != nil {
			return nil, fmt.Errorf("failed to read Secret %s of ManagedResource %s in the seed: %w", client.ObjectKeyFromObject(object),
				client.ObjectKeyFromObject(r.observed.configuration), err)
		}
		secrets[client.ObjectKeyFromObject(object)] = secret
	}
	return secrets, nil
}

// keepFollowedSecrets puts the Secrets of the source and the Kustomization that belong to the shoot's users in the place of those that are
// configured by now.
func (r *reconciliation) keepFollowedSecrets(ctx context.Context) error {
	if !r.isOtherFollowed() {
		return nil
	}
	kept, err := r.keptSecrets(ctx)
	if err != nil {
		return err
	}
	r.needNamespace(r.followedNamespace())
	for _, key := range r.followedKeys(kept) {
		r.needNamespace(key.Namespace)
		rendered := secretAmong(r.desired.objects, key)
		switch {
		case rendered != nil && rendered.Labels[render.ManagedByLabel] == render.ManagedBy: // the shoot's owner says what is in it
		case rendered != nil && !r.keepsSecrets() && slices.Contains(sourcesecret.ShootSecretNames(), key.Name): // the credentials are for the same server
		default: // what is configured by now is for something else; what the seed does not have stays as the shoot has it
			r.replaceSecret(key, kept[key])
		}
	}
	if r.keepsSecrets() {
		said := fluxv1alpha1.StatusOf(r.extension)
		r.desired.status.PublicKey, r.desired.status.HostKeys = said.PublicKey, said.HostKeys
	}
	return nil
}

// needNamespace notes a namespace of the shoot in which gardener-resource-manager has something to do.
func (r *reconciliation) needNamespace(namespace string) {
	if !slices.Contains(namespacesOf(r.desired.status), namespace) {
		r.desired.status.OtherNamespaces = append(slices.Clip(r.desired.status.OtherNamespaces), namespace)
	}
}

// followedKeys are the Secrets to keep. An earlier release of the extension has not noted them, but gave them names of its own.
func (r *reconciliation) followedKeys(kept map[client.ObjectKey]*corev1.Secret) []client.ObjectKey {
	keys := sets.New[client.ObjectKey]()
	if !r.observed.state.FollowedSecretsNoted {
		names := append(sourcesecret.ShootSecretNames(), render.VerifySecretName)
		for key := range kept {
			if slices.Contains(names, key.Name) {
				keys.Insert(key)
			}
		}
	}
	for _, name := range strings.FieldsFunc(r.observed.state.FollowedSecrets, func(separator rune) bool { return separator == ',' }) {
		keys.Insert(flux.KeyOf(name, r.desired.Flux.Namespace))
	}
	return slices.SortedFunc(maps.Keys(keys), func(a, b client.ObjectKey) int { return strings.Compare(a.String(), b.String()) })
}

func secretAmong(objects []client.Object, key client.ObjectKey) *corev1.Secret {
	for _, object := range objects {
		if secret, ok := object.(*corev1.Secret); ok && client.ObjectKeyFromObject(secret) == key {
			return secret
		}
	}
	return nil
}

// replaceSecret lets a Secret of the shoot be another one, or, if it is nil, leaves it as it is.
func (r *reconciliation) replaceSecret(key client.ObjectKey, secret *corev1.Secret) {
	r.desired.objects = slices.DeleteFunc(slices.Clone(r.desired.objects), func(object client.Object) bool {
		replaced, ok := object.(*corev1.Secret)
		return ok && client.ObjectKeyFromObject(replaced) == key
	})
	if secret != nil {
		r.desired.objects = append(r.desired.objects, secret)
	}
}

// noteFollowedSecrets changes a state to what the source and the Kustomization need that belong to the shoot's users.
func (r *reconciliation) noteFollowedSecrets(state *fluxv1alpha1.FluxState) {
	state.FollowedSecretsNoted, state.FollowedSecrets, state.FollowedURL = true, r.desired.followedSecrets.names, r.desired.followedSecrets.url
}
