// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package fluxcontrollers_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/migration"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/removal"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/takeover"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/cluster"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/fluxcontrollers"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/gitserver"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
)

const configMap = "apiVersion: v1\nkind: ConfigMap\nmetadata: {namespace: default, name: %s}\ndata: {a: b}\n"

// gotkSync is what `flux bootstrap` commits beside Flux itself.
const gotkSync = `apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {namespace: flux-system, name: flux-system}
spec: {interval: 1m0s, ref: {branch: main}, url: %q, secretRef: {name: flux-system}}
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {namespace: flux-system, name: flux-system}
spec: {interval: 10m0s, path: ./elsewhere, prune: true, sourceRef: {kind: GitRepository, name: flux-system}}
`

// TestOwnership shows on Flux's real controllers what package takeover and the protection of package render are for: a shoot in which Flux
// follows somebody's repository is handed over without that Flux deletes what it has deployed, and from then on a repository that holds
// Flux and the extension's objects neither changes them, nor takes them along when it no longer holds them.
func TestOwnership(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	bin, err := process.FindBinaries()
	g.Expect(err).NotTo(HaveOccurred())
	dir := t.TempDir()
	showLogs(t, dir)
	shoot := startShoot(t, cluster.Options{Dir: dir, Bin: bin})
	c := newClient(t, shoot)
	controllers, err := fluxcontrollers.Start(context.Background(), fluxcontrollers.Options{Name: shoot.Name, Shoot: shoot.AdminConfig, Bin: bin, Dir: dir, Log: ctrllog.Log})
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { g.Expect(controllers.Stop()).To(Succeed()) })

	// Somebody's Flux has deployed something.
	theirs := publicRepository(t, dir)
	g.Expect(shoot.ApplyYAML(t.Context(), manifests(t))).To(Succeed())
	g.Expect(c.Create(t.Context(), gitRepository(theirs))).To(Succeed())
	g.Expect(c.Create(t.Context(), kustomization())).To(Succeed())
	g.Eventually(ready(t, c), timeout).Should(HaveField("Status", metav1.ConditionTrue))
	shop := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}
	g.Expect(exists(t, c, shop)).To(BeTrue())

	ours := fleet(t, filepath.Join(dir, "ours"), theirs)
	installation, configuration := wanted(t, ours, "./fleet")
	request := takeover.Request{Namespace: "shoot--local--one", Objects: slices.Concat(installation, configuration)}
	_, err = takeover.Check(t.Context(), c, request)
	g.Expect(err).To(MatchError(And(ContainSubstring("Found: Kustomization flux-system/flux-system is another one, "), ContainSubstring("GitRepository flux-system/flux-system is another one, and spec.url would go or change"))))

	// As the conflict says: suspend, then delete.
	root := kustomization()
	g.Expect(c.Patch(t.Context(), root, client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"suspend":true}}`)))).To(Succeed())
	g.Expect(c.Delete(t.Context(), root)).To(Succeed())
	source := gitRepository(theirs)
	g.Expect(c.Delete(t.Context(), source)).To(Succeed())
	for _, object := range []client.Object{root, source} { // each controller takes its finalizer away
		g.Eventually(func() bool {
			return apierrors.IsNotFound(c.Get(t.Context(), client.ObjectKeyFromObject(object), object))
		}, timeout).Should(BeTrue())
	}
	g.Expect(takeover.Check(t.Context(), c, request)).To(BeTrue())

	put(t, c, request.Objects)
	put(t, c, wantedRest(t))
	g.Eventually(applied(t, c), timeout).Should(ContainSubstring(head(t, ours)))
	g.Expect(exists(t, c, configMapOf("kept"))).To(BeTrue())
	expectOurs(t, c, ours)
	g.Expect(exists(t, c, shop)).To(BeTrue(), "what their Flux has deployed")

	// The repository no longer holds Flux.
	_, err = ours.Commit(t.Context(), gitserver.DefaultBranch, "Remove Flux", map[string]string{
		"fleet/flux-system/gotk-components.yaml": "", "fleet/flux-system/gotk-sync.yaml": "", "fleet/pruned.yaml": "",
	})
	g.Expect(err).NotTo(HaveOccurred())
	reconcileSource(t, c)
	g.Eventually(applied(t, c), timeout).Should(ContainSubstring(head(t, ours)))
	g.Expect(exists(t, c, configMapOf("pruned"))).To(BeFalse(), "others are pruned")
	expectOurs(t, c, ours)
	expectRunning(t, controllers, fluxcontrollers.SourceController, fluxcontrollers.KustomizeController)

	// What the check prevents: with another directory, Flux deletes all that the inventory has.
	_, configuration = wanted(t, ours, "./other")
	put(t, c, configuration)
	g.Eventually(func() (bool, error) { return exists(t, c, configMapOf("kept")) }, timeout).Should(BeFalse())
	g.Expect(exists(t, c, shop)).To(BeTrue(), "it was never in this inventory")
}

// TestFluxStaysWhereItIsPruned has a Flux that belongs to the shoot's users and is deployed from the repository that it follows. When that is to be another
// one, which does not hold Flux, and when the workloads are to be deleted, Flux would delete itself.
func TestFluxStaysWhereItIsPruned(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	bin, err := process.FindBinaries()
	g.Expect(err).NotTo(HaveOccurred())
	dir := t.TempDir()
	showLogs(t, dir)
	shoot := startShoot(t, cluster.Options{Dir: dir, Bin: bin})
	c := newClient(t, shoot)
	controllers, err := fluxcontrollers.Start(context.Background(), fluxcontrollers.Options{Name: shoot.Name, Shoot: shoot.AdminConfig, Bin: bin, Dir: dir, Log: ctrllog.Log})
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { g.Expect(controllers.Stop()).To(Succeed()) })

	repository := fleet(t, filepath.Join(dir, "git"), "http://git.example.org/elsewhere")
	g.Expect(shoot.ApplyYAML(t.Context(), manifests(t))).To(Succeed())
	_, configuration := wanted(t, repository, "./fleet")
	put(t, c, configuration)
	g.Eventually(applied(t, c), timeout).Should(ContainSubstring(head(t, repository)))

	definition, err := migration.InstalledDefinition(t.Context(), c)
	g.Expect(err).NotTo(HaveOccurred())
	deployer := takeover.DeployerOf(definition)
	g.Expect(deployer).To(Equal(client.ObjectKey{Namespace: namespace, Name: "flux-system"}))
	g.Expect(takeover.PrunesFlux(t.Context(), c, deployer, client.ObjectKey{}, configuration)).To(BeFalse())
	_, configuration = wanted(t, repository, "./other")
	g.Expect(takeover.PrunesFlux(t.Context(), c, deployer, client.ObjectKey{}, configuration)).To(BeTrue())
	g.Expect(removal.Removal{Shoot: c, Namespace: namespace}.PreventPruning(t.Context())).To(Succeed())
	put(t, c, configuration)
	g.Eventually(func() (bool, error) { return exists(t, c, configMapOf("kept")) }, timeout).Should(BeFalse())
	g.Eventually(func() (bool, error) { return exists(t, c, configMapOf("other")) }, timeout).Should(BeTrue())
	expectAllOfFlux(t, c)

	_, configuration = wanted(t, repository, "./fleet")
	put(t, c, configuration)
	root := kustomization()
	g.Eventually(func(g Gomega) { // it deletes what its inventory has, which it writes when it has applied all
		g.Expect(c.Get(t.Context(), client.ObjectKeyFromObject(root), root)).To(Succeed())
		g.Expect(root.Status.ObservedGeneration).To(Equal(root.Generation))
		g.Expect(root.Status.Inventory.Entries).To(ContainElement(HaveField("ID", "default_kept__ConfigMap")))
	}, timeout).Should(Succeed())
	g.Expect(c.Patch(t.Context(), root, client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"deletionPolicy":"Delete"}}`)))).To(Succeed())
	g.Expect(c.Delete(t.Context(), root)).To(Succeed())
	g.Eventually(func() bool { return apierrors.IsNotFound(c.Get(t.Context(), client.ObjectKeyFromObject(root), root)) }, timeout).Should(BeTrue())
	g.Expect(exists(t, c, configMapOf("kept"))).To(BeFalse())
	expectAllOfFlux(t, c)
	expectRunning(t, controllers, fluxcontrollers.SourceController, fluxcontrollers.KustomizeController)
}

// expectAllOfFlux checks that nothing of Flux has been deleted.
func expectAllOfFlux(t *testing.T, c client.Client) {
	t.Helper()
	rendered, err := render.NewInstallation(manifests(t), render.Images{})
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	for _, object := range rendered.Objects {
		found := &metav1.PartialObjectMetadata{}
		found.SetGroupVersionKind(object.GetObjectKind().GroupVersionKind())
		found.SetNamespace(object.GetNamespace())
		found.SetName(object.GetName())
		NewWithT(t).Expect(exists(t, c, found)).To(BeTrue(), "%s %s", found.Kind, found.Name)
	}
}

// fleet is a repository that `flux bootstrap` was used on, for another cluster.
func fleet(t *testing.T, dir, elsewhere string) *gitserver.Repository {
	t.Helper()
	g := NewWithT(t)
	server, err := gitserver.Start(t.Context(), gitserver.Options{Dir: dir})
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(server.Close)
	repository, err := server.CreateRepository(t.Context(), "platform/fleet", true)
	g.Expect(err).NotTo(HaveOccurred())
	_, err = repository.Commit(t.Context(), gitserver.DefaultBranch, "Bootstrap Flux", map[string]string{
		"fleet/kept.yaml":                        fmt.Sprintf(configMap, "kept"),
		"fleet/pruned.yaml":                      fmt.Sprintf(configMap, "pruned"),
		"fleet/flux-system/gotk-components.yaml": string(manifests(t)),
		"fleet/flux-system/gotk-sync.yaml":       fmt.Sprintf(gotkSync, elsewhere),
		"other/other.yaml":                       fmt.Sprintf(configMap, "other"),
	})
	g.Expect(err).NotTo(HaveOccurred())
	return repository
}

// wanted are the objects that the extension looks for in the shoot before it writes them.
func wanted(t *testing.T, repository *gitserver.Repository, directory string) (installation, configuration []client.Object) {
	t.Helper()
	g := NewWithT(t)
	rendered, err := render.NewInstallation(manifests(t), render.Images{})
	g.Expect(err).NotTo(HaveOccurred())
	url, err := repository.HTTPURL()
	g.Expect(err).NotTo(HaveOccurred())
	following, err := rendered.Configuration(render.Wanted{Config: &fluxv1alpha1.FluxConfig{Repository: &fluxv1alpha1.Repository{URL: url, Branch: gitserver.DefaultBranch, Path: directory}}})
	g.Expect(err).NotTo(HaveOccurred())
	return slices.DeleteFunc(rendered.Objects, func(object client.Object) bool { return !takeover.IsNotable(object) }), following.Objects
}

// wantedRest are the others.
func wantedRest(t *testing.T) []client.Object {
	t.Helper()
	rendered, err := render.NewInstallation(manifests(t), render.Images{})
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return slices.DeleteFunc(rendered.Objects, takeover.IsNotable)
}

// put writes objects as gardener-resource-manager does, which knows nothing of what is there.
func put(t *testing.T, c client.Client, objects []client.Object) {
	t.Helper()
	g := NewWithT(t)
	for _, object := range objects {
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
		g.Expect(err).NotTo(HaveOccurred())
		configuration := client.ApplyConfigurationFromUnstructured(&unstructured.Unstructured{Object: content})
		g.Expect(c.Apply(t.Context(), configuration, client.FieldOwner("gardener-resource-manager"), client.ForceOwnership)).To(Succeed())
	}
}

// expectOurs checks that nothing of what the extension has made was changed or deleted.
func expectOurs(t *testing.T, c client.Client, repository *gitserver.Repository) {
	t.Helper()
	g := NewWithT(t)
	url, err := repository.HTTPURL()
	g.Expect(err).NotTo(HaveOccurred())
	source, root := gitRepository(""), kustomization()
	g.Expect(c.Get(t.Context(), client.ObjectKeyFromObject(source), source)).To(Succeed())
	g.Expect(source.Spec).To(And(HaveField("URL", url), HaveField("SecretRef", BeNil())))
	g.Expect(c.Get(t.Context(), client.ObjectKeyFromObject(root), root)).To(Succeed())
	g.Expect(root.Spec).To(And(HaveField("Path", "./fleet"), HaveField("DeletionPolicy", kustomizev1.DeletionPolicyOrphan)))
	deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fluxcontrollers.SourceController}}
	g.Expect(c.Get(t.Context(), client.ObjectKeyFromObject(deployment), deployment)).To(Succeed())
	g.Expect(strings.Join(deployment.Spec.Template.Spec.Containers[0].Args, " ")).To(ContainSubstring("--max-retry-delay=1m"), "the repository's has no such argument")
	g.Expect(deployment.Labels).NotTo(HaveKey("kustomize.toolkit.fluxcd.io/name"))
}

// applied is the revision that the shoot has.
func applied(t *testing.T, c client.Client) func(Gomega) string {
	return func(g Gomega) string {
		root := kustomization()
		g.Expect(c.Get(t.Context(), client.ObjectKeyFromObject(root), root)).To(Succeed())
		return root.Status.LastAppliedRevision
	}
}

// reconcileSource asks source-controller to look at the repository now.
func reconcileSource(t *testing.T, c client.Client) {
	t.Helper()
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"annotations":{"reconcile.fluxcd.io/requestedAt":"now"}}}`))
	NewWithT(t).Expect(c.Patch(t.Context(), gitRepository(""), patch)).To(Succeed())
}

func head(t *testing.T, repository *gitserver.Repository) string {
	t.Helper()
	sha, err := repository.Head(t.Context(), gitserver.DefaultBranch)
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return sha
}

func configMapOf(name string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}
}

// exists tells whether an object is there, and is not being deleted.
func exists(t *testing.T, c client.Client, object client.Object) (bool, error) {
	t.Helper()
	err := c.Get(t.Context(), client.ObjectKeyFromObject(object), object)
	return err == nil && object.GetDeletionTimestamp() == nil, client.IgnoreNotFound(err)
}
