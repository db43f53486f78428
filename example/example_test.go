// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package example_test checks the examples against the API types and the rules of Gardener and of the extension.
package example_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/validation/field"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/apimachinery/pkg/version"
	"sigs.k8s.io/yaml"

	extensionswebhook "github.com/gardener/gardener/extensions/pkg/webhook"
	corevalidation "github.com/gardener/gardener/pkg/api/core/validation"
	extensionsvalidation "github.com/gardener/gardener/pkg/api/extensions/validation"
	operatorvalidation "github.com/gardener/gardener/pkg/api/operator/v1alpha1/validation"
	"github.com/gardener/gardener/pkg/apis/core"
	gardencorev1 "github.com/gardener/gardener/pkg/apis/core/v1"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
	operatorv1alpha1 "github.com/gardener/gardener/pkg/apis/operator/v1alpha1"
	apiserverfeatures "github.com/gardener/gardener/pkg/apiserver/features"
	"github.com/gardener/gardener/pkg/chartrenderer"
	"github.com/gardener/gardener/pkg/client/kubernetes"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
)

const extensionType = "shoot-flux"

// The validation of Shoots asks for feature gates.
func TestMain(m *testing.M) {
	apiserverfeatures.RegisterFeatureGates()
	os.Exit(m.Run())
}

// scheme knows the kinds of the garden, of what gardenlet writes into seeds, and of gardener-operator.
var scheme = func() *runtime.Scheme {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{kubernetes.AddGardenSchemeToScheme, extensionsv1alpha1.AddToScheme, operatorv1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			panic(err)
		}
	}
	return scheme
}()

// strict refuses unknown fields.
var strict = serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()

// read decodes all objects of an example.
func read(t *testing.T, file string) []runtime.Object {
	t.Helper()
	g := NewWithT(t)
	data, err := os.ReadFile(file)
	g.Expect(err).NotTo(HaveOccurred())

	var objects []runtime.Object
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return objects
		}
		g.Expect(err).NotTo(HaveOccurred())
		object, _, err := strict.Decode(document, nil, nil)
		g.Expect(err).NotTo(HaveOccurred(), file)
		objects = append(objects, object)
	}
}

// find returns the one object of a type.
func find[T runtime.Object](t *testing.T, objects []runtime.Object) T {
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

// admitted defaults the object and converts it, as gardener-apiserver does before it validates.
func admitted[T runtime.Object](t *testing.T, object runtime.Object, internal T) T {
	t.Helper()
	object = object.DeepCopyObject()
	scheme.Default(object)
	NewWithT(t).Expect(scheme.Convert(object, internal, nil)).To(Succeed())
	return internal
}

func TestEveryExampleIsValid(t *testing.T) {
	g := NewWithT(t)
	files, err := filepath.Glob("*.yaml")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(files).NotTo(BeEmpty())
	for _, file := range files {
		t.Run(file, func(t *testing.T) {
			g := NewWithT(t)
			objects := read(t, file)
			g.Expect(objects).NotTo(BeEmpty())
			for _, object := range objects {
				g.Expect(validate(t, object)).To(BeEmpty())
			}
		})
	}
}

// validate applies the rules of the API server that serves the object, as far as there are any outside of it.
func validate(t *testing.T, object runtime.Object) field.ErrorList {
	t.Helper()
	switch object := object.(type) {
	case *gardencorev1.ControllerDeployment:
		return corevalidation.ValidateControllerDeployment(admitted(t, object, &core.ControllerDeployment{}))
	case *gardencorev1beta1.ControllerRegistration:
		return corevalidation.ValidateControllerRegistration(admitted(t, object, &core.ControllerRegistration{}))
	case *gardencorev1beta1.Shoot:
		// Admission fills in what the Shoot leaves to the CloudProfile.
		object.Spec.Kubernetes.Version = "1.36.3"
		for i := range object.Spec.Provider.Workers {
			object.Spec.Provider.Workers[i].Machine.Image = &gardencorev1beta1.ShootMachineImage{Name: "local", Version: new("1.0.0")}
		}
		return corevalidation.ValidateShoot(admitted(t, object, &core.Shoot{}))
	case *operatorv1alpha1.Extension:
		return operatorvalidation.ValidateExtension(object)
	case *extensionsv1alpha1.Extension:
		return extensionsvalidation.ValidateExtension(object)
	case *extensionsv1alpha1.Cluster, *corev1.Namespace, *corev1.ConfigMap:
		return nil
	default:
		t.Fatalf("the example has a kind that the test does not know: %T", object)
		return nil
	}
}

func TestConfigurations(t *testing.T) {
	cases := map[string]struct {
		file    string
		private bool
	}{
		"private repository": {"flux-config.yaml", true},
		"public repository":  {"flux-config-public.yaml", false},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			configMap := find[*corev1.ConfigMap](t, read(t, test.file))
			g.Expect(configMap.Name).To(Equal(project.ConfigMapName))
			g.Expect(configMap.Namespace).To(Equal("garden-local"))
			configuration, err := project.Parse(configMap)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(configuration.Repository).NotTo(BeNil())
			g.Expect(configuration.Repository.IsPrivate()).To(Equal(test.private))
		})
	}
}

func TestRegistration(t *testing.T) {
	g := NewWithT(t)
	objects := read(t, "controller-registration.yaml")
	deployment := find[*gardencorev1.ControllerDeployment](t, objects)
	registration := find[*gardencorev1beta1.ControllerRegistration](t, objects)

	g.Expect(registration.Name).To(Equal(extensionType))
	g.Expect(registration.Annotations).To(HaveKeyWithValue("security.gardener.cloud/pod-security-enforce", "restricted"))
	g.Expect(registration.Spec.Deployment.DeploymentRefs).To(ConsistOf(gardencorev1beta1.DeploymentRef{Name: deployment.Name}))

	scheme.Default(registration)
	g.Expect(registration.Spec.Resources).To(HaveLen(1))
	resource := registration.Spec.Resources[0]
	g.Expect(resource.Kind).To(Equal(extensionsv1alpha1.ExtensionResource))
	g.Expect(resource.Type).To(Equal(extensionType))
	g.Expect(resource.AutoEnable).To(BeEmpty(), "shoot owners decide")
	// A mistake of the project's admin keeps no worker pool from being reconciled. Flux can't run in a shoot without workers.
	g.Expect(resource.Lifecycle.Reconcile).To(HaveValue(Equal(gardencorev1beta1.AfterWorker)))
	g.Expect(resource.Lifecycle.Delete).To(HaveValue(Equal(gardencorev1beta1.BeforeKubeAPIServer)))
	g.Expect(resource.WorkerlessSupported).To(BeNil())
	g.Expect(resource.ReconcileTimeout).To(HaveValue(Equal(metav1.Duration{Duration: 3 * time.Minute})))
	g.Expect(deployment.InjectGardenKubeconfig).To(HaveValue(BeTrue()))
}

// gardener-operator makes the same registration from its Extension.
func TestOperatorExtension(t *testing.T) {
	g := NewWithT(t)
	objects := read(t, "controller-registration.yaml")
	deployment := find[*gardencorev1.ControllerDeployment](t, objects)
	registration := find[*gardencorev1beta1.ControllerRegistration](t, objects)
	extension := find[*operatorv1alpha1.Extension](t, read(t, "operator-extension.yaml"))

	g.Expect(extension.Name).To(Equal(registration.Name))
	g.Expect(extension.Annotations).To(Equal(registration.Annotations))
	g.Expect(extension.Spec.Resources).To(Equal(registration.Spec.Resources))
	installed := extension.Spec.Deployment.ExtensionDeployment
	g.Expect(installed.InjectGardenKubeconfig).To(Equal(deployment.InjectGardenKubeconfig))
	g.Expect(installed.Values.Raw).To(MatchJSON(deployment.Helm.Values.Raw))
	g.Expect(installed.Helm.OCIRepository.GetURL()).To(HaveSuffix("/charts/gardener-extension-shoot-flux:v0.0.1"))
}

// The chart in the registration can be installed by gardenlet, and runs the version that the registration says.
func TestRegistrationCanBeInstalled(t *testing.T) {
	g := NewWithT(t)
	deployment := find[*gardencorev1.ControllerDeployment](t, read(t, "controller-registration.yaml"))
	var values map[string]any
	g.Expect(yaml.Unmarshal(deployment.Helm.Values.Raw, &values)).To(Succeed())

	renderer := chartrenderer.NewWithServerVersion(&version.Info{GitVersion: "v1.36.3", Major: "1", Minor: "36"})
	rendered, err := renderer.RenderArchive(deployment.Helm.RawChart, extensionType, "extension-shoot-flux-abcde", values)
	g.Expect(err).NotTo(HaveOccurred())

	var image string
	for _, manifest := range rendered.Manifests {
		if manifest.Head.Kind == "Deployment" {
			var workload appsv1.Deployment
			g.Expect(yaml.UnmarshalStrict([]byte(manifest.Content), &workload)).To(Succeed())
			image = workload.Spec.Template.Spec.Containers[0].Image
		}
	}
	g.Expect(image).To(HaveSuffix(":v0.0.1"))
}

func TestShootAsksForExtension(t *testing.T) {
	g := NewWithT(t)
	shoot := find[*gardencorev1beta1.Shoot](t, read(t, "shoot.yaml"))
	g.Expect(shoot.Spec.Extensions).To(ConsistOf(gardencorev1beta1.Extension{Type: extensionType}))
}

// What gardenlet would write fits together, so that the extension acts on it.
func TestExtensionForDebugging(t *testing.T) {
	g := NewWithT(t)
	objects := read(t, "extension.yaml")
	namespace := find[*corev1.Namespace](t, objects)
	cluster := find[*extensionsv1alpha1.Cluster](t, objects)
	extension := find[*extensionsv1alpha1.Extension](t, objects)

	g.Expect(cluster.Name).To(Equal(namespace.Name))
	g.Expect(extension.Namespace).To(Equal(namespace.Name))
	g.Expect(extension.Spec.Type).To(Equal(extensionType))
	g.Expect(extension.Annotations).To(HaveKeyWithValue("gardener.cloud/operation", "reconcile"))

	selector, err := metav1.LabelSelectorAsSelector(extensionswebhook.BuildExtensionTypeNamespaceSelector(extensionType, nil))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(selector.Matches(labels.Set(namespace.Labels))).To(BeTrue())

	for name, raw := range map[string][]byte{
		"CloudProfile": cluster.Spec.CloudProfile.Raw, "Seed": cluster.Spec.Seed.Raw, "Shoot": cluster.Spec.Shoot.Raw,
	} {
		object, kind, err := strict.Decode(raw, nil, nil)
		g.Expect(err).NotTo(HaveOccurred(), name)
		g.Expect(kind.Kind).To(Equal(name))
		accessor, err := apimeta.Accessor(object)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(accessor.GetName()).To(Equal("local"))
	}
	shoot, _, err := strict.Decode(cluster.Spec.Shoot.Raw, nil, nil)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(shoot.(*gardencorev1beta1.Shoot).Status.TechnicalID).To(Equal(namespace.Name))
}
