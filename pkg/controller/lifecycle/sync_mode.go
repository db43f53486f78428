// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/takeover"
)

// With syncMode: Once, source and Kustomization are made once, and belong to the shoot's users from then on. That is noted in the state, which
// travels with the shoot. ManagedResource Configuration then says of them nothing but that gardener-resource-manager is to ignore them: it
// neither repairs nor deletes them, also when the ManagedResource goes. The Secrets that they need (followed_secrets.go) and ConfigMap shoot-info beside them
// are kept as they should be.

// isFollowedOnce tells whether source and Kustomization belong to the shoot's users.
func (r *reconciliation) isFollowedOnce() bool {
	return r.desired.SyncMode == fluxv1alpha1.SyncOnce && r.observed.state.FollowedOnce != ""
}

// isFollowed tells whether an object is a source or a Kustomization.
func isFollowed(object client.Object) bool {
	_, ok := flux.KindOf(object.GetObjectKind().GroupVersionKind().GroupKind())
	return ok
}

// followed are the source and the Kustomization among the objects that the shoot is to have.
func (r *reconciliation) followed() []client.Object {
	return slices.DeleteFunc(slices.Clone(r.desired.objects), func(object client.Object) bool { return !isFollowed(object) })
}

// noteFollowed changes a state to the names of the source and the Kustomization that the shoot is to have from the extension. If nothing is followed
// any more, what was stays noted until something is: it may still be in the shoot.
func (r *reconciliation) noteFollowed(state *fluxv1alpha1.FluxState, followed []client.Object) {
	if r.isFollowedOnce() || len(followed) == 0 {
		return
	}
	state.Source, state.SourceKind, state.Kustomization = "", "", ""
	for _, object := range followed {
		kind, name := object.GetObjectKind().GroupVersionKind().Kind, flux.TextOf(client.ObjectKeyFromObject(object), r.desired.Flux.Namespace)
		if kind == flux.Kustomization.Kind {
			state.Kustomization = name
			continue
		}
		state.Source = name
		if kind != flux.GitRepository.Kind {
			state.SourceKind = kind
		}
	}
}

// followedDigest is of what is configured to be followed.
func followedDigest(config *fluxv1alpha1.FluxConfig) string {
	text, err := json.Marshal([]any{config.Repository, config.Source, config.Kustomization, config.IsSuspended()})
	if err != nil {
		panic(err) // it was read from JSON
	}
	return fmt.Sprintf("%x", sha256.Sum256(text))[:16]
}

// keepFollowedOnce takes a source and a Kustomization that belong to the shoot's users out of what the shoot is to have, and tells people if
// something else has been configured since.
func (r *reconciliation) keepFollowedOnce() {
	if !r.isFollowedOnce() {
		return
	}
	configured := "nothing to follow"
	if status := r.desired.status; status.RepositoryURL != "" {
		configured = status.RepositoryURL
		if status.Reference != "" {
			configured = status.Reference + " of " + configured
		}
	}
	for _, object := range r.followed() {
		if root, ok := object.(*unstructured.Unstructured); ok && root.GetKind() == flux.Kustomization.Kind {
			path, _, _ := unstructured.NestedString(root.Object, "spec", "path")
			configured += ", directory " + path
		}
	}
	if r.isOtherFollowed() {
		r.notice(corev1.EventTypeWarning, fluxv1alpha1.NoticeFieldIgnored, fmt.Sprintf("what is configured by now (%s) has no effect: the source and the Kustomization of the shoot were "+
			"made once and belong to its users, who can change them there (syncMode: Once); to let the extension do that, %s", configured, r.desired.origins.ManageFollowed()))
	}
	r.leaveFollowed()
}

// isFollowedHandedOver tells whether a source and a Kustomization that the extension has managed become their users' now. As soon as the status is written,
// what it said of syncMode before is gone, so that it is so once.
func (r *reconciliation) isFollowedHandedOver() bool {
	if r.desired.SyncMode != fluxv1alpha1.SyncOnce || r.observed.state.FollowedOnce != "" || len(r.followed()) == 0 {
		return false
	}
	wasOnce := slices.ContainsFunc(fluxv1alpha1.StatusOf(r.extension).Configuration, func(written fluxv1alpha1.WrittenField) bool {
		return written.Field == project.FieldSyncMode && written.Value == string(fluxv1alpha1.SyncOnce)
	})
	return !wasOnce && r.hasRoot() && kustomizationAmong(r.followed()) == rootIn(r.observed.state)
}

// hasRoot tells whether the shoot has the Kustomization that is noted from the extension.
func (r *reconciliation) hasRoot() bool {
	return managedresource.HasApplied(r.observed.configuration, flux.Kustomization.GroupKind, rootIn(r.observed.state))
}

// tellFollowedHandover tells the shoot's owner that the extension will do less than before, unless that is told of Flux as a whole.
func (r *reconciliation) tellFollowedHandover() {
	if !r.isFollowedHandedOver() || r.isHandedOver() {
		return
	}
	r.notice(corev1.EventTypeWarning, fluxv1alpha1.NoticeLeftToUsers, fmt.Sprintf("The source and the Kustomization of the shoot, which the extension has managed, belong to its users from now on: "+
		"what is configured later has no effect, and what is changed in the shoot stays (syncMode: Once, which comes from %s). To take them back, %s",
		r.desired.origins.Of(project.FieldSyncMode).Cause(), r.desired.origins.ManageFollowed()))
}

// leaveFollowed takes the source and the Kustomization out of what the shoot is to have. What was said of them stands.
func (r *reconciliation) leaveFollowed() {
	r.desired.objects = slices.DeleteFunc(slices.Clone(r.desired.objects), isFollowed)
	state, status, said := r.observed.state, &r.desired.status, fluxv1alpha1.StatusOf(r.extension)
	status.Fields = nil
	if said.RepositoryURL != "" {
		status.RepositoryURL, status.Reference = said.RepositoryURL, said.Reference
	}
	if state.FollowedOnce == fluxv1alpha1.FollowedOnceMade {
		r.desired.ignored = []client.Object{
			ignored(flux.SourceKindNamed(state.SourceKind).ObjectKind, flux.KeyOf(state.Source, r.desired.Flux.Namespace)),
			ignored(flux.Kustomization, flux.KeyOf(state.Kustomization, r.desired.Flux.Namespace)),
		}
	}
}

// ignored is an object that gardener-resource-manager is to leave as it is, whether it has made it or not.
func ignored(kind flux.ObjectKind, key client.ObjectKey) client.Object {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(kind.WithVersion(flux.Versions()[0]))
	object.SetNamespace(key.Namespace)
	object.SetName(key.Name)
	object.SetAnnotations(map[string]string{resourcesv1alpha1.Mode: resourcesv1alpha1.ModeIgnore})
	return object
}

// findFollowed leaves a source and a Kustomization to the shoot's users that are there before the extension has made any (syncMode: Once). That is noted
// when all that could be refused has been looked at.
func (r *reconciliation) findFollowed(ctx context.Context) error {
	followed := r.followed()
	if r.desired.SyncMode != fluxv1alpha1.SyncOnce || len(followed) == 0 || len(notApplied(r.observed.configuration, followed)) < len(followed) {
		return nil
	}
	shootClient, err := r.connectToShoot(ctx)
	if err != nil {
		return err
	}
	if found, err := takeover.HasUsers(ctx, shootClient, r.extension.Namespace, followed); err != nil || !found {
		return err
	}
	r.desired.found = followed
	r.leaveFollowed()
	return nil
}

// noteFound notes a source and a Kustomization that have been found, and tells people that what is configured of them has no effect.
func (r *reconciliation) noteFound(ctx context.Context) error {
	if len(r.desired.found) == 0 {
		return nil
	}
	notice := newNotice(corev1.EventTypeNormal, fluxv1alpha1.NoticeFieldIgnored, fmt.Sprintf("the shoot has the source and the Kustomization already, which belong to its users and stay as they are "+
		"(syncMode: Once); to let the extension make them as configured, %s", r.desired.origins.ManageFollowed()))
	r.desired.status.Notices = append(r.desired.status.Notices, notice)
	if err := r.addNotices(ctx, notice); err != nil { // afterwards, nothing tells that they have just been found
		return err
	}
	return r.noteFollowedOnce(ctx, fluxv1alpha1.FollowedOnceFound, r.desired.found)
}

// checkRefused fails if the shoot is to get a source and a Kustomization that its Flux would make something else of.
func (r *reconciliation) checkRefused(context.Context) error {
	if len(r.followed()) == 0 {
		return nil
	}
	return r.desired.refused
}

// noteFollowedOnce notes to whom the source and the Kustomization belong.
func (r *reconciliation) noteFollowedOnce(ctx context.Context, once fluxv1alpha1.FollowedOnce, followed []client.Object) (err error) {
	r.observed.state, err = r.writeState(ctx, func(state *fluxv1alpha1.FluxState) {
		state.FollowedOnce, state.FollowedDigest = "", ""
		state.FollowedSecretsNoted, state.FollowedSecrets, state.FollowedURL = false, "", ""
		r.noteFollowed(state, followed)
		if state.FollowedOnce = once; once != "" {
			state.FollowedDigest = followedDigest(r.desired.FluxConfig)
			r.noteFollowedSecrets(state)
		}
	})
	return mustFail(err)
}

// transferFollowed leaves the source and the Kustomization to the shoot's users as soon as they are in the shoot, if they are to be made only once.
// If the extension has taken them back, it notes that.
func (r *reconciliation) transferFollowed(ctx context.Context) error {
	switch {
	case r.desired.SyncMode != fluxv1alpha1.SyncOnce && r.observed.state.FollowedOnce != "":
		return r.noteFollowedOnce(ctx, "", r.followed())
	case r.isFollowedOnce() && !r.isOtherFollowed(): // an earlier release has not noted all of it
		_, err := r.writeState(ctx, r.noteFollowedSecrets)
		return mustFail(err)
	case r.desired.SyncMode != fluxv1alpha1.SyncOnce, r.isFollowedOnce(), len(r.followed()) == 0:
		return nil
	}
	configuration, err := managedresource.Get(ctx, r.Seed, r.extension.Namespace, managedresource.Configuration)
	if err != nil || configuration == nil {
		return mustFail(err)
	}
	if err := managedresource.CheckApplied(configuration); err != nil {
		return requeueSoon(time.Now(), fmt.Errorf("the shoot gets a source and a Kustomization, which then belong to its users (syncMode: Once): %w", err))
	}
	if err := r.noteFollowedOnce(ctx, fluxv1alpha1.FollowedOnceMade, r.followed()); err != nil {
		return err
	}
	r.observed.configuration = configuration
	r.leaveFollowed()
	return r.run(ctx, []step{{do: r.writeDesiredStatus}, {do: r.applyConfiguration}})
}

// keepsFollowed tells whether the source and the Kustomization stay when the extension is switched off, and Flux does: they belong to the shoot's
// users, unless what they have deployed is to go and the extension has made them.
func (r *reconciliation) keepsFollowed() bool {
	state := r.observed.state
	return state.FollowedOnce != "" &&
		(state.FollowedOnce != fluxv1alpha1.FollowedOnceMade || state.RemovalPolicy != fluxv1alpha1.RemovalDeleteWorkloads)
}
