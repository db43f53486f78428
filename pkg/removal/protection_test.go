// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package removal_test

import (
	"context"
	"errors"
	"testing"

	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/removal"
)

func TestPreventPruning(t *testing.T) {
	g := NewWithT(t)
	namespace := object("v1", "Namespace", "flux-system")
	namespace.Namespace = ""
	controller, app, role := object("apps/v1", "Deployment", "source-controller"), object("apps/v1", "Deployment", "app"), object("rbac.authorization.k8s.io/v1", "ClusterRole", "flux-view-flux-system")
	controller.Namespace, app.Namespace, role.Namespace = "flux-system", "flux-system", ""
	controller.Labels, role.Labels = labels, labels
	elsewhere := object("apps/v1", "Deployment", "source-controller")
	elsewhere.Labels = labels
	kind := definition("source.toolkit.fluxcd.io", "gitrepositories", "GitRepository", labels)
	borrower := definition("example.org", "lenders", "Lender", labels)
	shoot := newShoot(g, namespace, controller, app, role, elsewhere)
	g.Expect(shoot.Create(t.Context(), kind)).To(Succeed())
	g.Expect(shoot.Create(t.Context(), borrower)).To(Succeed())

	annotations := func(object client.Object) map[string]string {
		g.Expect(shoot.Get(t.Context(), client.ObjectKeyFromObject(object), object)).To(Succeed())
		return object.GetAnnotations()
	}
	broken := interceptor.NewClient(shoot, interceptor.Funcs{
		Patch: func(ctx context.Context, c client.WithWatch, object client.Object, patch client.Patch, options ...client.PatchOption) error {
			if object.GetName() == "source-controller" {
				return errors.New("out of order")
			}
			return c.Patch(ctx, object, patch, options...)
		},
	})
	g.Expect(removal.Removal{Shoot: broken, Namespace: "flux-system"}.PreventPruning(t.Context())).To(MatchError("failed to keep Flux from pruning Deployment flux-system/source-controller of the shoot: out of order"))

	for range 2 {
		g.Expect(removal.Removal{Shoot: shoot, Namespace: "flux-system"}.PreventPruning(t.Context())).To(Succeed())
		for _, object := range []client.Object{namespace, controller, role, kind} {
			g.Expect(annotations(object)).To(Equal(map[string]string{"kustomize.toolkit.fluxcd.io/prune": "disabled"}), object.GetName())
		}
		for _, object := range []client.Object{app, elsewhere, borrower} {
			g.Expect(annotations(object)).To(BeEmpty(), object.GetName())
		}
	}
}
