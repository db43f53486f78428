// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/types"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/cluster"
)

// idle is how long a benchmark watches a shoot in which nothing happens: some rounds of what is done every 30 or 60 seconds.
const idle = 3 * time.Minute

// BenchmarkRequests counts what the extension asks of API servers for one shoot: at the first reconciliation and at a repeated one, and, in requests per
// hour, while nothing happens. It also counts what gardener-resource-manager does because of the extension, and what a resync changes in the shoot.
// Leases, which replicas renew however many shoots there are, don't count.
func BenchmarkRequests(b *testing.B) {
	p := newProject(b, "requests")
	repository := p.newRepository(true)
	url, err := repository.HTTPURL()
	p.Expect(err).NotTo(HaveOccurred())
	p.configure(map[string]string{"fluxVersion": fluxVersion, "repositoryUrl": url})
	for i := 0; b.Loop(); i++ {
		s := p.newQuietShoot(fmt.Sprintf("r%d", i))
		s.restartResourceManager()
		pause(b, settling)

		first := s.counting(b, "first reconciliation", func() {
			s.timeToContent(s.createExtension)
			s.expectReconciled(time.Time{})
		})
		pause(b, idle/3) // until the health checks have told everything
		repeated := s.counting(b, "repeated reconciliation", func() {
			begin := time.Now().Truncate(time.Second)
			patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"metadata":{"annotations":{"gardener.cloud/operation":"reconcile","gardener.cloud/timestamp":%q}}}`, begin.Add(time.Second).Format(time.RFC3339Nano)))
			pause(b, time.Second)
			s.Expect(s.landscape.SeedClient.Patch(b.Context(), s.extension(s), patch)).To(Succeed())
			s.expectReconciled(begin)
		})
		quiet := s.counting(b, "idle", func() { pause(b, idle) })
		before := s.versions(managedresource.Installation)
		resync := s.counting(b, "resync", func() {
			s.resync(managedresource.Installation)
			s.resync(managedresource.Configuration)
			pause(b, 4*settling)
		})
		p.Expect(s.versions(managedresource.Installation)).To(Equal(before))

		perHour := float64(time.Hour / idle)
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(float64(first.reads(ofExtension)), "first-reads")
		b.ReportMetric(float64(first.writes(ofExtension)), "first-writes")
		b.ReportMetric(float64(repeated.reads(ofExtension)), "repeated-reads")
		b.ReportMetric(float64(repeated.writes(ofExtension)), "repeated-writes")
		b.ReportMetric(perHour*float64(quiet.reads(ofExtension)), "idle-reads/h")
		b.ReportMetric(perHour*float64(quiet.writes(ofExtension)), "idle-writes/h")
		b.ReportMetric(perHour*float64(quiet.writes(ofResourceManager)), "idle-GRM-writes/h")
		b.ReportMetric(float64(resync.writes(ofResourceManager)), "resync-GRM-writes")
		s.delete(b.Context())
	}
}

// Who asks.
const (
	ofExtension       = "extension"
	ofResourceManager = "gardener-resource-manager"
)

// requests counts requests by who asks where for what.
type requests map[request]int

type request struct{ who, where, verb, resource string }

func (r requests) reads(who string) int  { return r.count(who, false) }
func (r requests) writes(who string) int { return r.count(who, true) }

func (r requests) count(who string, writes bool) int {
	var n int
	for key, count := range r {
		if key.who == who && slices.Contains([]string{"get", "list", "watch"}, key.verb) != writes {
			n += count
		}
	}
	return n
}

// counting does something, and returns and shows the requests for the shoot meanwhile.
func (s *shootOwner) counting(b *testing.B, what string, action func()) requests {
	shoot, err := s.landscape.ShootCluster(s.technicalID)
	s.Expect(err).NotTo(HaveOccurred())
	places := []struct {
		*cluster.Cluster
		name, namespace string
	}{
		{s.landscape.Garden.Cluster, "garden", s.shoot.Namespace},
		{s.landscape.Seed.Cluster, "seed", s.technicalID},
		{shoot, "shoot", ""},
	}
	begin := make([]int, len(places))
	for i, place := range places {
		events, err := place.Requests()
		s.Expect(err).NotTo(HaveOccurred())
		begin[i] = len(events)
	}
	action()
	counted := requests{}
	for i, place := range places {
		events, err := place.Requests()
		s.Expect(err).NotTo(HaveOccurred())
		for _, event := range events[begin[i]:] {
			reference := event.ObjectRef
			who := asks(event)
			if reference == nil || who == "" || reference.Resource == "leases" {
				continue
			}
			if place.namespace == "" || reference.Namespace == place.namespace || reference.Name == place.namespace {
				resource := strings.TrimSuffix(reference.Resource+"/"+reference.Subresource, "/")
				counted[request{who, place.name, event.Verb, resource}]++
			}
		}
	}
	b.Logf("%s:", what)
	for _, key := range slices.SortedFunc(maps.Keys(counted), func(a, b request) int {
		return cmp.Or(cmp.Compare(a.who, b.who), cmp.Compare(a.where, b.where), cmp.Compare(a.verb, b.verb), cmp.Compare(a.resource, b.resource))
	}) {
		b.Logf("%4d  %s in the %s: %s %s", counted[key], key.who, key.where, key.verb, key.resource)
	}
	return counted
}

// asks tells who has sent a request, or nothing if it is none of those that count.
func asks(event auditv1.Event) string {
	name := event.User.Username
	switch {
	case strings.Contains(name, "shoot-flux"):
		return ofExtension
	case strings.HasSuffix(name, ":gardener-resource-manager"):
		return ofResourceManager
	}
	// In shoots, the extension uses Gardener's own access.
	if strings.HasPrefix(event.UserAgent, "gardener-extension-shoot-flux") {
		return ofExtension
	}
	return ""
}

func (s *shootOwner) extension(g Gomega) *extensionsv1alpha1.Extension {
	extension := &extensionsv1alpha1.Extension{}
	g.Expect(s.landscape.SeedClient.Get(s.t.Context(), client.ObjectKey{Namespace: s.technicalID, Name: "shoot-flux"}, extension)).To(Succeed())
	return extension
}

// expectReconciled waits until the Extension was reconciled successfully after a time.
func (s *shootOwner) expectReconciled(after time.Time) {
	s.Eventually(func(g Gomega) {
		last := s.extension(g).Status.LastOperation
		g.Expect(last).NotTo(BeNil())
		g.Expect(last.State).To(Equal(gardencorev1beta1.LastOperationStateSucceeded))
		g.Expect(last.LastUpdateTime.After(after)).To(BeTrue())
	}, timeout, look).Should(Succeed())
}
