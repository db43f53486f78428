// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"net/http/httptest"
	"testing"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/fluxversion"
)

// BenchmarkShoots tells what 500 shoots on three releases cost, one of which is embedded: how much is rendered,
// downloaded and kept for all of them, and what each further shoot allocates.
func BenchmarkShoots(b *testing.B) {
	const shoots = 500
	server := newReleaseServer(b, (*httptest.Server).StartTLS)
	server.publish("v2.9.98", releaseTarball(b))
	requests := []fluxversion.Request{
		{Version: server.embedded, Installed: server.embedded},
		{Version: "v2.9.98"},
		{Version: "latest", Installed: server.embedded},
	}
	reconcile := func(catalogue *Catalogue, request fluxversion.Request) {
		choice, err := catalogue.Choose(b.Context(), request)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := catalogue.Get(b.Context(), choice.Version); err != nil {
			b.Fatal(err)
		}
	}

	var catalogue *Catalogue
	for b.Loop() {
		catalogue = server.catalogue(b, Options{})
		for i := range shoots {
			reconcile(catalogue, requests[i%len(requests)])
		}
	}
	stats := catalogue.Stats()
	b.ReportMetric(float64(stats.Renders), "renders")
	b.ReportMetric(float64(stats.Downloads), "downloads")
	b.ReportMetric(float64(stats.LookUps), "look-ups")
	b.ReportMetric(float64(stats.KeptBytes), "kept-bytes")
	next := 0
	b.ReportMetric(testing.AllocsPerRun(shoots, func() {
		reconcile(catalogue, requests[next%len(requests)])
		next++
	}), "allocs/shoot")
}
