// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package status_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	extensionscontroller "github.com/gardener/gardener/extensions/pkg/controller"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/controller/report"
)

const (
	statusOfPrivate = `"version":"v2.9.4","requested":"v2.9.4","origin":"embedded","digest":"sha256:0","repositoryURL":"ssh://git@git.example.com/fleet","publicKey":"ssh-ed25519 AAAA"`
	statusOfPublic  = `"version":"v2.9.4","requested":"v2.9.4","origin":"embedded","digest":"sha256:0","repositoryURL":"https://git.example.com/fleet"`
)

// statusConfigMap is ConfigMap flux-status of a project as its members read it.
func statusConfigMap(g Gomega, project string) map[string]string {
	configMap := &corev1.ConfigMap{}
	g.Expect(client.IgnoreNotFound(gardenClient.Get(context.Background(), client.ObjectKey{Namespace: project, Name: report.ConfigMapName}, configMap))).To(Succeed())
	return configMap.Data
}

func (s *shoot) expectLine(ready gardencorev1beta1.ConditionStatus, words string) report.ShootStatus {
	s.t.Helper()
	var line report.ShootStatus
	s.Eventually(func(g Gomega) {
		var err error
		line, err = report.ParseShootStatus(statusConfigMap(g, s.project)[s.name])
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(line.Ready).To(Equal(ready), line.Message)
		g.Expect(line.Message).To(ContainSubstring(words))
	}, timeout).Should(Succeed())
	return line
}

// events are those about the Shoot, as `kubectl describe shoot` finds them.
func (s *shoot) events(g Gomega) []string {
	list := &corev1.EventList{}
	g.Expect(gardenClient.List(context.Background(), list, client.InNamespace(s.project), client.MatchingFields{
		"involvedObject.kind": "Shoot", "involvedObject.name": s.name, "involvedObject.uid": string(s.object.UID),
	})).To(Succeed())
	var sentences []string
	for _, event := range list.Items {
		sentences = append(sentences, event.Type+" "+event.Reason+" "+event.Message)
	}
	return sentences
}

func (s *shoot) expectEvents(want ...string) {
	s.t.Helper()
	s.Eventually(s.events, timeout).Should(ConsistOf(want))
}

// publicKey is what is to be published of the Secret that giveKey makes.
const publicKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"

// giveKey makes a Secret as an admin may have it: with more in identity.pub than the public key.
func giveKey(t *testing.T, project, public string) {
	t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: project, Name: "flux-source"}, Data: map[string][]byte{"identity": []byte("private"), "identity.pub": []byte("private\nno-pty " + public + " private\n")}}
	NewWithT(t).Expect(gardenClient.Create(t.Context(), secret)).To(Succeed())
}

func TestAShootIsReported(t *testing.T) {
	project := newProject(t)
	giveKey(t, project, publicKey)
	seeds[0].startExtension(t, false)
	s := seeds[0].newShoot(t, project, "one")
	s.expectLine("Progressing", "has not been looked into yet")
	s.Expect(statusConfigMap(s, project)).NotTo(HaveKey(report.KeyPublicKey))

	s.say(statusOfPrivate)
	s.conclude("False", "AuthenticationFailed", "register ssh-ed25519 AAAA")
	line := s.expectLine("False", "register ssh-ed25519 AAAA")
	s.Expect(line).To(And(HaveField("FluxVersion", "v2.9.4"), HaveField("Source", "ssh://git@git.example.com/fleet"), HaveField("Reason", "AuthenticationFailed")))
	s.Expect(line.Since.Time).To(BeTemporally("~", time.Now(), time.Minute))
	s.Expect(statusConfigMap(s, project)).To(HaveKeyWithValue(report.KeyPublicKey, publicKey))
	s.Expect(fmt.Sprint(statusConfigMap(s, project))).NotTo(ContainSubstring("private"))
	s.expectEvents("Warning AuthenticationFailed register ssh-ed25519 AAAA")

	s.say(strings.Replace(statusOfPrivate, `"v2.9.4"`, `"v2.10.0"`, 1) + `,"revision":"main@sha1:1"`)
	s.conclude("True", "Applied", "applied main@sha1:1")
	s.Expect(s.expectLine("True", "main@sha1:1").Revision).To(Equal("main@sha1:1"))
	reported := []string{
		"Warning AuthenticationFailed register ssh-ed25519 AAAA", "Normal FluxReady applied main@sha1:1", "Normal FluxVersion the shoot gets Flux v2.10.0 instead of v2.9.4",
	}
	s.expectEvents(reported...)

	// The next revision is no event.
	s.conclude("True", "Applied", "applied main@sha1:2")
	s.expectLine("True", "main@sha1:2")
	s.expectEvents(reported...)

	// What keeps the lifecycle controller from its work is in the Shoot's status already.
	failed := s.now(func() {
		s.change(func(to *extensionsv1alpha1.ExtensionStatus) {
			to.LastError = extensionscontroller.LastError("ConfigMap is not valid")
		})
	})
	s.Expect(s.expectLine("False", "ConfigMap is not valid").Since.Time).To(BeTemporally(">=", failed.Truncate(time.Second)))
	s.expectEvents(reported...)
}

func (s *shoot) now(do func()) time.Time {
	before := time.Now()
	do()
	return before
}

// TestNothingIsWrittenWithoutAChange counts the requests: for a change, after it, and after a restart.
func TestNothingIsWrittenWithoutAChange(t *testing.T) {
	project := newProject(t)
	extension := seeds[0].startExtension(t, false)
	one, two := seeds[0].newShoot(t, project, "one"), seeds[0].newShoot(t, project, "two")
	for _, s := range []*shoot{one, two} {
		s.say(statusOfPublic)
		s.conclude("True", "Applied", "applied")
	}
	one.expectLine("True", "applied")
	two.expectLine("True", "applied")
	requests := func() []string { return seeds[0].garden.requests(project) }
	before := requests()
	one.Expect(before).To(ContainElement("PATCH /api/v1/namespaces/" + project + "/configmaps/flux-status"))

	// The last operation begins and ends anew, as at each reconciliation.
	one.say(statusOfPublic)
	other := seeds[0].newShoot(t, newProject(t), "one")
	other.expectLine("Progressing", "")
	one.Expect(requests()).To(Equal(before), "an Extension that says the same")

	extension.stop()
	seeds[0].startExtension(t, false)
	read := slices.Concat(before, []string{"GET /api/v1/namespaces/" + project + "/configmaps/flux-status"})
	one.Eventually(requests, timeout).Should(Equal(read), "after a restart")
	one.conclude("False", "BuildFailed", "broken")
	one.expectLine("False", "broken")
	one.Eventually(requests, timeout).Should(Equal(slices.Concat(read, []string{
		"GET /api/v1/namespaces/" + project + "/configmaps/flux-status",
		"POST /apis/events.k8s.io/v1/namespaces/" + project + "/events",
		"PATCH /api/v1/namespaces/" + project + "/configmaps/flux-status",
	})))
	one.Expect(two.events(one)).To(ConsistOf("Normal FluxReady applied"), "not reported again after a restart")
}

// TestTwoSeedsReportOfOneProject lets two extensions write the same ConfigMap at the same time, then moves a shoot.
func TestTwoSeedsReportOfOneProject(t *testing.T) {
	project := newProject(t)
	giveKey(t, project, publicKey)
	seeds[0].startExtension(t, false)
	seeds[1].startExtension(t, false)
	var shoots []*shoot
	for i := range 6 {
		shoots = append(shoots, seeds[i%2].newShoot(t, project, fmt.Sprintf("s%d", i)))
	}
	for round := range 3 {
		for _, s := range shoots {
			s.say(statusOfPrivate)
			s.conclude("True", "Applied", fmt.Sprintf("applied %d", round))
		}
	}
	for _, s := range shoots {
		s.expectLine("True", "applied 2")
	}
	shoots[0].Expect(statusConfigMap(shoots[0], project)).To(And(HaveLen(7), HaveKeyWithValue(report.KeyPublicKey, publicKey)))

	// s0 moves to the other seed, which has it before the old one has let go of it.
	moving := shoots[0]
	moved := seeds[1].newShoot(t, project, moving.name)
	moved.say(statusOfPrivate)
	moved.conclude("True", "Applied", "applied by the new seed")
	moved.expectLine("True", "applied by the new seed")
	moving.change(func(to *extensionsv1alpha1.ExtensionStatus) {
		to.LastOperation = extensionscontroller.LastOperation(gardencorev1beta1.LastOperationTypeMigrate, gardencorev1beta1.LastOperationStateSucceeded, 100, "")
	})
	moving.Expect(moving.seed.client.Delete(t.Context(), moving.extension)).To(Succeed())
	shoots[2].conclude("True", "Applied", "applied after the move")
	shoots[2].expectLine("True", "applied after the move")
	moved.expectLine("True", "applied by the new seed")
	moved.Expect(statusConfigMap(moved, project)).To(HaveLen(7))
}

// TestTheLineGoesWithTheExtension switches it off, and lets a shoot leave the seed so soon that nothing in the seed tells of it any more.
func TestTheLineGoesWithTheExtension(t *testing.T) {
	project := newProject(t)
	seeds[0].startExtension(t, false)
	stays, off, left := seeds[0].newShoot(t, project, "stays"), seeds[0].newShoot(t, project, "off"), seeds[0].newShoot(t, project, "left")
	for _, s := range []*shoot{stays, off, left} {
		s.say(statusOfPublic)
		s.expectLine("Progressing", "")
	}
	stays.Expect(seeds[0].client.Delete(t.Context(), off.extension)).To(Succeed())
	left.leave()
	stays.Eventually(func(g Gomega) { g.Expect(statusConfigMap(g, project)).To(And(HaveLen(1), HaveKey("stays"))) }, timeout).Should(Succeed())

	// The last one leaves nothing.
	stays.leave()
	stays.Eventually(func(g Gomega) { g.Expect(statusConfigMap(g, project)).To(BeEmpty()) }, timeout).Should(Succeed())
}

// TestTheLineGoesAfterARestart lets shoots go while nobody runs: some of a project, and all of another one.
func TestTheLineGoesAfterARestart(t *testing.T) {
	some, all := newProject(t), newProject(t)
	extension := seeds[0].startExtension(t, false)
	other := seeds[1].startExtension(t, false)
	stays, gone, last, moving := seeds[0].newShoot(t, some, "stays"), seeds[0].newShoot(t, some, "gone"), seeds[0].newShoot(t, all, "last"), seeds[0].newShoot(t, all, "moving")
	for _, s := range []*shoot{stays, gone, last, moving} {
		s.expectLine("Progressing", "")
	}
	extension.stop()
	for _, s := range []*shoot{gone, last, moving} {
		s.leave()
	}
	moved := seeds[1].newShoot(t, all, moving.name)
	moved.conclude("True", "Applied", "applied by the new seed")
	moved.expectLine("True", "applied by the new seed")
	other.stop()

	seeds[0].startExtension(t, false)
	stays.Eventually(func(g Gomega) {
		g.Expect(statusConfigMap(g, some)).To(And(HaveLen(1), HaveKey("stays")))
		g.Expect(statusConfigMap(g, all)).To(And(HaveLen(1), HaveKey("moving")))
	}, timeout).Should(Succeed())
	moved.Expect(moved.expectLine("True", "").Message).To(Equal("applied by the new seed"))
}

// leave does what gardenlet does when a shoot is gone, or is on another seed.
func (s *shoot) leave() {
	s.Expect(s.seed.client.Delete(s.t.Context(), s.extension)).To(Succeed())
	s.Expect(s.seed.client.Delete(s.t.Context(), &extensionsv1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: s.extension.Namespace}})).To(Succeed())
}

// TestAManualChangeDoesNotStay is about other writers of the ConfigMap: what is not ours stays, what is ours is repaired with the
// next change.
func TestAManualChangeDoesNotStay(t *testing.T) {
	project := newProject(t)
	seeds[0].startExtension(t, false)
	s := seeds[0].newShoot(t, project, "one")
	s.expectLine("Progressing", "")
	changed := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: project, Name: report.ConfigMapName}}
	s.Expect(gardenClient.Patch(t.Context(), changed, client.RawPatch("application/merge-patch+json", []byte(`{"data":{"one":"mine","note":"mine"}}`)))).To(Succeed())
	s.conclude("True", "Applied", "applied")
	s.expectLine("True", "applied")
	s.Expect(statusConfigMap(s, project)).To(HaveKeyWithValue("note", "mine"))
}

// TestRightsAreMissing shows that nothing but telling suffers, and that what is allowed is done.
func TestRightsAreMissing(t *testing.T) {
	g := NewWithT(t)
	project := newProject(t)
	g.Expect(seeds[1].giveGarden(t.Context(), "narrow", "narrow")).To(Succeed())
	t.Cleanup(func() {
		g.Expect(seeds[1].giveGarden(context.WithoutCancel(t.Context()), "seed-1", "system:masters")).To(Succeed())
	})
	g.Expect(gardenClient.Create(t.Context(), &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: project, Name: "narrow"}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{"events.k8s.io"}, Resources: []string{"events"}, Verbs: []string{"create"}},
	}})).To(Succeed())
	g.Expect(gardenClient.Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: project, Name: "narrow"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "narrow"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "narrow"}},
	})).To(Succeed())

	g.Eventually(func(g Gomega) { // roles act a moment after they were written, and what is refused until then is not tried again
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User:               "narrow",
			ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: project, Verb: "create", Group: "events.k8s.io", Resource: "events"},
		}}
		g.Expect(gardenClient.Create(t.Context(), review)).To(Succeed())
		g.Expect(review.Status.Allowed).To(BeTrue())
	}, timeout).Should(Succeed())

	seeds[1].startExtension(t, false)
	s := seeds[1].newShoot(t, project, "one")
	s.conclude("False", "BuildFailed", "broken")
	s.expectEvents("Warning BuildFailed broken")
	s.conclude("True", "Applied", "applied")
	s.expectEvents("Warning BuildFailed broken", "Normal FluxReady applied")
	s.Expect(statusConfigMap(s, project)).To(BeEmpty())
}

// TestProjectIsBeingDeleted lets a namespace end in which a shoot still is: nothing is made there again, and nobody tries it all the time.
func TestProjectIsBeingDeleted(t *testing.T) {
	project := newProject(t)
	seeds[0].startExtension(t, false)
	s := seeds[0].newShoot(t, project, "one")
	s.expectLine("Progressing", "")
	s.Expect(gardenClient.Delete(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: project}})).To(Succeed())
	configMap := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: project, Name: report.ConfigMapName}}
	s.Eventually(func() error { // until the API server refuses that in the namespace
		return gardenClient.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: project, GenerateName: "one-more-"}})
	}, timeout).Should(Satisfy(apierrors.IsForbidden))
	s.Expect(gardenClient.Delete(t.Context(), configMap)).To(Succeed())
	before := len(seeds[0].garden.requests(project))

	s.conclude("False", "BuildFailed", "broken")
	requests := func() int { return len(seeds[0].garden.requests(project)) - before }
	s.Eventually(requests, timeout).Should(Equal(3), "it reads, and tries to make the event and the ConfigMap")
	s.Consistently(requests, 3*time.Second).Should(Equal(3)) // it would try again after one second
	s.Expect(apierrors.IsNotFound(gardenClient.Get(t.Context(), client.ObjectKeyFromObject(configMap), configMap))).To(BeTrue())
}

// notices are what the lifecycle controller has noted.
func notices(entries ...string) string {
	var list []string
	for _, entry := range entries {
		reason, message, _ := strings.Cut(entry, " ")
		list = append(list, fmt.Sprintf(`{"type":"Normal","reason":%q,"message":%q,"since":"2026-03-04T13:00:00Z"}`, reason, message))
	}
	return `,"notices":[` + strings.Join(list, ",") + `]`
}

func (s *shoot) unreported(g Gomega) []fluxv1alpha1.Notice {
	g.Expect(s.seed.client.Get(context.Background(), client.ObjectKeyFromObject(s.extension), s.extension)).To(Succeed())
	flux := fluxv1alpha1.StatusOf(s.extension)
	g.Expect(flux.Notices).NotTo(BeEmpty())
	return flux.UnreportedNotices()
}

// seedEvents are those about the Extension, as `kubectl describe extension` finds them.
func (s *shoot) seedEvents(g Gomega) []string {
	list := &corev1.EventList{}
	g.Expect(s.seed.client.List(context.Background(), list, client.InNamespace(s.extension.Namespace), client.MatchingFields{
		"involvedObject.kind": "Extension", "involvedObject.name": extensionType, "involvedObject.uid": string(s.extension.UID),
	})).To(Succeed())
	var sentences []string
	for _, event := range list.Items {
		sentences = append(sentences, event.Type+" "+event.Reason+" "+event.Message)
	}
	return sentences
}

// What the lifecycle controller notes, people see at the Shoot and at the Extension, once, also if the Extension is about to go.
func TestNoticesAreReported(t *testing.T) {
	project := newProject(t)
	seeds[0].startExtension(t, false)
	s := seeds[0].newShoot(t, project, "one")
	s.say(statusOfPublic + notices("KeyPairMade register ssh-ed25519 AAAA", "HostKeyTrusted ssh-ed25519 SHA256:x"))
	want := []string{"Normal KeyPairMade register ssh-ed25519 AAAA", "Normal HostKeyTrusted ssh-ed25519 SHA256:x"}
	s.expectEvents(want...)
	s.Eventually(s.unreported, timeout).Should(BeEmpty())
	s.Expect(s.seedEvents(s)).To(ConsistOf(want))

	patch := client.MergeFrom(s.extension.DeepCopy())
	s.extension.Finalizers = []string{"extensions.gardener.cloud/shoot-flux"}
	s.Expect(s.seed.client.Patch(t.Context(), s.extension, patch)).To(Succeed())
	s.Expect(s.seed.client.Delete(t.Context(), s.extension)).To(Succeed())
	s.say(statusOfPublic + notices("FluxStays Flux stays in the shoot"))
	s.expectEvents(append(want, "Normal FluxStays Flux stays in the shoot")...)
	s.Eventually(s.unreported, timeout).Should(BeEmpty())
	patch = client.MergeFrom(s.extension.DeepCopy())
	s.extension.Finalizers = nil
	s.Expect(s.seed.client.Patch(t.Context(), s.extension, patch)).To(Succeed())
}

// TestAGardenThatDoesNotAnswer loses nothing meanwhile, and the seed has its events at once.
func TestAGardenThatDoesNotAnswer(t *testing.T) {
	project := newProject(t)
	seeds[0].startExtension(t, false)
	s := seeds[0].newShoot(t, project, "one")
	s.expectLine("Progressing", "")
	seeds[0].garden.down.Store(true)
	t.Cleanup(func() { seeds[0].garden.down.Store(false) })
	s.say(statusOfPublic + notices("KeyPairMade register ssh-ed25519 AAAA"))
	s.conclude("False", "BuildFailed", "broken")
	s.Eventually(s.seedEvents, timeout).Should(ConsistOf("Normal KeyPairMade register ssh-ed25519 AAAA"))
	s.Expect(s.unreported(s)).To(HaveLen(1))
	seeds[0].garden.down.Store(false)
	s.expectEvents("Normal KeyPairMade register ssh-ed25519 AAAA", "Warning BuildFailed broken")
	s.expectLine("False", "broken")
}

// TestARestartLosesAndRepeatsNothing changes what there is to report while nobody runs, and then while nothing is to report.
func TestARestartLosesAndRepeatsNothing(t *testing.T) {
	project := newProject(t)
	extension := seeds[0].startExtension(t, false)
	s := seeds[0].newShoot(t, project, "one")
	s.say(statusOfPublic)
	s.conclude("True", "Applied", "applied")
	s.expectLine("True", "applied")
	extension.stop()

	s.say(strings.Replace(statusOfPublic, `"v2.9.4"`, `"v2.10.0"`, 1) + notices("FluxTakenOver the shoot had a Flux"))
	s.conclude("False", "BuildFailed", "broken")
	extension = seeds[0].startExtension(t, false)
	reported := []string{
		"Normal FluxReady applied", "Normal FluxVersion the shoot gets Flux v2.10.0 instead of v2.9.4", "Warning BuildFailed broken", "Normal FluxTakenOver the shoot had a Flux",
	}
	s.expectEvents(reported...)
	s.expectLine("False", "broken")
	s.Eventually(s.unreported, timeout).Should(BeEmpty())
	extension.stop()

	// The garden keeps events for an hour. That they are not there any more is no reason to make them again.
	s.Expect(gardenClient.DeleteAllOf(t.Context(), &corev1.Event{}, client.InNamespace(project))).To(Succeed())
	before, version := len(seeds[0].garden.requests(project)), s.extension.ResourceVersion
	seeds[0].startExtension(t, false)
	requests := func() []string { return seeds[0].garden.requests(project)[before:] }
	s.Eventually(requests, timeout).Should(ConsistOf("GET /api/v1/namespaces/" + project + "/configmaps/flux-status"))
	s.Consistently(requests, 3*time.Second).Should(HaveLen(1))
	s.Expect(s.events(s)).To(BeEmpty())
	s.Expect(s.unreported(s)).To(BeEmpty())
	s.Expect(s.extension.ResourceVersion).To(Equal(version))
}

// TestTheOtherReplicaGoesOn lets one replica lead after the other.
func TestTheOtherReplicaGoesOn(t *testing.T) {
	project := newProject(t)
	first := seeds[0].startReplica(t)
	<-first.leads
	second := seeds[0].startReplica(t)
	s := seeds[0].newShoot(t, project, "one")
	s.say(statusOfPublic + notices("KeyPairMade register ssh-ed25519 AAAA"))
	s.conclude("True", "Applied", "applied")
	s.expectLine("True", "applied")
	s.Eventually(s.unreported, timeout).Should(BeEmpty())
	s.expectEvents("Normal KeyPairMade register ssh-ed25519 AAAA", "Normal FluxReady applied")
	s.Expect(second.leads).NotTo(BeClosed())

	s.Expect(gardenClient.DeleteAllOf(t.Context(), &corev1.Event{}, client.InNamespace(project))).To(Succeed())
	first.stop()
	s.conclude("False", "BuildFailed", "broken")
	s.expectLine("False", "broken")
	s.Eventually(second.leads, timeout).Should(BeClosed())
	s.expectEvents("Warning BuildFailed broken")
}

// TestManyShoots writes as much into one ConfigMap as the extension may: an API server takes it, and all that is left out is said.
func TestManyShoots(t *testing.T) {
	for number, wantLeftOut := range map[int]bool{2500: false, 10_000: true} {
		t.Run(fmt.Sprint(number), func(t *testing.T) {
			g := NewWithT(t)
			project := newProject(t)
			statuses := map[string]report.ShootStatus{}
			for i := range number {
				statuses[fmt.Sprintf("a-shoot-of-fleet-%05d", i)] = report.ShootStatus{
					Ready: "True", Reason: "Applied", Since: metav1.Now().Rfc3339Copy(), FluxVersion: "v2.9.4", Source: "ssh://git@git.example.com/organisation/fleet.git",
					Revision: "main@sha1:5f0c0f6d3a2b1c4e5d6f7a8b9c0d1e2f3a4b5c6d", Message: "Flux has applied revision " + strings.Repeat("x", 100),
				}
			}
			configMap, err := report.ReadStatusConfigMap(t.Context(), gardenClient, project, "seed")
			g.Expect(err).NotTo(HaveOccurred())
			data := configMap.Data(statuses, nil)
			g.Expect(configMap.Write(t.Context(), gardenClient, data)).To(BeTrue())

			begun := time.Now()
			configMap, err = report.ReadStatusConfigMap(t.Context(), gardenClient, project, "seed")
			g.Expect(err).NotTo(HaveOccurred())
			t.Logf("reading %d keys took %s", len(data), time.Since(begun))
			g.Expect(configMap.Write(t.Context(), gardenClient, configMap.Data(statuses, nil))).To(BeFalse(), "all is said")
			leftOut, ok := statusConfigMap(g, project)["_left-out.seed"]
			g.Expect(ok).To(Equal(wantLeftOut))
			if wantLeftOut {
				g.Expect(report.ParseShootStatus(leftOut)).To(HaveField("Message", Equal(fmt.Sprintf("%d more shoots are ready: this ConfigMap has no room for a line of each", number-len(data)+1))))
			}
		})
	}
}
