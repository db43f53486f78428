// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/controller/fluxready"
)

const (
	// firstPatience is how long the first shoot may take, with which the API server of the shoots gets Flux.
	firstPatience = 3 * time.Minute
	// quietTime is for how long nothing has been said of any shoot when all is said, and quietTimeout how long that is waited for. In the first
	// minute, Gardener's health check may change its mind.
	quietTime    = 5 * time.Second
	quietTimeout = 3 * time.Minute
	// afterChange is how long it takes at most until all has been said of a change.
	afterChange = 5 * time.Second
	// afterRestart is how long an extension that has caught up is watched for what it writes.
	afterRestart = 15 * time.Second
	// deadPart is which part of the shoots die: one of so many.
	deadPart = 10
	// calmFactor is how many times as fast as by default shoots are looked into to see how often that is when nothing changes: as fast as the
	// extension allows. From calmAfter on it is no more often, and is counted for calmTime.
	calmFactor = 30
	calmAfter  = 75 * time.Second
	calmTime   = 33 * time.Second // five times the time between two looks, in the middle of its jitter
	// deathNoticed is how long the others are not measured after some have died.
	deathNoticed = 45 * time.Second
)

// settings say how much is measured.
type settings struct {
	// timeout is how long anything may take. What takes longer is reported as such, and the measurement goes on.
	timeout time.Duration
	// idle is how long it is measured what happens while nothing changes.
	idle time.Duration
	// phases are the names of the parts that are measured, in any order, besides the first reconciliation, which all others need.
	phases []string
	// profiles is the directory for profiles of the extension. Empty: none are taken.
	profiles string
}

// phase is a part of a measurement.
type phase struct {
	name    string
	measure func(*measurement, context.Context) error
}

// allPhases are the parts of a measurement after the first reconciliation, in their order.
var allPhases = []phase{
	{"idle", (*measurement).rest},
	{"calm", (*measurement).calm},
	{"change", (*measurement).change},
	{"bare", (*measurement).writeBare},
	{"restart", (*measurement).restart},
	{"failover", (*measurement).failOver},
	{"dead", (*measurement).die},
}

// shortPhases are those that are not noisy and take no long time.
var shortPhases = []string{"idle", "calm", "change", "restart"}

// checkPhases says of a name that it is not one of a phase.
func checkPhases(names []string) error {
	var known []string
	for _, phase := range allPhases {
		known = append(known, phase.name)
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return fmt.Errorf("there is no phase %q: use some of %s", name, strings.Join(known, ", "))
		}
	}
	return nil
}

// measurement is that of one size.
type measurement struct {
	*landscape
	settings
	shoots []shoot
	// first is a shoot of a project of its own, that is there before the others.
	first     []shoot
	extension *replica
	bare      bareWriter
	figures   *figures
}

// measure takes all figures of one size. The extension must have been built. That it ends by itself ends the measurement.
func measure(ctx context.Context, l *landscape, settings settings) (*figures, error) {
	if err := checkPhases(settings.phases); err != nil {
		return nil, err
	}
	ctx, l.fail = context.WithCancelCause(ctx)
	defer l.fail(nil)
	l.profiled = settings.profiles != ""
	m := &measurement{
		landscape: l, settings: settings, shoots: newShoots(l.size), figures: &figures{size: l.size},
		first: []shoot{{project: "garden-first", name: "first", control: controlNamespace("garden-first", "first")}},
	}
	m.bare.seed = l.seed.Client
	defer func() {
		if m.extension != nil {
			_ = m.extension.Stop()
		}
	}()
	phases := []phase{{"begin", (*measurement).begin}, {"first", (*measurement).create}}
	for _, phase := range allPhases {
		if slices.Contains(m.phases, phase.name) {
			phases = append(phases, phase)
		}
	}
	for _, phase := range phases {
		if err := errors.Join(phase.measure(m, ctx), context.Cause(ctx)); err != nil {
			return m.figures, fmt.Errorf("phase %s: %w", phase.name, err)
		}
	}
	m.figures.wrong = l.observer.wrongConditions()
	return m.figures, m.halt()
}

// start runs the extension, if it does not run, and waits until it leads: before, it does nothing.
func (m *measurement) start(ctx context.Context, name string, args ...string) (err error) {
	if m.extension != nil {
		return nil
	}
	before, err := m.leader(ctx)
	if client.IgnoreNotFound(err) != nil {
		return err
	}
	if m.extension, err = m.startExtension(ctx, name, args...); err != nil {
		return err
	}
	if waited := m.waitForLeader(ctx, time.Now(), before); waited.missing > 0 {
		return fmt.Errorf("the extension does not lead after %s: see its log in %s", waited, m.extension.LogFile())
	}
	return nil
}

// halt ends the extension, if it runs, as a new version of its Deployment does.
func (m *measurement) halt() error {
	if m.extension == nil {
		return nil
	}
	extension := m.extension
	m.extension = nil
	used, err := extension.kernelMemory()
	m.figures.peak = max(m.figures.peak, used.peak)
	return errors.Join(err, extension.Stop())
}

// traffic is the requests of the extension to each kind of cluster, and what it has written to ConfigMaps flux-status.
type traffic struct {
	seed, garden, shoot  requests
	reports, reportBytes int
	processors           processorTimes
}

// during returns the traffic while something is done, and the processor time that it takes.
func (m *measurement) during(do func() error) (traffic, error) {
	if _, err := m.takeTraffic(); err != nil {
		return traffic{}, err
	}
	reports, bytes := m.observer.reported()
	before, err := m.processorTimes()
	if err != nil {
		return traffic{}, err
	}
	if err := do(); err != nil {
		return traffic{}, err
	}
	after, err := m.processorTimes()
	if err != nil {
		return traffic{}, err
	}
	taken, err := m.takeTraffic()
	taken.reports, taken.reportBytes = m.observer.reported()
	taken.reports -= reports
	taken.reportBytes -= bytes
	taken.processors = after.since(before)
	return taken, err
}

func (m *measurement) takeTraffic() (taken traffic, err error) {
	var seedErr, gardenErr error
	taken.seed, seedErr = m.seedLog.take()
	taken.garden, gardenErr = m.gardenLog.take()
	taken.shoot = m.proxy.take()
	return taken, errors.Join(seedErr, gardenErr)
}

// begin prepares all shoots, starts the extension and gives it the first one.
func (m *measurement) begin(ctx context.Context) error {
	end := m.phase("preparing the shoots")
	if err := m.seed.Client.Create(ctx, extensionNamespaceObject()); err != nil {
		return fmt.Errorf("failed to make the namespace of the extension: %w", err)
	}
	if err := m.prepare(ctx, append(m.first, m.shoots...)); err != nil {
		return err
	}
	end("")
	end = m.phase("starting the extension, and a first shoot")
	if err := m.start(ctx, "extension-a"); err != nil {
		return err
	}
	if err := m.operate(ctx, m.first); err != nil {
		return err
	}
	if waited := m.observer.wait(ctx, time.Now(), firstPatience, m.first, isReady); waited.missing > 0 {
		return fmt.Errorf("the first shoot is not ready after %s: see the log of the extension in %s", firstPatience, m.extension.LogFile())
	}
	end("")
	used, err := m.extension.kernelMemory()
	if err != nil {
		return err
	}
	m.figures.startPeak = used.peak
	m.bare.before, err = m.readWritten(ctx, m.first[0].control)
	return err
}

// create measures the way from the first Extension to the last shoot that follows its repository.
func (m *measurement) create(ctx context.Context) (err error) {
	end := m.phase("creating the Extensions")
	f := m.figures
	f.first, err = m.during(func() error {
		return m.profile(ctx, "first", func() error {
			began := time.Now()
			if err := m.operate(ctx, m.shoots); err != nil {
				return err
			}
			f.succeeded = m.observer.wait(ctx, began, m.timeout, m.shoots, hasSucceeded)
			f.ready = m.observer.wait(ctx, began, m.timeout, m.shoots, isReady)
			return nil
		})
	})
	end(": Succeeded after %s, FluxReady after %s", f.succeeded, f.ready)
	return err
}

// rest measures what happens while nothing changes.
func (m *measurement) rest(ctx context.Context) (err error) {
	end := m.phase("watching idle shoots for %s", m.idle)
	f := m.figures
	f.healthy = m.observer.wait(ctx, time.Now(), m.timeout, m.shoots, isHealthy)
	if err := m.waitForQuiet(ctx); err != nil {
		return err
	}
	began := time.Now()
	f.idle, err = m.during(func() error {
		return m.profile(ctx, "idle", func() error { return pause(ctx, m.idle) })
	})
	f.idleTime = time.Since(began)
	end("")
	if err != nil {
		return err
	}
	f.idleMemory, err = m.extension.memory(ctx)
	f.peak = f.idleMemory.peak
	return err
}

// waitForQuiet waits until everything is said of the shoots: projects are told a moment after it is so.
func (m *measurement) waitForQuiet(ctx context.Context) error {
	began, known := time.Now(), -1
	for time.Since(began) < quietTimeout {
		seen := m.observer.seen()
		if seen == known {
			return nil
		}
		known = seen
		if err := pause(ctx, quietTime); err != nil {
			return err
		}
	}
	return fmt.Errorf("Extensions or ConfigMaps flux-status still change after %s in which nothing else does", quietTimeout)
}

// calm measures how often shoots are looked into in which nothing has changed for long. That is after half an hour; a schedule that is faster by
// calmFactor is as calm after a minute. What Flux's controllers are looked at does not follow it: that is counted all the time, because in any short
// time it is the turn of some shoots only, by chance.
func (m *measurement) calm(ctx context.Context) (err error) {
	end := m.phase("watching shoots in which nothing changes, %d times as fast", calmFactor)
	if err := m.halt(); err != nil {
		return err
	}
	if err := m.start(ctx, "extension-calm", "--fluxready-sync-period="+(fluxready.DefaultSyncPeriod/calmFactor).String()); err != nil {
		return err
	}
	began := time.Now()
	before, err := m.during(func() error { return pause(ctx, calmAfter) })
	if err != nil {
		return err
	}
	calmed := time.Now()
	taken, err := m.during(func() error { return pause(ctx, calmTime) })
	perHour := func(requests int, since time.Time) float64 {
		return m.figures.perShoot(requests) * float64(time.Hour) / float64(time.Since(since))
	}
	m.figures.calm = taken
	m.figures.calmRequests = perHour(taken.shoot.all()-ofControllers(taken), calmed)/calmFactor + perHour(ofControllers(before)+ofControllers(taken), began)
	end("")
	return errors.Join(err, m.halt())
}

// ofControllers counts the requests for Flux's controllers in the shoots.
func ofControllers(t traffic) int {
	return t.shoot.sum(func(kind requestKind) bool { return strings.Contains(kind.resource, "/deployments/") })
}

// change measures how long a change of all projects' configuration takes to reach all shoots.
func (m *measurement) change(ctx context.Context) (err error) {
	end := m.phase("changing the configuration")
	f := m.figures
	if err := m.start(ctx, "extension-change"); err != nil {
		return err
	}
	f.changeTraffic, err = m.during(func() error {
		return m.profile(ctx, "change", func() (err error) {
			f.change, err = m.reach(ctx, "next", m.shoots)
			return err
		})
	})
	end(": %s", f.change)
	if err != nil {
		return err
	}
	m.observer.wait(ctx, time.Now(), firstPatience, m.first, hasOther(map[string]string{m.first[0].control: m.bare.before.configuration.secret.Name}))
	// What follows is not to see what is left to say of this.
	m.observer.wait(ctx, time.Now(), m.timeout, m.shoots, isReady)
	if err := pause(ctx, afterChange); err != nil {
		return err
	}
	m.bare.after, err = m.readWritten(ctx, m.first[0].control)
	return err
}

// reach changes the branch in all projects, and waits until some shoots have it.
func (m *measurement) reach(ctx context.Context, branch string, shoots []shoot) (outcome, error) {
	before, began := m.observer.configurations(), time.Now()
	if err := m.configure(ctx, append(m.first, m.shoots...), branch); err != nil {
		return outcome{}, err
	}
	reached := m.observer.wait(ctx, began, m.timeout, shoots, hasOther(before))
	m.observer.wait(ctx, time.Now(), m.timeout, shoots, hasSucceeded)
	return reached, nil
}

// writeBare measures the bare writes of the same objects.
func (m *measurement) writeBare(ctx context.Context) error {
	end := m.phase("writing the same objects with a plain client")
	if err := m.halt(); err != nil {
		return err
	}
	namespaces, err := m.bareNamespaces(ctx)
	if err != nil {
		return err
	}
	f := m.figures
	f.bareTraffic, err = m.during(func() (err error) {
		f.bareCreate, err = timed(ctx, namespaces, m.bare.create)
		return err
	})
	if err != nil {
		return err
	}
	if m.bare.after != nil {
		if f.bareChange, err = timed(ctx, namespaces, m.bare.change); err != nil {
			return err
		}
	}
	end(": %.1f s, and the change %.1f s", f.bareCreate, f.bareChange)
	return nil
}

// restart measures a start with all shoots present: how long it takes to look into all of them, and what is written.
func (m *measurement) restart(ctx context.Context) (err error) {
	end := m.phase("restarting the extension")
	if err := m.halt(); err != nil {
		return err
	}
	f, before, began := m.figures, m.proxy.counts(), time.Now()
	if _, err := m.takeTraffic(); err != nil {
		return err
	}
	reports, _ := m.observer.reported()
	if err := m.start(ctx, "extension-b"); err != nil {
		return err
	}
	f.caughtUp = m.observer.wait(ctx, began, m.timeout, m.shoots, func(control string, _ *observedShoot) (bool, time.Time) {
		return m.proxy.count(control) > before[control], time.Now()
	})
	if err := pause(ctx, afterRestart); err != nil {
		return err
	}
	f.restart, err = m.takeTraffic()
	f.restart.reports, _ = m.observer.reported()
	f.restart.reports -= reports
	end(": caught up after %s", f.caughtUp)
	return err
}

// failOver kills the leader of two replicas while a change is under way.
func (m *measurement) failOver(ctx context.Context) (err error) {
	end := m.phase("killing the leader of two replicas")
	f := m.figures
	if err := m.start(ctx, "extension-b"); err != nil {
		return err
	}
	other, err := m.startExtension(ctx, "extension-c")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, other.Stop()) }()
	leader, err := m.leader(ctx)
	if err != nil {
		return err
	}
	before, taken := m.observer.configurations(), make(chan outcome, 1)
	go func() {
		m.observer.waitForSome(ctx, m.timeout, m.shoots, hasOther(before))
		m.extension.Kill()
		taken <- m.waitForLeader(ctx, time.Now(), leader)
	}()
	f.failoverChange, err = m.reach(ctx, "failover", m.shoots)
	f.failover = <-taken
	m.extension = nil
	end(": another one leads after %s, and all have the change after %s", f.failover, f.failoverChange)
	return err
}

func (m *measurement) waitForLeader(ctx context.Context, began time.Time, before string) outcome {
	ctx, cancel := context.WithTimeout(ctx, m.timeout)
	defer cancel()
	for {
		if now, err := m.leader(ctx); err == nil && now != "" && now != before {
			return outcome{seconds: time.Since(began).Seconds()}
		}
		if pause(ctx, observationInterval) != nil {
			return outcome{seconds: time.Since(began).Seconds(), missing: 1}
		}
	}
}

// die measures what the shoots that live have to suffer from those that do not.
func (m *measurement) die(ctx context.Context) error {
	end := m.phase("letting one of %d shoots die", deadPart)
	if err := m.start(ctx, "extension-d"); err != nil {
		return err
	}
	f := m.figures
	var living []shoot
	for i, shoot := range m.shoots {
		switch i % (2 * deadPart) {
		case 0:
			m.proxy.setFault(shoot.control, refuses)
		case deadPart:
			m.proxy.setFault(shoot.control, hangs)
		default:
			living = append(living, shoot)
		}
	}
	if err := pause(ctx, deathNoticed); err != nil {
		return err
	}
	before := m.proxy.counts()
	if err := pause(ctx, m.idle); err != nil {
		return err
	}
	after, asked := m.proxy.counts(), 0
	for _, shoot := range living {
		asked += after[shoot.control] - before[shoot.control]
	}
	f.livingRequests = float64(asked) / float64(len(living)) * float64(time.Hour) / float64(m.idle)
	var err error
	f.livingTraffic, err = m.during(func() (err error) {
		f.livingChange, err = m.reach(ctx, "dead", living)
		return err
	})
	end(": the others have a change after %s", f.livingChange)
	return err
}

// pause waits.
func pause(ctx context.Context, duration time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(duration):
		return nil
	}
}
