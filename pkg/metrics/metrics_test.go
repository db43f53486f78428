// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	. "github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	runtimemetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
	"github.com/gardener/gardener/pkg/client/kubernetes"
	reconcilerutils "github.com/gardener/gardener/pkg/controllerutils/reconciler"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/sourcesecret"
)

// labels are all that a metric of this package may have. None of them holds what users choose freely.
var labels = []string{"operation", "phase", "result", "flux_ready", "version", "state", "le"}

// maxSeries is what one replica has at most, histogram buckets included.
const maxSeries = 500

func TestMetricsFollowTheConventions(t *testing.T) {
	g := NewWithT(t)
	registry := prometheus.NewPedanticRegistry()
	extensions := make([]client.Object, 200)
	for i := range extensions {
		extensions[i] = newExtension(i, withVersion(fmt.Sprintf("v2.%d.0", i)))
	}
	for _, collector := range []prometheus.Collector{
		operationDuration, phaseDuration, &processCollector{releases: noReleases, sources: noSources}, newShootsCollector(extensions...),
	} {
		g.Expect(registry.Register(collector)).To(Succeed())
	}
	g.Expect(testutil.GatherAndLint(registry)).To(BeEmpty())

	families, err := registry.Gather()
	g.Expect(err).NotTo(HaveOccurred())
	series := 0
	for _, family := range families {
		g.Expect(family.GetName()).To(HavePrefix(Namespace + "_"))
		for _, metric := range family.GetMetric() {
			series += 1 + len(metric.GetHistogram().GetBucket())
			for _, label := range metric.GetLabel() {
				g.Expect(labels).To(ContainElement(label.GetName()), family.GetName())
			}
		}
	}
	g.Expect(series).To(BeNumerically("<", maxSeries))
}

func noReleases() release.Stats     { return release.Stats{} }
func noSources() sourcesecret.Stats { return sourcesecret.Stats{} }

func TestAllSeriesExistFromTheStart(t *testing.T) {
	g := NewWithT(t)
	g.Expect(testutil.CollectAndCount(operationDuration)).To(Equal(5 * 3))
	g.Expect(testutil.CollectAndCount(phaseDuration)).To(Equal(6 * 3))
	g.Expect(testutil.CollectAndCount(newShootsCollector(), Namespace+"_shoots_by_readiness")).To(Equal(4))
	g.Expect(testutil.CollectAndCount(newShootsCollector(), Namespace+"_shoots_by_operation_state")).To(Equal(8))
}

func TestObserveOperation(t *testing.T) {
	failure := errors.New("failed")
	for result, err := range map[string]error{
		resultSuccess: nil,
		resultWaiting: &reconcilerutils.RequeueAfterError{RequeueAfter: time.Second, Cause: failure},
		resultError:   failure,
	} {
		t.Run(result, func(t *testing.T) {
			g := NewWithT(t)
			before := observed(t, operationDuration, string(OperationDelete), result)
			ObserveOperation(OperationDelete, time.Now(), &err)
			g.Expect(observed(t, operationDuration, string(OperationDelete), result)).To(Equal(before + 1))
		})
	}
}

func TestObservePhase(t *testing.T) {
	for name, test := range map[string]struct {
		err    error
		result string
	}{
		"success":                     {nil, resultSuccess},
		"a download is under way":     {fmt.Errorf("later: %w", release.ErrPending), resultWaiting},
		"others have something to do": {fmt.Errorf("later: %w", &reconcilerutils.RequeueAfterError{}), resultWaiting},
		"failure":                     {release.ErrServerUnreachable, resultError},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			before := observed(t, phaseDuration, string(PhaseRelease), test.result)
			_ = func() (err error) {
				defer ObservePhase(PhaseRelease, time.Now(), &err)
				return test.err
			}()
			g.Expect(observed(t, phaseDuration, string(PhaseRelease), test.result)).To(Equal(before + 1))
		})
	}
}

// observed is how many durations a histogram has counted.
func observed(t *testing.T, durations *prometheus.HistogramVec, values ...string) uint64 {
	t.Helper()
	g := NewWithT(t)
	registry := prometheus.NewRegistry()
	histogram, err := durations.GetMetricWithLabelValues(values...)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(registry.Register(histogram.(prometheus.Histogram))).To(Succeed())
	families, err := registry.Gather()
	g.Expect(err).NotTo(HaveOccurred())
	return families[0].GetMetric()[0].GetHistogram().GetSampleCount()
}

func TestProcessCounters(t *testing.T) {
	collector := &processCollector{
		releases: func() release.Stats {
			return release.Stats{Renders: 1, Downloads: 2, FailedDownloads: 3, LookUps: 9, FailedLookUps: 4, Kept: 5, KeptBytes: 6}
		},
		sources: func() sourcesecret.Stats {
			return sourcesecret.Stats{KeyPairs: 7, HostKeyScans: 10, FailedHostKeyScans: 8}
		},
	}
	g := NewWithT(t)
	expected := values(`
releases_in_memory 5
releases_in_memory_bytes 6
release_renders_total 1
release_downloads_total{result="success"} 2
release_downloads_total{result="error"} 3
release_lookups_total{result="success"} 5
release_lookups_total{result="error"} 4
key_pairs_created_total 7
host_key_scans_total{result="success"} 2
host_key_scans_total{result="error"} 8
`)
	g.Expect(collected(t, collector)).To(ConsistOf(expected))
}

// values are the lines of a text.
func values(text string) []string {
	return strings.Split(strings.TrimSpace(text), "\n")
}

// collected are the series of a collector with their values, without the prefix that all have.
func collected(t *testing.T, collector prometheus.Collector) []string {
	t.Helper()
	g := NewWithT(t)
	registry := prometheus.NewRegistry()
	g.Expect(registry.Register(collector)).To(Succeed())
	families, err := registry.Gather()
	g.Expect(err).NotTo(HaveOccurred())
	var text strings.Builder
	for _, family := range families {
		_, err := expfmt.MetricFamilyToText(&text, family)
		g.Expect(err).NotTo(HaveOccurred())
	}
	var series []string
	for _, line := range values(text.String()) {
		if !strings.HasPrefix(line, "#") {
			series = append(series, strings.TrimPrefix(line, Namespace+"_"))
		}
	}
	return series
}

type change func(*extensionsv1alpha1.Extension)

func newExtension(number int, changes ...change) *extensionsv1alpha1.Extension {
	ex := &extensionsv1alpha1.Extension{
		ObjectMeta: metav1.ObjectMeta{Namespace: fmt.Sprintf("shoot--project--%d", number), Name: "shoot-flux"},
		Spec:       extensionsv1alpha1.ExtensionSpec{DefaultSpec: extensionsv1alpha1.DefaultSpec{Type: "shoot-flux"}},
	}
	for _, change := range changes {
		change(ex)
	}
	return ex
}

func withVersion(version string) change {
	return func(ex *extensionsv1alpha1.Extension) {
		ex.Status.ProviderStatus = &runtime.RawExtension{Raw: fmt.Appendf(nil, `{"version": %q}`, version)}
	}
}

func withReadiness(status gardencorev1beta1.ConditionStatus) change {
	return func(ex *extensionsv1alpha1.Extension) {
		ex.Status.Conditions = []gardencorev1beta1.Condition{{Type: "FluxReady", Status: status}}
	}
}

func withState(state gardencorev1beta1.LastOperationState) change {
	return func(ex *extensionsv1alpha1.Extension) {
		ex.Status.LastOperation = &gardencorev1beta1.LastOperation{State: state}
	}
}

func withProblem(reason string) change {
	return func(ex *extensionsv1alpha1.Extension) {
		ex.Status.ProviderStatus = &runtime.RawExtension{Raw: fmt.Appendf(nil, `{"version": "v2.9.4", "problem": {"reason": %q}}`, reason)}
	}
}

func newShootsCollector(extensions ...client.Object) *shootsCollector {
	return &shootsCollector{
		reader: fake.NewClientBuilder().WithScheme(kubernetes.SeedScheme).WithObjects(extensions...).Build(),
		args:   ShootsArgs{Type: "shoot-flux", ExtensionClasses: []extensionsv1alpha1.ExtensionClass{extensionsv1alpha1.ExtensionClassShoot}},
		log:    logr.Discard(),
	}
}

func TestShoots(t *testing.T) {
	g := NewWithT(t)
	collector := newShootsCollector(
		newExtension(1, withVersion("v2.9.4"), withReadiness("True"), withState("Succeeded")),
		newExtension(2, withProblem("NotAsConfigured"), withReadiness("False"), withState("Succeeded")),
		newExtension(3, withVersion("v2.8.0-rc.1"), withReadiness("Progressing"), withState("Error")),
		newExtension(4, withVersion("v1.2.3-of-the-secret-project"), withReadiness("Strange"), withState("Strange")),
		newExtension(5),
		newExtension(6, withVersion("v2.9.4"), func(ex *extensionsv1alpha1.Extension) { ex.Spec.Type = "another" }),
		newExtension(7, withVersion("v2.9.4"), func(ex *extensionsv1alpha1.Extension) { ex.Spec.Class = new(extensionsv1alpha1.ExtensionClassSeed) }),
	)
	g.Expect(collected(t, collector)).To(ConsistOf(values(`
shoots_by_readiness{flux_ready="True"} 1
shoots_by_readiness{flux_ready="False"} 1
shoots_by_readiness{flux_ready="Progressing"} 1
shoots_by_readiness{flux_ready="Unknown"} 2
shoots_by_version{version="v2.9.4"} 2
shoots_by_version{version="v2.8.0-rc.1"} 1
shoots_by_version{version="other"} 1
shoots_by_version{version="none"} 1
shoots_by_operation_state{state="Succeeded"} 1
shoots_by_operation_state{state="NotAsConfigured"} 1
shoots_by_operation_state{state="Processing"} 0
shoots_by_operation_state{state="Error"} 1
shoots_by_operation_state{state="Failed"} 0
shoots_by_operation_state{state="Pending"} 0
shoots_by_operation_state{state="Aborted"} 0
shoots_by_operation_state{state="None"} 2
`)))
}

// Anybody can ask for any version.
func TestVersionsAreBounded(t *testing.T) {
	g := NewWithT(t)
	versions := map[string]int{"other": 1}
	for i := range 3 * maxVersions {
		versions[fmt.Sprintf("v1.%d.0", i)] = 2 + i
	}
	kept := mostFrequent(versions)
	g.Expect(kept).To(HaveLen(maxVersions + 1))
	g.Expect(kept).To(And(HaveKeyWithValue("v1.59.0", 61), HaveKey("v1.40.0"), Not(HaveKey("v1.39.0"))))
	g.Expect(sum(kept)).To(Equal(sum(versions)))
	g.Expect(mostFrequent(map[string]int{"v2.9.4": 1})).To(Equal(map[string]int{"v2.9.4": 1}))
}

func sum(numbers map[string]int) int {
	total := 0
	for _, number := range numbers {
		total += number
	}
	return total
}

// The other metrics must not be lost because of it.
func TestShootsThatCanNotBeCounted(t *testing.T) {
	collector := newShootsCollector()
	collector.reader = interceptor.NewClient(collector.reader.(client.WithWatch), interceptor.Funcs{
		List: func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error {
			return errors.New("no cache")
		},
	})
	NewWithT(t).Expect(testutil.CollectAndCount(collector)).To(BeZero())
}

// A process counts shoots while it leads.
func TestOnlyTheLeaderCountsShoots(t *testing.T) {
	g := NewWithT(t)
	collector := newShootsCollector(newExtension(1))
	g.Expect(collector.NeedLeaderElection()).To(BeTrue())
	served := func() (int, error) {
		return testutil.GatherAndCount(runtimemetrics.Registry, Namespace+"_shoots_by_version")
	}
	g.Expect(served()).To(BeZero())

	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- collector.Start(ctx) }()
	g.Eventually(served, time.Minute).Should(Equal(1))
	g.Expect(register(collector)).To(MatchError(ContainSubstring("failed to register metrics: ")))
	cancel()
	g.Expect(<-ended).To(Succeed())
	g.Expect(served()).To(BeZero())
}
