// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package charts_test renders the chart as gardenlet does, and checks what comes out against the API types of a seed.
package charts_test

import (
	"embed"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/version"
	podsecurityapi "k8s.io/pod-security-admission/api"
	podsecurity "k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"
	"github.com/gardener/gardener/pkg/chartrenderer"
	"github.com/gardener/gardener/pkg/client/kubernetes"
	"github.com/gardener/gardener/pkg/resourcemanager/controller/garbagecollector/references"
	gardenerutils "github.com/gardener/gardener/pkg/utils/gardener"
)

var update = flag.Bool("update", false, "write the golden files")

//go:embed all:gardener-extension-shoot-flux
var chart embed.FS

const (
	chartName        = "gardener-extension-shoot-flux"
	releaseName      = "shoot-flux"
	releaseNamespace = "extension-shoot-flux-abcde"
)

// strict decodes what a seed's API server knows, and refuses unknown fields.
var strict = serializer.NewCodecFactory(kubernetes.SeedScheme, serializer.EnableStrict).UniversalDeserializer()

// values are the ways to install the chart that the tests look at.
func values(t *testing.T) map[string]map[string]any {
	t.Helper()
	return map[string]map[string]any{
		"defaults":   {},
		"minimal":    readValues(t, "minimal"),
		"everything": readValues(t, "everything"),
	}
}

func readValues(t *testing.T, name string) map[string]any {
	t.Helper()
	g := NewWithT(t)
	data, err := chart.ReadFile(chartName + "/ci/" + name + "-values.yaml")
	g.Expect(err).NotTo(HaveOccurred())
	var values map[string]any
	g.Expect(yaml.Unmarshal(data, &values)).To(Succeed())
	return values
}

// render renders the chart with the renderer of gardenlet.
func render(values map[string]any) (*chartrenderer.RenderedChart, error) {
	renderer := chartrenderer.NewWithServerVersion(&version.Info{GitVersion: "v1.36.3", Major: "1", Minor: "36"})
	return renderer.RenderEmbeddedFS(chart, chartName, releaseName, releaseNamespace, values)
}

// objects renders the chart and decodes all its objects.
func objects(t *testing.T, values map[string]any) []client.Object {
	t.Helper()
	g := NewWithT(t)
	rendered, err := render(values)
	g.Expect(err).NotTo(HaveOccurred())
	var result []client.Object
	for _, manifest := range rendered.Manifests {
		object, _, err := strict.Decode([]byte(manifest.Content), nil, nil)
		g.Expect(err).NotTo(HaveOccurred(), manifest.Name)
		result = append(result, object.(client.Object))
	}
	return result
}

// find returns the one object of a type.
func find[T client.Object](t *testing.T, objects []client.Object) T {
	t.Helper()
	var found []T
	for _, object := range objects {
		if typed, ok := object.(T); ok {
			found = append(found, typed)
		}
	}
	NewWithT(t).Expect(found).To(HaveLen(1))
	return found[0]
}

func TestObjects(t *testing.T) {
	always := []string{
		"ServiceAccount extension-shoot-flux-abcde/gardener-extension-shoot-flux",
		"ClusterRole /gardener-extension-shoot-flux",
		"ClusterRoleBinding /gardener-extension-shoot-flux",
		"Role extension-shoot-flux-abcde/gardener-extension-shoot-flux",
		"RoleBinding extension-shoot-flux-abcde/gardener-extension-shoot-flux",
		"Service extension-shoot-flux-abcde/gardener-extension-shoot-flux",
		"Deployment extension-shoot-flux-abcde/gardener-extension-shoot-flux",
	}
	monitored := []string{
		"ConfigMap garden/gardener-extension-shoot-flux-dashboard",
		"PrometheusRule extension-shoot-flux-abcde/gardener-extension-shoot-flux",
	}
	highlyAvailable := "PodDisruptionBudget extension-shoot-flux-abcde/gardener-extension-shoot-flux"
	autoscaled := "VerticalPodAutoscaler extension-shoot-flux-abcde/gardener-extension-shoot-flux"
	gardenletKubeconfig := []string{"Role garden/gardener-extension-shoot-flux", "RoleBinding garden/gardener-extension-shoot-flux"}
	releasesCA := "ConfigMap extension-shoot-flux-abcde/gardener-extension-shoot-flux-releases-ca"
	landscapeDefaults := "ConfigMap extension-shoot-flux-abcde/gardener-extension-shoot-flux-landscape-defaults"
	imagePullSecret := "Secret extension-shoot-flux-abcde/gardener-extension-shoot-flux-image-pull-secret"
	gardenAccess := "Secret extension-shoot-flux-abcde/garden-access-shoot-flux"
	expected := map[string][]string{
		"defaults":   slices.Concat(always, gardenletKubeconfig, monitored, []string{highlyAvailable, autoscaled}),
		"minimal":    slices.Concat(always, gardenletKubeconfig),
		"everything": slices.Concat(always, []string{gardenAccess, releasesCA, landscapeDefaults, imagePullSecret, highlyAvailable, autoscaled}),
	}
	for name, values := range values(t) {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			var actual []string
			for _, object := range objects(t, values) {
				kind := object.GetObjectKind().GroupVersionKind().Kind
				actual = append(actual, fmt.Sprintf("%s %s/%s", kind, object.GetNamespace(), object.GetName()))
			}
			g.Expect(actual).To(ConsistOf(expected[name]))
		})
	}
}

// The registration demands the level restricted of the extension's namespace.
func TestPodsAreRestricted(t *testing.T) {
	for name, values := range values(t) {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			evaluator, err := podsecurity.NewEvaluator(podsecurity.DefaultChecks(), nil)
			g.Expect(err).NotTo(HaveOccurred())
			template := find[*appsv1.Deployment](t, objects(t, values)).Spec.Template
			level := podsecurityapi.LevelVersion{Level: podsecurityapi.LevelRestricted, Version: podsecurityapi.LatestVersion()}
			for _, result := range evaluator.EvaluatePod(level, &template.ObjectMeta, &template.Spec) {
				g.Expect(result.Allowed).To(BeTrue(), result.ForbiddenDetail)
			}
			for _, container := range template.Spec.Containers {
				g.Expect(container.SecurityContext.ReadOnlyRootFilesystem).To(HaveValue(BeTrue()), container.Name)
			}
		})
	}
}

func TestPortsAndSelectorsFit(t *testing.T) {
	for name, values := range values(t) {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			objects := objects(t, values)
			template := find[*appsv1.Deployment](t, objects).Spec.Template
			service := find[*corev1.Service](t, objects)

			g.Expect(labels.SelectorFromSet(service.Spec.Selector).Matches(labels.Set(template.Labels))).To(BeTrue())
			if name != "minimal" {
				budget := find[*policyv1.PodDisruptionBudget](t, objects)
				g.Expect(budget.Spec.Selector.MatchLabels).To(Equal(service.Spec.Selector))
			}
			names := map[string]int32{}
			for _, port := range template.Spec.Containers[0].Ports {
				names[port.Name] = port.ContainerPort
			}
			for _, port := range service.Spec.Ports {
				g.Expect(names).To(HaveKey(port.TargetPort.StrVal))
			}
			args := template.Spec.Containers[0].Args
			g.Expect(args).To(ContainElements(
				fmt.Sprintf("--metrics-bind-address=:%d", names["metrics"]),
				fmt.Sprintf("--health-bind-address=:%d", names["health"]),
				fmt.Sprintf("--webhook-config-server-port=%d", names["webhook"]),
			))
			g.Expect(service.Annotations).To(HaveKeyWithValue("networking.resources.gardener.cloud/from-world-to-ports",
				MatchJSON(fmt.Sprintf(`[{"protocol":"TCP","port":%d}]`, names["webhook"]))))
			g.Expect(service.Annotations).To(HaveKeyWithValue("networking.resources.gardener.cloud/from-all-seed-scrape-targets-allowed-ports",
				MatchJSON(fmt.Sprintf(`[{"protocol":"TCP","port":%d}]`, names["metrics"]))))
		})
	}
}

func TestValuesReachTheDeployment(t *testing.T) {
	g := NewWithT(t)
	deployment := find[*appsv1.Deployment](t, objects(t, readValues(t, "everything")))
	pod := deployment.Spec.Template.Spec
	container := pod.Containers[0]

	g.Expect(deployment.Spec.Replicas).To(HaveValue(BeEquivalentTo(3)))
	g.Expect(deployment.Annotations).To(HaveKeyWithValue("resources.gardener.cloud/ignore", "true"))
	g.Expect(deployment.Spec.Template.Labels).To(HaveKeyWithValue("networking.gardener.cloud/to-private-networks", "allowed"))
	g.Expect(pod.ImagePullSecrets).To(ConsistOf(corev1.LocalObjectReference{Name: "registry"}))
	g.Expect(container.Image).To(Equal("ghcr.io/23technologies/gardener-extension-shoot-flux:v0.0.1"))
	g.Expect(container.ImagePullPolicy).To(Equal(corev1.PullAlways))
	g.Expect(container.Env).To(ContainElement(corev1.EnvVar{Name: "HTTPS_PROXY", Value: "http://proxy.example.org:3128"}))
	g.Expect(container.Resources.Requests.Memory().String()).To(Equal("128Mi"))
	g.Expect(container.Args).To(ContainElements(
		"--flux-releases-url=https://mirror.example.org/flux2/releases",
		"--flux-releases-oci-repository=registry.example.org:5000/mirror/flux-manifests",
		"--flux-releases-directory=/var/lib/flux-releases",
		"--flux-releases-ca-file=/etc/flux-releases-ca/bundle.pem",
		"--landscape-defaults-file=/etc/landscape-defaults/defaults.yaml",
		"--flux-image-registry=registry.example.org:5000/mirror/fluxcd",
		"--flux-image-pull-secret-file=/etc/flux-image-pull-secret/config.json",
		"--lifecycle-max-concurrent-reconciles=10",
		"--healthcheck-max-concurrent-reconciles=10",
		"--fluxready-sync-period=45s",
		"--healthcheck-flux-ready-affects-shoot=true",
		"--heartbeat-namespace="+releaseNamespace,
		"--heartbeat-renew-interval-seconds=15",
		"--leader-election-namespace="+releaseNamespace,
		"--webhook-config-namespace="+releaseNamespace,
		"--ignore-operation-annotation=true",
		"--disable-webhooks=controlplane",
		"--gardener-version=v1.150.0",
		"--self-hosted-shoot-cluster=true",
		"--log-level=debug",
		"--log-format=text",
		"--reconcile-on-configuration-change=false",
		"--host-key-scan=true",
		"--host-key-scan-deny-networks=10.250.0.0/16,100.96.0.0/11,100.64.0.0/13,169.254.169.254/32,192.0.2.0/24",
		"--host-key-scan-allow-networks=10.250.7.7/32,2001:db8::/32",
	))
}

// gardenlet must find nothing to inject, and what is mounted must be what its own injection would mount.
func TestGardenAccess(t *testing.T) {
	g := NewWithT(t)
	objects := objects(t, readValues(t, "everything"))
	const kubeconfig = "generic-garden-kubeconfig-81fb3a88"
	secret, deployment := secretOfType(t, objects, corev1.SecretTypeOpaque), find[*appsv1.Deployment](t, objects)

	g.Expect(secret.Labels).To(And(HaveKeyWithValue(resourcesv1alpha1.ResourceManagerPurpose, resourcesv1alpha1.LabelPurposeTokenRequest),
		HaveKeyWithValue(resourcesv1alpha1.ResourceManagerClass, resourcesv1alpha1.ResourceManagerClassGarden)))
	g.Expect(secret.Annotations).To(HaveKeyWithValue(resourcesv1alpha1.Ignore, "true"), "or each update would remove the token")
	g.Expect(secret.Data).To(BeEmpty())
	g.Expect(secret.Annotations[resourcesv1alpha1.ServiceAccountName]).NotTo(HavePrefix(v1beta1constants.ExtensionGardenServiceAccountPrefix))

	g.Expect(deployment.Labels).To(HaveKeyWithValue(v1beta1constants.LabelInjectGardenKubeconfig, "false"))
	reference := references.AnnotationKey(references.KindSecret, kubeconfig)
	g.Expect(deployment.Annotations).To(HaveKeyWithValue(reference, kubeconfig))
	g.Expect(deployment.Spec.Template.Annotations).To(HaveKeyWithValue(reference, kubeconfig))

	own := deployment.DeepCopy()
	g.Expect(gardenerutils.InjectGenericGardenKubeconfig(own, kubeconfig, secret.Name, gardenerutils.VolumeMountPathGenericGardenKubeconfig)).To(Succeed())
	g.Expect(own).To(Equal(deployment))

	bare := find[*appsv1.Deployment](t, withoutGardenAccess(t))
	g.Expect(gardenerutils.InjectGenericGardenKubeconfig(bare, kubeconfig, secret.Name, gardenerutils.VolumeMountPathGenericGardenKubeconfig)).To(Succeed())
	injected, container := bare.Spec.Template.Spec, deployment.Spec.Template.Spec.Containers[0]
	g.Expect(container.Env).To(ContainElement(injected.Containers[0].Env[len(injected.Containers[0].Env)-1]))
	g.Expect(container.VolumeMounts).To(ContainElements(injected.Containers[0].VolumeMounts))
	g.Expect(files(deployment)).To(Equal(files(bare)))
}

func withoutGardenAccess(t *testing.T) []client.Object {
	t.Helper()
	values := readValues(t, "everything")
	delete(values["gardener"].(map[string]any)["garden"].(map[string]any), "genericKubeconfigSecretName")
	return objects(t, values)
}

// files says what each file of the volume with the garden's kubeconfig comes from.
func files(deployment *appsv1.Deployment) map[string]string {
	result := map[string]string{}
	for _, volume := range deployment.Spec.Template.Spec.Volumes {
		if volume.Name == "garden-kubeconfig" {
			for _, source := range volume.Projected.Sources {
				for _, item := range source.Secret.Items {
					result[item.Path] = source.Secret.Name + "/" + item.Key
				}
			}
		}
	}
	return result
}

func TestNetworksThatAreNotScanned(t *testing.T) {
	argument := func(values map[string]any) string {
		for _, argument := range find[*appsv1.Deployment](t, objects(t, values)).Spec.Template.Spec.Containers[0].Args {
			if networks, ok := strings.CutPrefix(argument, "--host-key-scan-deny-networks="); ok {
				return networks
			}
		}
		return ""
	}
	networks := map[string]any{"pods": "100.96.0.0/11", "services": "100.64.0.0/13"}
	for name, test := range map[string]struct {
		values   map[string]any
		networks string
	}{
		"no seed":           {nil, ""},
		"seed":              {map[string]any{"gardener": map[string]any{"seed": map[string]any{"spec": map[string]any{"networks": networks}}}}, "100.96.0.0/11,100.64.0.0/13"},
		"self-hosted shoot": {map[string]any{"gardener": map[string]any{"shoot": map[string]any{"spec": map[string]any{"networking": networks}}}}, "100.96.0.0/11,100.64.0.0/13"},
		"of the operator":   {map[string]any{"hostKeyScan": map[string]any{"denyNetworks": []any{"192.0.2.0/24"}}}, "192.0.2.0/24"},
	} {
		t.Run(name, func(t *testing.T) {
			NewWithT(t).Expect(argument(test.values)).To(Equal(test.networks))
		})
	}
}

func TestWrongValuesAreRefused(t *testing.T) {
	cases := map[string]struct {
		values  map[string]any
		message string
	}{
		"typo":            {map[string]any{"flux": map[string]any{"releaseURL": "https://example.org"}}, "releaseURL"},
		"URL":             {map[string]any{"flux": map[string]any{"releases": map[string]any{"url": "example.org"}}}, "/flux/releases/url"},
		"concurrency":     {map[string]any{"controllers": map[string]any{"lifecycle": map[string]any{"concurrentSyncs": 0}}}, "concurrentSyncs"},
		"period":          {map[string]any{"controllers": map[string]any{"fluxReady": map[string]any{"syncPeriod": "often"}}}, "syncPeriod"},
		"log level":       {map[string]any{"logLevel": "verbose"}, "logLevel"},
		"replicas":        {map[string]any{"replicaCount": -1}, "replicaCount"},
		"too few ports":   {map[string]any{"usablePorts": []any{8080}}, "usablePorts"},
		"no repository":   {map[string]any{"image": map[string]any{"repository": ""}}, "repository"},
		"no network":      {map[string]any{"hostKeyScan": map[string]any{"denyNetworks": []any{"10.0.0.1"}}}, "denyNetworks"},
		"image as string": {map[string]any{"image": "example.org/image:tag"}, "image"},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			_, err := render(test.values)
			g.Expect(err).To(MatchError(ContainSubstring(test.message)))
		})
	}
}

// gardenlet adds values, more of them with each version: they must not keep the chart from being installed.
func TestUnknownValuesOfGardenletAreAccepted(t *testing.T) {
	g := NewWithT(t)
	_, err := render(map[string]any{
		"gardener": map[string]any{"version": "v1.150.0", "seed": map[string]any{"name": "local"}, "news": true},
		"news":     map[string]any{},
	})
	g.Expect(err).NotTo(HaveOccurred())
}

// A right that is added or widened shows up as a change of the golden files.
func TestRights(t *testing.T) {
	for file, objects := range map[string][]client.Object{
		"rights.txt":                      objects(t, readValues(t, "everything")),
		"rights-gardenlet-kubeconfig.txt": objects(t, nil),
	} {
		t.Run(file, func(t *testing.T) { expectRights(t, "testdata/"+file, objects) })
	}
}

func expectRights(t *testing.T, file string, objects []client.Object) {
	t.Helper()
	g := NewWithT(t)
	var lines []string
	for _, object := range objects {
		switch role := object.(type) {
		case *rbacv1.ClusterRole:
			lines = append(lines, describe("everywhere", role.Rules)...)
		case *rbacv1.Role:
			lines = append(lines, describe("in "+role.Namespace, role.Rules)...)
		}
	}
	slices.Sort(lines)
	actual := strings.Join(lines, "\n") + "\n"
	if *update {
		g.Expect(os.WriteFile(file, []byte(actual), 0o644)).To(Succeed())
	}
	expected, err := os.ReadFile(file)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(actual).To(Equal(string(expected)), "run the test with -update if this is what the extension needs")
	g.Expect(actual).NotTo(ContainSubstring("*"))
}

// describe says where which verbs are allowed on what, one line for each resource.
func describe(where string, rules []rbacv1.PolicyRule) []string {
	var lines []string
	for _, rule := range rules {
		names := "any"
		if len(rule.ResourceNames) > 0 {
			names = strings.Join(rule.ResourceNames, ",")
		}
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				resource := strings.TrimSuffix(resource+"."+group, ".")
				lines = append(lines, fmt.Sprintf("%s: %s (%s): %s", where, resource, names, strings.Join(rule.Verbs, ", ")))
			}
		}
	}
	return lines
}

// Bindings give the rights to the extension's own ServiceAccount and to nobody else.
func TestBindings(t *testing.T) {
	g := NewWithT(t)
	subjects := map[string][]rbacv1.Subject{}
	for _, object := range objects(t, nil) {
		switch binding := object.(type) {
		case *rbacv1.ClusterRoleBinding:
			subjects["everywhere"] = binding.Subjects
		case *rbacv1.RoleBinding:
			subjects[binding.Namespace] = binding.Subjects
		}
	}
	g.Expect(subjects).To(HaveLen(3))
	g.Expect(subjects).To(HaveEach(ConsistOf(rbacv1.Subject{Kind: "ServiceAccount", Name: chartName, Namespace: releaseNamespace})))
}
