// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"context"
	"testing"

	. "github.com/onsi/gomega"
	clientmetrics "k8s.io/client-go/tools/metrics"
)

type recordedRequests []string

func (r *recordedRequests) Increment(_ context.Context, code, method, host string) {
	*r = append(*r, code+" "+method+" "+host)
}

func TestHostsAreNamed(t *testing.T) {
	before := clientmetrics.RequestResult
	t.Cleanup(func() { clientmetrics.RequestResult = before })
	recorded, garden := &recordedRequests{}, ""
	clientmetrics.RequestResult = recorded
	LabelRequestsByCluster("10.0.0.1:443", func() string { return garden })

	for _, host := range []string{"10.0.0.1:443", "kube-apiserver.shoot--secret--one.svc", "api.garden.example.org"} {
		clientmetrics.RequestResult.Increment(t.Context(), "200", "GET", host)
	}
	garden = "api.garden.example.org"
	clientmetrics.RequestResult.Increment(t.Context(), "403", "PATCH", garden)
	NewWithT(t).Expect(*recorded).To(Equal(recordedRequests{"200 GET seed", "200 GET shoot", "200 GET shoot", "403 PATCH garden"}))
}
