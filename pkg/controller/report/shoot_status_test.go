// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/readiness"
)

var noon = metav1.Date(2026, time.March, 4, 12, 0, 0, 0, time.UTC)

func extension(condition *gardencorev1beta1.Condition, lastError string) *extensionsv1alpha1.Extension {
	ex := &extensionsv1alpha1.Extension{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: noon}}
	ex.Status.ProviderStatus = &runtime.RawExtension{Raw: []byte(`{"kind":"FluxStatus","version":"v2.9.4","repositoryURL":"ssh://git@git.example.com/fleet","revision":"main@sha1:5f0c"}`)}
	if condition != nil {
		condition.Type, condition.LastTransitionTime = fluxv1alpha1.FluxReady, metav1.NewTime(noon.Add(time.Hour))
		ex.Status.Conditions = []gardencorev1beta1.Condition{*condition}
	}
	if lastError != "" {
		ex.Status.LastError = &gardencorev1beta1.LastError{Description: lastError}
	}
	return ex
}

func reference(uid types.UID) corev1.ObjectReference {
	return ShootReference(&metav1.ObjectMeta{Namespace: "garden-shop", Name: "one", UID: uid})
}

func TestShootStatus(t *testing.T) {
	applied := gardencorev1beta1.Condition{Status: "True", Reason: "Applied", Message: `Flux has applied "<a> & b"`}
	flux := `"fluxVersion":"v2.9.4","source":"ssh://git@git.example.com/fleet","revision":"main@sha1:5f0c",`
	for name, test := range map[string]struct {
		extension *extensionsv1alpha1.Extension
		want      string
	}{
		"ready": {extension(&applied, ""), `{"ready":"True","reason":"Applied","since":"2026-03-04T13:00:00Z",` + flux + `"message":"Flux has applied \"<a> & b\""}`},
		"new": {&extensionsv1alpha1.Extension{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: noon}},
			`{"ready":"Progressing","reason":"Pending","since":"2026-03-04T12:00:00Z","message":"the shoot has not been looked into yet"}`},
		"not reconciled": {extension(&applied, "ConfigMap is not valid:\n x"), `{"ready":"False","reason":"ReconcileFailed","since":null,` + flux + `"message":"ConfigMap is not valid: x"}`},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			status := ShootStatusOf(test.extension)
			g.Expect(status.String()).To(Equal(test.want))
			parsed, err := ParseShootStatus(test.want)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(parsed.String()).To(Equal(test.want))
		})
	}
}

func TestStatusesAreBounded(t *testing.T) {
	g := NewWithT(t)
	long := strings.Repeat("ä", 500_000)
	ex := extension(&gardencorev1beta1.Condition{Status: gardencorev1beta1.ConditionStatus(long), Reason: long, Message: long}, "")
	ex.Status.ProviderStatus.Raw = []byte(fmt.Sprintf(`{"kind":"FluxStatus","version":%q,"repositoryURL":%[1]q,"revision":%[1]q}`, long))
	g.Expect(len(ShootStatusOf(ex).String())).To(BeNumerically("<", 2500))
	g.Expect(len(ShootStatusOf(extension(nil, long)).String())).To(BeNumerically("<", 1300))
	_, err := ParseShootStatus("x")
	g.Expect(err).To(MatchError(ContainSubstring("not a line of ConfigMap flux-status")))
}

// Condition, status and event say the same: what was made short enough for one is for all.
func TestAllSayTheSame(t *testing.T) {
	g := NewWithT(t)
	message := strings.Repeat("k", readiness.MaxMessage)
	status := ShootStatusOf(extension(&gardencorev1beta1.Condition{Status: "False", Reason: "AuthenticationFailed", Message: message}, ""))
	g.Expect(status.Message).To(Equal(message))
	events := Changes(nil, status)
	g.Expect(events).To(ConsistOf(HaveField("Note", message)))
	garden := fake.NewClientBuilder().Build()
	g.Expect(events[0].Create(t.Context(), garden, reference("1"))).To(Succeed())
	created := &eventsv1.EventList{}
	g.Expect(garden.List(t.Context(), created)).To(Succeed())
	g.Expect(created.Items).To(ConsistOf(HaveField("Note", message)))
}

func TestOtherKeysAreNoShoots(t *testing.T) {
	g := NewWithT(t)
	configMap := &StatusConfigMap{manager: managerOf("6ba7b810-9dad-11d1-80b4-00c04fd430c8")}
	g.Expect(configMap.keyLeftOut()).To(Equal("_left-out.6ba7b810"))
	for _, key := range []string{KeyPublicKey, configMap.keyLeftOut()} {
		g.Expect(validation.IsConfigMapKey(key)).To(BeEmpty())
		g.Expect(validation.IsDNS1123Label(key)).NotTo(BeEmpty())
	}
}

func TestChanges(t *testing.T) {
	status := func(ready gardencorev1beta1.ConditionStatus, reason, message string) *ShootStatus {
		return &ShootStatus{Ready: ready, Reason: reason, Message: message, FluxVersion: "v2.9.4"}
	}
	for name, test := range map[string]struct {
		before, now *ShootStatus
		want        []string
	}{
		"first good news":                  {nil, status("True", "Applied", "a"), []string{"Normal FluxReady a"}},
		"first bad news":                   {nil, status("False", "BuildFailed", "b"), []string{"Warning BuildFailed b"}},
		"nothing known yet":                {nil, status("Progressing", "Pending", "p"), nil},
		"another revision":                 {status("True", "Applied", "a"), status("True", "Applied", "a2"), nil},
		"breaks":                           {status("True", "Applied", "a"), status("False", "BuildFailed", "b"), []string{"Warning BuildFailed b"}},
		"stays broken":                     {status("False", "BuildFailed", "b"), status("False", "BuildFailed", "b"), nil},
		"breaks differently":               {status("False", "BuildFailed", "b"), status("False", "ApplyFailed", "c"), []string{"Warning ApplyFailed c"}},
		"heals":                            {status("False", "BuildFailed", "b"), status("True", "Applied", "a"), []string{"Normal FluxReady a"}},
		"goes on":                          {status("False", "BuildFailed", "b"), status("Progressing", "NotObserved", "n"), nil},
		"falls asleep":                     {status("True", "Applied", "a"), status("True", "Hibernated", "h"), nil},
		"is in the Shoot's status already": {status("True", "Applied", "a"), status("False", ReconcileFailed, "r"), nil},
		"is what it was before a failure":  {status("False", ReconcileFailed, "r"), status("False", "BuildFailed", "b"), []string{"Warning BuildFailed b"}},
		"another version":                  {&ShootStatus{FluxVersion: "v2.6.4", Ready: "True"}, status("True", "Applied", "a"), []string{"Normal FluxVersion the shoot gets Flux v2.9.4 instead of v2.6.4"}},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			var got []string
			for _, event := range Changes(test.before, *test.now) {
				got = append(got, event.Type+" "+event.Reason+" "+event.Note)
			}
			g.Expect(got).To(Equal(test.want))
		})
	}
}

func TestEventNames(t *testing.T) {
	g := NewWithT(t)
	event := Event{Type: corev1.EventTypeWarning, Reason: "BuildFailed", Since: noon.Time}
	shoot := reference("1")
	name := event.name(shoot, "note")
	g.Expect(name).To(MatchRegexp(`^one\.[0-9a-f]{20}$`))
	g.Expect(event.name(shoot, "note")).To(Equal(name))
	for _, other := range []string{
		event.name(shoot, "another note"),
		event.name(reference("2"), "note"),
		Event{Type: event.Type, Reason: "ApplyFailed", Since: event.Since}.name(shoot, "note"),
		Event{Type: event.Type, Reason: event.Reason, Since: event.Since.Add(time.Second)}.name(shoot, "note"),
	} {
		g.Expect(other).NotTo(Equal(name))
	}
}
