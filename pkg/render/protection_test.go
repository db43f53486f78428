// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package render_test

import (
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
)

func TestProtect(t *testing.T) {
	g := NewWithT(t)
	theirs := map[string]string{"example.org/note": "mine", "kustomize.toolkit.fluxcd.io/substitute": "disabled"}
	object := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Annotations: theirs}}
	g.Expect(render.IsProtected(object.Annotations)).To(BeFalse())
	g.Expect(render.Unprotect(object)).To(BeFalse())

	render.Protect(object)
	g.Expect(render.IsProtected(object.Annotations)).To(BeTrue())
	g.Expect(theirs).To(HaveLen(2), "the map may be shared")
	g.Expect(render.Unprotect(object)).To(BeTrue())
	g.Expect(object.Annotations).To(Equal(theirs))

	bare := &corev1.Secret{}
	render.Protect(bare)
	g.Expect(render.Unprotect(bare)).To(BeTrue())
	g.Expect(bare).To(Equal(&corev1.Secret{}))
}

// TestEverythingIsProtected is for releases of which any object may be in a repository.
func TestEverythingIsProtected(t *testing.T) {
	g := NewWithT(t)
	for _, manifests := range [][]byte{embeddedRelease(t).Manifests, oldRelease(t)} {
		installation, err := render.NewInstallation(manifests, render.Images{PullSecret: []byte(pullSecret)})
		g.Expect(err).NotTo(HaveOccurred())
		for _, object := range installation.Objects {
			g.Expect(render.IsProtected(object.GetAnnotations())).To(BeTrue(), object.GetName())
		}
	}
}
