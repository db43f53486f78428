// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package readiness

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// deployment is one whose availability changed some time before it is looked at.
func deployment(available int32, changed time.Duration) *appsv1.Deployment {
	at := metav1.NewTime(noon.Add(time.Hour - changed))
	status := corev1.ConditionTrue
	if available == 0 {
		status = corev1.ConditionFalse
	}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Generation: 2, CreationTimestamp: noon},
		Spec:       appsv1.DeploymentSpec{Replicas: new(int32(1))},
		Status: appsv1.DeploymentStatus{ObservedGeneration: 2, AvailableReplicas: available, Conditions: []appsv1.DeploymentCondition{
			{Type: appsv1.DeploymentAvailable, Status: status, LastTransitionTime: at},
		}},
	}
}

func pod(status corev1.PodStatus) []corev1.Pod {
	return []corev1.Pod{{Status: status}}
}

func crashed(restarts int32, ago time.Duration, waiting *corev1.ContainerStateWaiting) corev1.PodStatus {
	return corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{
		Name: "manager", RestartCount: restarts, State: corev1.ContainerState{Waiting: waiting},
		LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 137, Reason: "OOMKilled", FinishedAt: metav1.NewTime(noon.Add(time.Hour - ago))}},
	}}}
}

// A controller that does not run is told though Flux's objects say that all is well.
func TestControllersThatDoNotRun(t *testing.T) {
	unscheduled := corev1.PodStatus{Conditions: []corev1.PodCondition{{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "0/3 nodes are available: 3 node(s) had untolerated taint(s)",
	}}}
	noImage := corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{Name: "manager", State: corev1.ContainerState{
		Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "Back-off pulling image"},
	}}}}
	changed := func(d *appsv1.Deployment, change func(*appsv1.Deployment)) *appsv1.Deployment {
		change(d)
		return d
	}
	for name, test := range map[string]struct {
		deployment *appsv1.Deployment
		pods       []corev1.Pod
		origin     string
		// age is that of the GitRepository, an hour if it is zero.
		age   time.Duration
		words []string
	}{
		"runs":                 {deployment: deployment(1, time.Hour)},
		"has just started":     {deployment: deployment(0, time.Minute)},
		"is being replaced":    {deployment: changed(deployment(0, time.Hour), func(d *appsv1.Deployment) { d.Generation = 3 })},
		"is missing":           {words: []string{"its Deployment does not exist", "SystemComponentsHealthy says why"}},
		"is called otherwise":  {origin: "shoot"},
		"is not there yet":     {age: time.Minute},
		"somebody stopped it":  {deployment: changed(deployment(1, time.Hour), func(d *appsv1.Deployment) { d.Spec.Replicas = new(int32(0)) }), words: []string{"scale deployment source-controller --replicas=1"}},
		"gets no node":         {deployment: deployment(0, 30*time.Minute), pods: pod(unscheduled), words: []string{"none of its pods is ready", "Unschedulable: 0/3 nodes are available: 3 node(s) had untolerated taint(s)"}},
		"gets no image":        {deployment: deployment(0, 30*time.Minute), pods: pod(noImage), words: []string{"container manager waits: ImagePullBackOff Back-off pulling image"}},
		"waits after a crash":  {deployment: deployment(0, 30*time.Minute), pods: pod(crashed(7, time.Minute, &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"})), words: []string{"none of its pods is ready", "ended with exit code 137 (OOMKilled)"}},
		"runs between crashes": {deployment: deployment(1, time.Minute), pods: pod(crashed(7, 2*time.Minute, nil)), words: []string{"it crashes again and again", "OOMKilled"}},
		"crashed once":         {deployment: deployment(1, time.Minute), pods: pod(crashed(1, 2*time.Minute, nil))},
		"crashed long ago":     {deployment: deployment(1, time.Minute), pods: pod(crashed(7, time.Hour, nil))},
		"may have no pods": {deployment: changed(deployment(0, 30*time.Minute), func(d *appsv1.Deployment) {
			d.Status.Conditions = append(d.Status.Conditions, appsv1.DeploymentCondition{Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Message: `pods "x" is forbidden: exceeded quota`})
		}), words: []string{"exceeded quota"}},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			o := state{repository: fetched, root: applied}.observe()
			o.Now = noon.Add(time.Hour)
			o.FluxStatus.Origin = test.origin
			o.Source.CreationTimestamp = noon
			if test.age != 0 {
				o.Source.CreationTimestamp = metav1.NewTime(o.Now.Add(-test.age))
			}
			o.Controllers = []Controller{{Name: "source-controller", Deployment: test.deployment, Pods: test.pods}, {Name: "kustomize-controller", Deployment: deployment(1, time.Hour)}}
			if test.pods != nil {
				g.Expect(o.Controllers[0].NeedsPods(o.Now)).To(BeTrue())
			}
			g.Expect(o.Controllers[1].NeedsPods(o.Now)).To(BeFalse())
			got := Assess(o)
			if test.words == nil {
				g.Expect(got.Reason).To(Equal(Applied), got.Message)
				return
			}
			g.Expect(got).To(And(HaveField("Reason", ControllersUnavailable), HaveField("Revision", revision)))
			for _, words := range append(test.words, "the source-controller of Flux does not run in the shoot") {
				g.Expect(got.Message).To(ContainSubstring(words))
			}
		})
	}
}
