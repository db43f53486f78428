// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package takeover_test

import (
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/takeover"
)

// deployedBy says of an object of Flux by which Kustomization it was deployed.
func deployedBy(namespace, name string) client.Object {
	return labelled(definition("flux-system"), "kustomize.toolkit.fluxcd.io/name", name, "kustomize.toolkit.fluxcd.io/namespace", namespace)
}

func TestDeployerOf(t *testing.T) {
	g := NewWithT(t)
	g.Expect(takeover.DeployerOf(definition("flux-system"))).To(BeZero())
	flux := deployedBy("gitops", "flux")
	g.Expect(takeover.DeployerOf(flux)).To(Equal(client.ObjectKey{Namespace: "gitops", Name: "flux"}))
	g.Expect(render.PreventPruning(flux)).To(BeTrue())
	g.Expect(takeover.DeployerOf(flux)).NotTo(BeZero(), "what Flux consists of may have become more since")
	g.Expect(takeover.DeployerOf(protected(deployedBy("gitops", "flux")))).To(BeZero())
}

func TestPrunesFlux(t *testing.T) {
	present := []client.Object{gitRepository(source), kustomization("flux-system", root)}
	elsewhere := []client.Object{gitRepository(otherSource), kustomization("flux-system", root)}
	child := func(spec string) client.Object { return kustomization("team/flux", spec) }
	own := "{prune: true, sourceRef: {kind: GitRepository, name: own}}"
	for name, test := range map[string]struct {
		shoot []client.Object
		// deployer is flux-system/flux-system if nothing else is given.
		deployer *client.ObjectKey
		wanted   []client.Object
		expected bool
	}{
		"nothing changes":        {shoot: present, wanted: wanted()},
		"another repository":     {shoot: elsewhere, wanted: wanted(), expected: true},
		"another directory":      {shoot: []client.Object{gitRepository(source), kustomization("flux-system", strings.Replace(root, "one", "two", 1))}, wanted: wanted(), expected: true},
		"another interval":       {shoot: []client.Object{gitRepository(strings.Replace(source, "1m", "5m", 1)), kustomization("flux-system", root)}, wanted: wanted()},
		"no repository any more": {shoot: present, expected: true},
		"it follows nothing":     {wanted: wanted()},
		"another Kustomization":  {shoot: present, wanted: []client.Object{gitRepository(source), kustomization("gitops/base", root)}, expected: true},
		"its source is gone":     {shoot: []client.Object{kustomization("flux-system", root)}, wanted: wanted(), expected: true},
		"nobody deploys it":      {shoot: elsewhere, deployer: &client.ObjectKey{}, wanted: wanted()},
		"it is deployed by one that follows the repository": {
			shoot:    append([]client.Object{child("{prune: true, sourceRef: {kind: GitRepository, name: flux-system, namespace: flux-system}}")}, elsewhere...),
			deployer: &client.ObjectKey{Namespace: "team", Name: "flux"}, wanted: wanted(), expected: true,
		},
		"it is deployed by one that comes from the repository": {
			shoot: append([]client.Object{labelled(kustomization("team/flux", own), "kustomize.toolkit.fluxcd.io/name", "flux-system",
				"kustomize.toolkit.fluxcd.io/namespace", "flux-system")}, elsewhere...),
			deployer: &client.ObjectKey{Namespace: "team", Name: "flux"}, wanted: wanted(), expected: true,
		},
		"it is deployed by one that comes from one that comes from the repository": {
			shoot: append([]client.Object{
				labelled(kustomization("team/flux", own), "kustomize.toolkit.fluxcd.io/name", "infra", "kustomize.toolkit.fluxcd.io/namespace", "team"),
				labelled(kustomization("team/infra", own), "kustomize.toolkit.fluxcd.io/name", "flux-system", "kustomize.toolkit.fluxcd.io/namespace", "flux-system"),
			}, elsewhere...),
			deployer: &client.ObjectKey{Namespace: "team", Name: "flux"}, wanted: wanted(), expected: true,
		},
		"two deploy each other": {
			shoot: append([]client.Object{
				labelled(kustomization("team/flux", own), "kustomize.toolkit.fluxcd.io/name", "infra", "kustomize.toolkit.fluxcd.io/namespace", "team"),
				labelled(kustomization("team/infra", own), "kustomize.toolkit.fluxcd.io/name", "flux", "kustomize.toolkit.fluxcd.io/namespace", "team"),
			}, elsewhere...),
			deployer: &client.ObjectKey{Namespace: "team", Name: "flux"}, wanted: wanted(), expected: true,
		},
		"it is deployed by one of its users": {
			shoot: append([]client.Object{child(own)}, elsewhere...), deployer: &client.ObjectKey{Namespace: "team", Name: "flux"}, wanted: wanted(),
		},
		"it is deployed by one that is gone": {shoot: elsewhere, deployer: &client.ObjectKey{Namespace: "team", Name: "flux"}, wanted: wanted()},
	} {
		t.Run(name, func(t *testing.T) {
			if test.deployer == nil {
				test.deployer = &client.ObjectKey{Namespace: "flux-system", Name: "flux-system"}
			}
			NewWithT(t).Expect(takeover.PrunesFlux(t.Context(), newShoot(test.shoot...), *test.deployer, client.ObjectKey{Namespace: "flux-system", Name: "flux-system"}, test.wanted)).To(Equal(test.expected))
		})
	}
}
