// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"context"

	clientmetrics "k8s.io/client-go/tools/metrics"
)

// The values of label host of metric rest_client_requests_total.
const (
	hostSeed   = "seed"
	hostGarden = "garden"
	hostShoot  = "shoot"
)

// LabelRequestsByCluster makes client-go's metrics say which kind of cluster was asked, in place of the host: that of a shoot's API server names
// the shoot, and there can be any number of them. seed is host and port, and garden returns those that the garden has now. LabelRequestsByCluster
// must be called before any request is made.
func LabelRequestsByCluster(seed string, garden func() string) {
	clientmetrics.RequestResult = &clusterLabels{ResultMetric: clientmetrics.RequestResult, seed: seed, garden: garden}
}

type clusterLabels struct {
	clientmetrics.ResultMetric
	seed   string
	garden func() string
}

// Increment implements clientmetrics.ResultMetric.
func (n *clusterLabels) Increment(ctx context.Context, code, method, host string) {
	kind := hostShoot
	switch host {
	case n.seed:
		kind = hostSeed
	case n.garden():
		kind = hostGarden
	}
	n.ResultMetric.Increment(ctx, code, method, kind)
}
