// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package fluxcontrollers_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/takeover"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/cluster"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/fluxcontrollers"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/gitserver"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
)

// withoutNamespace is what the archived first version of the extension put into namespace default, and elsewhere what it moved there.
const withoutNamespace = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\ndata: {a: b}\n"

// ofPredecessor are the objects that the archived first version of the extension has left: a Kustomization with prune.
func ofPredecessor(url string) (*sourcev1.GitRepository, *kustomizev1.Kustomization) {
	origin := map[string]string{"resources.gardener.cloud/origin": "seed:shoot--local--one/extension-shoot-flux-flux-config"}
	source, root := gitRepository(url), kustomization()
	source.Name, source.Annotations = "main-gitrepo", origin
	root.Name, root.Annotations = "main-ks", origin
	root.Spec = kustomizev1.KustomizationSpec{
		Interval: metav1.Duration{Duration: kustomization().Spec.Interval.Duration}, Path: "./", Prune: true, TargetNamespace: "default",
		SourceRef: kustomizev1.CrossNamespaceSourceReference{Kind: sourcev1.GitRepositoryKind, Name: "main-gitrepo"},
	}
	return source, root
}

// deployedByPredecessor is a shoot with Flux's real controllers, that deploys ConfigMaps by what the archived first version of the extension has left.
func deployedByPredecessor(t *testing.T, names ...string) (c client.Client, repository *gitserver.Repository, source *sourcev1.GitRepository, root *kustomizev1.Kustomization) {
	t.Helper()
	g := NewWithT(t)
	bin, err := process.FindBinaries()
	g.Expect(err).NotTo(HaveOccurred())
	dir := t.TempDir()
	showLogs(t, dir)
	shoot := startShoot(t, cluster.Options{Dir: dir, Bin: bin})
	c = newClient(t, shoot)
	controllers, err := fluxcontrollers.Start(context.Background(), fluxcontrollers.Options{Name: shoot.Name, Shoot: shoot.AdminConfig, Bin: bin, Dir: dir, Log: ctrllog.Log})
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { g.Expect(controllers.Stop()).To(Succeed()) })
	server, err := gitserver.Start(t.Context(), gitserver.Options{Dir: filepath.Join(dir, "git")})
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(server.Close)
	repository, err = server.CreateRepository(t.Context(), "team/cluster", true)
	g.Expect(err).NotTo(HaveOccurred())
	hold(t, repository, names...)

	g.Expect(shoot.ApplyYAML(t.Context(), manifests(t))).To(Succeed())
	source, root = ofPredecessor(urlOf(t, repository))
	g.Expect(c.Create(t.Context(), source)).To(Succeed())
	g.Expect(c.Create(t.Context(), root)).To(Succeed())
	g.Eventually(revisionOf(t, c, root), timeout).Should(ContainSubstring(head(t, repository)))
	return c, repository, source, root
}

// TestPredecessor shows on Flux's real controllers that what the archived first version of the extension has deployed outlives it, and is the same
// objects, although its Kustomization prunes: what takes its place takes over its inventory, and only then it goes.
func TestPredecessor(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	c, repository, source, root := deployedByPredecessor(t, "kept", "old")
	before := uidsOf(t, c, "kept", "old")
	predecessor, err := takeover.FindPredecessor(t.Context(), c, "shoot--local--one")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(predecessor.TargetNamespace()).To(Equal("default"))
	configuration := continuing(t, urlOf(t, repository), predecessor.TargetNamespace())
	request := takeover.Request{Namespace: "shoot--local--one", Objects: configuration}
	g.Expect(takeover.Check(t.Context(), c, request)).To(BeFalse())

	g.Expect(predecessor.Suspend(t.Context())).To(Succeed())
	g.Expect(takeover.Check(t.Context(), c, request)).To(BeFalse(), "it may be interrupted here")
	// Meanwhile the repository no longer holds one of the objects.
	hold(t, repository, "kept")
	put(t, c, configuration)
	g.Eventually(revisionOf(t, c, kustomization()), timeout).Should(ContainSubstring(head(t, repository)))
	var successor *takeover.Successor
	g.Eventually(func() bool {
		successor, err = takeover.FindSuccessor(t.Context(), c, client.ObjectKeyFromObject(kustomization()))
		return err == nil && successor.HasDeployed()
	}, timeout).Should(BeTrue())
	predecessor, err = takeover.FindPredecessor(t.Context(), c, "shoot--local--one") // Flux has said of it that it is suspended
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(predecessor.CountOnly(successor)).To(Equal(1))

	g.Expect(predecessor.Delete(t.Context())).To(Succeed())
	g.Eventually(func() bool { return apierrors.IsNotFound(c.Get(t.Context(), client.ObjectKeyFromObject(root), root)) }, timeout).Should(BeTrue())
	g.Expect(uidsOf(t, c, "kept", "old")).To(Equal(before), "the same objects")
	g.Expect(c.Get(t.Context(), client.ObjectKeyFromObject(source), source)).To(Succeed(), "others may follow it")

	// From then on, what the repository no longer holds goes as before.
	hold(t, repository, "new")
	reconcileSource(t, c)
	g.Eventually(func() (bool, error) { return exists(t, c, configMapOf("new")) }, timeout).Should(BeTrue())
	g.Eventually(func() (bool, error) { return exists(t, c, configMapOf("kept")) }, timeout).Should(BeFalse())
	g.Expect(exists(t, c, configMapOf("old"))).To(BeTrue())
}

// TestPredecessorWouldPrune is what TestPredecessor is against: deleted as it is, before another Kustomization has deployed the same.
func TestPredecessorWouldPrune(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	c, _, _, root := deployedByPredecessor(t, "kept")
	g.Expect(exists(t, c, configMapOf("kept"))).To(BeTrue())
	g.Expect(c.Delete(t.Context(), root)).To(Succeed())
	g.Eventually(func() (bool, error) { return exists(t, c, configMapOf("kept")) }, timeout).Should(BeFalse())
}

func urlOf(t *testing.T, repository *gitserver.Repository) string {
	t.Helper()
	url, err := repository.HTTPURL()
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return url
}

// hold makes ConfigMaps all that a repository deploys.
func hold(t *testing.T, repository *gitserver.Repository, names ...string) {
	t.Helper()
	files := map[string]string{"kustomization.yaml": fmt.Sprintf("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [%s.yaml]\n", strings.Join(names, ".yaml, "))}
	for _, name := range names {
		files[name+".yaml"] = fmt.Sprintf(withoutNamespace, name)
	}
	_, err := repository.Commit(t.Context(), gitserver.DefaultBranch, "Hold "+strings.Join(names, ", "), files)
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
}

// continuing are the objects that make Flux go on with a repository.
func continuing(t *testing.T, url, targetNamespace string) []client.Object {
	t.Helper()
	g := NewWithT(t)
	rendered, err := render.NewInstallation(manifests(t), render.Images{})
	g.Expect(err).NotTo(HaveOccurred())
	following, err := rendered.Configuration(render.Wanted{
		Config:          &fluxv1alpha1.FluxConfig{Repository: &fluxv1alpha1.Repository{URL: url, Branch: gitserver.DefaultBranch, Path: "./"}},
		TargetNamespace: targetNamespace,
	})
	g.Expect(err).NotTo(HaveOccurred())
	return following.Objects
}

func revisionOf(t *testing.T, c client.Client, root *kustomizev1.Kustomization) func() string {
	return func() string {
		if err := c.Get(t.Context(), client.ObjectKeyFromObject(root), root); err != nil {
			return err.Error()
		}
		return root.Status.LastAppliedRevision
	}
}

func uidsOf(t *testing.T, c client.Client, names ...string) []types.UID {
	t.Helper()
	var uids []types.UID
	for _, name := range names {
		object := configMapOf(name)
		NewWithT(t).Expect(exists(t, c, object)).To(BeTrue(), name)
		uids = append(uids, object.UID)
	}
	return uids
}
