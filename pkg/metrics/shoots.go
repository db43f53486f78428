// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	runtimemetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	v1beta1helper "github.com/gardener/gardener/pkg/api/core/v1beta1/helper"
	extensionsv1alpha1helper "github.com/gardener/gardener/pkg/api/extensions/v1alpha1/helper"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
)

const (
	// maxVersions bounds the Flux versions that are told apart. A seed rarely has more than a handful.
	maxVersions = 20
	// otherVersions stands for what is not told apart: the rarest versions, and what is no release of Flux.
	otherVersions = "other"
	// noVersion stands for shoots that have not been given a release yet.
	noVersion = "none"
	// noOperation stands for Extensions that nobody has worked on yet.
	noOperation = "None"

	// listTimeout bounds the wait for the cache. A scrape never waits longer, and has no shoots then.
	listTimeout = 2 * time.Second
)

// releaseTag is what the tags of Flux's releases look like. The users of a shoot can say anything about a Flux of their own.
var releaseTag = regexp.MustCompile(`^v\d{1,3}\.\d{1,3}\.\d{1,3}(-rc\.\d{1,2})?$`)

var (
	readinesses = []string{
		string(gardencorev1beta1.ConditionTrue), string(gardencorev1beta1.ConditionFalse),
		string(gardencorev1beta1.ConditionUnknown), string(gardencorev1beta1.ConditionProgressing),
	}
	operationStates = []string{
		string(gardencorev1beta1.LastOperationStateSucceeded), string(gardencorev1beta1.LastOperationStateProcessing),
		string(gardencorev1beta1.LastOperationStateError), string(gardencorev1beta1.LastOperationStateFailed),
		string(gardencorev1beta1.LastOperationStatePending), string(gardencorev1beta1.LastOperationStateAborted), noOperation, fluxv1alpha1.NotAsConfigured,
	}

	readinessDescription = newDescription("shoots_by_readiness",
		"Shoots with the extension, by the status of condition FluxReady. Only the leader has this.", "flux_ready")
	versionDescription = newDescription("shoots_by_version",
		"Shoots with the extension, by the release of Flux that they get. Only the leader has this.", "version")
	stateDescription = newDescription("shoots_by_operation_state",
		"Shoots with the extension, by the state of the last operation on their Extension. Only the leader has this.", "state")
)

// shoots are numbers of shoots by label value.
type shoots struct {
	readiness, version, state map[string]int
}

// count counts the shoots that the Extensions are about.
func count(extensions []extensionsv1alpha1.Extension) shoots {
	counted := shoots{readiness: zeros(readinesses), version: map[string]int{}, state: zeros(operationStates)}
	for i := range extensions {
		ex := &extensions[i]
		add(counted.readiness, readinessOf(ex), string(gardencorev1beta1.ConditionUnknown))
		add(counted.state, stateOf(ex), noOperation)
		counted.version[versionOf(ex)]++
	}
	counted.version = mostFrequent(counted.version)
	return counted
}

func zeros(values []string) map[string]int {
	counted := map[string]int{}
	for _, value := range values {
		counted[value] = 0
	}
	return counted
}

// add counts a value that is not known as another one.
func add(counted map[string]int, value, otherwise string) {
	if _, known := counted[value]; !known {
		value = otherwise
	}
	counted[value]++
}

func readinessOf(ex *extensionsv1alpha1.Extension) string {
	if condition := v1beta1helper.GetCondition(ex.Status.Conditions, fluxv1alpha1.FluxReady); condition != nil {
		return string(condition.Status)
	}
	return string(gardencorev1beta1.ConditionUnknown)
}

func stateOf(ex *extensionsv1alpha1.Extension) string {
	if ex.Status.LastOperation == nil {
		return noOperation
	}
	// gardenlet is told that all is well, and operators are not.
	if problem := fluxv1alpha1.StatusOf(ex).Problem; problem != nil && problem.Reason == fluxv1alpha1.NotAsConfigured &&
		ex.Status.LastOperation.State == gardencorev1beta1.LastOperationStateSucceeded {
		return problem.Reason
	}
	return string(ex.Status.LastOperation.State)
}

func versionOf(ex *extensionsv1alpha1.Extension) string {
	version := fluxv1alpha1.StatusOf(ex).Version
	switch {
	case version == "":
		return noVersion
	case !releaseTag.MatchString(version):
		return otherVersions
	}
	return version
}

// mostFrequent counts all but the most frequent versions together.
func mostFrequent(versions map[string]int) map[string]int {
	if len(versions) <= maxVersions {
		return versions
	}
	sorted := slices.SortedFunc(maps.Keys(versions), func(a, b string) int {
		return cmp.Or(cmp.Compare(versions[b], versions[a]), cmp.Compare(a, b))
	})
	kept := map[string]int{}
	for i, version := range sorted {
		if i >= maxVersions {
			version = otherVersions
		}
		kept[version] += versions[sorted[i]]
	}
	return kept
}

// ShootsArgs say which shoots are counted.
type ShootsArgs struct {
	// Type is the type of the Extensions.
	Type string
	// ExtensionClasses are the classes of Extensions that the controllers are responsible for.
	ExtensionClasses []extensionsv1alpha1.ExtensionClass
}

// AddShoots adds the numbers of shoots, by what their Extensions say. They are counted in the manager's cache when Prometheus
// asks. Of several replicas, only the leader counts, so that a sum over all replicas is right.
func AddShoots(mgr manager.Manager, args ShootsArgs) error {
	err := mgr.Add(&shootsCollector{reader: mgr.GetCache(), args: args, log: mgr.GetLogger().WithName("metrics")})
	if err != nil {
		return fmt.Errorf("failed to add what counts shoots: %w", err)
	}
	return nil
}

// shootsCollector is both what the manager starts and what Prometheus asks.
type shootsCollector struct {
	reader client.Reader
	args   ShootsArgs
	log    logr.Logger
}

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (c *shootsCollector) NeedLeaderElection() bool {
	return true
}

// Start implements manager.Runnable. The manager calls it when its caches are filled and this process leads.
func (c *shootsCollector) Start(ctx context.Context) error {
	if err := register(c); err != nil {
		return err
	}
	<-ctx.Done()
	runtimemetrics.Registry.Unregister(c)
	return nil
}

// Describe implements prometheus.Collector.
func (c *shootsCollector) Describe(descriptions chan<- *prometheus.Desc) {
	descriptions <- readinessDescription
	descriptions <- versionDescription
	descriptions <- stateDescription
}

// Collect implements prometheus.Collector. If the shoots can't be counted, the other metrics are still served.
func (c *shootsCollector) Collect(metrics chan<- prometheus.Metric) {
	extensions, err := c.list()
	if err != nil {
		c.log.Error(err, "The shoots can't be counted")
		return
	}
	counted := count(extensions)
	for description, values := range map[*prometheus.Desc]map[string]int{
		readinessDescription: counted.readiness, versionDescription: counted.version, stateDescription: counted.state,
	} {
		for value, number := range values {
			metrics <- prometheus.MustNewConstMetric(description, prometheus.GaugeValue, float64(number), value)
		}
	}
}

// list returns the Extensions as they are in the cache: they are only read.
func (c *shootsCollector) list() ([]extensionsv1alpha1.Extension, error) {
	ctx, cancel := context.WithTimeout(context.Background(), listTimeout)
	defer cancel()
	list := &extensionsv1alpha1.ExtensionList{}
	if err := c.reader.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("failed to list Extensions in the cache: %w", err)
	}
	return slices.DeleteFunc(list.Items, func(ex extensionsv1alpha1.Extension) bool {
		return ex.Spec.Type != c.args.Type || !slices.Contains(c.args.ExtensionClasses, extensionsv1alpha1helper.GetExtensionClassOrDefault(ex.Spec.Class))
	}), nil
}
