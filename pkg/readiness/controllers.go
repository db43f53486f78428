// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package readiness

import (
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
)

const (
	// crashPeriod is how long ago a crash counts, and maxRestarts how many of them are no accident.
	crashPeriod = 10 * time.Minute
	maxRestarts = 3

	// originShoot is FluxStatus.Origin of a Flux that belongs to the shoot's users.
	originShoot = "shoot"
)

// ControllerNames are the Deployments without which Flux does not follow a repository. Flux labels their pods app=<name>.
var ControllerNames = []string{flux.SourceController, flux.KustomizeController}

// Controller is one of Flux's controllers in a shoot.
type Controller struct {
	// Name is one of ControllerNames.
	Name string
	// Deployment is nil if it does not exist.
	Deployment *appsv1.Deployment
	// Pods are some of its pods. They need to be known only if NeedsPods says so.
	Pods []corev1.Pod
}

// NeedsPods tells whether the pods say more than the Deployment: if none is available, or if that has changed not long ago.
func (c Controller) NeedsPods(now time.Time) bool {
	if c.Deployment == nil {
		return false
	}
	available := c.condition(appsv1.DeploymentAvailable)
	return c.Deployment.Status.AvailableReplicas == 0 || available != nil && now.Before(available.LastTransitionTime.Add(crashPeriod))
}

func (c Controller) condition(kind appsv1.DeploymentConditionType) *appsv1.DeploymentCondition {
	for i := range c.Deployment.Status.Conditions {
		if c.Deployment.Status.Conditions[i].Type == kind {
			return &c.Deployment.Status.Conditions[i]
		}
	}
	return nil
}

// findStoppedController returns nil if all controllers run, as far as that is known.
func findStoppedController(o Observation) *Readiness {
	for _, controller := range o.Controllers {
		problem := controller.problem(o)
		if problem == "" {
			continue
		}
		advice := fmt.Sprintf("the %s of Flux does not run in the shoot, so Flux does not follow the %s: %s", controller.Name, o.SourceKind.Content, problem)
		return &Readiness{Status: gardencorev1beta1.ConditionFalse, Reason: ControllersUnavailable, Message: withWords(advice, "; its pod says: ", controller.podWords())}
	}
	return nil
}

// problem says why a controller does not run. What has begun a moment ago is none: controllers start, and are replaced.
func (c Controller) problem(o Observation) string {
	look := fmt.Sprintf("look at kubectl -n %s describe pods -l app=%s", o.Namespace, c.Name)
	switch {
	case c.Deployment == nil && (o.FluxStatus.Origin == originShoot || !o.overdue(o.Source.CreationTimestamp.Time, 0)):
		return "" // its users may call it otherwise, or it comes in a moment
	case c.Deployment == nil:
		return "its Deployment does not exist: if Gardener does not put it back within a minute, the Shoot's condition SystemComponentsHealthy says why"
	case c.Deployment.DeletionTimestamp != nil, c.Deployment.Status.ObservedGeneration < c.Deployment.Generation:
		return ""
	case c.Deployment.Spec.Replicas != nil && *c.Deployment.Spec.Replicas == 0:
		return fmt.Sprintf("somebody scaled its Deployment to 0: kubectl -n %s scale deployment %s --replicas=1", o.Namespace, c.Name)
	case c.Deployment.Status.AvailableReplicas == 0 && o.overdue(c.unavailableSince(), 0):
		return "none of its pods is ready: " + look
	case c.crashes(o.Now):
		return "it crashes again and again: " + look
	}
	return ""
}

func (c Controller) unavailableSince() time.Time {
	if available := c.condition(appsv1.DeploymentAvailable); available != nil {
		return available.LastTransitionTime.Time
	}
	return c.Deployment.CreationTimestamp.Time
}

// crashes tells whether a pod that runs at this moment is not likely to do so for long.
func (c Controller) crashes(now time.Time) bool {
	for _, pod := range c.Pods {
		for _, container := range pod.Status.ContainerStatuses {
			last := container.LastTerminationState.Terminated
			if container.RestartCount >= maxRestarts && last != nil && now.Before(last.FinishedAt.Add(crashPeriod)) {
				return true
			}
		}
	}
	return false
}

// podWords are what the pods say of what keeps them from running.
func (c Controller) podWords() string {
	if c.Deployment == nil {
		return ""
	}
	for _, pod := range c.Pods {
		if words := wordsOf(pod); words != "" {
			return Normalise(words)
		}
	}
	if failure := c.condition(appsv1.DeploymentReplicaFailure); failure != nil && failure.Status == corev1.ConditionTrue {
		return Normalise(failure.Message)
	}
	return ""
}

func wordsOf(pod corev1.Pod) string {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse {
			return condition.Reason + ": " + condition.Message
		}
	}
	for _, container := range pod.Status.ContainerStatuses {
		// The last crash says more than that a container waits after it.
		if last := container.LastTerminationState.Terminated; last != nil {
			return fmt.Sprintf("container %s ended with exit code %d (%s)", container.Name, last.ExitCode, last.Reason)
		}
		if waiting := container.State.Waiting; waiting != nil {
			return fmt.Sprintf("container %s waits: %s %s", container.Name, waiting.Reason, waiting.Message)
		}
	}
	return ""
}
