// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/garden"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/source"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/status"
)

// resync is how soon a ConfigMap that somebody changed is as it should be again, and a right that was missing is noticed.
const resync = 30 * time.Minute

// Teller tells people in the garden about the shoots of the seed. It is safe for concurrent use.
type Teller struct {
	// seed caches.
	seed          client.Client
	access        *garden.Access
	extensionType string
	// identity tells the seed from all others.
	identity string
	log      logr.Logger
	projects *projects
	refusals refusals
	queue    chan toldEvent

	// turns has, by project, a channel that is taken by who reads and writes for the project, which is to be one step.
	turns sync.Map
	// last has what was last told, by project.
	last sync.Map
}

// told is what was told of a project.
type told struct {
	at      time.Time
	entries map[string]status.Line
	// keys are the public keys that the shoots have.
	keys string
}

func newTeller(seed client.Client, args AddArgs, identity string, log logr.Logger) *Teller {
	return &Teller{
		seed:          seed,
		access:        args.Garden,
		extensionType: args.Type,
		identity:      identity,
		log:           log,
		projects:      &projects{seed: seed, known: map[string]string{}},
		queue:         make(chan toldEvent, maxQueue),
	}
}

// Reconcile implements reconcile.Reconciler. The request's name is a project's namespace in the garden.
func (t *Teller) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	entries, err := t.tell(ctx, request.Name, "")
	if err != nil || entries == 0 {
		return reconcile.Result{}, err
	}
	return reconcile.Result{RequeueAfter: wait.Jitter(resync, 0.2)}, nil
}

// tell brings what the garden says of a project's shoots up to date, and returns how many shoots the seed speaks for. The garden
// is not asked if all is as it was told last.
func (t *Teller) tell(ctx context.Context, project, except string) (int, error) {
	turn := t.turnOf(project)
	select {
	case turn <- struct{}{}:
		defer func() { <-turn }()
	case <-ctx.Done():
		return 0, fmt.Errorf("the garden did not answer earlier requests in time: %w", ctx.Err())
	}

	entries, err := t.entriesOf(ctx, project, except)
	if err != nil {
		return 0, err
	}
	now := summarize(entries)
	last, known := t.lastOf(project)
	if known && now.says(last) && now.at.Before(last.at.Add(resync)) {
		return len(entries), nil
	}
	gardenClient, err := t.access.Client(ctx)
	if err != nil {
		return 0, err
	}
	if err := t.tellGarden(ctx, gardenClient, project, entries, last); err != nil {
		return 0, err
	}
	t.last.Store(project, now)
	if len(entries) == 0 {
		t.last.Delete(project)
	}
	return len(entries), nil
}

func (t *Teller) turnOf(project string) chan struct{} {
	turn, _ := t.turns.LoadOrStore(project, make(chan struct{}, 1))
	return turn.(chan struct{})
}

func (t *Teller) lastOf(project string) (told, bool) {
	last, known := t.last.Load(project)
	if !known {
		return told{}, false
	}
	return last.(told), true
}

// pace is how long changes of a project's shoots are gathered before they are told. ConfigMap flux-status is stored whole at each write, so
// the time grows with the number of shoots: what is written in a time does not.
func (t *Teller) pace(project string) time.Duration {
	last, _ := t.lastOf(project)
	return minPace + time.Duration(len(last.entries))*pacePerShoot
}

func summarize(entries []entry) told {
	summary := told{at: time.Now(), entries: map[string]status.Line{}}
	var keys strings.Builder
	for _, e := range entries {
		summary.entries[e.shoot.Name] = e.line
		keys.WriteString(e.publicKey + "\n")
	}
	summary.keys = keys.String()
	return summary
}

func (t told) says(other told) bool {
	return t.keys == other.keys && maps.Equal(t.entries, other.entries)
}

// tellGarden makes the events before it writes the lines: if it is stopped in between, the same events are made once more, which
// the garden notices.
func (t *Teller) tellGarden(ctx context.Context, gardenClient client.Client, project string, entries []entry, last told) error {
	board, err := status.ReadBoard(ctx, gardenClient, project, t.identity)
	if refused := t.refusals.report(t.log, err); err != nil && !refused {
		return err
	}
	data := map[string]string{}
	if board != nil {
		err = addPublicKey(ctx, gardenClient, project, entries, data)
		if refused := t.refusals.report(t.log, err); err != nil && !refused {
			return err
		}
	}
	lines := t.tellEvents(ctx, gardenClient, board, entries, data, last)
	if board == nil {
		return nil
	}
	if left := len(entries) - len(lines); left > 0 {
		t.log.Info("The project has too many shoots for ConfigMap flux-status, some are left out", "namespace", project, "shoots", left)
	}
	for shoot, line := range lines {
		data[shoot] = line.String()
	}
	written, err := board.Write(ctx, gardenClient, data)
	if refused := t.refusals.report(t.log, err); err != nil && !refused {
		return err
	}
	if written {
		t.log.V(1).Info("Told the project how Flux gets on", "namespace", project, "shoots", len(entries))
	}
	return nil
}

// tellEvents makes the events of what has changed, and returns the lines: those say the same, as far as there is room for it.
func (t *Teller) tellEvents(ctx context.Context, gardenClient client.Client, board *status.Board, entries []entry, besides map[string]string, last told) map[string]status.Line {
	before, now := map[string]*status.Line{}, map[string]status.Line{}
	for _, e := range entries {
		before[e.shoot.Name] = lineBefore(board, last, e.shoot.Name)
		now[e.shoot.Name] = dated(e.line, before[e.shoot.Name])
	}
	for _, e := range entries {
		for _, event := range status.Changes(before[e.shoot.Name], now[e.shoot.Name]) {
			t.tellEvent(ctx, gardenClient, e.shoot, event)
		}
	}
	if board == nil {
		return now
	}
	return status.Fit(now, board.Room(besides))
}

// lineBefore is what the garden says of a shoot, or, if it does not let us see that or has no room for it, what we would have
// written.
func lineBefore(board *status.Board, last told, shoot string) *status.Line {
	if board != nil {
		if line := board.Line(shoot); line != nil {
			return line
		}
	}
	if line, ok := last.entries[shoot]; ok {
		return &line
	}
	return nil
}

// dated completes a line that does not say since when it holds.
func dated(line status.Line, before *status.Line) status.Line {
	if !line.Since.IsZero() {
		return line
	}
	line.Since = metav1.Now().Rfc3339Copy()
	if before != nil && before.Ready == line.Ready && before.Reason == line.Reason && !before.Since.IsZero() {
		line.Since = before.Since
	}
	return line
}

// addPublicKey adds the project's key as it is now: shoots that have not been reconciled since it was renewed know an older one.
func addPublicKey(ctx context.Context, gardenClient client.Client, project string, entries []entry, data map[string]string) error {
	private := false
	for _, e := range entries {
		private = private || e.publicKey != ""
	}
	if !private {
		return nil
	}
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: project, Name: source.SecretName}
	if err := gardenClient.Get(ctx, key, secret); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("failed to read Secret %s in the garden: %w", key, err)
	}
	if public := source.PublicKey(secret); public != "" {
		data[status.KeyPublicKey] = public
	}
	return nil
}

func (t *Teller) tellEvent(ctx context.Context, gardenClient client.Client, shoot status.Shoot, event status.Event) {
	err := event.Tell(ctx, gardenClient, shoot)
	if refused := t.refusals.report(t.log, err); err != nil && !refused {
		t.log.Error(err, "People are not told what happened", "reason", event.Reason)
	}
}

// refusals says once which right the garden does not give, however often it is asked for: nothing but telling depends on it.
type refusals struct {
	mutex sync.Mutex
	said  map[string]bool
}

// report tells whether an error says that a right is missing, or that there is nobody to tell any more.
func (r *refusals) report(log logr.Logger, err error) bool {
	switch {
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		log.V(1).Info("The project is being deleted, and nothing can be told there any more", "error", err.Error())
		return true
	case !apierrors.IsForbidden(err):
		return false
	}
	what := "something"
	if refusal, ok := errors.AsType[*apierrors.StatusError](err); ok && refusal.ErrStatus.Details != nil {
		what = refusal.ErrStatus.Details.Kind
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.said[what] {
		return true
	}
	if r.said == nil {
		r.said = map[string]bool{}
	}
	r.said[what] = true
	log.Info("People in the garden are not told how Flux gets on in their shoots, because a right is missing; this is said once", "missing", what, "error", err.Error())
	return true
}
