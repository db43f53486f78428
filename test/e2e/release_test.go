// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/yaml"

	v1beta1helper "github.com/gardener/gardener/pkg/api/core/v1beta1/helper"
	gardencorev1 "github.com/gardener/gardener/pkg/apis/core/v1"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	operatorv1alpha1 "github.com/gardener/gardener/pkg/apis/operator/v1alpha1"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/extension"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/gitserver"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/registry"
)

// Two releases of the same code: what an upgrade does apart from what changes between two.
const (
	oldRelease = "v0.0.1"
	newRelease = "v0.0.2"
)

// Names of the Secrets with which a private registry is opened to Gardener.
const (
	pullSecretName = "registry-pull"
	caSecretName   = "registry-ca"
)

// installation is a landscape on which an operator installs releases.
type installation struct {
	Gomega
	*landscape.Landscape
	t        *testing.T
	registry *registry.Registry
	// dir has a directory for each release.
	dir string
}

func newInstallation(t *testing.T) *installation {
	g := NewWithT(t)
	bin, err := process.FindBinaries()
	g.Expect(err).NotTo(HaveOccurred())
	dir := newDirectory(t)
	i := &installation{Gomega: g, t: t, dir: filepath.Join(dir, "releases")}
	i.registry, err = registry.Start(t.Context(), registry.Options{Bin: bin, Dir: dir, OnExit: func(err error) { t.Error(err) }})
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { g.Expect(i.registry.Stop()).To(Succeed()) })

	group, ctx := errgroup.WithContext(t.Context())
	group.Go(func() error { return i.makeReleases(ctx) })
	group.Go(func() (err error) {
		i.Landscape, err = landscape.Start(ctx, landscape.Options{Dir: dir, Bin: bin, Images: i.registry.Images(), Progress: os.Stderr, Log: log.Log})
		return err
	})
	err = group.Wait()
	if i.Landscape != nil {
		t.Cleanup(func() { g.Expect(i.Stop()).To(Succeed()) })
	}
	g.Expect(err).NotTo(HaveOccurred())
	return i
}

// makeReleases makes both releases, for this machine's platform, and pushes them, as `make release` does.
func (i *installation) makeReleases(ctx context.Context) error {
	tool := filepath.Join(i.dir, "release")
	command := func(program string, args ...string) error {
		c := exec.CommandContext(ctx, program, args...)
		c.Dir = "../.."
		c.Env = append(os.Environ(), "CGO_ENABLED=0", "SSL_CERT_FILE="+i.registry.CAFile, "DOCKER_CONFIG="+i.registry.DockerConfig)
		if output, err := c.CombinedOutput(); err != nil {
			return fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, output)
		}
		return nil
	}
	if err := os.MkdirAll(i.dir, 0o700); err != nil {
		return err
	}
	if err := command("go", "build", "-trimpath", "-o", tool, "./hack/release"); err != nil {
		return err
	}
	for _, version := range []string{oldRelease, newRelease} {
		dist := filepath.Join(i.dir, version)
		if err := command(tool, "build", "-version", version, "-registry", i.registry.Host+"/releases", "-platforms", "linux/"+runtime.GOARCH,
			"-dist", dist, "-uncommitted"); err != nil {
			return err
		}
		if err := command(tool, "push", "-dist", dist); err != nil {
			return err
		}
	}
	return nil
}

// applyRegistration applies a release in the order of docs/operations/install.md.
func (i *installation) applyRegistration(version string) {
	i.applyGarden(version)
	i.createRegistrySecrets(i.GardenClient)
	for _, object := range i.documents(version, "controller-registration.yaml") {
		if object.GetKind() == "ControllerDeployment" {
			i.openRegistry(object, "helm", "ociRepository")
		}
		i.apply(i.Garden.ApplyYAML, object)
	}
}

// applyGarden applies what gives the extension its rights in the garden.
func (i *installation) applyGarden(version string) {
	files, err := filepath.Glob(filepath.Join(i.dir, version, "garden", "*.yaml"))
	i.Expect(err).NotTo(HaveOccurred())
	i.Expect(files).NotTo(BeEmpty())
	for _, file := range files {
		manifest, err := os.ReadFile(file)
		i.Expect(err).NotTo(HaveOccurred())
		i.Expect(i.Garden.ApplyYAML(i.t.Context(), manifest)).To(Succeed())
	}
}

func (i *installation) apply(applyYAML func(context.Context, []byte) error, object *unstructured.Unstructured) {
	manifest, err := yaml.Marshal(object)
	i.Expect(err).NotTo(HaveOccurred())
	i.Expect(applyYAML(i.t.Context(), manifest)).To(Succeed())
}

// documents are those of a manifest of a release.
func (i *installation) documents(version, file string) []*unstructured.Unstructured {
	manifest, err := os.ReadFile(filepath.Join(i.dir, version, file))
	i.Expect(err).NotTo(HaveOccurred())
	var objects []*unstructured.Unstructured
	for _, document := range strings.Split(string(manifest), "\n---\n") {
		object := &unstructured.Unstructured{}
		i.Expect(yaml.Unmarshal([]byte(document), &object.Object)).To(Succeed())
		if len(object.Object) > 0 {
			objects = append(objects, object)
		}
	}
	return objects
}

// openRegistry adds what an operator adds whose registry is private: gardenlet's password, and the authority that it is to trust.
func (i *installation) openRegistry(object *unstructured.Unstructured, repository ...string) {
	ref, _, err := unstructured.NestedString(object.Object, append(slices.Clone(repository), "ref")...)
	i.Expect(err).NotTo(HaveOccurred())
	i.Expect(ref).To(HavePrefix(i.registry.Host + "/releases/"))
	i.Expect(ref).To(MatchRegexp(`@sha256:[0-9a-f]{64}$`))
	for field, name := range map[string]string{"pullSecretRef": pullSecretName, "caBundleSecretRef": caSecretName} {
		i.Expect(unstructured.SetNestedField(object.Object, name, append(slices.Clone(repository), field, "name")...)).To(Succeed())
	}
}

func (i *installation) createRegistrySecrets(c client.Client) {
	pull, err := i.registry.PullSecret()
	i.Expect(err).NotTo(HaveOccurred())
	for _, secret := range []*corev1.Secret{
		{
			ObjectMeta: metav1.ObjectMeta{Name: pullSecretName, Labels: map[string]string{"gardener.cloud/role": "helm-pull-secret"}},
			Type:       corev1.SecretTypeDockerConfigJson,
			Data:       map[string][]byte{corev1.DockerConfigJsonKey: pull},
		},
		{
			ObjectMeta: metav1.ObjectMeta{Name: caSecretName, Labels: map[string]string{"gardener.cloud/role": "oci-ca-bundle"}},
			Data:       map[string][]byte{"bundle.crt": i.registry.CA},
		},
	} {
		secret.Namespace = "garden"
		i.Expect(client.IgnoreAlreadyExists(c.Create(i.t.Context(), secret))).To(Succeed())
	}
}

// expectReplicas waits until Gardener has installed the release, and looks at what runs.
func (i *installation) expectReplicas(version string) {
	registered := &gardencorev1.ControllerDeployment{}
	i.Expect(i.GardenClient.Get(i.t.Context(), client.ObjectKey{Name: extension.Registration}, registered)).To(Succeed())
	i.Expect(registered.Helm.RawChart).To(BeEmpty())
	i.Eventually(func(g Gomega) {
		installations := &gardencorev1beta1.ControllerInstallationList{}
		g.Expect(i.GardenClient.List(i.t.Context(), installations, client.MatchingFields{"spec.registrationRef.name": extension.Registration})).To(Succeed())
		g.Expect(installations.Items).To(HaveLen(1))
		for _, condition := range []gardencorev1beta1.ConditionType{gardencorev1beta1.ControllerInstallationValid, gardencorev1beta1.ControllerInstallationInstalled} {
			found := v1beta1helper.GetCondition(installations.Items[0].Status.Conditions, condition)
			g.Expect(found).To(HaveValue(HaveField("Status", gardencorev1beta1.ConditionTrue)))
		}
		namespace, err := i.Seed.ExtensionNamespace(i.t.Context())
		g.Expect(err).NotTo(HaveOccurred())
		deployment := &appsv1.Deployment{}
		g.Expect(i.Seed.Client.Get(i.t.Context(), client.ObjectKey{Namespace: namespace, Name: extension.Program}, deployment)).To(Succeed())
		g.Expect(deployment.Spec.Template.Spec.Containers[0].Image).To(MatchRegexp("^%s/releases/%s:%s@sha256:[0-9a-f]{64}$", i.registry.Host, extension.Program, version))
		replicas := i.Seed.ExtensionProcesses()
		g.Expect(replicas).To(HaveLen(2))
		for _, replica := range replicas {
			expectContained(g, replica, deployment, version)
		}
	}, timeout, interval).Should(Succeed())
}

// expectContained looks at a process as the kernel does: its user is the image's, its root has nothing but what the image has, and its program is of
// the release.
func expectContained(g Gomega, replica *process.Process, deployment *appsv1.Deployment, version string) {
	proc := fmt.Sprintf("/proc/%d", replica.PID())
	output, err := exec.Command(proc+"/exe", "--version").CombinedOutput() // #nosec G204 -- the program under test
	g.Expect(err).NotTo(HaveOccurred(), string(output))
	g.Expect(strings.TrimSpace(string(output))).To(Equal(extension.Program + " " + version))
	program, err := os.Readlink(proc + "/exe")
	g.Expect(err).NotTo(HaveOccurred())
	root, err := os.Readlink(proc + "/root")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(program).To(Equal(root + "/" + extension.Program))
	g.Expect(filepath.Join(root, "bin", "sh")).NotTo(BeAnExistingFile())
	g.Expect(filepath.Join(root, "etc/ssl/certs/ca-certificates.crt")).To(BeAnExistingFile())

	if os.Geteuid() == 0 { // else it is this user, who calls itself so
		status, err := os.ReadFile(proc + "/status")
		g.Expect(err).NotTo(HaveOccurred())
		user := *deployment.Spec.Template.Spec.SecurityContext.RunAsUser
		g.Expect(string(status)).To(ContainSubstring("\nUid:\t%d\t%d\t%d\t%d\n", user, user, user, user))
	}
	arguments, err := os.ReadFile(proc + "/cmdline")
	g.Expect(err).NotTo(HaveOccurred())
	for _, argument := range deployment.Spec.Template.Spec.Containers[0].Args {
		g.Expect(strings.Split(string(arguments), "\x00")).To(ContainElement(argument))
	}
}

// installByOperator takes the registration away, and lets gardener-operator's controllers make it from an Extension.
func (i *installation) installByOperator(p *projectAdmin, repository *gitserver.Repository) {
	former := i.documents(newRelease, "controller-registration.yaml")
	for _, object := range former {
		i.Expect(i.GardenClient.Delete(i.t.Context(), object)).To(Succeed())
	}
	o, err := i.StartOperator(i.t.Context(), i.operatorDefinitions()...)
	i.Expect(err).NotTo(HaveOccurred())
	i.Eventually(func(g Gomega) {
		g.Expect(i.Seed.ExtensionProcesses()).To(BeEmpty())
		_, err := i.Seed.ExtensionNamespace(i.t.Context())
		g.Expect(err).To(MatchError(ContainSubstring("has 0 namespaces")))
		for _, object := range former { // else gardener-operator writes to what goes a moment later, and makes it anew after a minute
			g.Expect(i.GardenClient.Get(i.t.Context(), client.ObjectKeyFromObject(object), object)).To(Satisfy(apierrors.IsNotFound))
		}
	}, timeout, interval).Should(Succeed())

	i.createRegistrySecrets(o.Client)
	documents := i.documents(newRelease, "operator-extension.yaml")
	i.Expect(documents).To(HaveLen(1))
	i.openRegistry(documents[0], "spec", "deployment", "extension", "helm", "ociRepository")
	i.apply(o.ApplyYAML, documents[0])
	// Until gardener-operator has registered it, no Shoot may name it.
	i.Eventually(func() error { return i.GardenClient.Create(i.t.Context(), p.exampleShoot("three"), client.DryRunAll) }, timeout, interval).Should(Succeed())
	three := p.newShoot("three")
	three.expectSynced(repository, gitserver.DefaultBranch)
	three.expectSucceeded()
	i.expectReplicas(newRelease)
	installed := &operatorv1alpha1.Extension{}
	i.Eventually(func(g Gomega) {
		g.Expect(o.Client.Get(i.t.Context(), client.ObjectKey{Name: extension.Registration}, installed)).To(Succeed())
		for _, condition := range []gardencorev1beta1.ConditionType{operatorv1alpha1.ExtensionInstalled, operatorv1alpha1.ExtensionRequiredVirtual} {
			found := v1beta1helper.GetCondition(installed.Status.Conditions, condition)
			g.Expect(found).To(HaveValue(HaveField("Status", gardencorev1beta1.ConditionTrue)), string(condition))
		}
		// It counts pods, and here are processes.
		healthy := v1beta1helper.GetCondition(installed.Status.Conditions, operatorv1alpha1.ControllerInstallationsHealthy)
		g.Expect(healthy).To(HaveValue(HaveField("Reason", "ControllerNotRolledOut")))
	}, timeout, interval).Should(Succeed())

	three.delete(i.t.Context())
	i.Expect(o.Client.Delete(i.t.Context(), installed)).To(Succeed())
	i.Eventually(func() error {
		return i.GardenClient.Get(i.t.Context(), client.ObjectKey{Name: extension.Registration}, &gardencorev1beta1.ControllerRegistration{})
	}, timeout, interval).Should(Satisfy(apierrors.IsNotFound))
	i.Eventually(func() error { return o.Client.Get(i.t.Context(), client.ObjectKeyFromObject(installed), installed) }, timeout, interval).
		Should(Satisfy(apierrors.IsNotFound))
}

// operatorDefinitions are those that gardener-operator's chart has.
func (i *installation) operatorDefinitions() [][]byte {
	module, err := exec.CommandContext(i.t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/gardener/gardener").Output()
	i.Expect(err).NotTo(HaveOccurred())
	var definitions [][]byte
	for _, file := range []string{
		"operator/10-crd-operator.gardener.cloud_extensions.yaml",
		"operator/10-crd-operator.gardener.cloud_gardens.yaml",
		"resource-manager/10-crd-resources.gardener.cloud_managedresources.yaml",
	} {
		definition, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(module)), "example", file))
		i.Expect(err).NotTo(HaveOccurred())
		definitions = append(definitions, definition)
	}
	return definitions
}
