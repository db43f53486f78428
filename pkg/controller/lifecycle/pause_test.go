// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"testing"

	. "github.com/onsi/gomega"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
)

func TestPauses(t *testing.T) {
	annotated := func(key, value string) map[string]string { return map[string]string{key: value} }
	for name, tc := range map[string]struct {
		shoot, seed map[string]string
		want        string
	}{
		"nobody wants it":                {nil, nil, ""},
		"the shoot is ignored":           {annotated("shoot.gardener.cloud/ignore", "true"), nil, "the Shoot has the annotation shoot.gardener.cloud/ignore"},
		"the shoot is ignored no longer": {annotated("shoot.gardener.cloud/ignore", "false"), nil, ""},
		"the seed is stopped": {nil, annotated("shoot.gardener.cloud/emergency-stop-reconciliations", "true"),
			"an operator has stopped the reconciliations of all shoots of the seed"},
		"the seed is stopped no longer": {nil, annotated("shoot.gardener.cloud/emergency-stop-reconciliations", "false"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			shoot, seed := &gardencorev1beta1.Shoot{}, &gardencorev1beta1.Seed{}
			shoot.Annotations, seed.Annotations = tc.shoot, tc.seed
			why, again := (&pauses{}).of(t.Context(), shoot, seed)
			g := NewWithT(t)
			g.Expect(why).To(Equal(tc.want))
			g.Expect(again > 0).To(Equal(why != ""), "it is looked again")
		})
	}
	why, _ := (&pauses{}).of(t.Context(), &gardencorev1beta1.Shoot{}, nil)
	NewWithT(t).Expect(why).To(BeEmpty(), "gardenlet has not written the Seed yet")
}
