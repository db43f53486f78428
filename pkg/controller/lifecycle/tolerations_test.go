// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"fmt"
	"slices"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
)

func TestTolerationsFor(t *testing.T) {
	taint := func(key, value string, effect corev1.TaintEffect) corev1.Taint {
		return corev1.Taint{Key: key, Value: value, Effect: effect}
	}
	pool := func(taints ...corev1.Taint) gardencorev1beta1.Worker {
		return gardencorev1beta1.Worker{Maximum: 1, Taints: taints}
	}
	forSystem := func(allow bool, worker gardencorev1beta1.Worker) gardencorev1beta1.Worker {
		worker.SystemComponents = &gardencorev1beta1.WorkerSystemComponents{Allow: allow}
		return worker
	}
	many := func(name string, count int) (taints []corev1.Taint) {
		for i := range count {
			taints = append(taints, taint(fmt.Sprintf("%s-%03d", name, i), "", corev1.TaintEffectNoSchedule))
		}
		return taints
	}
	gpu, spot := taint("gpu", "", corev1.TaintEffectNoSchedule), taint("spot", "yes", corev1.TaintEffectNoExecute)
	toleratesGPU := corev1.Toleration{Key: "gpu", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule}
	toleratesSpot := corev1.Toleration{Key: "spot", Operator: corev1.TolerationOpEqual, Value: "yes", Effect: corev1.TaintEffectNoExecute}

	for name, test := range map[string]struct {
		workers []gardencorev1beta1.Worker
		want    []corev1.Toleration
	}{
		"no taints":              {workers: []gardencorev1beta1.Worker{pool()}},
		"one of two has none":    {workers: []gardencorev1beta1.Worker{pool(gpu), pool()}},
		"one only prefers":       {workers: []gardencorev1beta1.Worker{pool(gpu), pool(taint("late", "", corev1.TaintEffectPreferNoSchedule))}},
		"one without system":     {workers: []gardencorev1beta1.Worker{pool(gpu), forSystem(false, pool())}},
		"all have some":          {workers: []gardencorev1beta1.Worker{pool(spot), pool(gpu, spot)}, want: []corev1.Toleration{toleratesGPU, toleratesSpot}},
		"the one without is off": {workers: []gardencorev1beta1.Worker{pool(gpu), {Maximum: 0}}, want: []corev1.Toleration{toleratesGPU}},
		"not those without system": {workers: []gardencorev1beta1.Worker{forSystem(true, pool(gpu)), forSystem(false, pool(spot))},
			want: []corev1.Toleration{toleratesGPU}},
		"too many on one pool": {workers: []gardencorev1beta1.Worker{pool(many("a", maxTolerations+1)...), pool(gpu)}, want: []corev1.Toleration{toleratesGPU}},
		"too many together":    {workers: []gardencorev1beta1.Worker{pool(gpu), pool(many("a", maxTolerations)...)}, want: []corev1.Toleration{toleratesGPU}},
	} {
		t.Run(name, func(t *testing.T) {
			shoot := &gardencorev1beta1.Shoot{}
			shoot.Spec.Provider.Workers = test.workers
			g := NewWithT(t)
			g.Expect(tolerationsFor(shoot)).To(Equal(test.want))
			slices.Reverse(shoot.Spec.Provider.Workers)
			if name != "too many together" {
				g.Expect(tolerationsFor(shoot)).To(Equal(test.want), "whatever the order of the pools")
			}
		})
	}
}

// TestAllPoolsAreTainted has what the shoot gets.
func TestAllPoolsAreTainted(t *testing.T) {
	g := NewWithT(t)
	catalogue := newCatalogue(t)
	flux, err := catalogue.Get(t.Context(), catalogue.Embedded()[0])
	g.Expect(err).NotTo(HaveOccurred())
	var rendered renderedReleases
	plain, err := rendered.of(flux, render.Images{}, variant{})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(tolerationsOf(g, plain)).To(HaveEach(BeEmpty()))

	dedicated := []corev1.Toleration{{Key: "dedicated", Operator: corev1.TolerationOpEqual, Value: "apps", Effect: corev1.TaintEffectNoSchedule}}
	tolerant, err := rendered.of(flux, render.Images{}, variant{tolerations: dedicated})
	g.Expect(err).NotTo(HaveOccurred())
	got := tolerationsOf(g, tolerant)
	g.Expect(len(got)).To(BeNumerically(">=", 4))
	g.Expect(got).To(HaveEach(ConsistOf(map[string]any{"key": "dedicated", "operator": "Equal", "value": "apps", "effect": "NoSchedule"})))
	g.Expect(rendered.of(flux, render.Images{}, variant{tolerations: slices.Clone(dedicated)})).To(BeIdenticalTo(tolerant))
	g.Expect(rendered.of(flux, render.Images{}, variant{})).To(BeIdenticalTo(plain))
}

// tolerationsOf returns those of each Deployment.
func tolerationsOf(g Gomega, release *renderedRelease) map[string][]any {
	objects, err := release.data.Objects()
	g.Expect(err).NotTo(HaveOccurred())
	found := map[string][]any{}
	for _, object := range objects {
		if object.GetKind() == "Deployment" {
			spec := object.Object["spec"].(map[string]any)["template"].(map[string]any)["spec"].(map[string]any)
			tolerations, _ := spec["tolerations"].([]any)
			found[object.GetName()] = tolerations
		}
	}
	return found
}
