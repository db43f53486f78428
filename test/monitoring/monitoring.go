// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package monitoring reads which metrics the chart's dashboard and alerts ask Prometheus for.
package monitoring

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/VictoriaMetrics/metricsql"
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"sigs.k8s.io/yaml"
)

// The names of the files in the chart.
const (
	AlertsFile    = "monitoring/alerts.yaml"
	DashboardFile = "monitoring/dashboard.json"
)

// Query is an expression that is evaluated by Prometheus.
type Query struct {
	// Where is the name of the alert, or the title of the panel.
	Where string
	// Selectors are what it asks for.
	Selectors []Selector
}

// Selector is what a query demands of series.
type Selector struct {
	// Metric is their name.
	Metric string
	// Labels are demands on their labels.
	Labels []metricsql.LabelFilter
}

// String is the selector as Prometheus reads it.
func (s Selector) String() string {
	text := []byte(s.Metric)
	for i := range s.Labels {
		text = s.Labels[i].AppendString(append(text, ' '))
	}
	return string(text)
}

// Value returns what the selector demands a label to be, or nothing.
func (s Selector) Value(label string) string {
	for _, filter := range s.Labels {
		if filter.Label == label && !filter.IsNegative && !filter.IsRegexp {
			return filter.Value
		}
	}
	return ""
}

// Matches tells whether the labels of a series meet the demands, but for demands on the given labels.
func (s Selector) Matches(labels map[string]string, except ...string) bool {
	for _, filter := range s.Labels {
		pattern := regexp.QuoteMeta(filter.Value)
		if filter.IsRegexp {
			pattern = filter.Value
		}
		matches := regexp.MustCompile("^(?:" + pattern + ")$").MatchString(labels[filter.Label])
		if matches == filter.IsNegative && !slices.Contains(except, filter.Label) {
			return false
		}
	}
	return true
}

// Queries returns all queries of the chart in a directory.
func Queries(chart string) ([]Query, error) {
	rules, err := ReadAlerts(chart)
	if err != nil {
		return nil, err
	}
	dashboard, err := ReadDashboard(chart)
	if err != nil {
		return nil, err
	}
	var queries []Query
	add := func(where, expression string) error {
		query, err := parse(where, expression)
		queries = append(queries, query)
		return err
	}
	for _, group := range rules.Groups {
		for _, rule := range group.Rules {
			if err := add("alert "+rule.Alert, rule.Expr.String()); err != nil {
				return nil, err
			}
		}
	}
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			if err := add("panel "+panel.Title, target.Expr); err != nil {
				return nil, err
			}
		}
	}
	return queries, nil
}

// parse reads MetricsQL, of which PromQL is a part.
func parse(where, expression string) (Query, error) {
	parsed, err := metricsql.Parse(expression)
	if err != nil {
		return Query{}, fmt.Errorf("%s: %w", where, err)
	}
	query := Query{Where: where}
	metricsql.VisitAll(parsed, func(expr metricsql.Expr) {
		selector, ok := expr.(*metricsql.MetricExpr)
		if !ok {
			return
		}
		for _, filters := range selector.LabelFilterss {
			query.Selectors = append(query.Selectors, Selector{Metric: filters[0].Value, Labels: filters[1:]}) // the name comes first
		}
	})
	return query, nil
}

// ReadAlerts reads the alerts of a chart.
func ReadAlerts(chart string) (*monitoringv1.PrometheusRuleSpec, error) {
	rules := &monitoringv1.PrometheusRuleSpec{}
	return rules, read(chart, AlertsFile, func(data []byte) error { return yaml.UnmarshalStrict(data, rules) })
}

// Dashboard is what is read of a dashboard of Plutono.
type Dashboard struct {
	// Title is what people look for.
	Title string
	// Panels are its parts.
	Panels []Panel
}

// Panel is a part of a dashboard.
type Panel struct {
	// ID is unique in a dashboard.
	ID int
	// Title, Description and Type tell people and Plutono what it shows, and how.
	Title, Description, Type string
	// Datasource is the name of a Prometheus that Plutono knows.
	Datasource string
	// GridPos is where it is, in columns of which there are 24.
	GridPos struct{ X, Y, W, H int }
	// Targets are what it shows.
	Targets []Target
}

// Target is a query of a panel.
type Target struct {
	// Expr is its expression.
	Expr string
	// RefID is unique in a panel.
	RefID string
}

// ReadDashboard reads the dashboard of a chart.
func ReadDashboard(chart string) (*Dashboard, error) {
	dashboard := &Dashboard{}
	return dashboard, read(chart, DashboardFile, func(data []byte) error { return json.Unmarshal(data, dashboard) })
}

func read(chart, name string, decode func([]byte) error) error {
	data, err := os.ReadFile(filepath.Join(chart, name))
	if err != nil {
		return fmt.Errorf("failed to read %s of the chart: %w", name, err)
	}
	if err := decode(data); err != nil {
		return fmt.Errorf("failed to read %s of the chart: %w", name, err)
	}
	return nil
}
