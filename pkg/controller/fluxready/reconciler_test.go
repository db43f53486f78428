// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package fluxready

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/readiness"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/sourcesecret"
)

func TestUntilNextLook(t *testing.T) {
	for _, c := range []struct {
		name        string
		status      gardencorev1beta1.ConditionStatus
		sinceChange time.Duration
		unanswered  int
		wait        time.Duration
	}{
		{"ready", gardencorev1beta1.ConditionTrue, time.Minute, 0, 30 * time.Second},
		{"ready for some time", gardencorev1beta1.ConditionTrue, 20 * time.Minute, 0, 2 * time.Minute},
		{"ready for a day", gardencorev1beta1.ConditionTrue, 24 * time.Hour, 0, 3 * time.Minute},
		{"not ready", gardencorev1beta1.ConditionFalse, time.Minute, 0, 30 * time.Second},
		{"not ready for a day", gardencorev1beta1.ConditionFalse, 24 * time.Hour, 0, time.Minute},
		{"under way", gardencorev1beta1.ConditionProgressing, time.Second, 0, 10 * time.Second},
		{"under way for a day", gardencorev1beta1.ConditionProgressing, 24 * time.Hour, 0, 10 * time.Second},
		{"no answer once", gardencorev1beta1.ConditionTrue, 24 * time.Hour, 1, 10 * time.Second},
		{"no answer, and that is told", gardencorev1beta1.ConditionUnknown, time.Second, 3, 30 * time.Second},
		{"no answer for some time", gardencorev1beta1.ConditionUnknown, time.Minute, 4, time.Minute},
		{"no answer for a day", gardencorev1beta1.ConditionUnknown, 24 * time.Hour, 1000, 2 * time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			NewWithT(t).Expect((&reconciler{syncPeriod: DefaultSyncPeriod}).untilNextLook(c.status, c.sinceChange, c.unanswered)).To(Equal(c.wait))
		})
	}
}

// After a start, a shoot is first taken for what the process before has said of it.
func TestWhatWasToldHolds(t *testing.T) {
	for status, holds := range map[gardencorev1beta1.ConditionStatus]bool{"": false, "True": true, "False": true, "Unknown": true, "Progressing": false} {
		t.Run(string(status), func(t *testing.T) {
			g := NewWithT(t)
			ex := &extensionsv1alpha1.Extension{ObjectMeta: metav1.ObjectMeta{Namespace: "shoot--p--one"}}
			if status != "" {
				ex.Status.Conditions = []gardencorev1beta1.Condition{{Type: fluxv1alpha1.FluxReady, Status: status}}
			}
			r := &reconciler{}
			g.Expect(r.isReported(ex)).To(Equal(holds))
			g.Expect(r.isReported(ex)).To(BeFalse(), "the next time it is looked at")
		})
	}
}

// A Git server is not asked at each look for the host key that Flux refuses, and a fault of it is no fault of the shoot.
func TestPresentedHostKeyIsRemembered(t *testing.T) {
	g := NewWithT(t)
	asked, answer := 0, error(nil)
	r := &reconciler{presentedHostKey: func(context.Context, string) (string, error) {
		asked++
		return "ssh-ed25519 SHA256:x", answer
	}}
	ex := &extensionsv1alpha1.Extension{ObjectMeta: metav1.ObjectMeta{Namespace: "shoot--p--one"}}
	told := func(url string) {
		ex.Status.ProviderStatus = &runtime.RawExtension{Raw: []byte(`{"kind":"FluxStatus","repositoryURL":"` + url + `"}`)}
	}
	told("ssh://git@a/b")
	g.Expect(r.presented(t.Context(), ex)).To(Equal("ssh-ed25519 SHA256:x"))
	g.Expect(r.presented(t.Context(), ex)).To(Equal("ssh-ed25519 SHA256:x"))
	g.Expect(asked).To(Equal(1))

	told("ssh://git@c/d")
	answer = fmt.Errorf("being asked: %w", sourcesecret.ErrPending)
	g.Expect(r.presented(t.Context(), ex)).To(BeEmpty())
	g.Expect(r.memory.presented(ex.Namespace)).To(BeEmpty(), "so that it is looked again soon")
	answer = errors.New("no answer")
	g.Expect(r.presented(t.Context(), ex)).To(Equal(readiness.NoHostKey))
	r.memory.with(ex.Namespace, func(known *shootMemory) { known.presentedAt = time.Now().Add(-presentedInterval) })
	g.Expect(r.presented(t.Context(), ex)).To(Equal(readiness.NoHostKey))
	g.Expect(asked).To(Equal(4))
}

// Two requests to the shoot every ten minutes are cheap, and every 30 seconds are not.
func TestWhenControllersAreLookedAt(t *testing.T) {
	for name, test := range map[string]struct {
		before, now string
		// healthy is what gardener-resource-manager says of the installation.
		healthy gardencorev1beta1.ConditionStatus
		since   time.Duration
		due     bool
	}{
		"all is well":                        {readiness.Applied, readiness.Applied, "True", time.Minute, false},
		"all is well, and it is time":        {readiness.Applied, readiness.Applied, "True", 11 * time.Minute, true},
		"Flux's objects say nothing":         {readiness.Applied, readiness.Applied, "False", time.Minute, true},
		"they said so a moment ago":          {readiness.Applied, readiness.Applied, "False", time.Second, false},
		"an artifact that can't be had":      {readiness.Applied, readiness.ArtifactFailed, "True", time.Second, true},
		"still":                              {readiness.ArtifactFailed, readiness.ArtifactFailed, "True", time.Second, false},
		"for some time":                      {readiness.ArtifactFailed, readiness.ArtifactFailed, "True", time.Minute, true},
		"they did not run":                   {readiness.ControllersUnavailable, readiness.Applied, "True", time.Second, true},
		"what the repository's admin can do": {readiness.BuildFailed, readiness.BuildFailed, "True", time.Minute, false},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			scheme := runtime.NewScheme()
			g.Expect(resourcesv1alpha1.AddToScheme(scheme)).To(Succeed())
			installation := &resourcesv1alpha1.ManagedResource{ObjectMeta: metav1.ObjectMeta{Namespace: "shoot--p--one", Name: managedresource.Installation}}
			installation.Status.Conditions = []gardencorev1beta1.Condition{{Type: resourcesv1alpha1.ResourcesHealthy, Status: test.healthy}}
			r := &reconciler{seed: fake.NewClientBuilder().WithScheme(scheme).WithObjects(installation).Build()}
			ex := &extensionsv1alpha1.Extension{ObjectMeta: metav1.ObjectMeta{Namespace: "shoot--p--one"}}
			ex.Status.Conditions = []gardencorev1beta1.Condition{{Type: fluxv1alpha1.FluxReady, Reason: test.before}}
			r.memory.with(ex.Namespace, func(known *shootMemory) { known.controllersAt = time.Now().Add(-test.since) })
			g.Expect(r.controllersDue(t.Context(), ex, readiness.Readiness{Reason: test.now})).To(Equal(test.due))
		})
	}
}

// Of a list that may have any length, what names the extension's own objects is kept: it tells who else writes them.
func TestListsAreDropped(t *testing.T) {
	g := NewWithT(t)
	key := client.ObjectKey{Namespace: "gitops", Name: "base"}
	observation := &readiness.Observation{SourceKind: flux.OCIRepository, SourceKey: key, KustomizationKey: key}
	entry := func(id string) any { return map[string]any{"id": id, "v": "v1"} }
	own := entry("gitops_base_source.toolkit.fluxcd.io_OCIRepository")
	content := &unstructured.Unstructured{Object: map[string]any{"status": map[string]any{
		"history":   []any{map[string]any{"digest": "sha256:1"}},
		"inventory": map[string]any{"entries": []any{entry("default_shop__ConfigMap"), own, entry("flux-system_flux-system_source.toolkit.fluxcd.io_GitRepository"), own}},
	}}}
	dropLists(content, observation)
	g.Expect(content.Object).To(Equal(map[string]any{"status": map[string]any{"inventory": map[string]any{"entries": []any{own}}}}))

	for _, entries := range []any{"no list", []any{"no entry"}, nil} {
		content.Object["status"] = map[string]any{"inventory": map[string]any{"entries": entries}}
		dropLists(content, observation)
		g.Expect(content.Object).To(Equal(map[string]any{"status": map[string]any{}}))
	}
}

// What is looked at is what gardener-resource-manager has brought to the shoot, whatever it is called there.
func TestNewObservation(t *testing.T) {
	reference := func(apiVersion, kind, namespace, name string) resourcesv1alpha1.ObjectReference {
		return resourcesv1alpha1.ObjectReference{ObjectReference: corev1.ObjectReference{APIVersion: apiVersion, Kind: kind, Namespace: namespace, Name: name}}
	}
	root := reference("kustomize.toolkit.fluxcd.io/v1", "Kustomization", "gitops", "base")
	for name, test := range map[string]struct {
		references []resourcesv1alpha1.ObjectReference
		kind       string
	}{
		"nothing":         {nil, ""},
		"only Secrets":    {[]resourcesv1alpha1.ObjectReference{reference("v1", "Secret", "flux-system", "flux-source")}, ""},
		"no source":       {[]resourcesv1alpha1.ObjectReference{root}, ""},
		"Git":             {[]resourcesv1alpha1.ObjectReference{reference("source.toolkit.fluxcd.io/v1", "GitRepository", "other", "x"), root}, "GitRepository"},
		"OCI, an old API": {[]resourcesv1alpha1.ObjectReference{root, reference("source.toolkit.fluxcd.io/v1beta2", "OCIRepository", "other", "x")}, "OCIRepository"},
		"bucket":          {[]resourcesv1alpha1.ObjectReference{root, reference("source.toolkit.fluxcd.io/v1", "Bucket", "other", "x")}, "Bucket"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			ex := &extensionsv1alpha1.Extension{}
			ex.Status.ProviderStatus = &runtime.RawExtension{Raw: []byte(`{"kind":"FluxStatus","namespace":"gitops"}`)}
			observation, ok := newObservation(ex, "garden-shop", test.references)
			g.Expect(ok).To(Equal(test.kind != ""))
			if !ok {
				return
			}
			g.Expect(observation.Namespace).To(Equal("gitops"))
			g.Expect(observation.SourceKind.Kind).To(Equal(test.kind))
			g.Expect(observation.SourceKey.String()).To(Equal("other/x"))
			g.Expect(observation.KustomizationKey.String()).To(Equal("gitops/base"))
		})
	}
}

// What belongs to the shoot's users is not among what gardener-resource-manager has applied, and is looked at by the names in the state.
func TestObservationOfWhatUsersOwn(t *testing.T) {
	g := NewWithT(t)
	ex := &extensionsv1alpha1.Extension{}
	g.Expect(fluxv1alpha1.SetStatus(ex, fluxv1alpha1.FluxStatus{Configuration: []fluxv1alpha1.WrittenField{{Field: "repository.url", Origin: "overrides[1]"}}})).To(Succeed())
	reference := func(kind, name string) resourcesv1alpha1.ObjectReference {
		group := map[string]string{"Kustomization": "kustomize.toolkit.fluxcd.io/v1", "Bucket": "source.toolkit.fluxcd.io/v1"}[kind]
		return resourcesv1alpha1.ObjectReference{ObjectReference: corev1.ObjectReference{APIVersion: group, Kind: kind, Namespace: "other", Name: name}}
	}
	_, follows := newObservation(ex, "garden-dev", []resourcesv1alpha1.ObjectReference{reference("Bucket", "a")})
	g.Expect(follows).To(BeFalse())
	observed, follows := newObservation(ex, "garden-dev", []resourcesv1alpha1.ObjectReference{reference("Bucket", "a"), reference("Kustomization", "b")})
	g.Expect(follows).To(BeTrue())
	g.Expect(observed.Origins).To(BeEquivalentTo(map[string]string{"repository.url": "overrides[1]"}))
	g.Expect(observed.SourceKey).To(Equal(client.ObjectKey{Namespace: "other", Name: "a"}))
	g.Expect(observed.OwnedByUsers).To(BeFalse())

	g.Expect(fluxv1alpha1.SetState(ex, fluxv1alpha1.FluxState{FollowedOnce: fluxv1alpha1.FollowedOnceMade, SourceKind: "OCIRepository", Source: "third/c"})).To(Succeed())
	observed, follows = newObservation(ex, "garden-dev", nil)
	g.Expect(follows).To(BeTrue())
	g.Expect(observed.OwnedByUsers).To(BeTrue())
	g.Expect(observed.SourceKind.Kind).To(Equal("OCIRepository"))
	g.Expect(observed.SourceKey).To(Equal(client.ObjectKey{Namespace: "third", Name: "c"}))
	g.Expect(observed.KustomizationKey).To(Equal(client.ObjectKey{Namespace: "flux-system", Name: "flux-system"}))
}
