// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package render

import (
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// normalise sets the defaults that the API server would set, for the kinds of which a Flux release consists and whose
// defaults do not depend on the cluster.
func normalise(object *unstructured.Unstructured) error {
	switch object.GetObjectKind().GroupVersionKind().GroupKind() {
	case crdGroupKind:
		return normaliseAs(object, func(crd *apiextensionsv1.CustomResourceDefinition) {
			apiextensionsv1.SetDefaults_CustomResourceDefinitionSpec(&crd.Spec)
		})
	case appsv1.SchemeGroupVersion.WithKind("Deployment").GroupKind():
		return normaliseAs(object, defaultDeployment)
	case networkingv1.SchemeGroupVersion.WithKind("NetworkPolicy").GroupKind():
		return normaliseAs(object, defaultNetworkPolicy)
	case corev1.SchemeGroupVersion.WithKind("Namespace").GroupKind():
		return normaliseAs(object, func(namespace *corev1.Namespace) {
			namespace.Spec.Finalizers = []corev1.FinalizerName{corev1.FinalizerKubernetes}
		})
	default:
		dropServerFields(object)
		return nil
	}
}

// normaliseAs reads the object as T, so that quantities and the like take their canonical form, and sets its defaults.
func normaliseAs[T any](object *unstructured.Unstructured, setDefaults func(*T)) error {
	typed := new(T)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object.Object, typed, true); err != nil {
		return fmt.Errorf("not a valid %s: %w", object.GetKind(), err)
	}
	setDefaults(typed)

	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(typed)
	if err != nil {
		return err
	}
	object.Object = content
	dropServerFields(object)
	return nil
}

// dropServerFields removes what only the API server writes.
func dropServerFields(object *unstructured.Unstructured) {
	delete(object.Object, "status")
	unstructured.RemoveNestedField(object.Object, "metadata", "creationTimestamp")
	unstructured.RemoveNestedField(object.Object, "spec", "template", "metadata", "creationTimestamp")
}

// setDefault sets value where nothing is set yet.
func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// The defaults below are those of the API reference: kubernetes.io/docs/reference/kubernetes-api/workload-resources.

func defaultDeployment(deployment *appsv1.Deployment) {
	spec := &deployment.Spec
	setDefault(&spec.Replicas, new(int32(1)))
	setDefault(&spec.RevisionHistoryLimit, new(int32(10)))
	setDefault(&spec.ProgressDeadlineSeconds, new(int32(600)))
	setDefault(&spec.Strategy.Type, appsv1.RollingUpdateDeploymentStrategyType)
	if spec.Strategy.Type == appsv1.RollingUpdateDeploymentStrategyType {
		setDefault(&spec.Strategy.RollingUpdate, &appsv1.RollingUpdateDeployment{})
		setDefault(&spec.Strategy.RollingUpdate.MaxSurge, new(intstr.FromString("25%")))
		setDefault(&spec.Strategy.RollingUpdate.MaxUnavailable, new(intstr.FromString("25%")))
	}
	defaultPodSpec(&spec.Template.Spec)
}

func defaultPodSpec(spec *corev1.PodSpec) {
	setDefault(&spec.RestartPolicy, corev1.RestartPolicyAlways)
	setDefault(&spec.DNSPolicy, corev1.DNSClusterFirst)
	setDefault(&spec.SchedulerName, corev1.DefaultSchedulerName)
	setDefault(&spec.TerminationGracePeriodSeconds, new(int64(corev1.DefaultTerminationGracePeriodSeconds)))
	setDefault(&spec.SecurityContext, &corev1.PodSecurityContext{})
	setDefault(&spec.DeprecatedServiceAccount, spec.ServiceAccountName)
	for i := range spec.Containers {
		defaultContainer(&spec.Containers[i])
	}
}

func defaultContainer(container *corev1.Container) {
	setDefault(&container.TerminationMessagePath, corev1.TerminationMessagePathDefault)
	setDefault(&container.TerminationMessagePolicy, corev1.TerminationMessageReadFile)
	setDefault(&container.ImagePullPolicy, defaultPullPolicy(container.Image))
	for i := range container.Ports {
		setDefault(&container.Ports[i].Protocol, corev1.ProtocolTCP)
	}
	for i := range container.Env {
		defaultEnv(container.Env[i].ValueFrom)
	}
	for _, probe := range []*corev1.Probe{container.LivenessProbe, container.ReadinessProbe, container.StartupProbe} {
		defaultProbe(probe)
	}
}

func defaultPullPolicy(image string) corev1.PullPolicy {
	if strings.HasSuffix(image, ":latest") {
		return corev1.PullAlways
	}
	return corev1.PullIfNotPresent
}

func defaultEnv(from *corev1.EnvVarSource) {
	switch {
	case from == nil:
	case from.FieldRef != nil:
		setDefault(&from.FieldRef.APIVersion, "v1")
	case from.ResourceFieldRef != nil && from.ResourceFieldRef.Divisor.IsZero():
		from.ResourceFieldRef.Divisor = resource.MustParse("0")
	}
}

func defaultProbe(probe *corev1.Probe) {
	if probe == nil {
		return
	}
	setDefault(&probe.TimeoutSeconds, 1)
	setDefault(&probe.PeriodSeconds, 10)
	setDefault(&probe.SuccessThreshold, 1)
	setDefault(&probe.FailureThreshold, 3)
	if probe.HTTPGet != nil {
		setDefault(&probe.HTTPGet.Scheme, corev1.URISchemeHTTP)
	}
}

func defaultNetworkPolicy(policy *networkingv1.NetworkPolicy) {
	for _, rule := range policy.Spec.Ingress {
		defaultPolicyPorts(rule.Ports)
	}
	for _, rule := range policy.Spec.Egress {
		defaultPolicyPorts(rule.Ports)
	}
	if len(policy.Spec.PolicyTypes) == 0 {
		policy.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
		if len(policy.Spec.Egress) > 0 {
			policy.Spec.PolicyTypes = append(policy.Spec.PolicyTypes, networkingv1.PolicyTypeEgress)
		}
	}
}

func defaultPolicyPorts(ports []networkingv1.NetworkPolicyPort) {
	for i := range ports {
		setDefault(&ports[i].Protocol, new(corev1.ProtocolTCP))
	}
}

// maxRetryDelay bounds source-controller's back-off, 15 minutes by default, after which alone a repository whose deploy
// key has just been registered would be tried again.
const maxRetryDelay = "--max-retry-delay=1m"

// retrySources makes source-controller try a failed source again at least every minute. The flag is newer than the first
// releases; all that serve v1 of GitRepository (Flux 2.0) have it.
func (i *Installation) retrySources() error {
	if i.gitRepository.gvk.Version != "v1" {
		return nil
	}
	for _, object := range i.Objects {
		object, ok := object.(*unstructured.Unstructured)
		if !ok || object.GetKind() != "Deployment" || object.GetName() != "source-controller" {
			continue
		}
		return normaliseAs(object, func(deployment *appsv1.Deployment) {
			for c := range deployment.Spec.Template.Spec.Containers {
				container := &deployment.Spec.Template.Spec.Containers[c]
				if container.Name == "manager" && !slices.Contains(container.Args, maxRetryDelay) {
					container.Args = append(container.Args, maxRetryDelay)
				}
			}
		})
	}
	return nil
}
