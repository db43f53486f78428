// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"errors"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/sourcesecret"
)

// secretHolding is a Secret of the shoot, of the project's or, with owned, of the shoot's owner.
func secretHolding(name, content string, owned bool) *corev1.Secret {
	secret := &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Namespace: flux.Namespace, Name: name},
		Type:       corev1.SecretTypeOpaque,
		Data:       map[string][]byte{"content": []byte(content)},
	}
	if owned {
		secret.Labels = map[string]string{render.ManagedByLabel: render.ManagedBy}
	}
	return secret
}

const (
	urlOfUsers      = "https://git.example.com/fleet/shoots"
	urlOfSameServer = "https://git.example.com/fleet/others"
	urlOfAnother    = "https://git.example.org/fleet/shoots"
)

// TestKeepFollowedSecrets has a source that belongs to the shoot's users, and something else that is configured by now.
func TestKeepFollowedSecrets(t *testing.T) {
	const projects, verify, apps = sourcesecret.SecretName, render.VerifySecretName, "apps"
	private := func(url string) *fluxv1alpha1.Repository {
		return &fluxv1alpha1.Repository{URL: url, Type: fluxv1alpha1.RepositoryPrivate}
	}
	noted := func(url, secrets string) fluxv1alpha1.FluxState {
		return fluxv1alpha1.FluxState{FollowedSecretsNoted: true, FollowedURL: url, FollowedSecrets: secrets}
	}
	inFlux := func(name string) string { return flux.Namespace + "/" + name }
	for name, test := range map[string]struct {
		state      fluxv1alpha1.FluxState
		repository *fluxv1alpha1.Repository // that is configured by now
		rendered   []*corev1.Secret         // of what is configured by now
		kept       []*corev1.Secret         // in ManagedResource Configuration
		moved      bool                     // and that is not there
		want       map[string]string        // what the Secrets hold
	}{
		"nothing private any more": {
			state: noted(urlOfUsers, inFlux(projects)), kept: []*corev1.Secret{secretHolding(projects, "old", false)}, want: map[string]string{projects: "old"},
		},
		"the same, and the shoot has come from another seed": {state: noted(urlOfUsers, inFlux(projects)), moved: true, want: map[string]string{}},
		"another repository of the server": {
			state: noted(urlOfUsers, inFlux(projects)), repository: private(urlOfSameServer), kept: []*corev1.Secret{secretHolding(projects, "old", false)},
			rendered: []*corev1.Secret{secretHolding(projects, "new", false)}, want: map[string]string{projects: "new"},
		},
		"another server, whose token is none for the users' source": {
			state: noted(urlOfUsers, inFlux(projects)), repository: private(urlOfAnother), kept: []*corev1.Secret{secretHolding(projects, "old", false)},
			want: map[string]string{projects: "old"},
		},
		"other keys to verify with": {
			state: noted("", inFlux(verify)), kept: []*corev1.Secret{secretHolding(verify, "old", false)}, rendered: []*corev1.Secret{secretHolding(verify, "new", false)},
			want: map[string]string{verify: "old"},
		},
		"other keys to verify with, and the shoot has come from another seed": {
			state: noted("", inFlux(verify)), moved: true, rendered: []*corev1.Secret{secretHolding(verify, "new", false)}, want: map[string]string{},
		},
		"another Secret of the owner's": {
			state: noted("", inFlux(apps)), kept: []*corev1.Secret{secretHolding(apps, "old", true)}, rendered: []*corev1.Secret{secretHolding("others", "new", true)},
			want: map[string]string{apps: "old", "others": "new"},
		},
		"the owner's Secret has another content": {
			state: noted("", inFlux(apps)), kept: []*corev1.Secret{secretHolding(apps, "old", true)}, rendered: []*corev1.Secret{secretHolding(apps, "new", true)},
			want: map[string]string{apps: "new"},
		},
		"a Secret that the source does not need": {
			state: noted(urlOfUsers, inFlux(projects)), kept: []*corev1.Secret{secretHolding(projects, "old", false), secretHolding(apps, "old", true)},
			want: map[string]string{projects: "old"},
		},
		"noted by an earlier release": {
			kept: []*corev1.Secret{secretHolding(projects, "old", false), secretHolding(apps, "old", true)}, want: map[string]string{projects: "old"},
		},
		"noted by an earlier release, and private": {
			repository: private(urlOfUsers), kept: []*corev1.Secret{secretHolding(projects, "old", false)}, rendered: []*corev1.Secret{secretHolding(projects, "new", false)},
			want: map[string]string{projects: "new"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			ex := &extensionsv1alpha1.Extension{ObjectMeta: metav1.ObjectMeta{Namespace: "shoot--one--a", Name: Type}}
			g.Expect(fluxv1alpha1.SetStatus(ex, fluxv1alpha1.FluxStatus{PublicKey: "said"})).To(Succeed())
			r := &reconciliation{extension: ex, Actuator: &Actuator{}}
			r.desired.FluxConfig = &fluxv1alpha1.FluxConfig{SyncMode: fluxv1alpha1.SyncOnce, Repository: test.repository}
			r.observed.state = test.state
			r.observed.state.FollowedOnce, r.observed.state.FollowedDigest = fluxv1alpha1.FollowedOnceMade, "of something else"
			for _, secret := range test.rendered {
				r.desired.objects = append(r.desired.objects, secret)
			}
			if !test.moved {
				r.observed.configuration, r.Seed = configurationHolding(t, ex.Namespace, test.kept)
			}
			g.Expect(r.keepFollowedSecrets(t.Context())).To(Succeed())
			got := map[string]string{}
			for _, object := range r.desired.objects {
				got[object.GetName()] = string(object.(*corev1.Secret).Data["content"])
			}
			g.Expect(got).To(Equal(test.want))
			if test.state.FollowedURL == urlOfUsers && test.repository == nil {
				g.Expect(r.desired.status.PublicKey).To(Equal("said"), "the shoot has it still")
			}

			// What is followed is configured again.
			r.desired.objects, r.observed.state.FollowedDigest = nil, followedDigest(r.desired.FluxConfig)
			g.Expect(r.keepFollowedSecrets(t.Context())).To(Succeed())
			g.Expect(r.desired.objects).To(BeEmpty())
		})
	}
}

// configurationHolding is a ManagedResource Configuration in a seed.
func configurationHolding(t *testing.T, namespace string, secrets []*corev1.Secret) (*resourcesv1alpha1.ManagedResource, client.Client) {
	t.Helper()
	g := NewWithT(t)
	objects := []client.Object{ignored(flux.GitRepository.ObjectKind, flux.KeyOf("", ""))}
	for _, secret := range secrets {
		objects = append(objects, secret)
	}
	data, err := managedresource.Serialize(objects)
	g.Expect(err).NotTo(HaveOccurred())
	configuration := &resourcesv1alpha1.ManagedResource{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: managedresource.Configuration}}
	configuration.Spec.SecretRefs = []corev1.LocalObjectReference{{Name: "data"}}
	return configuration, newSeed(t, configuration, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "data"}, Data: data})
}

// A Secret that is kept in another namespace needs gardener-resource-manager there.
func TestKeptSecretInAnotherNamespace(t *testing.T) {
	g := NewWithT(t)
	secret := secretHolding("age", "old", true)
	secret.Namespace = "team"
	ex := &extensionsv1alpha1.Extension{ObjectMeta: metav1.ObjectMeta{Namespace: "shoot--one--a", Name: Type}}
	r := &reconciliation{extension: ex, Actuator: &Actuator{}}
	r.desired.FluxConfig = &fluxv1alpha1.FluxConfig{SyncMode: fluxv1alpha1.SyncOnce}
	r.observed.state = fluxv1alpha1.FluxState{FollowedOnce: fluxv1alpha1.FollowedOnceMade, FollowedDigest: "of something else", FollowedSecretsNoted: true, FollowedSecrets: "team/age"}
	r.observed.configuration, r.Seed = configurationHolding(t, ex.Namespace, []*corev1.Secret{secret})
	g.Expect(r.keepFollowedSecrets(t.Context())).To(Succeed())
	g.Expect(r.desired.objects).To(HaveLen(1))
	g.Expect(r.desired.status.OtherNamespaces).To(ContainElement("team"))
}

// What the release would make something else of is refused only if it is written.
func TestCheckRefused(t *testing.T) {
	g := NewWithT(t)
	source := ignored(flux.GitRepository.ObjectKind, flux.KeyOf("", ""))
	r := &reconciliation{extension: &extensionsv1alpha1.Extension{}}
	r.desired.FluxConfig = &fluxv1alpha1.FluxConfig{SyncMode: fluxv1alpha1.SyncOnce}
	r.desired.refused, r.desired.objects = errors.New("unknown"), []client.Object{source}
	g.Expect(r.checkRefused(t.Context())).To(MatchError("unknown"))
	r.observed.state.FollowedOnce = fluxv1alpha1.FollowedOnceFound
	r.keepFollowedOnce()
	g.Expect(r.checkRefused(t.Context())).To(Succeed(), "it belongs to the shoot's users")
}

func TestFollowedSecretsOf(t *testing.T) {
	g := NewWithT(t)
	followed := func(kind flux.ObjectKind, spec string) client.Object {
		object := &unstructured.Unstructured{}
		g.Expect(object.UnmarshalJSON([]byte(`{"apiVersion":"` + kind.Group + `/v1","kind":"` + kind.Kind + `","metadata":{"namespace":"flux-system","name":"flux-system"},"spec":` + spec + `}`))).To(Succeed())
		return object
	}
	elsewhere := secretHolding("verify", "", false)
	elsewhere.Namespace = "others"
	objects := []client.Object{
		followed(flux.GitRepository.ObjectKind, `{"secretRef":{"name":"flux-source"},"verify":{"secretRef":{"name":"verify"}}}`),
		followed(flux.Kustomization, `{"decryption":{"secretRef":{"name":"age"}}}`),
		secretHolding("flux-source", "", false), elsewhere, secretHolding("age", "", true), secretHolding("chat", "", true),
	}
	config := &fluxv1alpha1.FluxConfig{Repository: &fluxv1alpha1.Repository{URL: urlOfUsers, Type: fluxv1alpha1.RepositoryPrivate}}
	g.Expect(followedSecretsOf(objects, config)).To(Equal(followedSecrets{names: "flux-system/flux-source,flux-system/age", url: urlOfUsers}))

	config.Source = &fluxv1alpha1.Source{Template: runtime.RawExtension{Raw: []byte(`{}`)}}
	g.Expect(followedSecretsOf(objects[2:], config)).To(Equal(followedSecrets{}), "the template says where credentials come from")
}
