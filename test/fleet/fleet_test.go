// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/23technologies/gardener-extension-shoot-flux/test/integration"
)

var (
	shootsFlag   = flag.Int("shoots", 1000, "how many shoots there are at most in the benchmark, and also 100 and 300 of them if those are fewer")
	projectsFlag = flag.Int("projects", 50, "how many projects the shoots of the benchmark are in, besides one")
	sizesFlag    = flag.String("sizes", "", "the sizes that are measured instead, as shoots/projects, separated by commas: 1000/50,2500/1")
	layeredFlag  = flag.Bool("layered", false, "whether each shoot of the benchmark has a providerConfig, and each project overrides for its shoots")
	phasesFlag   = flag.String("phases", "idle,calm,change,bare,restart,failover,dead", "what is measured after the first reconciliation, separated by commas")
	profilesFlag = flag.String("profiles", "", "a directory for profiles of the extension: of the first half minute of each phase, and of its memory at the end")
	idleFlag     = flag.Duration("idle", 2*time.Minute, "how long the benchmark measures idle shoots")
	waitFlag     = flag.Duration("wait", 15*time.Minute, "how long anything may take in the benchmark until it goes on without it")
)

// What the short form allows for 100 shoots in 10 projects. These figures hardly depend on the machine, nor on what else it does: they are what the
// code takes, with room for what is repeated by chance, such as a conflict of two writers. Lower one when the code takes less.
const (
	maxSeedRequests   = 14.5    // per shoot, first reconciliation
	maxOtherWrites    = 7.5     // per shoot, besides those that Gardener's library makes for the operation
	maxGardenRequests = 2.5     // per shoot, besides the two for each version of flux-status
	maxShootRequests  = 10.5    // per shoot
	maxReports        = 4       // versions of flux-status per shoot; but not more than one per second and project
	maxReportBytes    = 1 << 20 // of them together

	maxIdleSeedRequests   = 10.0 // per shoot and hour
	maxIdleSeedWrites     = 5.0
	maxIdleGardenRequests = 40.0
	maxIdleShootRequests  = 300.0
	maxCalmShootRequests  = 60.0 // when nothing has changed for long

	maxChangeRequests     = 6.5 // to the seed per shoot, without writes of the Extension's status
	maxChangeStatusWrites = 5.5 // two of the operation, one of what the shoot gets; two of FluxReady if it is looked at before it is applied

	maxRestartWrites = 60 // to seed and garden together, without Leases
)

var shared *integration.Servers

func TestMain(m *testing.M) {
	os.Exit(integration.Run(m, func(_ context.Context, servers *integration.Servers) (func(), error) {
		shared = servers
		return nil, nil
	}))
}

func run(tb testing.TB, size size, settings settings) *figures {
	tb.Helper()
	g := NewWithT(tb)
	l, err := startLandscape(tb.Context(), shared, size, tb.TempDir(), os.Stdout)
	g.Expect(err).NotTo(HaveOccurred())
	defer func() { g.Expect(l.stop()).To(Succeed()) }()
	figures, err := measure(tb.Context(), l, settings)
	g.Expect(err).NotTo(HaveOccurred())
	figures.printRequests(os.Stdout)
	return figures
}

// TestFleet is the short form. It fails on what does not depend on how busy the machine is.
func TestFleet(t *testing.T) {
	f := run(t, size{shoots: 100, projects: 10}, settings{timeout: 5 * time.Minute, idle: 30 * time.Second, phases: shortPhases})
	g := NewWithT(t)
	g.Expect(writeTable(os.Stdout, []*figures{f})).To(Succeed())

	for name, waited := range map[string]outcome{"Succeeded": f.succeeded, "FluxReady": f.ready, "SystemComponentsHealthy": f.healthy, "change": f.change, "restart": f.caughtUp} {
		if waited.missing > 0 {
			t.Errorf("%s: %s", name, waited)
		}
	}
	changeStatusWrites := f.changeTraffic.seed.of("extensions/status", "patch", "update")
	for _, figure := range []struct {
		name   string
		is, at float64
	}{
		{"requests to the seed per shoot", f.perShoot(f.first.seed.all()), maxSeedRequests},
		{"writes to the seed per shoot besides the library's", f.otherWrites(), maxOtherWrites},
		{"requests to the garden per shoot besides those for flux-status", f.perShoot(f.first.garden.all() - 2*f.first.reports), maxGardenRequests},
		{"requests to each shoot", f.perShoot(f.first.shoot.all()), maxShootRequests},
		{"versions of flux-status", float64(f.first.reports), min(maxReports*float64(f.size.shoots), float64(f.size.projects)*(f.ready.seconds+1))},
		{"bytes of all versions of flux-status", float64(f.first.reportBytes), maxReportBytes},
		{"idle requests to the seed per shoot and hour", f.perHour(f.idle.seed.all()), maxIdleSeedRequests},
		{"idle writes to the seed per shoot and hour", f.perHour(f.idle.seed.writes()), maxIdleSeedWrites},
		{"idle requests to the garden per shoot and hour", f.perHour(f.idle.garden.all()), maxIdleGardenRequests},
		{"idle requests to the shoot per hour", f.perHour(f.idle.shoot.all()), maxIdleShootRequests},
		{"requests to the shoot per hour in which nothing has changed for long", f.calmRequests, maxCalmShootRequests},
		{"requests to the seed per shoot for a change, without the status of Extensions", f.perShoot(f.changeTraffic.seed.all() - changeStatusWrites), maxChangeRequests},
		{"writes of the status of each Extension for a change", f.perShoot(changeStatusWrites), maxChangeStatusWrites},
		{"writes after a restart", float64(f.restart.seed.writes() + f.restart.garden.writes()), maxRestartWrites},
		{"FluxReady Unknown or False on shoots that are well", float64(f.wrong), 0},
	} {
		if figure.is > figure.at {
			t.Errorf("%s: %.2f, more than %.2f", figure.name, figure.is, figure.at)
		}
	}
}

// BenchmarkFleet measures up to -shoots shoots, in one project and in -projects projects, and prints a table.
func BenchmarkFleet(b *testing.B) {
	all, err := parseSizes(*sizesFlag)
	NewWithT(b).Expect(err).NotTo(HaveOccurred())
	if len(all) == 0 {
		all = sizes(*shootsFlag, *projectsFlag)
	}
	for i := range all {
		all[i].layered = *layeredFlag
	}
	if *profilesFlag != "" {
		NewWithT(b).Expect(os.MkdirAll(*profilesFlag, 0o755)).To(Succeed(), "at once, not after the first phase")
	}
	phases := strings.FieldsFunc(*phasesFlag, func(r rune) bool { return r == ',' })
	var columns []*figures
	for b.Loop() {
		columns = nil
		for _, size := range all {
			columns = append(columns, run(b, size, settings{timeout: *waitFlag, idle: *idleFlag, phases: phases, profiles: *profilesFlag}))
		}
	}
	NewWithT(b).Expect(writeTable(os.Stdout, columns)).To(Succeed())
}

// parseSizes reads sizes such as 1000/50, separated by commas.
func parseSizes(list string) ([]size, error) {
	var all []size
	for _, item := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' }) {
		var size size
		if _, err := fmt.Sscanf(item, "%d/%d", &size.shoots, &size.projects); err != nil || size.projects < 1 || size.shoots < size.projects {
			return nil, fmt.Errorf("%q is no size: write shoots/projects, with a shoot for each project at least", item)
		}
		all = append(all, size)
	}
	return all, nil
}

// sizes are those that are measured.
func sizes(shoots, projects int) []size {
	counts := slices.DeleteFunc([]int{100, 300, 1000}, func(count int) bool { return count >= shoots })
	spread := slices.Compact([]int{1, projects})
	var all []size
	for _, count := range append(counts, shoots) {
		for _, projects := range spread {
			all = append(all, size{shoots: count, projects: projects})
		}
	}
	return all
}
