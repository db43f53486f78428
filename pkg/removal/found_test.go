// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package removal_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
)

const (
	installation  = "extension-shoot-flux-installation"
	configuration = "extension-shoot-flux-configuration"
)

// from makes an object of flux-system that gardener-resource-manager has applied for a ManagedResource.
func from(managedResource, apiVersion, kind, name string, finalizers ...string) *metav1.PartialObjectMetadata {
	o := object(apiVersion, kind, name, finalizers...)
	o.Namespace = "flux-system"
	o.Annotations = map[string]string{"resources.gardener.cloud/origin": "seed-one:shoot--one--two/" + managedResource}
	return o
}

func protected(object *metav1.PartialObjectMetadata) *metav1.PartialObjectMetadata {
	render.Protect(object)
	return object
}

func labelled(object *metav1.PartialObjectMetadata) *metav1.PartialObjectMetadata {
	object.Labels = map[string]string{"app.kubernetes.io/part-of": "flux", "app.kubernetes.io/instance": "flux-system"}
	return object
}

func TestProtected(t *testing.T) {
	g := NewWithT(t)
	namespace := protected(from(installation, "v1", "Namespace", "flux-system"))
	namespace.Namespace = ""
	shoot := newShoot(g,
		namespace,
		protected(from(installation, "v1", "Secret", "flux-image-pull-secret")),
		protected(labelled(from(installation, "apps/v1", "Deployment", "source-controller"))),
		labelled(from(installation, "apps/v1", "Deployment", "given-away")),
		protected(labelled(from("shoot-core", "apps/v1", "Deployment", "of-gardener"))),
		protected(from(configuration, "kustomize.toolkit.fluxcd.io/v1", "Kustomization", "flux-system")),
		protected(from(configuration, "v1", "Secret", "flux-source")),
		protected(from(configuration, "v1", "Secret", "another")),
		protected(copied(from(configuration, "v1", "Secret", "age"))),
		protected(from(configuration, "v1", "ConfigMap", "shoot-info")),
	)
	found := func(managedResource string) []string {
		references, err := fluxOf(shoot).Protected(t.Context(), managedResource)
		g.Expect(err).NotTo(HaveOccurred())
		var names []string
		for _, reference := range references {
			names = append(names, reference.APIVersion+" "+reference.Kind+" "+reference.Namespace+"/"+reference.Name)
		}
		return names
	}
	g.Expect(found(installation)).To(ConsistOf("v1 Namespace /flux-system", "v1 Secret flux-system/flux-image-pull-secret", "apps/v1 Deployment flux-system/source-controller"))
	g.Expect(found(configuration)).To(ConsistOf("kustomize.toolkit.fluxcd.io/v1 Kustomization flux-system/flux-system", "v1 Secret flux-system/flux-source",
		"v1 Secret flux-system/age", "v1 ConfigMap flux-system/shoot-info"))
}

// copied has the label of a Secret of the shoot's owner.
func copied(object *metav1.PartialObjectMetadata) *metav1.PartialObjectMetadata {
	object.Labels = map[string]string{render.ManagedByLabel: render.ManagedBy}
	return object
}

// TestWhatAnotherSeedGaveGoesWithTheInstallation: this seed knows none of it, and it would keep the namespace.
func TestWhatAnotherSeedGaveGoesWithTheInstallation(t *testing.T) {
	g := NewWithT(t)
	theirs := copied(from("shoot-core", "v1", "Secret", "theirs"))
	shoot := newShoot(g, theirs,
		protected(copied(from(configuration, "v1", "Secret", "age"))),
		protected(from(configuration, "v1", "Secret", "flux-source")),
		protected(from(configuration, "v1", "ConfigMap", "shoot-info")),
		protected(from(installation, "v1", "Secret", "flux-image-pull-secret")),
	)
	_, err := fluxOf(shoot).DeleteInstallation(t.Context(), nil)
	g.Expect(err).NotTo(HaveOccurred())
	secrets := &metav1.PartialObjectMetadataList{}
	secrets.SetGroupVersionKind(schema.GroupVersionKind{Version: "v1", Kind: "SecretList"})
	g.Expect(shoot.List(t.Context(), secrets)).To(Succeed())
	g.Expect(secrets.Items).To(ConsistOf(HaveField("Name", "theirs")))
	g.Expect(shoot.Get(t.Context(), client.ObjectKey{Namespace: "flux-system", Name: "shoot-info"}, object("v1", "ConfigMap", "shoot-info"))).NotTo(Succeed())
}

func TestProtectedIsBounded(t *testing.T) {
	g := NewWithT(t)
	var objects []client.Object
	for i := range 600 {
		objects = append(objects, protected(labelled(from(installation, "v1", "ServiceAccount", fmt.Sprint("one-", i)))))
	}
	found, err := fluxOf(newShoot(g, objects...)).Protected(t.Context(), installation)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(found).To(HaveLen(500))
}

func TestDeleteFollowers(t *testing.T) {
	g := NewWithT(t)
	root := from(configuration, "kustomize.toolkit.fluxcd.io/v1", "Kustomization", "flux-system", toolkit)
	secret := from(configuration, "v1", "Secret", "flux-source")
	apps := object("kustomize.toolkit.fluxcd.io/v1", "Kustomization", "apps", toolkit)
	var (
		mutex    sync.Mutex
		requests []string
	)
	note := func(request string) {
		mutex.Lock()
		defer mutex.Unlock()
		requests = append(requests, request)
	}
	shoot := interceptor.NewClient(newShoot(g, root, secret, apps), interceptor.Funcs{
		Patch: func(ctx context.Context, c client.WithWatch, object client.Object, patch client.Patch, options ...client.PatchOption) error {
			data, err := patch.Data(object)
			g.Expect(err).NotTo(HaveOccurred())
			note("patch " + object.GetName() + " " + string(data))
			return c.Patch(ctx, object, patch, options...)
		},
		Delete: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.DeleteOption) error {
			note("delete " + object.GetName())
			return c.Delete(ctx, object, options...)
		},
	})
	g.Expect(fluxOf(shoot).Follows(t.Context(), configuration)).To(BeTrue())
	left, err := fluxOf(shoot).DeleteFollowers(t.Context(), configuration)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(left.String()).To(Equal("Kustomization flux-system/flux-system, Secret flux-system/flux-source"))
	g.Expect(requests[0]).To(Equal(`patch flux-system {"spec":{"suspend":true}}`), "suspended, it deletes nothing else")
	g.Expect(requests[1:]).To(ConsistOf("delete flux-system", "delete flux-source"))

	requests = nil
	left, err = fluxOf(shoot).DeleteFollowers(t.Context(), configuration)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(left.String()).To(Equal("Kustomization flux-system/flux-system"), "Flux has some time for its part")
	g.Expect(requests).To(BeEmpty())
	g.Expect(shoot.Get(t.Context(), client.ObjectKeyFromObject(apps), apps)).To(Succeed())
	g.Expect(apps.Finalizers).To(ConsistOf(toolkit))
}

// TestDeleteFormer deletes what another seed has made and what is not wanted any more, and nothing else. What Flux has deployed stays.
func TestDeleteFormer(t *testing.T) {
	g := NewWithT(t)
	var requests []string
	root := protected(from(configuration, "kustomize.toolkit.fluxcd.io/v1", "Kustomization", "flux-system", toolkit))
	source := protected(from(configuration, "source.toolkit.fluxcd.io/v1", "GitRepository", "flux-system", toolkit))
	source.Labels = map[string]string{render.ManagedByLabel: "platform"} // of a template
	shoot := interceptor.NewClient(newShoot(g, root, source,
		protected(from(configuration, "v1", "Secret", "flux-source")),
		from(configuration, "v1", "Secret", "flux-verify"),            // is its users' by now
		protected(copied(from(configuration, "v1", "Secret", "age"))), // or a copy of it
		protected(from("shoot-core", "v1", "Secret", "of-gardener")),
		protected(from(configuration, "v1", "ConfigMap", "shoot-info")),
	), interceptor.Funcs{
		Patch: func(ctx context.Context, c client.WithWatch, object client.Object, patch client.Patch, options ...client.PatchOption) error {
			data, err := patch.Data(object)
			g.Expect(err).NotTo(HaveOccurred())
			requests = append(requests, "patch "+object.GetName()+" "+string(data))
			return c.Patch(ctx, object, patch, options...)
		},
	})
	g.Expect(shoot.Create(t.Context(), definition("source.toolkit.fluxcd.io", "gitrepositories", "GitRepository", labels))).To(Succeed())
	wanted := func(object client.Object) bool { return object.GetName() == "shoot-info" }
	g.Expect(fluxOf(shoot).DeleteFormer(t.Context(), configuration, wanted)).To(Succeed())
	g.Expect(requests).To(HaveExactElements(`patch flux-system {"spec":{"suspend":true}}`), "suspended, it deletes nothing else")
	for _, gone := range []client.Object{root, source} {
		g.Expect(shoot.Get(t.Context(), client.ObjectKeyFromObject(gone), gone)).To(Succeed())
		g.Expect(gone.GetDeletionTimestamp()).NotTo(BeNil(), "Flux has its part to do")
	}
	secrets := &metav1.PartialObjectMetadataList{}
	secrets.SetGroupVersionKind(schema.GroupVersionKind{Version: "v1", Kind: "SecretList"})
	g.Expect(shoot.List(t.Context(), secrets)).To(Succeed())
	g.Expect(secrets.Items).To(ConsistOf(HaveField("Name", "flux-verify"), HaveField("Name", "age"), HaveField("Name", "of-gardener")))
	g.Expect(shoot.Get(t.Context(), client.ObjectKey{Namespace: "flux-system", Name: "shoot-info"}, object("v1", "ConfigMap", "shoot-info"))).To(Succeed())
}

// TestDeleteFollowersWithoutControllers waits for nobody who may not be there.
func TestDeleteFollowersWithoutControllers(t *testing.T) {
	g := NewWithT(t)
	root := from(configuration, "kustomize.toolkit.fluxcd.io/v1", "Kustomization", "flux-system", toolkit)
	root.DeletionTimestamp = new(metav1.NewTime(time.Now().Add(-2 * time.Minute)))
	shoot := newShoot(g, root)
	for range 2 {
		_, err := fluxOf(shoot).DeleteFollowers(t.Context(), configuration)
		g.Expect(err).NotTo(HaveOccurred())
	}
	g.Expect(fluxOf(shoot).Follows(t.Context(), configuration)).To(BeFalse())
}

// TestDeleteFollowersLeavesTheirs has a GitRepository and a Kustomization of the same names that the shoot's users made.
func TestDeleteFollowersLeavesTheirs(t *testing.T) {
	g := NewWithT(t)
	theirs := object("kustomize.toolkit.fluxcd.io/v1", "Kustomization", "flux-system", toolkit)
	theirs.Namespace = "flux-system"
	shoot := interceptor.NewClient(newShoot(g, theirs), interceptor.Funcs{
		Patch: func(context.Context, client.WithWatch, client.Object, client.Patch, ...client.PatchOption) error {
			return errors.New("it is written")
		},
		Delete: func(context.Context, client.WithWatch, client.Object, ...client.DeleteOption) error {
			return errors.New("it is deleted")
		},
	})
	g.Expect(fluxOf(shoot).Follows(t.Context(), configuration)).To(BeFalse())
	left, err := fluxOf(shoot).DeleteFollowers(t.Context(), configuration)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(left).To(BeEmpty())
}
