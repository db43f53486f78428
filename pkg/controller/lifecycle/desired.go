// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/sourcesecret"
)

// desired is what a shoot is to have.
type desired struct {
	// FluxConfig is what has been written for the shoot, in all layers.
	*fluxv1alpha1.FluxConfig
	// written is who has written what of it, for people, and origins say where to correct it.
	written []fluxv1alpha1.WrittenField
	origins project.Origins
	// digest is of all that. A change of it reaches the shoot by configurationWatch.
	digest string
	// hasConfigMap tells that the project has a ConfigMap.
	hasConfigMap bool

	// notices are what people should know of it.
	notices []fluxv1alpha1.Notice

	// release is the Flux that the shoot gets, and version the release that it is.
	release *renderedRelease
	version string
	// ownedByUsers tells that it is in the shoot already, and its users'.
	ownedByUsers bool
	// warning is empty or a sentence for people about it.
	warning string

	// credentials are nil for a public repository.
	credentials *sourcesecret.Credentials
	// resources are the Secrets of the shoot's owner, by the names of the entries in spec.resources of the Shoot.
	resources map[string]render.Resource
	// objects make Flux follow the repository.
	objects []client.Object
	// followedSecrets are what the source and the Kustomization among them need.
	followedSecrets followedSecrets
	// ignored are those that were among them, and that gardener-resource-manager is to leave to the shoot's users.
	ignored []client.Object
	// found are the source and the Kustomization that were among them, if the shoot's users had some before.
	found []client.Object
	// refused is nil or says why the source and the Kustomization among objects must not be written.
	refused error

	// namespaceOfUsers tells that the namespace of Flux was there before.
	namespaceOfUsers bool

	// status is what to say about all this.
	status fluxv1alpha1.FluxStatus
}

// readConfiguration reads what has been written for the shoot.
func (r *reconciliation) readConfiguration(ctx context.Context) error {
	configuration, err := r.readConfigMap(ctx, r.gardenClient, r.shoot.Namespace)
	if err != nil {
		return err
	}
	effective, err := configuration.Effective(projectShoot(r.shoot, r.extension))
	if err != nil {
		return err
	}
	r.desired.FluxConfig, r.desired.digest, r.desired.written = effective.Config, effective.Digest, effective.Written
	r.desired.hasConfigMap, r.desired.origins = effective.HasConfigMap, effective.Origins
	for _, warning := range effective.Warnings {
		r.desired.notices = append(r.desired.notices, newNotice(corev1.EventTypeWarning, fluxv1alpha1.NoticeFieldIgnored, warning))
	}
	return nil
}

// ensureCredentials reads the credentials of the project for its repository from the garden, makes what can be made of them, and gives them the form
// that the release knows.
func (r *reconciliation) ensureCredentials(ctx context.Context) (err error) {
	if !r.keepsSecrets() {
		if r.desired.credentials, err = r.Sources.Ensure(ctx, r.gardenClient, r.shoot.Namespace, r.desired.Repository, r.desired.origins,
			sourcesecret.BeforeWriting(r.noteHostKeys)); err != nil {
			return err
		}
	}
	if r.desired.credentials, err = r.desired.credentials.ForRelease(r.desired.version, r.desired.origins.Upgrade(r.isFluxOfUsers(), r.desired.SyncMode)); err != nil {
		return err
	}
	r.desired.status.Notices = slices.Concat(r.desired.notices, noticesOf(r.shoot.Namespace, r.desired.warning, r.desired.credentials))
	return r.addNotices(ctx, r.desired.status.Notices...) // at once: the key pair is made only once
}

// noteHostKeys notes which host keys are trusted from now on because the Git server was asked.
func (r *reconciliation) noteHostKeys(ctx context.Context, credentials *sourcesecret.Credentials) error {
	return r.addNotices(ctx, noticesOfHostKeys(r.shoot.Namespace, credentials)...)
}

// checkConfiguration refuses what can't be rendered before credentials are made for it, and a Git server is asked. What the shoot has already has been
// rendered before. Without credentials, not all is seen here that renderConfiguration refuses.
func (r *reconciliation) checkConfiguration(ctx context.Context) error {
	if r.observed.configurationDigest == r.desired.digest {
		return nil
	}
	rendered, refused := r.render()
	if refused == nil && r.desired.SyncMode != fluxv1alpha1.SyncOnce { // source and Kustomization of the shoot's users need not be what is configured
		refused = rendered.Refused
	}
	if refused == nil {
		return nil
	}
	if err := r.addNotices(ctx, slices.Concat(r.desired.notices, noticesOf(r.shoot.Namespace, r.desired.warning, nil))...); err != nil {
		return err
	}
	return refused
}

// render makes the objects that make Flux follow the project's repository, with the credentials that are known.
func (r *reconciliation) render() (*render.Configuration, error) {
	rendered, err := r.desired.release.Configuration(render.Wanted{
		Config: r.desired.FluxConfig, Credentials: r.desired.credentials, Resources: r.desired.resources, Shoot: r.shootInfo(),
		TargetNamespace: r.observed.state.TargetNamespace, Release: r.desired.version, FluxOfUsers: r.isFluxOfUsers(), Origins: r.desired.origins,
	})
	if err != nil {
		return nil, err
	}
	return rendered, checkPullSecret(r.desired.Flux.Namespace, rendered.Objects)
}

// renderConfiguration renders what makes Flux follow the project's repository.
func (r *reconciliation) renderConfiguration(ctx context.Context) error {
	rendered, err := r.render()
	if err != nil {
		return err
	}
	r.desired.refused = rendered.Refused
	r.desired.objects, r.desired.followedSecrets = rendered.Objects, followedSecretsOf(rendered.Objects, r.desired.FluxConfig)
	if err = describeSource(&r.desired.status, r.desired.Flux.Namespace, rendered.Objects, r.desired.credentials); err != nil {
		return err
	}
	r.desired.status.Configuration = r.desired.written
	if r.desired.status.Fields, err = render.FieldDigests(r.desired.objects); err != nil {
		return err
	}
	if len(rendered.Unknown) > 0 {
		r.notice(corev1.EventTypeWarning, fluxv1alpha1.NoticeFieldIgnored, fmt.Sprintf("what the Flux of the shoot (%s) does not know of a template has no effect: %s",
			r.desired.version, strings.Join(rendered.Unknown, ", ")))
	}
	r.tellFollowedHandover()
	r.keepFollowedOnce()
	return r.keepFollowedSecrets(ctx)
}

// notice is for people to know as soon as the status is written.
func (r *reconciliation) notice(eventType, reason, message string) {
	r.desired.status.Notices = append(r.desired.status.Notices, newNotice(eventType, reason, message))
}
