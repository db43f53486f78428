// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package charts_test

import (
	"testing"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"

	"github.com/23technologies/gardener-extension-shoot-flux/cmd/gardener-extension-shoot-flux/app"
)

// A flag that the program does not know would keep the pods from starting.
func TestProgramKnowsArguments(t *testing.T) {
	for name, values := range values(t) {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			args := find[*appsv1.Deployment](t, objects(t, values)).Spec.Template.Spec.Containers[0].Args
			g.Expect(app.NewCommand().ParseFlags(args)).To(Succeed())
			g.Expect(args).To(HaveEach(HavePrefix("--")))
		})
	}
}
