// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// The steps against real API servers are in test/integration/lifecycle.
package removal_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/removal"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
)

const (
	toolkit = "finalizers.fluxcd.io"
	watcher = "source.extensions.fluxcd.io/finalizer"
	foreign = "example.org/finalizer"
)

// labels are those of an installation.
var labels = flux.InstallationLabels(flux.Namespace)

// fluxOf is what is to be removed from a shoot.
func fluxOf(shoot client.Client) removal.Removal {
	return removal.Removal{Shoot: shoot, Namespace: flux.Namespace}
}

func definition(group, plural, kind string, labels map[string]string) *apiextensionsv1.CustomResourceDefinition {
	definition := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: plural + "." + group, Labels: labels}}
	definition.Spec.Group, definition.Spec.Names.Kind = group, kind
	definition.Spec.Versions = []apiextensionsv1.CustomResourceDefinitionVersion{{Name: "v1beta2", Served: true}, {Name: "v1", Served: true, Storage: true}}
	return definition
}

func object(apiVersion, kind, name string, finalizers ...string) *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{
		TypeMeta:   metav1.TypeMeta{APIVersion: apiVersion, Kind: kind},
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, Finalizers: finalizers},
	}
}

// applied is what the extension knows of CustomResourceDefinitions that it has applied.
func applied(names ...string) []corev1.ObjectReference {
	var references []corev1.ObjectReference
	for _, name := range names {
		references = append(references, corev1.ObjectReference{APIVersion: "apiextensions.k8s.io/v1", Kind: "CustomResourceDefinition", Name: name})
	}
	return references
}

func newShoot(g Gomega, objects ...client.Object) client.WithWatch {
	scheme := runtime.NewScheme()
	g.Expect(apiextensionsv1.AddToScheme(scheme)).To(Succeed())
	kinds := []client.Object{
		object("kustomize.toolkit.fluxcd.io/v1", "Kustomization", ""), object("helm.toolkit.fluxcd.io/v1", "HelmRelease", ""),
		object("source.extensions.fluxcd.io/v1", "ArtifactGenerator", ""), object("apps/v1", "Deployment", ""), object("v1", "Pod", ""),
		object("v1", "Service", ""), object("v1", "ServiceAccount", ""), object("v1", "ResourceQuota", ""), object("networking.k8s.io/v1", "NetworkPolicy", ""),
		object("rbac.authorization.k8s.io/v1", "ClusterRole", ""), object("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", ""),
	}
	for _, object := range append(kinds, objects...) {
		gvk := object.GetObjectKind().GroupVersionKind()
		scheme.AddKnownTypeWithName(gvk, &metav1.PartialObjectMetadata{})
		scheme.AddKnownTypeWithName(gvk.GroupVersion().WithKind(gvk.Kind+"List"), &metav1.PartialObjectMetadataList{})
	}
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(append(objects,
		definition("kustomize.toolkit.fluxcd.io", "kustomizations", "Kustomization", labels),
		definition("helm.toolkit.fluxcd.io", "helmreleases", "HelmRelease", labels),
		definition("source.extensions.fluxcd.io", "artifactgenerators", "ArtifactGenerator", labels),
		definition("example.org", "others", "Other", nil),
		definition("example.org", "borrowers", "Borrower", labels),
	)...).Build()
}

func TestDropFinalizers(t *testing.T) {
	g := NewWithT(t)
	apps := object("kustomize.toolkit.fluxcd.io/v1", "Kustomization", "apps", foreign, toolkit)
	parts := object("source.extensions.fluxcd.io/v1", "ArtifactGenerator", "parts", watcher)
	other := object("example.org/v1", "Other", "other", toolkit, foreign)
	borrower := object("example.org/v1", "Borrower", "borrower", toolkit)
	shoot := newShoot(g, apps, parts, other, borrower)
	finalizers := func(object client.Object) []string {
		g.Expect(shoot.Get(t.Context(), client.ObjectKeyFromObject(object), object)).To(Succeed())
		return object.GetFinalizers()
	}

	g.Expect(fluxOf(shoot).DropFinalizers(t.Context(), nil)).To(Succeed())
	g.Expect(finalizers(apps)).To(ConsistOf(foreign))
	g.Expect(finalizers(parts)).To(BeEmpty())
	g.Expect(finalizers(other)).To(ConsistOf(toolkit, foreign), "not a kind of Flux")
	g.Expect(finalizers(borrower)).To(ConsistOf(toolkit), "nor one, although somebody gave its definition the labels")

	g.Expect(fluxOf(shoot).DropFinalizers(t.Context(), applied("others.example.org", "gone.example.org", "kustomizations.kustomize.toolkit.fluxcd.io"))).To(Succeed())
	g.Expect(finalizers(other)).To(ConsistOf(foreign), "applied")
}

func TestDropFinalizersSaysWhere(t *testing.T) {
	g := NewWithT(t)
	shoot := interceptor.NewClient(newShoot(g, object("kustomize.toolkit.fluxcd.io/v1", "Kustomization", "apps", toolkit)), interceptor.Funcs{
		Patch: func(context.Context, client.WithWatch, client.Object, client.Patch, ...client.PatchOption) error {
			return errors.New("out of order")
		},
	})
	g.Expect(fluxOf(shoot).DropFinalizers(t.Context(), nil)).To(MatchError("failed to remove Flux's finalizer from Kustomization default/apps of the shoot: out of order"))
}

func TestTerminating(t *testing.T) {
	g := NewWithT(t)
	var objects []client.Object
	for i := range 4 {
		objects = append(objects, object("kustomize.toolkit.fluxcd.io/v1", "Kustomization", fmt.Sprint("apps-", i), toolkit))
	}
	waits := object("kustomize.toolkit.fluxcd.io/v1", "Kustomization", "waits-for-another", foreign)
	stays := object("kustomize.toolkit.fluxcd.io/v1", "Kustomization", "stays", toolkit)
	shoot := newShoot(g, append(objects, waits, stays)...)
	for _, object := range append(objects, waits) {
		g.Expect(shoot.Delete(t.Context(), object)).To(Succeed())
	}
	left, err := fluxOf(shoot).Terminating(t.Context(), nil)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(left).To(HaveLen(4))
	g.Expect(left.String()).To(Equal("Kustomization default/apps-0, Kustomization default/apps-1, Kustomization default/apps-2, …"))
	g.Expect(left[:2].String()).To(Equal("Kustomization default/apps-0, Kustomization default/apps-1"))
}

// TestTerminatingChain has a Kustomization that is just gone when Kustomizations are looked at, after it has begun to delete a HelmRelease, of
// a kind that has been looked at before.
func TestTerminatingChain(t *testing.T) {
	g := NewWithT(t)
	release := object("helm.toolkit.fluxcd.io/v1", "HelmRelease", "podinfo", toolkit)
	parent := object("kustomize.toolkit.fluxcd.io/v1", "Kustomization", "parent", toolkit)
	apps := newShoot(g, release, parent)
	g.Expect(apps.Delete(t.Context(), parent)).To(Succeed())
	gone := false
	shoot := interceptor.NewClient(apps, interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			if list.GetObjectKind().GroupVersionKind().Kind == "KustomizationList" && !gone {
				gone = true
				g.Expect(c.Delete(ctx, release)).To(Succeed())
				g.Expect(c.Get(ctx, client.ObjectKeyFromObject(parent), parent)).To(Succeed())
				parent.Finalizers = nil
				g.Expect(c.Update(ctx, parent)).To(Succeed())
			}
			return c.List(ctx, list, options...)
		},
	})
	left, err := fluxOf(shoot).Terminating(t.Context(), nil)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(gone).To(BeTrue())
	g.Expect(left.String()).To(Equal("HelmRelease default/podinfo"))

	g.Expect(apps.Get(t.Context(), client.ObjectKeyFromObject(release), release)).To(Succeed())
	release.Finalizers = nil
	g.Expect(apps.Update(t.Context(), release)).To(Succeed())
	left, err = fluxOf(shoot).Terminating(t.Context(), nil)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(left).To(BeEmpty())
}

func TestUnprotect(t *testing.T) {
	g := NewWithT(t)
	apps := object("kustomize.toolkit.fluxcd.io/v1", "Kustomization", "apps")
	apps.Annotations = map[string]string{"note": "kept"}
	render.Protect(apps)
	shoot := newShoot(g, apps)
	references := []corev1.ObjectReference{
		{APIVersion: "kustomize.toolkit.fluxcd.io/v1", Kind: "Kustomization", Namespace: "default", Name: "gone"},
		{APIVersion: "kustomize.toolkit.fluxcd.io/v1", Kind: "Kustomization", Namespace: "default", Name: "apps"},
	}
	for range 2 {
		g.Expect(fluxOf(shoot).Unprotect(t.Context(), references)).To(Succeed())
		g.Expect(shoot.Get(t.Context(), client.ObjectKeyFromObject(apps), apps)).To(Succeed())
		g.Expect(apps.Annotations).To(Equal(map[string]string{"note": "kept"}))
	}
	render.Protect(apps)
	g.Expect(shoot.Update(t.Context(), apps)).To(Succeed())
	broken := interceptor.NewClient(shoot, interceptor.Funcs{
		Patch: func(context.Context, client.WithWatch, client.Object, client.Patch, ...client.PatchOption) error {
			return errors.New("out of order")
		},
	})
	g.Expect(fluxOf(broken).Unprotect(t.Context(), references)).To(MatchError("failed to leave Kustomization default/apps of the shoot to its users: out of order"))
}
