// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle_test

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/sourcesecret"
)

// madeOnce is a private repository, so that there is a Secret too, that is the shoot's users' as soon as it is followed.
func madeOnce(keysAndValues ...string) map[string]string {
	return with(privateRepository, append([]string{"fluxVersion", newest, "syncMode", "Once"}, keysAndValues...)...)
}

// expectFollowedOnce waits until the source and the Kustomization belong to the shoot's users, and gardener-resource-manager knows.
func (l *living) expectFollowedOnce(once fluxv1alpha1.FollowedOnce) {
	l.Eventually(func(g Gomega) {
		l.expectNoProblem()
		g.Expect(l.state()).To(HaveField("FollowedOnce", once))
		configuration, _ := l.managedResource(managedresource.Configuration)
		g.Expect(managedresource.CheckApplied(configuration)).To(Succeed())
		for _, reference := range configuration.Status.Resources {
			g.Expect(reference.Kind).NotTo(Or(Equal("GitRepository"), Equal("Kustomization")))
		}
		g.Expect(l.status(g).Fields).To(BeEmpty())
	}, timeout).Should(Succeed())
}

// theirs are the source and the Kustomization of the shoot.
func (l *living) theirs() (gitRepository, root *unstructured.Unstructured) {
	gitRepository, root = fluxObject("GitRepository", "flux-system", nil), fluxObject("Kustomization", "flux-system", nil)
	for _, object := range []client.Object{gitRepository, root} {
		l.Expect(l.client.Get(l.ctx, client.ObjectKeyFromObject(object), object)).To(Succeed())
		l.Expect(render.IsProtected(object.GetAnnotations())).To(BeFalse(), "users deploy it by their repository")
	}
	return gitRepository, root
}

func (l *living) change(object client.Object, spec string) {
	l.Expect(l.client.Patch(l.ctx, object, client.RawPatch("application/merge-patch+json", []byte(`{"spec":`+spec+`}`)))).To(Succeed())
}

// TestSyncOnce makes source and Kustomization once. What is changed in the shoot stays, what is changed in the configuration has no effect, which
// people are told, and a move to another seed changes nothing of that.
func TestSyncOnce(t *testing.T) {
	t.Parallel()
	l := newLiving(t)
	l.reconcileWith(madeOnce())
	l.expectFollowedOnce(fluxv1alpha1.FollowedOnceMade)
	gitRepository, root := l.theirs()
	l.change(gitRepository, `{"ref":{"branch":"theirs"}}`)
	l.change(root, `{"path":"./theirs"}`)

	changed := madeOnce("repositoryPath", "other", "repositoryTag", "v2")
	l.reconcileWith(changed)
	l.expectConfigured(changed)
	const ignored = `what is configured by now (tag "v2" of ssh://git@git.example.com:2222/fleet/shoots.git, directory ./other) has no effect: the source and the Kustomization of ` +
		"the shoot were made once and belong to its users, who can change them there (syncMode: Once); to let the extension do that, set key syncMode of ConfigMap flux-config to Managed"
	l.expectEvent(fluxv1alpha1.NoticeFieldIgnored, ignored)
	l.expectUnchanged(gitRepository, root)
	l.Expect(l.status(l)).To(HaveField("Reference", `branch "main"`))

	// A second reconciliation writes nothing, and Secrets are kept as they should be.
	l.settle()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "flux-system", Name: "flux-source"}}
	l.Expect(l.client.Delete(l.ctx, secret)).To(Succeed())
	l.operate("reconcile")
	var writes []string
	written := func() []string {
		writes = append(writes, shared.requests.take(l.control)...)
		return writes
	}
	l.Eventually(written, timeout).Should(HaveLen(3), "what Gardener's library writes")
	l.Consistently(written, time.Second).Should(HaveLen(3), "and nothing else")
	l.touch(managedresource.Configuration)
	l.Eventually(func() bool { return l.exists(secret) }, timeout).Should(BeTrue())

	l.move()
	l.operate("restore")
	l.expectFollowedOnce(fluxv1alpha1.FollowedOnceMade)
	l.expectUnchanged(gitRepository, root)

	// Back to Managed, nothing is lost that was changed in the shoot.
	managed := with(changed, "syncMode", "Managed")
	l.reconcileWith(managed)
	l.expectProblem(fluxv1alpha1.NotAsConfigured, "Kustomization flux-system/flux-system is another one, ")
	l.expectUnchanged(gitRepository, root)
	l.change(gitRepository, `{"ref":{"branch":null,"tag":"v2"}}`)
	l.change(root, `{"path":"./other"}`)
	l.operate("reconcile")
	l.expectConfigured(managed)
	l.expectNoProblem()
	l.Expect(l.state()).To(And(HaveField("FollowedOnce", BeEmpty()), HaveField("FollowedDigest", BeEmpty())))
	l.Expect(l.client.Get(l.ctx, client.ObjectKeyFromObject(root), root)).To(Succeed())
	l.Expect(render.IsProtected(root.GetAnnotations())).To(BeTrue())

	events := &eventsv1.EventList{}
	l.Expect(shared.seedClient.List(l.ctx, events, client.InNamespace(l.control))).To(Succeed())
	l.Expect(events.Items).NotTo(ContainElement(HaveField("Reason", fluxv1alpha1.NoticeLeftToUsers)), "they were made for the users")
}

// TestSyncOnceKeepsSecrets configures what has no effect on a source that belongs to the shoot's users, and leaves them the Secrets that it names: as the
// project's Secret has them, and, when it has them no more, as they were.
func TestSyncOnceKeepsSecrets(t *testing.T) {
	t.Parallel()
	l := newLiving(t)
	inGarden := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: l.project, Name: sourcesecret.SecretName}, StringData: map[string]string{"username": "ops", "password": "first"}}
	l.Expect(shared.gardenClient.Create(l.ctx, inGarden)).To(Succeed())
	private := map[string]string{"fluxVersion": newest, "syncMode": "Once", "repositoryUrl": "https://git.example.com/fleet/shoots", "repositoryType": "private"}
	l.reconcileWith(private)
	l.expectFollowedOnce(fluxv1alpha1.FollowedOnceMade)
	gitRepository, root := l.theirs()
	secret := &corev1.Secret{}
	expectPassword := func(password string) {
		t.Helper()
		l.Eventually(func(g Gomega) {
			g.Expect(l.client.Get(l.ctx, client.ObjectKey{Namespace: "flux-system", Name: "flux-source"}, secret)).To(Succeed())
			g.Expect(string(secret.Data["password"])).To(Equal(password))
		}, timeout).Should(Succeed())
	}
	expectPassword("first")
	uid := secret.UID

	public := with(private, "repositoryType", "public")
	for _, configured := range []map[string]string{
		public,
		with(public, "repositoryUrl", "oci://registry.example.com/fleet/shoots", "repositoryTag", "v1"),
		{"fluxVersion": newest, "syncMode": "Once", "config": `{source: {template: {spec: {url: "https://git.example.com/other", ref: {branch: main}, secretRef: {name: others}}}}, ` +
			`kustomization: {template: {spec: {path: ./}}}}`},
	} {
		l.reconcileWith(configured)
		l.expectConfigured(configured)
		l.expectNoProblem()
		expectPassword("first")
	}
	l.reconcileWith(public)
	l.expectConfigured(public)

	// Nobody knows for which server the next one is.
	inGarden.StringData = map[string]string{"password": "second"}
	l.Expect(shared.gardenClient.Update(l.ctx, inGarden)).To(Succeed())
	l.operate("reconcile")
	l.expectConfigured(public)
	expectPassword("first")
	l.reconcileWith(private)
	expectPassword("second")
	l.reconcileWith(public)
	l.expectConfigured(public)

	l.Expect(shared.gardenClient.Delete(l.ctx, inGarden)).To(Succeed())
	l.operate("reconcile")
	l.expectConfigured(public)
	l.expectNoProblem()
	expectPassword("second")
	l.Expect(secret.UID).To(Equal(uid), "it was never gone")
	l.expectUnchanged(gitRepository, root)
}

// TestSyncOnceOfAManagedShoot leaves to the users what has been managed, and what users delete stays away.
func TestSyncOnceOfAManagedShoot(t *testing.T) {
	t.Parallel()
	l := newLiving(t)
	l.reconcileWith(with(madeOnce(), "syncMode", "Managed"))
	l.expectVersion(newest)
	l.expectFollowed()
	l.reconcileWith(madeOnce())
	l.expectFollowedOnce(fluxv1alpha1.FollowedOnceMade)
	l.expectEvent(fluxv1alpha1.NoticeLeftToUsers, "The source and the Kustomization of the shoot, which the extension has managed, belong to its users from now on: what is configured later has no effect, "+
		"and what is changed in the shoot stays (syncMode: Once, which comes from ConfigMap flux-config). To take them back, set key syncMode of ConfigMap flux-config to Managed")
	gitRepository, root := l.theirs()
	l.handOver(gitRepository, root)
	l.operate("reconcile")
	l.expectNoProblem()
	l.touch(managedresource.Configuration)
	l.expectFollowedOnce(fluxv1alpha1.FollowedOnceMade)
	l.Expect(l.exists(gitRepository) || l.exists(root)).To(BeFalse())
}

// TestSyncOnceOfABootstrappedShoot has source and Kustomization of the shoot's users, which stay as they are, whatever is configured.
func TestSyncOnceOfABootstrappedShoot(t *testing.T) {
	t.Parallel()
	l := newLiving(t)
	l.upgradeByUsers("v2.6.4")
	gitRepository, root := l.bootstrap()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "flux-system", Name: sourcesecret.SecretName}, StringData: map[string]string{"identity": "theirs"}}
	l.Expect(l.client.Create(l.ctx, secret)).To(Succeed())
	l.reconcileWith(madeOnce("installation", "once"))
	l.expectFailure("Secret flux-system/flux-source has another content")
	l.Expect(l.state()).To(HaveField("FollowedOnce", BeEmpty()), "nothing is noted of what is refused")
	l.Expect(l.client.Delete(l.ctx, secret)).To(Succeed())
	l.expectFollowedOnce(fluxv1alpha1.FollowedOnceFound)
	l.expectEvent(fluxv1alpha1.NoticeFieldIgnored, HavePrefix("the shoot has the source and the Kustomization already, which belong to its users and stay as they are"))
	l.expectUnchanged(gitRepository, root)
	l.Expect(l.versionOfFlux()).To(Equal("v2.6.4"))
	l.switchOff()
	l.expectSwitchedOff()
	l.expectUnchanged(gitRepository, root)
}

// TestFoundWithInterruptions kills the extension at each of its writes in a shoot whose users have brought source and Kustomization from another shoot of the
// extension.
func TestFoundWithInterruptions(t *testing.T) {
	t.Parallel()
	l := newLiving(t)
	l.upgradeByUsers(newest)
	gitRepository, root := l.bootstrap()
	for _, object := range []*unstructured.Unstructured{gitRepository, root} {
		render.Protect(object)
		object.SetAnnotations(with(object.GetAnnotations(), resourcesv1alpha1.OriginAnnotation, "other:shoot--other--shoot/"+managedresource.Configuration))
		l.Expect(l.client.Update(l.ctx, object)).To(Succeed())
	}
	i := &interruptions{}
	actuator := l.newInterrupted(t, i)
	l.configure(madeOnce("installation", "once"))
	l.surviveInterruptions(t, i, actuator, func(*living) {})
	l.Expect(l.state()).To(HaveField("FollowedOnce", fluxv1alpha1.FollowedOnceFound))
	l.expectUnchanged(gitRepository, root)
}

// TestSyncOnceWithInterruptions kills the extension at each of its writes while it makes source and Kustomization, and while it takes them back, and each
// time the shoot moves to another seed, or sleeps and wakes up.
func TestSyncOnceWithInterruptions(t *testing.T) {
	t.Parallel()
	for name, disturb := range map[string]func(*living){"move": (*living).moveInterrupted, "sleep": (*living).sleepInterrupted} {
		t.Run(name, func(t *testing.T) {
			l := newLiving(t)
			i := &interruptions{}
			actuator := l.newInterrupted(t, i)
			l.configure(madeOnce())
			l.surviveInterruptions(t, i, actuator, disturb)
			l.Expect(l.state()).To(HaveField("FollowedOnce", fluxv1alpha1.FollowedOnceMade))
			_, root := l.theirs()
			l.Expect(root.GetAnnotations()).NotTo(HaveKey(resourcesv1alpha1.KeepObject))
			l.configure(with(madeOnce(), "syncMode", "Managed"))
			i.next = 0
			l.Eventually(func(g Gomega) {
				i.live()
				err := l.reconcileOnce(actuator)
				if i.died() {
					disturb(l)
				}
				g.Expect(err).NotTo(HaveOccurred())
			}, 2*timeout).Should(Succeed())
			l.Expect(l.state()).To(HaveField("FollowedOnce", BeEmpty()))
			l.expectFollowed()
		})
	}
}

// TestSyncOnceSwitchedOff does what removalPolicy says with what belongs to the shoot's users.
func TestSyncOnceSwitchedOff(t *testing.T) {
	t.Parallel()
	for _, policy := range []string{"keep-workloads", "delete-workloads", "keep-flux"} {
		for _, owner := range []string{"extension", "users"} {
			t.Run(policy+", Flux of the "+owner, func(t *testing.T) {
				t.Parallel()
				l := newWorking(t)
				data := with(withPolicy(policy), "syncMode", "Once")
				if owner == "users" {
					l.upgradeByUsers(newest)
					data["installation"] = "once"
				}
				byRoot, byTeam, byApps := l.work(t, data)
				l.expectFollowedOnce(fluxv1alpha1.FollowedOnceMade)
				gitRepository, root := l.theirs()
				l.switchOff()
				l.expectSwitchedOff()
				l.expectNothingInSeed()
				l.Expect(l.exists(byRoot)).To(Equal(policy != "delete-workloads"))
				l.Expect(l.exists(byTeam)).To(Equal(policy != "delete-workloads"))
				l.Expect(l.exists(byApps)).To(BeTrue())
				stays := policy == "keep-flux" || policy == "keep-workloads" && owner == "users"
				l.Expect(l.exists(l.deployment("source-controller"))).To(Equal(policy == "keep-flux" || owner == "users"))
				for _, object := range []client.Object{gitRepository, root} {
					err := l.client.Get(l.ctx, client.ObjectKeyFromObject(object), object)
					l.Expect(err == nil).To(Equal(stays), "%v", err)
				}
			})
		}
	}
}
