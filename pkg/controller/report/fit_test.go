// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/readiness"
)

// fleet has as many shoots that are ready, and others that are not, as their Extensions say it.
func fleet(ready, others int) map[string]ShootStatus {
	const revision = "main@sha1:5f0c0f6d3a2b1c4e5d6f7a8b9c0d1e2f3a4b5c6d"
	statuses := map[string]ShootStatus{}
	for i := range ready + others {
		status := ShootStatus{
			Ready: "True", Reason: "Applied", Since: noon, FluxVersion: "v2.9.4", Source: "ssh://git@git.example.com/organisation/fleet.git", Revision: revision,
			Message: "Flux has applied revision " + revision + " of ssh://git@git.example.com/organisation/fleet.git",
		}
		if i >= ready {
			status.Ready, status.Reason = "False", "AuthenticationFailed"
			status.Message = "register this key: " + strings.Repeat("k", 1000)
		}
		statuses[fmt.Sprintf("a-shoot-of-fleet-%05d", i)] = status
	}
	return statuses
}

// said is what is said of the shoots that are ready, or of the others.
type said struct {
	shoots, message int
	repository      bool
}

func saidOf(statuses map[string]ShootStatus, ready bool) said {
	summary := said{}
	for _, status := range statuses {
		if isReady(status) == ready {
			summary = said{shoots: summary.shoots + 1, message: len(status.Message), repository: status.Source != ""}
		}
	}
	return summary
}

func TestFit(t *testing.T) {
	const whole, advice = 128, 1019
	for name, test := range map[string]struct {
		ready, others         int
		size                  int
		wantReady, wantOthers said
	}{
		"few shoots":                  {5, 5, maxSize, said{5, whole, true}, said{5, advice, true}},
		"a thousand shoots":           {900, 100, maxSize, said{900, whole, true}, said{100, advice, true}},
		"2,500 shoots":                {2400, 100, maxSize, said{2400, 0, true}, said{100, advice, true}},
		"2,500, of which many broken": {2000, 500, maxSize, said{2000, 0, false}, said{500, 512, true}},
		"2,500 broken at once":        {0, 2500, maxSize, said{}, said{2500, 128, false}},
		"5,000 shoots":                {4900, 100, maxSize, said{4900, 0, false}, said{100, advice, true}},
		"10,000 shoots":               {9900, 100, maxSize, said{5608, 0, false}, said{100, 0, false}},
		"other seeds have filled it":  {0, 100, 20_000, said{}, said{100, 0, false}},
		"more than fit at all":        {1000, 0, 20_000, said{114, 0, false}, said{}},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			statuses := fleet(test.ready, test.others)
			fitting := Fit(statuses, test.size)
			g.Expect(saidOf(fitting, true)).To(Equal(test.wantReady))
			g.Expect(saidOf(fitting, false)).To(Equal(test.wantOthers))
			size := sizeOf(fitting)
			if others := leftOut(statuses, fitting); others != nil {
				size += keySize("_left-out.12345678", others.String())
			}
			g.Expect(size).To(BeNumerically("<=", test.size))
			t.Logf("%d bytes", size)
		})
	}
}

// That shoots have no line is said, whatever they are.
func TestLeftOut(t *testing.T) {
	g := NewWithT(t)
	statuses := fleet(3, 2)
	g.Expect(leftOut(statuses, statuses)).To(BeNil())

	fitting := maps.Clone(statuses)
	maps.DeleteFunc(fitting, func(_ string, status ShootStatus) bool { return isReady(status) })
	g.Expect(leftOut(statuses, fitting)).To(HaveValue(Equal(ShootStatus{
		Ready: "True", Reason: LeftOut, Since: noon, Message: "3 more shoots are ready: this ConfigMap has no room for a line of each",
	})))
	g.Expect(leftOut(statuses, nil)).To(HaveValue(Equal(ShootStatus{
		Ready: "False", Reason: LeftOut, Since: noon, Message: "3 more shoots are ready and 2 are not: this ConfigMap has no room for a line of each",
	})))
}

// One that is too long, or too many, do not keep those of shoots that need somebody from being reported.
func TestFitKeepsWhatIsBroken(t *testing.T) {
	g := NewWithT(t)
	statuses := fleet(1000, 0)
	last := slices.Max(slices.Collect(maps.Keys(statuses)))
	statuses[last] = ShootStatus{Ready: "False", Reason: "BuildFailed", Since: noon, Message: strings.Repeat("x", 1_000_000)}
	g.Expect(Fit(statuses, 20_000)).To(HaveKeyWithValue(last, HaveField("Reason", "BuildFailed")))
	g.Expect(Fit(statuses, 20_000)).NotTo(HaveKey("a-shoot-of-fleet-00998"))
}

func TestRoomIsWhatOthersLeave(t *testing.T) {
	g := NewWithT(t)
	configMap := &StatusConfigMap{
		manager: managerOf("me"), own: map[string]string{"mine": strings.Repeat("x", 100_000)},
		data: map[string]string{"mine": strings.Repeat("x", 100_000), "other": strings.Repeat("x", 400_000), KeyPublicKey: "key"},
	}
	g.Expect(configMap.Room(map[string]string{KeyPublicKey: "key"})).To(BeNumerically("~", maxSize-400_000, 200))
	configMap.data["another"] = strings.Repeat("x", 600_000)
	g.Expect(configMap.Room(nil)).To(Equal(minRoom))
}

// A message that was shortened because there are many shoots is no news.
func TestAShortenedMessageIsNoChange(t *testing.T) {
	g := NewWithT(t)
	now := ShootStatus{Ready: "False", Reason: "BuildFailed", Message: strings.Repeat("äb", 330)}
	for _, reduction := range reductions {
		before := now.in(reduction.others)
		g.Expect(Changes(&before, now)).To(BeEmpty(), "%d", reduction.others.message)
	}
	g.Expect(readiness.Shorten(now.Message, 128)).NotTo(Equal(now.Message))
	other := now
	other.Message = "z" + other.Message[1:]
	g.Expect(Changes(&other, now)).To(HaveLen(1))
}

// What has been reported is in the garden, else in memory, else it follows from how old it is.
func TestStatusBefore(t *testing.T) {
	status := func(reason string, since time.Time) ShootStatus {
		return ShootStatus{Ready: "True", Reason: reason, Since: metav1.NewTime(since).Rfc3339Copy()}
	}
	recent, old := time.Now().UTC().Add(-time.Minute), time.Now().UTC().Add(-2*time.Hour)
	inGarden, inMemory := status("InGarden", recent), status("InMemory", recent)
	empty := &StatusConfigMap{manager: managerOf("me")}
	full := &StatusConfigMap{manager: managerOf("me"), own: map[string]string{"_left-out.me": "{}"}}
	for name, test := range map[string]struct {
		configMap *StatusConfigMap
		last      reported
		now       ShootStatus
		want      string
	}{
		"the garden says it":                    {&StatusConfigMap{data: map[string]string{"one": inGarden.String()}}, reported{statuses: map[string]ShootStatus{"one": inMemory}}, status("Now", recent), "InGarden"},
		"the garden may not be read":            {nil, reported{statuses: map[string]ShootStatus{"one": inMemory}}, status("Now", old), "InMemory"},
		"nothing was reported":                  {empty, reported{}, status("Now", old), ""},
		"unreadable, after a restart, old":      {nil, reported{}, status("Now", old), "Now"},
		"unreadable, after a restart, recent":   {nil, reported{}, status("Now", recent), ""},
		"was left out before a restart":         {full, reported{}, status("Now", old), "Now"},
		"was left out before a restart, is new": {full, reported{}, status("Now", recent), ""},
	} {
		t.Run(name, func(t *testing.T) {
			before := statusBefore(test.configMap, test.last, shootEntry{shoot: &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: "one"}}, status: test.now})
			reason := ""
			if before != nil {
				reason = before.Reason
			}
			NewWithT(t).Expect(reason).To(Equal(test.want))
		})
	}
}
