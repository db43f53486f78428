// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/garden"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/sourcesecret"
)

// sourceWatch reconciles the shoots of a project as soon as its Secret flux-source in the garden is another one than the
// one that they have, or the Git server has told its host keys that they wait for.
//
// What a shoot has is told by a label of its ManagedResource, as with the project's configuration.
type sourceWatch struct {
	// seed caches, and has the index projectField.
	seed client.Reader
	// missed are the shoots that are to get the Secret later; nil for who does not ask for that.
	missed *missedChanges
	log    logr.Logger
}

// watchSources adds the watch of the Secrets to a controller. What they hold is not asked for.
func watchSources(mgr manager.Manager, access *garden.Access, missed *missedChanges) func(controller.Controller) error {
	w := newSourceWatch(mgr, missed)
	return func(c controller.Controller) error {
		return c.Watch(source.Func(func(ctx context.Context, queue requestQueue) error {
			watch := garden.SecretWatch{Access: access, Name: sourcesecret.SecretName, Log: w.log, Note: sourcesecret.NoteKeyPairMade, Seen: func(ctx context.Context, old, secret *metav1.PartialObjectMetadata) {
				changed := old != nil && old.ResourceVersion != secret.ResourceVersion
				w.enqueue(ctx, queue, secret.Namespace, "The Secret of the project has changed", func(ex *extensionsv1alpha1.Extension, may bool) (bool, error) {
					return w.chooseOutdated(ctx, ex, may, secret, changed)
				})
			}}
			go watch.Run(ctx)
			return nil
		}))
	}
}

// watchAnswers makes a controller take note of Git servers that tell their host keys. All shoots of a project that waits for
// one are looked at: those that have keys of their own (knownHosts) find nothing to do.
func watchAnswers(mgr manager.Manager, sources *sourcesecret.Keeper) func(controller.Controller) error {
	w := newSourceWatch(mgr, nil)
	return func(c controller.Controller) error {
		return c.Watch(source.Func(func(ctx context.Context, queue requestQueue) error {
			sources.OnAnswer(func(namespace string) {
				w.enqueue(ctx, queue, namespace, "The Git server of the project has told its host keys", func(_ *extensionsv1alpha1.Extension, may bool) (bool, error) { return may, nil })
			})
			return nil
		}))
	}
}

func newSourceWatch(mgr manager.Manager, missed *missedChanges) *sourceWatch {
	return &sourceWatch{seed: mgr.GetClient(), missed: missed, log: mgr.GetLogger().WithName("source-watch")}
}

// enqueue lets those Extensions of a project be reconciled that are chosen. Each is chosen or not by whether it may be reconciled now.
func (w *sourceWatch) enqueue(ctx context.Context, queue requestQueue, namespace, why string, choose func(ex *extensionsv1alpha1.Extension, may bool) (bool, error)) {
	log := w.log.WithValues("project", namespace)
	requests, err := w.requests(ctx, namespace, choose)
	if err != nil {
		log.Error(err, "Failed to find the shoots of a project")
		return
	}
	enqueueBehind(queue, requests)
	if len(requests) > 0 {
		log.Info(why, "shoots", len(requests))
	}
}

func (w *sourceWatch) requests(ctx context.Context, namespace string, choose func(ex *extensionsv1alpha1.Extension, may bool) (bool, error)) ([]reconcile.Request, error) {
	return chooseShoots(ctx, w.seed, namespace, func(ex *extensionsv1alpha1.Extension, shoot *gardencorev1beta1.Shoot) (bool, error) {
		return choose(ex, mayReconcile(ex, shoot))
	})
}

// chooseOutdated chooses a shoot that is to get the Secret. It notes one that can't be reconciled now: gardenlet may have asked for it before the
// Secret changed.
func (w *sourceWatch) chooseOutdated(ctx context.Context, ex *extensionsv1alpha1.Extension, may bool, secret *metav1.PartialObjectMetadata, changed bool) (bool, error) {
	outdated, err := w.isOutdated(ctx, ex, secret, changed)
	if err != nil {
		return false, err
	}
	if outdated && !may {
		w.missed.addSource(client.ObjectKeyFromObject(ex), sourcesecret.VersionOf(secret.UID, secret.ResourceVersion))
		return false, nil
	}
	w.missed.forgetSource(client.ObjectKeyFromObject(ex))
	return outdated, nil
}

// isOutdated tells whether the shoot has credentials of another version of the Secret, or is to be tried again: because it
// fails, or because the Secret has changed and it is not known which version the shoot has. That is so for one that an earlier extension
// gave its credentials to.
//
// A Secret that was made anew with a key pair by an extension, because somebody has deleted it, has a key that nobody may have registered
// yet: it does not go to all shoots at once, but to each when Gardener reconciles it. One that the project's admin has made anew does.
func (w *sourceWatch) isOutdated(ctx context.Context, ex *extensionsv1alpha1.Extension, secret *metav1.PartialObjectMetadata, changed bool) (bool, error) {
	if ex.Status.LastOperation == nil { // nobody has worked on it
		return false, nil
	}
	if ex.Status.LastOperation.State == gardencorev1beta1.LastOperationStateError || fluxv1alpha1.StatusOf(ex).Problem != nil {
		return true, nil
	}
	configuration, err := managedresource.Get(ctx, w.seed, ex.Namespace, managedresource.Configuration)
	if err != nil {
		return false, err
	}
	if configuration != nil && configuration.Labels[managedresource.SourceVersionLabel] != "" {
		has, current := configuration.Labels[managedresource.SourceVersionLabel], sourcesecret.VersionOf(secret.UID, secret.ResourceVersion)
		return has != current && (sourcesecret.IsOlder(has, current) || !sourcesecret.IsKeyPairMade(secret)), nil
	}
	reconciled := ex.Status.LastOperation.State == gardencorev1beta1.LastOperationStateSucceeded
	return changed && (!reconciled || fluxv1alpha1.StatusOf(ex).PublicKey != ""), nil
}
