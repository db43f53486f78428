// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package charts_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	seedprometheus "github.com/gardener/gardener/pkg/component/observability/monitoring/prometheus/seed"

	"github.com/23technologies/gardener-extension-shoot-flux/test/monitoring"
)

// Another extension's metrics would be taken for this one's, and an alert would fire for it.
func TestQueriesAskForThisExtension(t *testing.T) {
	g := NewWithT(t)
	queries, err := monitoring.Queries(chartName)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(queries).NotTo(BeEmpty())
	job := podTemplate(t, nil).Annotations["prometheus.io/name"]
	for _, query := range queries {
		g.Expect(query.Selectors).NotTo(BeEmpty(), query.Where)
		for _, selector := range query.Selectors {
			label := "job"
			if selector.Metric == "ALERTS" {
				label = "service"
			}
			g.Expect(selector.Value(label)).To(Equal(job), "%s: %s", query.Where, selector)
		}
	}
}

// Gardener's Alertmanager drops alerts without visibility, and knows these values.
func TestAlertsSayWhatToDo(t *testing.T) {
	g := NewWithT(t)
	rules, err := monitoring.ReadAlerts(chartName)
	g.Expect(err).NotTo(HaveOccurred())
	documentation, err := os.ReadFile("../docs/operations/monitoring.md")
	g.Expect(err).NotTo(HaveOccurred())
	for _, group := range rules.Groups {
		for _, rule := range group.Rules {
			g.Expect(rule.Alert).To(HavePrefix("ShootFlux"))
			g.Expect(rule.For).NotTo(BeNil(), rule.Alert)
			g.Expect(rule.Labels).To(And(HaveKeyWithValue("service", "shoot-flux"), HaveKeyWithValue("visibility", "operator"),
				HaveKeyWithValue("type", "seed"), HaveKeyWithValue("severity", BeElementOf("critical", "warning"))), rule.Alert)
			g.Expect(rule.Annotations).To(And(HaveKey("summary"), HaveKey("description"),
				HaveKeyWithValue("runbook_url", HaveSuffix("/docs/operations/monitoring.md#"+strings.ToLower(rule.Alert)))), rule.Alert)
			g.Expect(string(documentation)).To(ContainSubstring("\n### "+rule.Alert+"\n"), "what the runbook_url leads to")
		}
	}
}

// Plutono shows what it can, and says nothing about the rest.
func TestDashboardFitsPlutono(t *testing.T) {
	g := NewWithT(t)
	dashboard, err := monitoring.ReadDashboard(chartName)
	g.Expect(err).NotTo(HaveOccurred())
	ids, taken := map[int]bool{}, map[[2]int]string{}
	for _, panel := range dashboard.Panels {
		g.Expect(panel.Type).To(BeElementOf("graph", "stat"), panel.Title)
		g.Expect(panel.Datasource).To(Equal("prometheus-seed"), panel.Title)
		g.Expect(panel.Title).NotTo(BeEmpty())
		g.Expect(panel.Description).NotTo(BeEmpty(), panel.Title)
		g.Expect(ids).NotTo(HaveKey(panel.ID), panel.Title)
		ids[panel.ID] = true
		g.Expect(panel.GridPos.X+panel.GridPos.W).To(BeNumerically("<=", 24), panel.Title)
		for x := panel.GridPos.X; x < panel.GridPos.X+panel.GridPos.W; x++ {
			for y := panel.GridPos.Y; y < panel.GridPos.Y+panel.GridPos.H; y++ {
				g.Expect(taken).NotTo(HaveKey([2]int{x, y}), panel.Title)
				taken[[2]int{x, y}] = panel.Title
			}
		}
		references := map[string]bool{}
		for _, target := range panel.Targets {
			g.Expect(references).NotTo(HaveKey(target.RefID), panel.Title)
			references[target.RefID] = true
		}
	}
}

// What is installed in the seed is what the files say.
func TestMonitoringObjects(t *testing.T) {
	g := NewWithT(t)
	objects := objects(t, nil)
	rule := find[*monitoringv1.PrometheusRule](t, objects)
	g.Expect(rule.Labels).To(HaveKeyWithValue("prometheus", seedprometheus.Label))
	rules, err := monitoring.ReadAlerts(chartName)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(&rule.Spec).To(Equal(rules))

	dashboard := find[*corev1.ConfigMap](t, objects)
	g.Expect(dashboard.Namespace).To(Equal("garden"))
	g.Expect(dashboard.Labels).To(HaveKeyWithValue("dashboard.monitoring.gardener.cloud/seed", "true"))
	content, err := chart.ReadFile(chartName + "/" + monitoring.DashboardFile)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(dashboard.Data).To(HaveKeyWithValue("shoot-flux.json", MatchJSON(content)))
}

func has[T client.Object](objects []client.Object) bool {
	return slices.ContainsFunc(objects, func(object client.Object) bool {
		_, ok := object.(T)
		return ok
	})
}

func TestMonitoringSwitches(t *testing.T) {
	for name, test := range map[string]struct {
		values                   string
		scraped, dashboard, rule bool
	}{
		"defaults":           {"{}", true, true, true},
		"no scraping":        {"metrics: {enableScraping: false}", false, false, false},
		"no dashboard":       {"metrics: {dashboard: false}", true, false, true},
		"no alerts":          {"metrics: {alerts: {enabled: false}}", true, true, false},
		"self-hosted shoot":  {"gardener: {selfHostedShootCluster: true}", true, false, false},
		"another Prometheus": {"metrics: {alerts: {labels: {prometheus: mine}}}", true, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			var values map[string]any
			g.Expect(yaml.Unmarshal([]byte(test.values), &values)).To(Succeed())
			objects := objects(t, values)
			g.Expect(find[*appsv1.Deployment](t, objects).Spec.Template.Annotations["prometheus.io/scrape"] == "true").To(Equal(test.scraped))
			g.Expect(has[*corev1.ConfigMap](objects)).To(Equal(test.dashboard))
			g.Expect(has[*monitoringv1.PrometheusRule](objects)).To(Equal(test.rule))
			if name == "another Prometheus" {
				g.Expect(find[*monitoringv1.PrometheusRule](t, objects).Labels).To(HaveKeyWithValue("prometheus", "mine"))
			}
		})
	}
}
