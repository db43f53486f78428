// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/metrics"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/gitserver"
	"github.com/23technologies/gardener-extension-shoot-flux/test/monitoring"
)

const chartDir = "../../charts/gardener-extension-shoot-flux"

// ofPrometheus are the metrics that Prometheus makes itself, and ofTargets the labels that it adds to what it scrapes.
var ofPrometheus, ofTargets = []string{"up", "ALERTS"}, []string{"job", "pod"}

// TestMonitoring compares what the dashboard and the alerts ask Prometheus for with what the extension tells Prometheus.
func TestMonitoring(t *testing.T) {
	parallel(t)
	p := newProject(t, "monitoring")
	repository := p.newRepository(true)
	url, err := repository.HTTPURL()
	p.Expect(err).NotTo(HaveOccurred())
	p.configure(map[string]string{"fluxVersion": fluxVersion, "repositoryUrl": url})
	shoot := p.newShoot("one")
	shoot.expectSucceeded()
	shoot.expectSynced(repository, gitserver.DefaultBranch)
	shoot.reconcile()

	// Other tests kill the extension, and create and delete shoots.
	p.Eventually(func(g Gomega) {
		families := scrape(g, p)
		expectNumbers(g, p, families)
		expectAnswers(g, families)
		expectNobodyIsNamed(g, families)
	}, timeout, interval).Should(Succeed())

	// Gardener has installed both.
	namespace, err := shared.Seed.ExtensionNamespace(t.Context())
	p.Expect(err).NotTo(HaveOccurred())
	alerts := client.ObjectKey{Namespace: namespace, Name: "gardener-extension-shoot-flux"}
	p.Expect(shared.Seed.Client.Get(t.Context(), alerts, &monitoringv1.PrometheusRule{})).To(Succeed())
	dashboard := client.ObjectKey{Namespace: "garden", Name: "gardener-extension-shoot-flux-dashboard"}
	p.Expect(shared.Seed.Client.Get(t.Context(), dashboard, &corev1.ConfigMap{})).To(Succeed())
}

// scrape asks the extension for its metrics, as Prometheus does.
func scrape(g Gomega, p *projectAdmin) map[string]*dto.MetricFamily {
	process := shared.Seed.ExtensionProcess()
	g.Expect(process).NotTo(BeNil())
	request, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, "http://"+process.Flag("metrics-bind-address")+"/metrics", http.NoBody)
	g.Expect(err).NotTo(HaveOccurred())
	response, err := http.DefaultClient.Do(request)
	g.Expect(err).NotTo(HaveOccurred())
	defer response.Body.Close()
	g.Expect(response.StatusCode).To(Equal(http.StatusOK))
	textParser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := textParser.TextToMetricFamilies(response.Body)
	g.Expect(err).NotTo(HaveOccurred())
	return families
}

// expectNumbers checks that the metrics tell the truth about what the test has done.
func expectNumbers(g Gomega, p *projectAdmin, families map[string]*dto.MetricFamily) {
	list := &extensionsv1alpha1.ExtensionList{}
	g.Expect(shared.Seed.Client.List(p.t.Context(), list)).To(Succeed())
	extensions := len(slices.DeleteFunc(list.Items, func(ex extensionsv1alpha1.Extension) bool { return ex.Spec.Type != "shoot-flux" }))
	for _, name := range []string{"shoots_by_readiness", "shoots_by_version", "shoots_by_operation_state"} {
		g.Expect(total(families, name, nil)).To(BeEquivalentTo(extensions), name)
	}
	g.Expect(total(families, "shoots_by_readiness", map[string]string{"flux_ready": "True"})).To(BeNumerically(">=", 1))
	g.Expect(total(families, "shoots_by_version", map[string]string{"version": fluxVersion})).To(BeNumerically(">=", 1))
	g.Expect(total(families, "operation_duration_seconds", map[string]string{"operation": "reconcile", "result": "success"})).To(BeNumerically(">=", 1))
	for _, phase := range []metrics.Phase{
		metrics.PhaseProject, metrics.PhaseInventory, metrics.PhaseRelease, metrics.PhaseSource, metrics.PhaseInstall, metrics.PhaseConfigure,
	} {
		labels := map[string]string{"phase": string(phase), "result": "success"}
		g.Expect(total(families, "reconciliation_phase_duration_seconds", labels)).To(BeNumerically(">=", 1), phase)
	}
	g.Expect(total(families, "release_renders_total", nil)).To(BeNumerically(">=", 1))
	g.Expect(total(families, "releases_in_memory", nil)).To(BeNumerically(">=", 1))
}

// total adds up the series of a metric that have the labels.
func total(families map[string]*dto.MetricFamily, name string, labels map[string]string) float64 {
	sum := 0.0
	for _, metric := range families[metrics.Namespace+"_"+name].GetMetric() {
		has := labelsOf(metric)
		maps.DeleteFunc(has, func(label, _ string) bool { return labels[label] == "" })
		if !maps.Equal(has, labels) {
			continue
		}
		sum += metric.GetGauge().GetValue() + metric.GetCounter().GetValue() + float64(metric.GetHistogram().GetSampleCount())
	}
	return sum
}

func labelsOf(metric *dto.Metric) map[string]string {
	labels := map[string]string{}
	for _, pair := range metric.GetLabel() {
		labels[pair.GetName()] = pair.GetValue()
	}
	return labels
}

// expectAnswers checks that there is a series for each selector of dashboard and alerts.
func expectAnswers(g Gomega, families map[string]*dto.MetricFamily) {
	queries, err := monitoring.Queries(chartDir)
	g.Expect(err).NotTo(HaveOccurred())
	for _, query := range queries {
		for _, selector := range query.Selectors {
			if slices.Contains(ofPrometheus, selector.Metric) {
				continue
			}
			family := familyOf(families, selector.Metric)
			g.Expect(family).NotTo(BeNil(), "%s asks for %s, which the extension does not have", query.Where, selector.Metric)
			g.Expect(slices.ContainsFunc(family.GetMetric(), func(metric *dto.Metric) bool { return selector.Matches(labelsOf(metric), ofTargets...) })).
				To(BeTrue(), "%s asks for %s, which no series is", query.Where, selector)
		}
	}
}

// familyOf also finds the family of a histogram by the names of its series.
func familyOf(families map[string]*dto.MetricFamily, name string) *dto.MetricFamily {
	if family := families[name]; family != nil {
		return family
	}
	for _, suffix := range []string{"_bucket", "_count", "_sum"} {
		if family := families[strings.TrimSuffix(name, suffix)]; family.GetType() == dto.MetricType_HISTOGRAM {
			return family
		}
	}
	return nil
}

// expectNobodyIsNamed checks that the metrics tell neither who uses the extension nor what for, whatever other tests do.
func expectNobodyIsNamed(g Gomega, families map[string]*dto.MetricFamily) {
	for name, family := range families {
		for _, metric := range family.GetMetric() {
			for label, value := range labelsOf(metric) {
				g.Expect(value).NotTo(Or(ContainSubstring("shoot--"), ContainSubstring("garden-"), ContainSubstring("://"), ContainSubstring("127.0.0.1")), "%s of %s", label, name)
			}
		}
	}
	for _, metric := range families["rest_client_requests_total"].GetMetric() {
		g.Expect(labelsOf(metric)["host"]).To(BeElementOf("seed", "garden", "shoot"))
	}
	own := slices.DeleteFunc(slices.Collect(maps.Keys(families)), func(name string) bool { return !strings.HasPrefix(name, metrics.Namespace+"_") })
	g.Expect(own).To(HaveLen(12), "all metrics of the documentation")
	series := 0
	for _, name := range own {
		for _, metric := range families[name].GetMetric() {
			series += 1 + len(metric.GetHistogram().GetBucket())
			for label := range labelsOf(metric) {
				g.Expect(label).To(BeElementOf("operation", "phase", "result", "flux_ready", "version", "state"), name)
			}
		}
	}
	g.Expect(series).To(BeNumerically("<", 500), "what the documentation promises")
}
