// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/sourcesecret"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
)

const (
	// look is how often a benchmark looks whether the repository's content is in the shoot.
	look = 20 * time.Millisecond
	// settling is the time in which a new shoot's programs come to rest.
	settling = 5 * time.Second
)

// BenchmarkTimeToSync measures the time from the creation of the Extension to the repository's content in the shoot, with a
// gardener-resource-manager that has just started, for each kind of repository. Beside it, in another new shoot, it measures the floor: the same
// objects, Secrets among them, applied by kubectl. Both have the same nodes and the same Flux controllers. Figures are medians; compare only figures of
// one run.
func BenchmarkTimeToSync(b *testing.B) {
	for _, kind := range []struct {
		name string
		// prepare makes a repository, configures the project for it, and returns what lets Flux in that needs a key which is made for the first shoot.
		prepare func(*projectAdmin) (letIn func())
	}{
		{"HTTP", (*projectAdmin).benchHTTP},
		{"SSH", (*projectAdmin).benchSSH},
		{"HTTPS", (*projectAdmin).benchHTTPS},
		{"OCI", (*projectAdmin).benchOCI},
	} {
		b.Run(kind.name, func(b *testing.B) {
			p := newProject(b, "bench"+strings.ToLower(kind.name))
			letIn := kind.prepare(p)
			model := p.newShoot("model")
			letIn()
			model.expectSucceeded()
			model.expectContent()
			install, configure := model.manifest(managedresource.Installation), model.manifest(managedresource.Configuration)
			model.delete(b.Context())
			p.compareWithFloor(b, install, configure)
		})
	}
}

func (p *projectAdmin) benchHTTP() func() {
	url, err := p.newRepository(true).HTTPURL()
	p.Expect(err).NotTo(HaveOccurred())
	p.configure(map[string]string{"fluxVersion": fluxVersion, "repositoryUrl": url})
	return func() {}
}

func (p *projectAdmin) benchSSH() func() {
	repository := p.newRepository(false)
	p.configure(p.private(repository))
	return func() { p.registerKey(repository) }
}

func (p *projectAdmin) benchHTTPS() func() {
	repository := p.newRepository(false)
	p.writeCredentials(p.newCredentials(repository))
	p.configure(p.overHTTPS(repository))
	return func() {}
}

func (p *projectAdmin) benchOCI() func() {
	repository := p.newArtifactRepository()
	repository.push("v1.0.0", "hello")
	credentials := repository.user()
	credentials[sourcesecret.KeyCACert] = string(repository.CA)
	p.writeCredentials(credentials)
	p.configure(repository.configuration(map[string]string{"repositorySemver": "1.x"}))
	return func() {}
}

// compareWithFloor measures both as often as the benchmark is to run.
func (p *projectAdmin) compareWithFloor(b *testing.B, install, configure string) {
	var floors, ours, ratios []float64
	floor := func(name string) {
		s := p.newQuietShoot(name)
		floors = append(floors, s.timeToContent(func() {
			s.apply(install)
			s.apply(configure)
		}))
		b.Logf("floor:     %s", s.milestones())
		s.delete(b.Context())
	}
	extension := func(name string) {
		s := p.newQuietShoot(name)
		s.restartResourceManager()
		ours = append(ours, s.timeToContent(s.createExtension))
		b.Logf("extension: %s", s.milestones())
		s.delete(b.Context())
	}
	for i := 0; b.Loop(); i++ {
		// The order changes, so that nobody always comes first.
		measured := []func(){func() { floor(fmt.Sprintf("f%d", i)) }, func() { extension(fmt.Sprintf("e%d", i)) }}
		if i%2 == 1 {
			slices.Reverse(measured)
		}
		for _, measure := range measured {
			measure()
		}
		ratios = append(ratios, ours[i]/floors[i])
		b.Logf("pair %d: floor %.2f s, extension %.2f s, ratio %.2f", i+1, floors[i], ours[i], ratios[i])
	}
	b.ReportMetric(0, "ns/op") // the time that shoots take to come and go tells nothing
	b.ReportMetric(median(floors), "floor-s")
	b.ReportMetric(median(ours), "extension-s")
	b.ReportMetric(median(ratios), "ratio")
}

// pause lets time pass, in which something may happen or not.
func pause(t testing.TB, duration time.Duration) {
	select {
	case <-time.After(duration):
	case <-t.Context().Done():
	}
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

// newQuietShoot creates a Shoot without the extension. When it is deleted, nobody waits for Flux, which may go before what it has to finish.
func (p *projectAdmin) newQuietShoot(name string) *shootOwner {
	s := p.newShootOn(p.landscape.Seed, name, func(shoot *gardencorev1beta1.Shoot) {
		shoot.Spec.Extensions = nil
		shoot.Annotations = map[string]string{
			v1beta1constants.AnnotationShootCleanupExtendedAPIsFinalizeGracePeriodSeconds:        "1",
			v1beta1constants.AnnotationShootCleanupKubernetesResourcesFinalizeGracePeriodSeconds: "1",
		}
	})
	s.expectSucceeded()
	s.cluster()
	return s
}

// timeToContent returns the seconds from the begin of an action to the repository's content in the shoot.
func (s *shootOwner) timeToContent(action func()) float64 {
	pause(s.t, settling)
	begin := time.Now()
	action()
	s.Eventually(func() error {
		return s.cluster().Get(s.t.Context(), client.ObjectKey{Namespace: "shop", Name: "shop"}, &corev1.ConfigMap{})
	}, timeout, look).Should(Succeed())
	return time.Since(begin).Seconds()
}

// milestones tells when the last object of each of some kinds was created in the shoot.
func (s *shootOwner) milestones() string {
	cluster, err := s.landscape.ShootCluster(s.technicalID)
	s.Expect(err).NotTo(HaveOccurred())
	requests, err := cluster.Requests()
	s.Expect(err).NotTo(HaveOccurred())
	var told []string
	var begin time.Time
	for _, of := range []struct{ resource, namespace string }{
		{"customresourcedefinitions", ""}, {"deployments", "flux-system"}, {"gitrepositories", "flux-system"}, {"ocirepositories", "flux-system"}, {"kustomizations", "flux-system"}, {"configmaps", "shop"},
	} {
		var last time.Time
		for _, request := range requests {
			reference := request.ObjectRef
			if reference == nil || reference.Resource != of.resource || reference.Namespace != of.namespace || reference.Subresource != "" ||
				request.ResponseStatus == nil || request.ResponseStatus.Code != http.StatusCreated {
				continue
			}
			last = request.StageTimestamp.Time
			if begin.IsZero() {
				begin = last
			}
		}
		if !last.IsZero() {
			told = append(told, fmt.Sprintf("%s %.2f s", of.resource, last.Sub(begin).Seconds()))
		}
	}
	// The last CustomResourceDefinition is the repository's.
	return "since the first CustomResourceDefinition: " + strings.Join(told[1:], ", ")
}

// manifest writes the objects of a ManagedResource to a file.
func (s *shootOwner) manifest(name string) string {
	managedResource, err := managedresource.Get(s.t.Context(), s.landscape.SeedClient, s.technicalID, name)
	s.Expect(err).NotTo(HaveOccurred())
	data, err := managedresource.DataOf(s.t.Context(), s.landscape.SeedClient, managedResource)
	s.Expect(err).NotTo(HaveOccurred())
	objects, err := data.Objects()
	s.Expect(err).NotTo(HaveOccurred())
	var manifest []byte
	for _, object := range objects {
		document, err := yaml.Marshal(object)
		s.Expect(err).NotTo(HaveOccurred())
		manifest = append(append(manifest, "---\n"...), document...)
	}
	file := filepath.Join(s.t.TempDir(), name+".yaml")
	s.Expect(os.WriteFile(file, manifest, 0o600)).To(Succeed())
	return file
}

// apply is kubectl apply.
func (s *shootOwner) apply(file string) {
	bin, err := process.FindBinaries()
	s.Expect(err).NotTo(HaveOccurred())
	kubectl, err := bin.Path("kubectl")
	s.Expect(err).NotTo(HaveOccurred())
	cluster, err := s.landscape.ShootCluster(s.technicalID)
	s.Expect(err).NotTo(HaveOccurred())
	output, err := exec.CommandContext(s.t.Context(), kubectl, "--kubeconfig", cluster.Kubeconfig, "apply", "--server-side", "-f", file).CombinedOutput() // #nosec G204 -- a program of the landscape
	s.Expect(err).NotTo(HaveOccurred(), string(output))
}

// restartResourceManager does what gardenlet does before it creates an Extension: the namespace's label tells the extension's webhook that the
// shoot's gardener-resource-manager is to manage flux-system. It waits until the program has started with that, and leads.
func (s *shootOwner) restartResourceManager() {
	ctx, seed := s.t.Context(), s.landscape.SeedClient
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.technicalID}}
	s.Expect(seed.Patch(ctx, namespace, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"extensions.gardener.cloud/shoot-flux":"true"}}}`)))).To(Succeed())

	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: s.technicalID, Name: "gardener-resource-manager"}}
	s.Expect(seed.Get(ctx, client.ObjectKeyFromObject(lease), lease)).To(Succeed())
	before := *lease.Spec.HolderIdentity

	deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: s.technicalID, Name: "gardener-resource-manager"}}
	s.Eventually(func(g Gomega) { // kube-apiserver sees the label a moment later
		touch := fmt.Appendf(nil, `{"metadata":{"annotations":{"example.org/touched":%q}}}`, time.Now())
		g.Expect(seed.Patch(ctx, deployment, client.RawPatch(types.MergePatchType, touch))).To(Succeed())
		g.Expect(deployment.Spec.Template.Spec.Containers[0].Args).To(ContainElement("--extra-target-namespace=flux-system"))
	}, timeout, interval).Should(Succeed())
	s.Eventually(func(g Gomega) {
		g.Expect(seed.Get(ctx, client.ObjectKeyFromObject(lease), lease)).To(Succeed())
		g.Expect(*lease.Spec.HolderIdentity).NotTo(Or(BeEmpty(), Equal(before)))
	}, timeout, interval).Should(Succeed())
}

// createExtension creates the Extension as gardenlet does.
func (s *shootOwner) createExtension() {
	extension := &extensionsv1alpha1.Extension{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.technicalID, Name: "shoot-flux", Annotations: map[string]string{
			"gardener.cloud/operation": "reconcile",
			"gardener.cloud/timestamp": time.Now().UTC().Format(time.RFC3339Nano),
		}},
		Spec: extensionsv1alpha1.ExtensionSpec{DefaultSpec: extensionsv1alpha1.DefaultSpec{Type: "shoot-flux"}},
	}
	s.Expect(s.landscape.SeedClient.Create(s.t.Context(), extension)).To(Succeed())
}
