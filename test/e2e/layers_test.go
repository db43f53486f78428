// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"maps"
	"testing"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/gitserver"
)

// label sets a label of the Shoot, or removes it if there is no value, and has Gardener reconcile the Shoot: before that, nobody but the garden knows it.
func (s *shootOwner) label(key, value string) {
	text := "null"
	if value != "" {
		text = `"` + value + `"`
	}
	patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"`+key+`":`+text+`}}}`))
	s.Expect(s.landscape.GardenClient.Patch(s.t.Context(), s.shoot, patch)).To(Succeed())
	s.reconcile()
}

// expectReplicas waits until the Deployment has as many replicas as the directory says that is followed.
func (s *shootOwner) expectReplicas(count int32) {
	s.t.Helper()
	s.Eventually(func(g Gomega) {
		deployment := &appsv1.Deployment{}
		g.Expect(s.cluster().Get(s.t.Context(), client.ObjectKey{Namespace: "shop", Name: "shop"}, deployment)).To(Succeed())
		g.Expect(deployment.Spec.Replicas).To(HaveValue(Equal(count)))
	}, timeout, interval).Should(Succeed())
}

// written is what the status says of a field, and of who wrote it.
func (s *shootOwner) written(field string) (value, origin string) {
	ex := &extensionsv1alpha1.Extension{}
	s.Expect(s.seed.Client.Get(s.t.Context(), client.ObjectKey{Namespace: s.technicalID, Name: "shoot-flux"}, ex)).To(Succeed())
	for _, written := range fluxv1alpha1.StatusOf(ex).Configuration {
		if written.Field == field {
			return written.Value, written.Origin
		}
	}
	return "", ""
}

// TestLayers lets a shoot differ from its project: as its owner says, until the project's admin denies it, and by its labels.
func TestLayers(t *testing.T) {
	parallel(t)
	p := newProject(t, "layers")
	repository := p.newRepository(true)
	pushMessage(p, t, repository, "production", "hello from production")
	url, err := repository.HTTPURL()
	p.Expect(err).NotTo(HaveOccurred())
	configuration := map[string]string{"fluxVersion": fluxVersion, "repositoryUrl": url}
	p.configure(configuration)
	shoot := p.newShoot("one")
	shoot.expectRevision(repository, gitserver.DefaultBranch)
	shoot.expectReplicas(3)
	shoot.expectSucceeded()

	p.layerOfOwner(shoot, repository, configuration)
	p.layerOfLabels(shoot, repository, configuration)
}

// layerOfOwner lets the owner choose branch and path, which the admin then denies.
func (p *projectAdmin) layerOfOwner(shoot *shootOwner, repository *gitserver.Repository, configuration map[string]string) {
	const own = `{"apiVersion":"flux.extensions.gardener.cloud/v1alpha1","kind":"FluxConfig","repository":{"branch":"production","path":"clusters/`
	shoot.setProviderConfig(own + `stagin"}}`)
	shoot.expectMistake("PathNotFound", "add it, or correct repository.path in the providerConfig of the shoot")
	shoot.setProviderConfig(own + `staging"}}`)
	shoot.expectRevision(repository, "production")
	shoot.expectReplicas(1)
	shoot.Expect(shoot.message()).To(Equal("hello from production"))
	for field, expected := range map[string][]string{
		"repository.url":    {configuration["repositoryUrl"], "project"},
		"repository.branch": {"production", "shoot"},
		"repository.path":   {"./clusters/staging", "shoot"},
	} {
		value, origin := shoot.written(field)
		p.Expect([]string{value, origin}).To(Equal(expected), field)
	}

	denied := maps.Clone(configuration)
	denied["shootOverrides"] = "deny"
	p.configure(denied)
	shoot.expectMistake("NotAsConfigured", "the project does not allow its shoots to differ (key shootOverrides of ConfigMap flux-config): remove what is written")
	shoot.expectReplicas(1)
	shoot.setProviderConfig("")
	shoot.expectRevision(repository, gitserver.DefaultBranch)
	shoot.expectReplicas(3)
}

// layerOfLabels lets a label choose the branch.
func (p *projectAdmin) layerOfLabels(shoot *shootOwner, repository *gitserver.Repository, configuration map[string]string) {
	override := func(branch string) {
		overridden := maps.Clone(configuration)
		overridden["overrides"] = "- selector: {matchLabels: {stage: production}}\n  config: {repository: {branch: " + branch + "}}\n"
		p.configure(overridden)
	}
	override("nowhere")
	shoot.label("stage", "production")
	shoot.expectMistake("BranchNotFound", `has no branch "nowhere": push it, or correct repository.branch in overrides[0] of ConfigMap garden-layers/flux-config of the garden`)
	override("production")
	shoot.expectRevision(repository, "production")
	shoot.Expect(shoot.message()).To(Equal("hello from production"))
	shoot.label("stage", "")
	shoot.expectRevision(repository, gitserver.DefaultBranch)
}
