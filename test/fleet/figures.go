// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

const megabyte = 1_000_000

// figures are what is measured for one size.
type figures struct {
	size size

	// The first reconciliation of all shoots.
	succeeded, ready outcome
	first            traffic

	// All shoots idle, when all have condition SystemComponentsHealthy.
	healthy  outcome
	idle     traffic
	idleTime time.Duration
	// startPeak and peak are the most memory that the kernel has counted, in bytes: after the start, and in all.
	startPeak, peak float64
	idleMemory      memory
	// calmRequests are those to a shoot in an hour in which nothing has changed for long.
	calmRequests float64
	calm         traffic

	// A change of all configurations.
	change        outcome
	changeTraffic traffic

	// The same writes without the extension.
	bareCreate, bareChange float64
	bareTraffic            traffic

	// A restart with all shoots present.
	caughtUp outcome
	restart  traffic

	// The death of the leader during a change.
	failover, failoverChange outcome

	// A change while some shoots are dead, and requests to each of the others per hour.
	livingChange   outcome
	livingRequests float64
	livingTraffic  traffic

	// wrong is how often a shoot that was well was said not to be.
	wrong int
}

// String implements fmt.Stringer.
func (o outcome) String() string {
	if o.missing > 0 {
		return fmt.Sprintf(">%.0f s (%d missing)", o.seconds, o.missing)
	}
	return fmt.Sprintf("%.1f s", o.seconds)
}

// beside is the outcome with its ratio to that of bare writes, if these were measured.
func (o outcome) beside(bare float64) string {
	if bare == 0 {
		return o.String()
	}
	return fmt.Sprintf("%s (%.1f)", o, o.seconds/bare)
}

// perShoot is a number for each shoot.
func (f *figures) perShoot(count int) float64 { return float64(count) / float64(f.size.shoots) }

// perHour is a number for each shoot and hour, of what was counted while the shoots were idle.
func (f *figures) perHour(count int) float64 {
	if f.idleTime == 0 {
		return 0
	}
	return f.perShoot(count) * float64(time.Hour) / float64(f.idleTime)
}

// otherWrites are the writes to the seed, for each shoot, that are not the library's own.
func (f *figures) otherWrites() float64 {
	return f.perShoot(f.first.seed.writes() - f.first.seed.libraryWrites(f.size.shoots))
}

// row is one line of the table.
type row struct {
	name  string
	value func(*figures) string
}

func decimal(value float64) string { return fmt.Sprintf("%.2f", value) }

// readsAndWrites are requests for each shoot: all, of these reads and writes.
func (f *figures) readsAndWrites(r requests) string {
	return fmt.Sprintf("%.2f = %.2f + %.2f", f.perShoot(r.all()), f.perShoot(r.reads()), f.perShoot(r.writes()))
}

func (f *figures) readsAndWritesPerHour(r requests) string {
	return fmt.Sprintf("%.0f = %.0f + %.0f", f.perHour(r.all()), f.perHour(r.reads()), f.perHour(r.writes()))
}

func reports(t traffic) string {
	return fmt.Sprintf("%d, %.2f MB", t.reports, float64(t.reportBytes)/megabyte)
}

var firstRows = []row{
	{"first reconciliation: all Succeeded after (ratio to bare writes)", func(f *figures) string { return f.succeeded.beside(f.bareCreate) }},
	{"  FluxReady on all after (ratio)", func(f *figures) string { return f.ready.beside(f.bareCreate) }},
	{"  bare writes of the same objects", func(f *figures) string { return fmt.Sprintf("%.1f s", f.bareCreate) }},
	{"  processor seconds of those", func(f *figures) string { return f.bareTraffic.processors.String() }},
	{"  requests to the seed per shoot = reads + writes", func(f *figures) string { return f.readsAndWrites(f.first.seed) }},
	{"  of the writes, the library's own for the operation", func(f *figures) string { return decimal(f.perShoot(f.first.seed.libraryWrites(f.size.shoots))) }},
	{"  of the writes, others", func(f *figures) string { return decimal(f.otherWrites()) }},
	{"  answers 404 and 409 of the seed per shoot", func(f *figures) string {
		return decimal(f.perShoot(f.first.seed.failures(404))) + ", " + decimal(f.perShoot(f.first.seed.failures(409)))
	}},
	{"  requests to the garden per shoot = reads + writes", func(f *figures) string { return f.readsAndWrites(f.first.garden) }},
	{"  requests to each shoot = reads + writes", func(f *figures) string { return f.readsAndWrites(f.first.shoot) }},
	{"  versions of flux-status, bytes together", func(f *figures) string { return reports(f.first) }},
	{"  processor seconds", func(f *figures) string { return f.first.processors.String() }},
}

var laterRows = []row{
	{"memory in MB: peak of the start with all Clusters, peak", func(f *figures) string {
		return fmt.Sprintf("%.0f, %.0f", f.startPeak/megabyte, f.peak/megabyte)
	}},
	{"  idle", func(f *figures) string { return f.idleMemory.String() }},
	{"idle, per shoot and hour: requests to the seed = reads + writes", func(f *figures) string { return f.readsAndWritesPerHour(f.idle.seed) }},
	{"  requests to the garden = reads + writes", func(f *figures) string { return f.readsAndWritesPerHour(f.idle.garden) }},
	{"  requests to the shoot = reads + writes", func(f *figures) string { return f.readsAndWritesPerHour(f.idle.shoot) }},
	{"  processor seconds of the extension", func(f *figures) string {
		return decimal(f.perHour(1) * f.idle.processors[extensionTime].Seconds())
	}},
	{"  requests to the shoot when nothing has changed for long", func(f *figures) string { return fmt.Sprintf("%.0f", f.calmRequests) }},
	{"change of flux-config: all ManagedResources have it after (ratio)", func(f *figures) string { return f.change.beside(f.bareChange) }},
	{"  bare writes of the same objects", func(f *figures) string { return fmt.Sprintf("%.1f s", f.bareChange) }},
	{"  requests to the seed per shoot = reads + writes", func(f *figures) string { return f.readsAndWrites(f.changeTraffic.seed) }},
	{"  versions of flux-status, bytes together", func(f *figures) string { return reports(f.changeTraffic) }},
	{"  processor seconds", func(f *figures) string { return f.changeTraffic.processors.String() }},
	{"restart with all present: all shoots looked into after", func(f *figures) string { return f.caughtUp.String() }},
	{"  writes to the seed, to the garden (all, without Leases)", func(f *figures) string {
		return fmt.Sprintf("%d, %d", f.restart.seed.writes(), f.restart.garden.writes())
	}},
	{"the leader dies when half of the shoots have a change: another leads after", func(f *figures) string { return f.failover.String() }},
	{"  all ManagedResources have the change, from its beginning, after", func(f *figures) string { return f.failoverChange.String() }},
	{"one of ten shoots dead: the others have a change after (ratio to none dead)", func(f *figures) string { return f.livingChange.beside(f.change.seconds) }},
	{"  requests to each of the others per hour", func(f *figures) string { return fmt.Sprintf("%.0f", f.livingRequests) }},
	{"FluxReady Unknown or False on shoots that are well", func(f *figures) string { return fmt.Sprint(f.wrong) }},
}

// writeTable writes the table: a column for each size, and a row for each figure.
func writeTable(out io.Writer, columns []*figures) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprint(table, "shoots/projects")
	for _, column := range columns {
		fmt.Fprintf(table, "\t%s", column.size)
	}
	fmt.Fprintln(table)
	for _, row := range append(firstRows, laterRows...) {
		fmt.Fprint(table, row.name)
		for _, column := range columns {
			fmt.Fprintf(table, "\t%s", row.value(column))
		}
		fmt.Fprintln(table)
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("failed to print the figures: %w", err)
	}
	return nil
}

// printRequests writes which requests there were for each shoot, the most frequent first.
func (f *figures) printRequests(out io.Writer) {
	for _, part := range []struct {
		name    string
		traffic traffic
	}{{"first reconciliation", f.first}, {"idle", f.idle}, {"nothing changes for long", f.calm}, {"change of flux-config", f.changeTraffic}, {"restart", f.restart}, {"change, one of ten dead", f.livingTraffic}} {
		for _, cluster := range []struct {
			name     string
			requests requests
		}{{"seed", part.traffic.seed}, {"garden", part.traffic.garden}, {"shoot", part.traffic.shoot}} {
			if list := cluster.requests.perShoot(f.size.shoots); list != "" {
				fmt.Fprintf(out, "%s: %s, requests to the %s per shoot: %s\n", f.size, part.name, cluster.name, list)
			}
		}
	}
}
