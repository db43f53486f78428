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

	"github.com/go-logr/logr"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	extensionscontroller "github.com/gardener/gardener/extensions/pkg/controller"
	"github.com/gardener/gardener/extensions/pkg/controller/extension"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"

	fluxstatus "github.com/23technologies/gardener-extension-shoot-flux/pkg/status"
)

const (
	toldOfPrivate = `"version":"v2.9.4","requested":"v2.9.4","origin":"embedded","digest":"sha256:0","repositoryURL":"ssh://git@git.example.com/fleet","publicKey":"ssh-ed25519 AAAA"`
	toldOfPublic  = `"version":"v2.9.4","requested":"v2.9.4","origin":"embedded","digest":"sha256:0","repositoryURL":"https://git.example.com/fleet"`
)

// board is ConfigMap flux-status of a project as its members read it.
func board(g Gomega, project string) map[string]string {
	configMap := &corev1.ConfigMap{}
	g.Expect(client.IgnoreNotFound(gardenClient.Get(context.Background(), client.ObjectKey{Namespace: project, Name: fluxstatus.ConfigMapName}, configMap))).To(Succeed())
	return configMap.Data
}

func (s *shoot) expectLine(ready gardencorev1beta1.ConditionStatus, words string) fluxstatus.Line {
	s.t.Helper()
	var line fluxstatus.Line
	s.Eventually(func(g Gomega) {
		var err error
		line, err = fluxstatus.ParseLine(board(g, s.project)[s.name])
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(line.Ready).To(Equal(ready), line.Message)
		g.Expect(line.Message).To(ContainSubstring(words))
	}, patience).Should(Succeed())
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
	s.Eventually(s.events, patience).Should(ConsistOf(want))
}

// publicKey is what is to be published of the Secret that giveKey makes.
const publicKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"

// giveKey makes a Secret as an admin may have it: with more in identity.pub than the public key.
func giveKey(t *testing.T, project, public string) {
	t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: project, Name: "flux-source"}, Data: map[string][]byte{"identity": []byte("private"), "identity.pub": []byte("private\nno-pty " + public + " private\n")}}
	NewWithT(t).Expect(gardenClient.Create(t.Context(), secret)).To(Succeed())
}

func TestAShootIsTold(t *testing.T) {
	project := newProject(t)
	giveKey(t, project, publicKey)
	seeds[0].startExtension(t, false)
	s := seeds[0].newShoot(t, project, "one")
	s.expectLine("Progressing", "has not been looked into yet")
	s.Expect(board(s, project)).NotTo(HaveKey(fluxstatus.KeyPublicKey))

	s.say(toldOfPrivate)
	s.conclude("False", "AuthenticationFailed", "register ssh-ed25519 AAAA")
	line := s.expectLine("False", "register ssh-ed25519 AAAA")
	s.Expect(line).To(And(HaveField("FluxVersion", "v2.9.4"), HaveField("Source", "ssh://git@git.example.com/fleet"), HaveField("Reason", "AuthenticationFailed")))
	s.Expect(line.Since.Time).To(BeTemporally("~", time.Now(), time.Minute))
	s.Expect(board(s, project)).To(HaveKeyWithValue(fluxstatus.KeyPublicKey, publicKey))
	s.Expect(fmt.Sprint(board(s, project))).NotTo(ContainSubstring("private"))
	s.expectEvents("Warning AuthenticationFailed register ssh-ed25519 AAAA")

	s.say(strings.Replace(toldOfPrivate, `"v2.9.4"`, `"v2.10.0"`, 1) + `,"revision":"main@sha1:1"`)
	s.conclude("True", "Applied", "applied main@sha1:1")
	s.Expect(s.expectLine("True", "main@sha1:1").Revision).To(Equal("main@sha1:1"))
	told := []string{
		"Warning AuthenticationFailed register ssh-ed25519 AAAA", "Normal FluxReady applied main@sha1:1", "Normal FluxVersion the shoot gets Flux v2.10.0 instead of v2.9.4",
	}
	s.expectEvents(told...)

	// The next revision is no event.
	s.conclude("True", "Applied", "applied main@sha1:2")
	s.expectLine("True", "main@sha1:2")
	s.expectEvents(told...)

	// What keeps the lifecycle controller from its work is in the Shoot's status already.
	failed := s.now(func() {
		s.change(func(to *extensionsv1alpha1.ExtensionStatus) {
			to.LastError = extensionscontroller.LastError("ConfigMap is not valid")
		})
	})
	s.Expect(s.expectLine("False", "ConfigMap is not valid").Since.Time).To(BeTemporally(">=", failed.Truncate(time.Second)))
	s.expectEvents(told...)
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
		s.say(toldOfPublic)
		s.conclude("True", "Applied", "applied")
	}
	one.expectLine("True", "applied")
	two.expectLine("True", "applied")
	requests := func() []string { return seeds[0].garden.requests(project) }
	before := requests()
	one.Expect(before).To(ContainElement("PATCH /api/v1/namespaces/" + project + "/configmaps/flux-status"))

	// The last operation begins and ends anew, as at each reconciliation.
	one.say(toldOfPublic)
	other := seeds[0].newShoot(t, newProject(t), "one")
	other.expectLine("Progressing", "")
	one.Expect(requests()).To(Equal(before), "an Extension that says the same")

	extension.stop()
	seeds[0].startExtension(t, false)
	read := slices.Concat(before, []string{"GET /api/v1/namespaces/" + project + "/configmaps/flux-status"})
	one.Eventually(requests, patience).Should(Equal(read), "after a restart")
	one.conclude("False", "BuildFailed", "broken")
	one.expectLine("False", "broken")
	one.Eventually(requests, patience).Should(Equal(slices.Concat(read, []string{
		"GET /api/v1/namespaces/" + project + "/configmaps/flux-status",
		"POST /apis/events.k8s.io/v1/namespaces/" + project + "/events",
		"PATCH /api/v1/namespaces/" + project + "/configmaps/flux-status",
	})))
	one.Expect(two.events(one)).To(ConsistOf("Normal FluxReady applied"), "not told again after a restart")
}

// TestTwoSeedsTellOfOneProject lets two extensions write the same ConfigMap at the same time, then moves a shoot.
func TestTwoSeedsTellOfOneProject(t *testing.T) {
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
			s.say(toldOfPrivate)
			s.conclude("True", "Applied", fmt.Sprintf("applied %d", round))
		}
	}
	for _, s := range shoots {
		s.expectLine("True", "applied 2")
	}
	shoots[0].Expect(board(shoots[0], project)).To(And(HaveLen(7), HaveKeyWithValue(fluxstatus.KeyPublicKey, publicKey)))

	// s0 moves to the other seed, which has it before the old one has let go of it.
	moving := shoots[0]
	moved := seeds[1].newShoot(t, project, moving.name)
	moved.say(toldOfPrivate)
	moved.conclude("True", "Applied", "applied by the new seed")
	moved.expectLine("True", "applied by the new seed")
	moving.change(func(to *extensionsv1alpha1.ExtensionStatus) {
		to.LastOperation = extensionscontroller.LastOperation(gardencorev1beta1.LastOperationTypeMigrate, gardencorev1beta1.LastOperationStateSucceeded, 100, "")
	})
	moving.Expect(moving.seed.client.Delete(t.Context(), moving.extension)).To(Succeed())
	shoots[2].conclude("True", "Applied", "applied after the move")
	shoots[2].expectLine("True", "applied after the move")
	moved.expectLine("True", "applied by the new seed")
	moved.Expect(board(moved, project)).To(HaveLen(7))
}

func TestTheLineGoesWithTheExtension(t *testing.T) {
	project := newProject(t)
	extension := seeds[0].startExtension(t, false)
	stays, off, deleted := seeds[0].newShoot(t, project, "stays"), seeds[0].newShoot(t, project, "off"), seeds[0].newShoot(t, project, "deleted")
	for _, s := range []*shoot{stays, off, deleted} {
		s.say(toldOfPublic)
		s.expectLine("Progressing", "")
	}
	stays.Expect(seeds[0].client.Delete(t.Context(), off.extension)).To(Succeed())
	stays.Eventually(func(g Gomega) { g.Expect(board(g, project)).NotTo(HaveKey("off")) }, patience).Should(Succeed())

	// The actuator does it before the Extension goes.
	teller := extension.teller.Actuator(&nothingToDo{})
	stays.Expect(teller.Delete(t.Context(), logr.Discard(), deleted.extension)).To(Succeed())
	stays.Expect(board(stays, project)).To(And(HaveLen(1), HaveKey("stays")))

	// The last one leaves nothing.
	stays.Expect(teller.ForceDelete(t.Context(), logr.Discard(), deleted.extension)).To(Succeed())
	stays.Expect(seeds[0].client.Delete(t.Context(), deleted.extension)).To(Succeed())
	stays.Expect(seeds[0].client.Delete(t.Context(), stays.extension)).To(Succeed())
	stays.Eventually(func(g Gomega) { g.Expect(board(g, project)).To(BeEmpty()) }, patience).Should(Succeed())
}

// nothingToDo is an actuator for Extensions that are gone as soon as they are to go.
type nothingToDo struct {
	extension.Actuator
}

func (*nothingToDo) Delete(context.Context, logr.Logger, *extensionsv1alpha1.Extension) error {
	return nil
}

func (*nothingToDo) ForceDelete(context.Context, logr.Logger, *extensionsv1alpha1.Extension) error {
	return nil
}

// TestAManualChangeDoesNotStay is about other writers of the ConfigMap: what is not ours stays, what is ours is repaired with the
// next change.
func TestAManualChangeDoesNotStay(t *testing.T) {
	project := newProject(t)
	seeds[0].startExtension(t, false)
	s := seeds[0].newShoot(t, project, "one")
	s.expectLine("Progressing", "")
	changed := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: project, Name: fluxstatus.ConfigMapName}}
	s.Expect(gardenClient.Patch(t.Context(), changed, client.RawPatch("application/merge-patch+json", []byte(`{"data":{"one":"mine","note":"mine"}}`)))).To(Succeed())
	s.conclude("True", "Applied", "applied")
	s.expectLine("True", "applied")
	s.Expect(board(s, project)).To(HaveKeyWithValue("note", "mine"))
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

	seeds[1].startExtension(t, false)
	s := seeds[1].newShoot(t, project, "one")
	s.conclude("False", "BuildFailed", "broken")
	s.expectEvents("Warning BuildFailed broken")
	s.conclude("True", "Applied", "applied")
	s.expectEvents("Warning BuildFailed broken", "Normal FluxReady applied")
	s.Expect(board(s, project)).To(BeEmpty())
}

// TestProjectIsBeingDeleted lets a namespace end in which a shoot still is: nothing is made there again, and nobody tries it all the time.
func TestProjectIsBeingDeleted(t *testing.T) {
	project := newProject(t)
	seeds[0].startExtension(t, false)
	s := seeds[0].newShoot(t, project, "one")
	s.expectLine("Progressing", "")
	s.Expect(gardenClient.Delete(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: project}})).To(Succeed())
	configMap := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: project, Name: fluxstatus.ConfigMapName}}
	s.Eventually(func() error { // until the API server refuses that in the namespace
		return gardenClient.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: project, GenerateName: "one-more-"}})
	}, patience).Should(Satisfy(apierrors.IsForbidden))
	s.Expect(gardenClient.Delete(t.Context(), configMap)).To(Succeed())
	before := len(seeds[0].garden.requests(project))

	s.conclude("False", "BuildFailed", "broken")
	requests := func() int { return len(seeds[0].garden.requests(project)) - before }
	s.Eventually(requests, patience).Should(Equal(3), "it reads, and tries to make the event and the ConfigMap")
	s.Consistently(requests, 3*time.Second).Should(Equal(3)) // it would try again after one second
	s.Expect(apierrors.IsNotFound(gardenClient.Get(t.Context(), client.ObjectKeyFromObject(configMap), configMap))).To(BeTrue())
}

// What the lifecycle controller records about the Extension, people see at the Shoot.
func TestRecordedEventsAreTold(t *testing.T) {
	project := newProject(t)
	extension := seeds[0].startExtension(t, false)
	s := seeds[0].newShoot(t, project, "one")
	s.expectLine("Progressing", "") // the cache knows the shoot
	recorder := events.NewFakeRecorder(10)
	told := extension.teller.Recorder(recorder)
	for range 3 {
		told.Eventf(s.extension, nil, corev1.EventTypeNormal, "KeyPairMade", "Reconcile", "register %s", "ssh-ed25519 AAAA")
	}
	s.expectEvents("Normal KeyPairMade register ssh-ed25519 AAAA")
	s.Expect(recorder.Events).To(HaveLen(3), "the seed has them too")
}
