// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/garden"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/sourcesecret"
)

const (
	// resync is how soon a ConfigMap that somebody changed is as it should be again, and a right that was missing is noticed.
	resync = 30 * time.Minute
	// conflictDelay is the time until the next try to write a status that somebody else has just written.
	conflictDelay = time.Second
	// eventLifetime is how long events are kept by default.
	eventLifetime = time.Hour
)

// Reporter reports to people in the garden about the shoots of the seed. The controller lets it work on several projects at a time, and
// on each of them in one worker.
type Reporter struct {
	// seed caches.
	seed          client.Client
	garden        *garden.Access
	extensionType string
	// identity tells the seed from all others.
	identity      string
	log           logr.Logger
	missingRights missingRights

	// reported has what was last reported, by project. It has the projects with shoots that the seed speaks for, and those of which
	// something is still to be removed.
	reported sync.Map
}

// reported is what was reported of a project.
type reported struct {
	at       time.Time
	statuses map[string]ShootStatus
	// keys are the public keys that the shoots have.
	keys string
}

func newReporter(seed client.Client, args AddArgs, identity string, log logr.Logger) *Reporter {
	return &Reporter{seed: seed, garden: args.Garden, extensionType: args.Type, identity: identity, log: log}
}

// Reconcile implements reconcile.Reconciler. The request's name is a project's namespace in the garden. The garden is not asked if all
// is as it was last reported.
func (r *Reporter) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	project := request.Name
	shoots, noticed, err := r.shootsOf(ctx, project)
	if err != nil {
		return reconcile.Result{}, err
	}
	conflict, err := r.reportNotices(ctx, noticed)
	if err := errors.Join(err, r.reportStatuses(ctx, project, shoots)); err != nil {
		return reconcile.Result{}, err
	}
	if conflict {
		return reconcile.Result{RequeueAfter: conflictDelay}, nil
	}
	if len(shoots) == 0 {
		return reconcile.Result{}, nil
	}
	return reconcile.Result{RequeueAfter: wait.Jitter(resync, 0.2)}, nil
}

// reportStatuses brings ConfigMap flux-status up to date, and makes events of what has changed.
func (r *Reporter) reportStatuses(ctx context.Context, project string, shoots []shootEntry) error {
	last, known := r.lastReported(project)
	if len(shoots) == 0 && !known { // nor has anything been reported before the start, or it will be found
		return nil
	}
	now := summarize(shoots)
	if known && now.equal(last) && now.at.Before(last.at.Add(resync)) {
		return nil
	}
	gardenClient, err := r.garden.Client(ctx)
	if err != nil {
		return err
	}
	if err := r.write(ctx, gardenClient, project, shoots, last); err != nil {
		return err
	}
	if len(shoots) == 0 {
		r.reported.Delete(project)
		return nil
	}
	r.reported.Store(project, now)
	return nil
}

func (r *Reporter) lastReported(project string) (reported, bool) {
	last, known := r.reported.Load(project)
	if !known {
		return reported{}, false
	}
	return last.(reported), true
}

// pace is how long changes of a project's shoots are gathered before they are reported. ConfigMap flux-status is stored whole at each
// write, so the time grows with the number of shoots: what is written in a time does not.
func (r *Reporter) pace(project string) time.Duration {
	last, _ := r.lastReported(project)
	return minPace + time.Duration(len(last.statuses))*pacePerShoot
}

func summarize(shoots []shootEntry) reported {
	summary := reported{at: time.Now(), statuses: map[string]ShootStatus{}}
	var keys strings.Builder
	for _, entry := range shoots {
		summary.statuses[entry.shoot.Name] = entry.status
		keys.WriteString(entry.publicKey + "\n")
	}
	summary.keys = keys.String()
	return summary
}

func (s reported) equal(other reported) bool {
	return s.keys == other.keys && maps.Equal(s.statuses, other.statuses)
}

// write makes the events before it writes the statuses: if it is stopped in between, the same events are made once more, which the
// garden notices.
func (r *Reporter) write(ctx context.Context, gardenClient client.Client, project string, shoots []shootEntry, last reported) error {
	configMap, err := ReadStatusConfigMap(ctx, gardenClient, project, r.identity)
	if err != nil && !r.missingRights.explain(r.log, err) {
		return err
	}
	now := map[string]ShootStatus{}
	for _, entry := range shoots {
		before := statusBefore(configMap, last, entry)
		now[entry.shoot.Name] = dated(entry.status, before)
		for _, event := range Changes(before, now[entry.shoot.Name]) {
			if err := r.create(ctx, gardenClient, event, ShootReference(entry.shoot)); err != nil {
				return err
			}
		}
	}
	if configMap == nil {
		return nil
	}
	besides, err := publicKeyOf(ctx, gardenClient, project, shoots)
	if err != nil && !r.missingRights.explain(r.log, err) {
		return err
	}
	data := configMap.Data(now, besides)
	if others := data[configMap.keyLeftOut()]; others != configMap.own[configMap.keyLeftOut()] {
		r.log.Info("How many shoots of the project ConfigMap flux-status has no room for has changed", "project", project, "shoots", len(shoots), "leftOut", others)
	}
	written, err := configMap.Write(ctx, gardenClient, data)
	if err != nil && !r.missingRights.explain(r.log, err) {
		return err
	}
	if written {
		r.log.V(1).Info("Reported to the project how Flux gets on", "project", project, "shoots", len(shoots))
	}
	return nil
}

// statusBefore is what the garden says of a shoot, or, if it does not let us see that or has no room for it, what we would have written.
// After a restart, that is not known. Then what is older than any event has been reported.
func statusBefore(configMap *StatusConfigMap, last reported, entry shootEntry) *ShootStatus {
	if configMap != nil {
		if status := configMap.Status(entry.shoot.Name); status != nil {
			return status
		}
	}
	if status, ok := last.statuses[entry.shoot.Name]; ok {
		return &status
	}
	if (configMap == nil || configMap.hasLeftOut()) && time.Since(entry.status.Since.Time) > eventLifetime {
		return &entry.status
	}
	return nil
}

// dated completes a status that does not say since when it holds.
func dated(status ShootStatus, before *ShootStatus) ShootStatus {
	if !status.Since.IsZero() {
		return status
	}
	status.Since = metav1.Now().Rfc3339Copy()
	if before != nil && before.Ready == status.Ready && before.Reason == status.Reason && !before.Since.IsZero() {
		status.Since = before.Since
	}
	return status
}

// publicKeyOf returns the project's key as it is now, as a key of the ConfigMap: shoots that have not been reconciled since it was renewed
// know an older one.
func publicKeyOf(ctx context.Context, gardenClient client.Client, project string, shoots []shootEntry) (map[string]string, error) {
	if !slices.ContainsFunc(shoots, func(entry shootEntry) bool { return entry.publicKey != "" }) {
		return nil, nil
	}
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: project, Name: sourcesecret.SecretName}
	if err := gardenClient.Get(ctx, key, secret); client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("failed to read Secret %s in the garden: %w", key, err)
	}
	if public := sourcesecret.PublicKey(secret); public != "" {
		return map[string]string{KeyPublicKey: public}, nil
	}
	return nil, nil
}
