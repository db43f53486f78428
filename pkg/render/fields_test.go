// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package render_test

import (
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/sourcesecret"
)

// rendered are the GitRepository and the Kustomization of a private repository.
func rendered(t *testing.T, manifests []byte) []client.Object {
	g := NewWithT(t)
	installation, err := render.NewInstallation(manifests, render.Images{})
	g.Expect(err).NotTo(HaveOccurred())
	configuration, err := installation.Configuration(render.Wanted{
		Config:      &fluxv1alpha1.FluxConfig{Repository: &fluxv1alpha1.Repository{URL: "ssh://git@git.example.com/fleet/shoots.git", Branch: "main", Path: "./clusters/one", Type: fluxv1alpha1.RepositoryPrivate}},
		Credentials: &sourcesecret.Credentials{Kind: sourcesecret.KindSSH, SecretRef: &sourcesecret.ShootSecret{Name: sourcesecret.SecretName, Data: sourcesecret.Data{sourcesecret.KeyIdentity: []byte("not a real key")}}},
	})
	g.Expect(err).NotTo(HaveOccurred())
	return configuration.Objects
}

func specOf(t *testing.T, object client.Object) map[string]any {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return runtime.DeepCopyJSON(content)["spec"].(map[string]any)
}

// changed compares a specification, as it is read from a shoot, with what was rendered.
func changed(t *testing.T, kind string, spec map[string]any, digests map[string]string) []string {
	followed := flux.GitRepository.ObjectKind
	if kind == "Kustomization" {
		followed = flux.Kustomization
	}
	typed := followed.NewSpec()
	NewWithT(t).Expect(runtime.DefaultUnstructuredConverter.FromUnstructured(spec, typed)).To(Succeed())
	return render.ChangedFields(followed, flux.Namespace, typed, digests)
}

// other returns another value of the same type.
func other(value any) any {
	switch v := value.(type) {
	case bool:
		return !v
	case map[string]any:
		for key, inner := range v {
			v[key] = other(inner)
		}
		return v
	case string:
		if strings.HasSuffix(v, "s") && strings.ContainsAny(v, "0123456789") {
			return "10000h"
		}
		return v + "x"
	}
	panic("a new type")
}

func TestChangedFields(t *testing.T) {
	for name, manifests := range map[string][]byte{"current": embeddedRelease(t).Manifests, "old": oldRelease(t)} {
		objects := rendered(t, manifests)
		digests, err := render.FieldDigests(objects)
		NewWithT(t).Expect(err).NotTo(HaveOccurred())
		for _, object := range objects[:2] {
			kind := object.GetObjectKind().GroupVersionKind().Kind
			t.Run(name+" "+kind, func(t *testing.T) {
				g := NewWithT(t)
				g.Expect(changed(t, kind, specOf(t, object), digests)).To(BeEmpty())
				g.Expect(changed(t, kind, map[string]any{}, nil)).To(BeEmpty(), "nothing is known")
				for field := range specOf(t, object) {
					if field == "gitImplementation" {
						continue // of old versions, and without effect
					}
					spec := specOf(t, object)
					spec[field] = other(spec[field])
					g.Expect(changed(t, kind, spec, digests)).To(Equal([]string{field}))
					delete(spec, field)
					if field != "timeout" && field != "deletionPolicy" && field != "force" {
						g.Expect(changed(t, kind, spec, digests)).To(Equal([]string{field}))
					}
				}
			})
		}
	}
}

func TestUnchangedFields(t *testing.T) {
	current, old := rendered(t, embeddedRelease(t).Manifests), rendered(t, oldRelease(t))
	digestsOf := func(objects []client.Object) map[string]string {
		digests, err := render.FieldDigests(objects)
		NewWithT(t).Expect(err).NotTo(HaveOccurred())
		return digests
	}
	for name, test := range map[string]struct {
		object  client.Object
		digests map[string]string
		change  func(spec map[string]any)
		changed []string
	}{
		"upgraded by users":     {object: current[0], digests: digestsOf(old)},
		"and its root":          {object: current[1], digests: digestsOf(old)},
		"downgraded by users":   {object: old[0], digests: digestsOf(current)},
		"and the root":          {object: old[1], digests: digestsOf(current)},
		"other words":           {object: current[0], digests: digestsOf(current), change: func(spec map[string]any) { spec["interval"], spec["timeout"] = "60s", "1m" }},
		"other words of a path": {object: current[1], digests: digestsOf(current), change: func(spec map[string]any) { spec["path"] = "clusters/one/" }},
		"with its own namespace": {object: current[1], digests: digestsOf(current), change: func(spec map[string]any) {
			spec["sourceRef"] = map[string]any{"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository", "name": "flux-system", "namespace": "flux-system"}
		}},
		"what a policy of the shoot adds": {object: current[1], digests: digestsOf(current), change: func(spec map[string]any) {
			spec["serviceAccountName"], spec["decryption"] = "flux", map[string]any{"provider": "sops"}
		}},
		"a tag besides the branch": {current[0], digestsOf(current), func(spec map[string]any) { spec["ref"] = map[string]any{"branch": "main", "tag": "v1"} }, []string{"ref"}},
		"what is left out":         {current[0], digestsOf(current), func(spec map[string]any) { spec["ignore"] = "/*" }, []string{"ignore"}},
		"another cluster, changed": {current[1], digestsOf(current), func(spec map[string]any) {
			spec["kubeConfig"], spec["patches"] = map[string]any{"secretRef": map[string]any{"name": "x"}}, []any{map[string]any{"patch": "x"}}
		}, []string{"kubeConfig", "patches"}},
	} {
		t.Run(name, func(t *testing.T) {
			spec := specOf(t, test.object)
			if test.change != nil {
				test.change(spec)
			}
			NewWithT(t).Expect(changed(t, test.object.GetObjectKind().GroupVersionKind().Kind, spec, test.digests)).To(Equal(test.changed))
		})
	}
}

// The API server of the seed keeps them for each shoot.
func TestFieldDigestsAreShort(t *testing.T) {
	g := NewWithT(t)
	digests, err := render.FieldDigests(rendered(t, embeddedRelease(t).Manifests))
	g.Expect(err).NotTo(HaveOccurred())
	size := 0
	for field, digest := range digests {
		size += len(field) + len(digest)
	}
	g.Expect(size).To(BeNumerically("<", 600))
	g.Expect(render.FieldDigests(nil)).To(BeNil())
}
