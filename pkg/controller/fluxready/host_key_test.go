// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package fluxready

import (
	"context"
	"errors"
	"fmt"
	"testing"

	. "github.com/onsi/gomega"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/source"
)

func TestWithPresentedHostKey(t *testing.T) {
	const sentence = "the Git server does not present the host key that is trusted"
	for name, test := range map[string]struct {
		before, presented string
		err               error
		want              string
		asked             int
	}{
		"being asked":     {err: fmt.Errorf("could not ask: %w", source.ErrPending), want: sentence, asked: 1},
		"answered":        {before: sentence, presented: "ssh-ed25519 SHA256:a", want: sentence + "; to the seed the server presents ssh-ed25519 SHA256:a", asked: 1},
		"does not answer": {before: sentence, err: errors.New("no route to host"), want: sentence + "; to the seed the server presents no key that could be read", asked: 1},
		"said already":    {before: sentence + "; to the seed the server presents ssh-ed25519 SHA256:a", want: sentence + "; to the seed the server presents ssh-ed25519 SHA256:a"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			asked := 0
			r := &reconciler{presentedHostKey: func(context.Context, string) (string, error) {
				asked++
				return test.presented, test.err
			}}
			ex := &extensionsv1alpha1.Extension{}
			ex.Status.Conditions = []gardencorev1beta1.Condition{{Type: fluxv1alpha1.FluxReady, Message: test.before}}
			g.Expect(r.withPresentedHostKey(t.Context(), ex, sentence)).To(Equal(test.want))
			g.Expect(asked).To(Equal(test.asked))
		})
	}
}
