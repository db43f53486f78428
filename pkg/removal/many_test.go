// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package removal_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/removal"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
	access "github.com/23technologies/gardener-extension-shoot-flux/pkg/shoot"
)

// unanswered is how long an API server waits for a webhook that does not answer, by default.
const unanswered = 10 * time.Second

// slow delays writes.
func slow(shoot client.WithWatch, delay time.Duration) client.Client {
	return interceptor.NewClient(shoot, interceptor.Funcs{
		Delete: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.DeleteOption) error {
			<-time.After(delay)
			return c.Delete(ctx, object, options...)
		},
		Patch: func(ctx context.Context, c client.WithWatch, object client.Object, patch client.Patch, options ...client.PatchOption) error {
			<-time.After(delay)
			return c.Patch(ctx, object, patch, options...)
		},
	})
}

// tries repeats a step until nothing is left to do, and returns how often. No try holds a worker for long.
func tries(g Gomega, step func() (removal.Left, error)) int {
	for count := 1; ; count++ {
		begin := time.Now()
		left, err := step()
		g.Expect(time.Since(begin)).To(BeNumerically("<=", unanswered+4*time.Second))
		if err == nil && len(left) == 0 {
			return count
		}
		if err != nil {
			unfinished, ok := errors.AsType[*access.Unfinished](err)
			g.Expect(ok).To(BeTrue(), "%v", err)
			g.Expect(unfinished.Visited).To(BeNumerically(">", 0), "it got on")
		}
	}
}

// TestMuchToDelete has a shoot in which somebody has given very many objects the labels of an installation.
func TestMuchToDelete(t *testing.T) {
	const count = 5000
	many := func(apiVersion, kind string) []client.Object {
		var objects []client.Object
		for i := range count {
			one := object(apiVersion, kind, fmt.Sprintf("many-%04d", i))
			one.Namespace, one.Labels = flux.Namespace, labels
			objects = append(objects, one)
		}
		return objects
	}
	for name, step := range map[string]func(removal.Removal, context.Context, []corev1.ObjectReference) (removal.Left, error){
		"ServiceAccount": removal.Removal.DeleteInstallation,
		"Deployment":     removal.Removal.StopControllers,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := NewWithT(t)
				apiVersion := map[string]string{"ServiceAccount": "v1", "Deployment": "apps/v1"}[name]
				shoot := newShoot(g, many(apiVersion, name)...)
				g.Expect(tries(g, func() (removal.Left, error) { return step(fluxOf(slow(shoot, 20*time.Millisecond)), t.Context(), nil) })).To(BeNumerically(">", 3))
				left := &metav1.PartialObjectMetadataList{TypeMeta: metav1.TypeMeta{APIVersion: apiVersion, Kind: name + "List"}}
				g.Expect(shoot.List(t.Context(), left)).To(Succeed())
				g.Expect(left.Items).To(BeEmpty())
			})
		})
	}
}

// TestUnansweredWebhook has a shoot in which each write takes as long as a webhook that does not answer.
func TestUnansweredWebhook(t *testing.T) {
	const count = 40
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		var objects []client.Object
		var references []corev1.ObjectReference
		for i := range count {
			account := object("v1", "ServiceAccount", fmt.Sprintf("account-%02d", i))
			render.Protect(account)
			objects = append(objects, account, object("kustomize.toolkit.fluxcd.io/v1", "Kustomization", fmt.Sprint("apps-", i), toolkit))
			references = append(references, corev1.ObjectReference{APIVersion: "v1", Kind: "ServiceAccount", Namespace: "default", Name: account.Name})
		}
		shoot := newShoot(g, objects...)
		webhook := slow(shoot, unanswered)

		g.Expect(tries(g, func() (removal.Left, error) { return nil, fluxOf(webhook).Unprotect(t.Context(), references) })).To(Equal(5))
		for _, reference := range references {
			account := object("v1", "ServiceAccount", reference.Name)
			g.Expect(shoot.Get(t.Context(), client.ObjectKeyFromObject(account), account)).To(Succeed())
			g.Expect(account.Annotations).To(BeEmpty())
		}
		g.Expect(tries(g, func() (removal.Left, error) { return fluxOf(webhook).DeleteInstallation(t.Context(), references) })).To(BeNumerically("<=", 8))
	})
}

// TestManyDefinitions has a shoot in which somebody has given very many CustomResourceDefinitions the labels of an installation.
func TestManyDefinitions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // however busy the machine is, this takes no time of a slice
		g := NewWithT(t)
		large := map[string]string{"example.org/large": strings.Repeat("x", 10<<10)}
		objects := []client.Object{object("kustomize.toolkit.fluxcd.io/v1", "Kustomization", "apps", toolkit)}
		shoot := newShoot(g, objects...)
		for i := range 1000 {
			one := definition("image.toolkit.fluxcd.io", fmt.Sprintf("things%04d", i), "Thing", labels)
			one.Annotations = large
			g.Expect(shoot.Create(t.Context(), one)).To(Succeed())
		}
		var requests atomic.Int64
		counting := interceptor.NewClient(shoot, interceptor.Funcs{
			Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
				requests.Add(1)
				return c.Get(ctx, key, object, options...)
			},
			List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
				g.Expect(list.GetObjectKind().GroupVersionKind().Kind).NotTo(Equal("CustomResourceDefinitionList"))
				return c.List(ctx, list, options...)
			},
		})
		g.Expect(fluxOf(counting).DropFinalizers(t.Context(), nil)).To(Succeed())
		left, err := fluxOf(counting).Terminating(t.Context(), nil)
		g.Expect(left, err).To(BeEmpty())
		g.Expect(requests.Load()).To(BeNumerically("<", 50))
		g.Expect(tries(g, func() (removal.Left, error) { return fluxOf(counting).DeleteInstallation(t.Context(), nil) })).To(Equal(2))
		g.Expect(requests.Load()).To(BeNumerically("<", 150))
		kept := &apiextensionsv1.CustomResourceDefinitionList{}
		g.Expect(shoot.List(t.Context(), kept)).To(Succeed())
		g.Expect(kept.Items).To(HaveLen(1002), "what is none of Flux's is left alone")
	})
}

// TestControllerComesBack shows that no finalizer is left if a controller has run again meanwhile, on objects that had none any more.
func TestControllerComesBack(t *testing.T) {
	g := NewWithT(t)
	apps := object("kustomize.toolkit.fluxcd.io/v1", "Kustomization", "apps", toolkit)
	controller := object("apps/v1", "Deployment", "kustomize-controller")
	controller.Namespace, controller.Labels = flux.Namespace, labels
	shoot := newShoot(g, apps, controller)
	key := client.ObjectKey{Name: "kustomizations.kustomize.toolkit.fluxcd.io"}
	note := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"flux.extensions.gardener.cloud/finalizers-removal":"{\"continue\":\"\",\"last\":\"default/zoo\",\"visited\":1}"}}}`))
	g.Expect(shoot.Patch(t.Context(), &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: key.Name}}, note)).To(Succeed())

	left, err := fluxOf(shoot).StopControllers(t.Context(), nil)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(left.String()).To(Equal("Deployment flux-system/kustomize-controller"))
	g.Expect(fluxOf(shoot).DropFinalizers(t.Context(), nil)).To(Succeed())
	g.Expect(shoot.Get(t.Context(), client.ObjectKeyFromObject(apps), apps)).To(Succeed())
	g.Expect(apps.Finalizers).To(BeEmpty())
}

func TestPruneOnDeletionSaysWhere(t *testing.T) {
	shoot := interceptor.NewClient(newShoot(NewWithT(t)), interceptor.Funcs{
		Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
			return errors.New("out of order")
		},
	})
	NewWithT(t).Expect(fluxOf(shoot).PruneOnDeletion(t.Context(), managedresource.Configuration)).To(MatchError("failed to read CustomResourceDefinition kustomizations.kustomize.toolkit.fluxcd.io of the shoot: out of order"))
}
