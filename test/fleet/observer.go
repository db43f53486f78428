// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/kubernetes/scheme"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1beta1helper "github.com/gardener/gardener/pkg/api/core/v1beta1/helper"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"
)

const (
	// fluxReady is the condition of an Extension that tells whether Flux follows the repository.
	fluxReady = "FluxReady"
	// reportName is the name of the ConfigMap in which project admins read of their shoots.
	reportName = "flux-status"

	observationInterval = 50 * time.Millisecond
)

// observer sees what the extension makes of the shoots, by watches, and when.
type observer struct {
	proxy *shootProxy

	mutex  sync.Mutex
	shoots map[string]*observedShoot
	// reports and reportBytes are how many versions of ConfigMap flux-status there were, and their sizes together.
	reports, reportBytes int
	// versions are how many versions of Extensions there were.
	versions int
	wrong    int
}

// observedShoot is what is known of a shoot, the times of the last change included.
type observedShoot struct {
	succeeded   bool
	succeededAt time.Time
	ready       gardencorev1beta1.ConditionStatus
	readyAt     time.Time
	// healthy tells that Gardener's health check has looked at the shoot.
	healthy bool
	// configuration is the Secret by which the shoot has its configuration.
	configuration   string
	configurationAt time.Time
}

func startObserver(ctx context.Context, l *landscape) (*observer, error) {
	o := &observer{proxy: l.proxy, shoots: map[string]*observedShoot{}}
	seed, err := cache.New(l.seed.Config, cache.Options{Scheme: scheme.Scheme, DefaultTransform: cache.TransformStripManagedFields()})
	if err != nil {
		return nil, fmt.Errorf("failed to watch the seed: %w", err)
	}
	garden, err := cache.New(l.garden.Config, cache.Options{Scheme: scheme.Scheme, ByObject: map[client.Object]cache.ByObject{
		&corev1.ConfigMap{}: {Field: fields.OneTermEqualSelector("metadata.name", reportName)},
	}})
	if err != nil {
		return nil, fmt.Errorf("failed to watch the garden: %w", err)
	}
	l.background.Go(func() error { return seed.Start(ctx) })
	l.background.Go(func() error { return garden.Start(ctx) })
	if err := watch(ctx, seed, &extensionsv1alpha1.Extension{}, o.extensionSeen); err != nil {
		return nil, err
	}
	if err := watch(ctx, garden, &corev1.ConfigMap{}, o.reportSeen); err != nil {
		return nil, err
	}
	return o, watch(ctx, seed, &resourcesv1alpha1.ManagedResource{}, func(managedResource *resourcesv1alpha1.ManagedResource) {
		o.managedResourceSeen(managedResource)
		l.managers.seen(managedResource)
	})
}

// watch calls seen for each version of each object of a kind.
func watch[T client.Object](ctx context.Context, objects cache.Cache, kind T, seen func(T)) error {
	informer, err := objects.GetInformer(ctx, kind)
	if err != nil {
		return fmt.Errorf("failed to watch objects of type %T: %w", kind, err)
	}
	_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { seen(object.(T)) },
		UpdateFunc: func(_, object any) { seen(object.(T)) },
	})
	if err != nil {
		return fmt.Errorf("failed to watch objects of type %T: %w", kind, err)
	}
	return nil
}

// with calls change with a shoot, and guards it meanwhile.
func (o *observer) with(control string, change func(*observedShoot)) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	if o.shoots[control] == nil {
		o.shoots[control] = &observedShoot{}
	}
	change(o.shoots[control])
}

func (o *observer) extensionSeen(extension *extensionsv1alpha1.Extension) {
	if extension.Spec.Type != extensionType {
		return
	}
	last := extension.Status.LastOperation
	succeeded := last != nil && last.State == gardencorev1beta1.LastOperationStateSucceeded
	var ready gardencorev1beta1.ConditionStatus
	if condition := v1beta1helper.GetCondition(extension.Status.Conditions, fluxReady); condition != nil {
		ready = condition.Status
	}
	healthy := v1beta1helper.GetCondition(extension.Status.Conditions, gardencorev1beta1.ShootSystemComponentsHealthy)
	dead := o.proxy.wasDead(extension.Namespace)
	o.with(extension.Namespace, func(s *observedShoot) {
		if succeeded != s.succeeded {
			s.succeeded, s.succeededAt = succeeded, time.Now()
		}
		if ready != s.ready {
			s.ready, s.readyAt = ready, time.Now()
			if !dead && (ready == gardencorev1beta1.ConditionUnknown || ready == gardencorev1beta1.ConditionFalse) {
				o.wrong++
			}
		}
		s.healthy = healthy != nil && healthy.Status == gardencorev1beta1.ConditionTrue
		o.versions++
	})
}

func (o *observer) managedResourceSeen(managedResource *resourcesv1alpha1.ManagedResource) {
	if managedResource.Name != configurationResource || len(managedResource.Spec.SecretRefs) == 0 {
		return
	}
	o.with(managedResource.Namespace, func(s *observedShoot) {
		if secret := managedResource.Spec.SecretRefs[0].Name; secret != s.configuration {
			s.configuration, s.configurationAt = secret, time.Now()
		}
	})
}

func (o *observer) reportSeen(report *corev1.ConfigMap) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	o.reports++
	o.reportBytes += report.Size()
}

// reported returns how many versions of ConfigMap flux-status there were so far, and their sizes together.
func (o *observer) reported() (versions, bytes int) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.reports, o.reportBytes
}

// seen returns how many versions there were so far of what the extension says of shoots, in the seed and in the garden.
func (o *observer) seen() int {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.versions + o.reports
}

// wrongConditions returns how often it was said so far of a shoot that has always been well that Flux is not ready or that nobody knows.
func (o *observer) wrongConditions() int {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.wrong
}

// configurations returns the Secret by which each shoot has its configuration.
func (o *observer) configurations() map[string]string {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	configurations := make(map[string]string, len(o.shoots))
	for control, shoot := range o.shoots {
		configurations[control] = shoot.configuration
	}
	return configurations
}

// when tells whether something has happened to a shoot, and when.
type when func(control string, s *observedShoot) (bool, time.Time)

func hasSucceeded(_ string, s *observedShoot) (bool, time.Time) { return s.succeeded, s.succeededAt }

func isReady(_ string, s *observedShoot) (bool, time.Time) {
	return s.ready == gardencorev1beta1.ConditionTrue, s.readyAt
}

func isHealthy(_ string, s *observedShoot) (bool, time.Time) { return s.healthy, time.Now() }

// hasOther tells whether a shoot has another configuration than it had.
func hasOther(before map[string]string) when {
	return func(control string, s *observedShoot) (bool, time.Time) {
		return s.configuration != before[control], s.configurationAt
	}
}

// outcome is how long something took for all of some shoots.
type outcome struct {
	seconds float64
	// missing are those for which it had not happened when nobody waited any longer.
	missing int
}

// wait waits until something has happened to all shoots, but not longer than the timeout. It takes the time from began to the last of them.
func (o *observer) wait(ctx context.Context, began time.Time, timeout time.Duration, shoots []shoot, happened when) outcome {
	ctx, cancel := context.WithDeadline(ctx, began.Add(timeout))
	defer cancel()
	tick := time.NewTicker(observationInterval)
	defer tick.Stop()
	for {
		missing, last := o.look(shoots, happened)
		if missing == 0 {
			return outcome{seconds: max(0, last.Sub(began).Seconds())}
		}
		select {
		case <-ctx.Done():
			return outcome{seconds: time.Since(began).Seconds(), missing: missing}
		case <-tick.C:
		}
	}
}

// waitForSome waits until something has happened to half of some shoots, but not longer than the timeout.
func (o *observer) waitForSome(ctx context.Context, timeout time.Duration, shoots []shoot, happened when) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for pause(ctx, observationInterval) == nil {
		if missing, _ := o.look(shoots, happened); missing <= len(shoots)/2 {
			return
		}
	}
}

func (o *observer) look(shoots []shoot, happened when) (missing int, last time.Time) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	for _, shoot := range shoots {
		observed := o.shoots[shoot.control]
		if observed == nil {
			missing++
			continue
		}
		done, at := happened(shoot.control, observed)
		if !done {
			missing++
		} else if at.After(last) {
			last = at
		}
	}
	return missing, last
}
