// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"cmp"
	"slices"

	corev1 "k8s.io/api/core/v1"

	v1beta1helper "github.com/gardener/gardener/pkg/api/core/v1beta1/helper"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	kubernetesutils "github.com/gardener/gardener/pkg/utils/kubernetes"
)

// maxTolerations bounds how many taints of a Shoot the pods of Flux tolerate. Those of a pool count all or not at all.
const maxTolerations = 64

// tolerationsFor returns what the pods of Flux must tolerate to get a place in the shoot: nothing if a pool of nodes has no
// taints that keep pods away, else what Gardener's own system components tolerate, which are the taints of the pools that allow them.
//
// gardener-resource-manager gives these tolerations to pods in kube-system and kubernetes-dashboard only (pkg/resourcemanager/webhook/systemcomponentsconfig of
// Gardener, with the namespace selector of pkg/component/gardener/resourcemanager), and Gardener accepts a Shoot that has no other pools.
func tolerationsFor(shoot *gardencorev1beta1.Shoot) []corev1.Toleration {
	var tolerations []corev1.Toleration
	for _, worker := range shoot.Spec.Provider.Workers {
		if worker.Maximum == 0 {
			continue
		}
		if !slices.ContainsFunc(worker.Taints, keepsAway) {
			return nil
		}
		if !v1beta1helper.SystemComponentsAllowed(&worker) {
			continue
		}
		with := slices.Clone(tolerations)
		for _, taint := range worker.Taints {
			if toleration := kubernetesutils.TolerationForTaint(taint); keepsAway(taint) && !slices.Contains(with, toleration) {
				with = append(with, toleration)
			}
		}
		if len(with) <= maxTolerations {
			tolerations = with
		}
	}
	// The order of pools says nothing, and another one must not make the pods start anew.
	slices.SortFunc(tolerations, func(a, b corev1.Toleration) int {
		return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Value, b.Value), cmp.Compare(a.Effect, b.Effect))
	})
	return tolerations
}

// keepsAway tells whether pods need a toleration of a taint.
func keepsAway(taint corev1.Taint) bool {
	return taint.Effect == corev1.TaintEffectNoSchedule || taint.Effect == corev1.TaintEffectNoExecute
}
