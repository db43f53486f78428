// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/sourcesecret"
)

var (
	rendersDescription = newDescription("release_renders_total",
		"Releases of Flux that were rendered.")
	downloadsDescription = newDescription("release_downloads_total",
		"Downloads of releases of Flux, from each place that was asked. That a release does not exist is no error.", "result")
	lookUpsDescription = newDescription("release_lookups_total",
		"Look-ups of which releases of Flux there are.", "result")
	keptDescription = newDescription("releases_in_memory",
		"Releases of Flux in memory.")
	keptBytesDescription = newDescription("releases_in_memory_bytes",
		"Size of the manifests of the releases in memory.")
	keyPairsDescription = newDescription("key_pairs_created_total",
		"SSH key pairs that were made for projects.")
	scansDescription = newDescription("host_key_scans_total",
		"Git servers that were asked for their host key.", "result")
)

// processCollector reads what a process counts itself.
type processCollector struct {
	releases func() release.Stats
	sources  func() sourcesecret.Stats
}

// AddProcessCounters adds what the catalogue and the keeper of this process count.
func AddProcessCounters(releases *release.Catalogue, sources *sourcesecret.Keeper) error {
	return register(&processCollector{releases: releases.Stats, sources: sources.Stats})
}

// Describe implements prometheus.Collector.
func (c *processCollector) Describe(descriptions chan<- *prometheus.Desc) {
	for _, description := range []*prometheus.Desc{
		rendersDescription, downloadsDescription, lookUpsDescription, keptDescription, keptBytesDescription, keyPairsDescription, scansDescription,
	} {
		descriptions <- description
	}
}

// Collect implements prometheus.Collector.
func (c *processCollector) Collect(metrics chan<- prometheus.Metric) {
	send := func(description *prometheus.Desc, kind prometheus.ValueType, value int64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(description, kind, float64(value), labels...)
	}
	releases, sources := c.releases(), c.sources()
	send(rendersDescription, prometheus.CounterValue, releases.Renders)
	send(downloadsDescription, prometheus.CounterValue, releases.Downloads, resultSuccess)
	send(downloadsDescription, prometheus.CounterValue, releases.FailedDownloads, resultError)
	send(lookUpsDescription, prometheus.CounterValue, releases.LookUps-releases.FailedLookUps, resultSuccess)
	send(lookUpsDescription, prometheus.CounterValue, releases.FailedLookUps, resultError)
	send(keptDescription, prometheus.GaugeValue, releases.Kept)
	send(keptBytesDescription, prometheus.GaugeValue, releases.KeptBytes)
	send(keyPairsDescription, prometheus.CounterValue, sources.KeyPairs)
	send(scansDescription, prometheus.CounterValue, sources.HostKeyScans-sources.FailedHostKeyScans, resultSuccess)
	send(scansDescription, prometheus.CounterValue, sources.FailedHostKeyScans, resultError)
}
