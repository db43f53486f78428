// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle_test

import (
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/controller/lifecycle"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
)

// state is what the Extension knows.
func (s *shoot) state() fluxv1alpha1.FluxState {
	s.Expect(shared.seedClient.Get(s.ctx, client.ObjectKeyFromObject(s.extension), s.extension)).To(Succeed())
	state, err := fluxv1alpha1.StateOf(s.extension)
	s.Expect(err).NotTo(HaveOccurred())
	return state
}

// replaceExtension does what gardenlets do when the old seed has let the shoot go: on the new one, the Extension is made anew, and gets
// nothing but the state of the old one (RestoreExtensionObjectState in pkg/extensions/customresources.go of Gardener).
func (s *shoot) replaceExtension(state *runtime.RawExtension) {
	s.Expect(client.IgnoreNotFound(shared.seedClient.Delete(s.ctx, s.extension))).To(Succeed())
	s.Eventually(s.isGone(s.extension), timeout).Should(BeTrue())
	old := s.extension
	s.extension = &extensionsv1alpha1.Extension{ObjectMeta: metav1.ObjectMeta{Namespace: old.Namespace, Name: old.Name}, Spec: old.Spec}
	s.extension.Annotations = map[string]string{"gardener.cloud/operation": "wait-for-state"}
	s.Expect(shared.seedClient.Create(s.ctx, s.extension)).To(Succeed())
	s.extension.Status.State = state
	s.Expect(shared.seedClient.Status().Update(s.ctx, s.extension)).To(Succeed())
}

// move moves the shoot to another seed, up to the moment at which the other one is asked to restore.
func (s *shoot) move() {
	state := s.state()
	s.Expect(state.FluxVersion).NotTo(BeEmpty())
	carried := s.extension.Status.State
	s.operate("migrate")
	s.expectSuccess()
	s.expectNothingInSeed()
	s.replaceExtension(carried)
}

// moveInterrupted does the same with an Extension that nobody else reconciles.
func (l *living) moveInterrupted() {
	l.state()
	carried := l.extension.Status.State
	l.Eventually(func() error {
		l.noteReported()
		return shared.actuator.Migrate(l.ctx, log.Log, l.extension)
	}, timeout).Should(Succeed())
	l.replaceExtension(carried)
}

// noteReported notes that people know all notices: nobody reports those of an Extension of the garden's class, and a move waits a minute for that.
func (l *living) noteReported() {
	l.state()
	status := fluxv1alpha1.StatusOf(l.extension)
	for i := range status.Notices {
		status.Notices[i].Reported = true
	}
	patch := client.MergeFrom(l.extension.DeepCopy())
	l.Expect(fluxv1alpha1.SetStatus(l.extension, status)).To(Succeed())
	l.Expect(shared.seedClient.Status().Patch(l.ctx, l.extension, patch)).To(Succeed())
}

// sleepInterrupted lets the shoot sleep and wake up: meanwhile nothing is written.
func (l *living) sleepInterrupted() {
	l.sleep()
	before := l.state()
	l.Expect(shared.actuator.Reconcile(l.ctx, log.Log, l.extension)).To(Succeed())
	l.Expect(l.state()).To(Equal(before))
	l.wakeUp()
}

func (s *shoot) sleep() {
	s.object.Spec.Hibernation = &gardencorev1beta1.Hibernation{Enabled: new(true)}
	s.syncCluster()
}

func (s *shoot) wakeUp() {
	s.object.Spec.Hibernation = nil
	s.syncCluster()
}

// TestInterruptedShoots kills the extension at each of its writes while it installs Flux, and while it upgrades it between releases that
// have no API version in common, and each time the shoot moves to another seed, or sleeps and wakes up.
func TestInterruptedShoots(t *testing.T) {
	t.Parallel()
	for name, disturb := range map[string]func(*living){"move": (*living).moveInterrupted, "sleep": (*living).sleepInterrupted} {
		t.Run(name, func(t *testing.T) {
			l := newLiving(t)
			i := &interruptions{}
			actuator := l.newInterrupted(t, i)
			for _, version := range []string{"v0.31.5", newest} {
				l.configure(map[string]string{"fluxVersion": version, "repositoryUrl": "https://git.example.com/fleet/shoots"})
				l.surviveInterruptions(t, i, actuator, disturb)
				l.expectApplied(version)
				l.Expect(l.state()).To(And(HaveField("FluxVersion", version), HaveField("Migrating", false)))
				if version != newest {
					l.use()
				}
			}
			l.expectUserObjects()
			l.expectNothingLeft()
		})
	}
}

// surviveInterruptions lets the extension live one write longer each time.
func (l *living) surviveInterruptions(t *testing.T, i *interruptions, actuator *lifecycle.Actuator, disturb func(*living)) {
	i.next = 0
	l.Eventually(func(g Gomega) {
		i.live()
		err := l.reconcileOnce(actuator)
		died := i.died()
		if died { // and not while it waits for gardener-resource-manager, which would never get on
			disturb(l)
		}
		g.Expect(died).To(BeFalse(), "%v", err)
		g.Expect(err).NotTo(HaveOccurred())
	}, 2*timeout).Should(Succeed())
	t.Logf("interrupted %d times", i.next-1)
	l.Expect(i.next).To(BeNumerically(">", 3), "it writes more often than that")
}

// TestMoveBetweenTheStepsOfAnUpgrade moves a shoot whose CustomResourceDefinitions already say that they are of the new release.
func TestMoveBetweenTheStepsOfAnUpgrade(t *testing.T) {
	t.Parallel()
	for name, arrive := range map[string]func(*living){
		"with what was noted": func(*living) {},
		// As after a move that an earlier release of the extension began.
		"without": func(l *living) {
			l.extension.Status.State = nil
			l.Expect(shared.seedClient.Status().Update(l.ctx, l.extension)).To(Succeed())
		},
		// As an earlier release left it: gardener-resource-manager is refused what it should apply.
		"to where it got stuck": func(l *living) {
			flux, err := shared.actuator.Releases.Get(l.ctx, newest)
			l.Expect(err).NotTo(HaveOccurred())
			rendered, err := render.NewInstallation(flux.Manifests, render.Images{})
			l.Expect(err).NotTo(HaveOccurred())
			data, err := managedresource.Serialize(rendered.Objects)
			l.Expect(err).NotTo(HaveOccurred())
			labels := map[string]string{managedresource.FluxVersionLabel: newest, managedresource.MigratingLabel: "false"}
			l.Expect(managedresource.Apply(l.ctx, shared.seedClient, l.control, managedresource.Installation, labels, data, nil)).To(Succeed())
			l.Eventually(func() error { return managedresource.CheckApplied(l.installation()) }, timeout).Should(MatchError(ContainSubstring("missing from spec.versions")))
			l.extension.Status.State = nil
			l.Expect(shared.seedClient.Status().Update(l.ctx, l.extension)).To(Succeed())
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLiving(t)
			actuator := l.newInterrupted(t, &interruptions{})
			l.configure(map[string]string{"fluxVersion": "v0.31.5", "repositoryUrl": "https://git.example.com/fleet/shoots"})
			l.reconcile(actuator)
			l.expectApplied("v0.31.5")
			l.use()
			l.configure(map[string]string{"fluxVersion": newest, "repositoryUrl": "https://git.example.com/fleet/shoots"})
			l.Expect(l.reconcileOnce(actuator)).To(MatchError(ContainSubstring("in two steps")))
			l.Eventually(l.versionOfFlux, timeout).Should(Equal(newest))
			l.Expect(l.state().Migrating).To(BeTrue())

			l.moveInterrupted()
			arrive(l)
			l.reconcile(actuator)
			l.retryInstallation()
			l.expectApplied(newest)
			l.expectUserObjects()
			l.expectNothingLeft()
		})
	}
}

// retryInstallation makes gardener-resource-manager try at once, after what it does by itself with pauses that grow to a quarter of an hour.
func (l *living) retryInstallation() { l.retry(managedresource.Installation) }

// retry makes gardener-resource-manager apply a ManagedResource at once.
func (l *living) retry(name string) {
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"annotations":{"gardener.cloud/operation":"reconcile"}}}`))
	managedResource, _ := l.managedResource(name)
	l.Expect(shared.seedClient.Patch(l.ctx, managedResource, patch)).To(Succeed())
}

// touch changes a ManagedResource such that gardener-resource-manager has a reason to look. It may be writing the status at the same time.
func (l *living) touch(name string) *resourcesv1alpha1.ManagedResource {
	managedResource := &resourcesv1alpha1.ManagedResource{ObjectMeta: metav1.ObjectMeta{Namespace: l.control, Name: name}}
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"forceOverwriteLabels":false}}`))
	l.Expect(shared.seedClient.Patch(l.ctx, managedResource, patch)).To(Succeed())
	return managedResource
}

// arrivals are what a seed can have of a shoot that has just moved there: nothing of what was installed from another one, or a part.
var arrivals = map[string]func(*living){
	"it could not be restored": func(l *living) {
		l.loseConfiguration()
		l.operate("restore")
		l.expectProblem(fluxv1alpha1.NotAsConfigured, "does not exist in the garden")
		l.expectNothingInSeed()
	},
	"it sleeps": func(l *living) {
		l.sleep()
		l.operate("restore")
		l.expectSuccess()
		l.wakeUp()
		l.expectNothingInSeed()
	},
	"it was restored in part": func(l *living) {
		l.loseConfiguration()
		nothing, err := managedresource.Serialize(nil)
		l.Expect(err).NotTo(HaveOccurred())
		l.Expect(managedresource.Apply(l.ctx, shared.seedClient, l.control, managedresource.Installation, nil, nothing, nil)).To(Succeed())
		l.operate("restore")
		l.expectProblem(fluxv1alpha1.NotAsConfigured, "does not exist in the garden")
	},
}

func (l *living) loseConfiguration() {
	l.Expect(shared.gardenClient.DeleteAllOf(l.ctx, &corev1.ConfigMap{}, client.InNamespace(l.project))).To(Succeed())
}

// TestSwitchedOffAfterAMove switches the extension off where the seed has nothing of what was installed from another one.
func TestSwitchedOffAfterAMove(t *testing.T) {
	t.Parallel()
	policies := map[string]string{"it could not be restored": "delete-workloads", "it sleeps": "keep-workloads", "it was restored in part": "delete-workloads"}
	for name, arrive := range arrivals {
		t.Run(name, func(t *testing.T) {
			l := newWorking(t)
			byRoot, byTeam, byApps := l.work(t, withPolicy(policies[name]))
			l.move()
			arrive(l)
			l.switchOff()
			l.expectSwitchedOff()
			l.expectNoFlux()
			kept := policies[name] == "keep-workloads"
			l.Expect(l.exists(byRoot)).To(Equal(kept))
			l.Expect(l.exists(byTeam)).To(Equal(kept))
			l.Expect(l.exists(byApps)).To(BeTrue())
		})
	}
}

// TestFormerConfigurationGoesAfterAMove changes what is followed while the shoot sleeps and moves: the seed that brings it has never seen what the other one made.
func TestFormerConfigurationGoesAfterAMove(t *testing.T) {
	t.Parallel()
	for name, next := range map[string]map[string]string{
		"nothing is followed":     {"fluxVersion": newest},
		"an artifact is followed": {"fluxVersion": newest, "repositoryUrl": "oci://registry.example.com/fleet/shoots", "repositoryTag": "v1"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newWorking(t)
			byRoot, byTeam, byApps := l.work(t, with(privateRepository, "fluxVersion", newest))
			l.sleep()
			l.configure(next)
			l.move()
			l.operate("restore")
			l.expectSuccess()
			l.expectNothingInSeed()
			l.wakeUp()
			l.operate("reconcile")
			l.expectVersion(newest)
			former := []client.Object{fluxObject("GitRepository", "flux-system", nil), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "flux-system", Name: "flux-source"}}}
			root := fluxObject("Kustomization", "flux-system", nil)
			if next["repositoryUrl"] == "" {
				former = append(former, root)
			}
			for _, object := range former {
				l.Eventually(l.isGoneInShoot(object), timeout).Should(BeTrue(), object.GetName())
			}
			if next["repositoryUrl"] != "" {
				l.Eventually(func(g Gomega) {
					g.Expect(l.client.Get(l.ctx, client.ObjectKeyFromObject(root), root)).To(Succeed())
					g.Expect(root.Object["spec"]).To(HaveKeyWithValue("sourceRef", HaveKeyWithValue("kind", "OCIRepository")))
				}, timeout).Should(Succeed())
			}
			l.Expect([]bool{l.exists(byRoot), l.exists(byTeam), l.exists(byApps)}).To(HaveEach(true), "what Flux has deployed stays")
		})
	}
}

// TestNothingGoesAfterAMoveThatIsRefused: what is configured can't come, and the shoot keeps what it has.
func TestNothingGoesAfterAMoveThatIsRefused(t *testing.T) {
	t.Parallel()
	l := newLiving(t)
	l.configure(with(privateRepository, "fluxVersion", "v2.6.4"))
	l.operate("reconcile")
	l.expectVersion("v2.6.4")
	former := []client.Object{fluxObject("GitRepository", "flux-system", nil), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "flux-system", Name: "flux-source"}}}
	for _, object := range former {
		l.Eventually(func() bool { return l.exists(object) }, timeout).Should(BeTrue())
	}
	l.object.Spec.Kubernetes.Version = "1.31.4"
	l.sleep()
	l.configure(map[string]string{"fluxVersion": newest, "repositoryUrl": "oci://registry.example.com/fleet/shoots", "repositoryTag": "v1"})
	l.move()
	l.operate("restore")
	l.expectSuccess()
	l.wakeUp()
	l.operate("reconcile")
	l.expectProblem(fluxv1alpha1.NotAsConfigured, "1.31.4")
	for _, object := range former {
		l.Expect(l.exists(object)).To(BeTrue(), object.GetName())
	}

	l.configure(map[string]string{"fluxVersion": "v2.6.4", "repositoryUrl": "oci://registry.example.com/fleet/shoots", "repositoryTag": "v1"})
	for _, object := range former {
		l.Eventually(l.isGoneInShoot(object), timeout).Should(BeTrue(), object.GetName())
	}
}

// TestKeepFluxAfterAMove gives the shoot's users a Flux of which the seed knows nothing: their repository may change all of it.
func TestKeepFluxAfterAMove(t *testing.T) {
	t.Parallel()
	for name, arrive := range arrivals {
		t.Run(name, func(t *testing.T) {
			l := newLiving(t)
			l.reconcileWith(with(privateRepository, "fluxVersion", newest, "removalPolicy", "keep-flux"))
			l.expectVersion(newest)
			l.expectFollowed()
			l.move()
			arrive(l)
			l.switchOff()
			l.expectSwitchedOff()
			l.expectNothingInSeed()
			for _, object := range []client.Object{
				l.deployment("source-controller"), fluxObject("GitRepository", "flux-system", nil), fluxObject("Kustomization", "flux-system", nil),
				l.definition("gitrepositories.source.toolkit.fluxcd.io"), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "flux-system"}},
				&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "flux-system", Name: "flux-source"}},
				&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "crd-controller-flux-system"}},
			} {
				l.Expect(l.exists(object)).To(BeTrue(), object.GetName())
				l.Expect(render.IsProtected(object.GetAnnotations())).To(BeFalse(), object.GetName())
			}
		})
	}
}

// TestSwitchedOffWhileTheShootLeaves removes Flux with its workloads while gardenlet makes the objects of ManagedResources stay.
func TestSwitchedOffWhileTheShootLeaves(t *testing.T) {
	t.Parallel()
	l := newWorking(t)
	byRoot, byTeam, byApps := l.work(t, withPolicy("delete-workloads"))
	for _, name := range []string{managedresource.Configuration, managedresource.Installation} {
		managedResource, _ := l.managedResource(name)
		patch := client.MergeFrom(managedResource.DeepCopy())
		managedResource.Spec.KeepObjects = new(true)
		l.Expect(shared.seedClient.Patch(l.ctx, managedResource, patch)).To(Succeed())
	}
	l.switchOff()
	l.expectSwitchedOff()
	l.expectNoFlux()
	l.Expect(l.exists(byRoot)).To(BeFalse())
	l.Expect(l.exists(byTeam)).To(BeFalse())
	l.Expect(l.exists(byApps)).To(BeTrue())
}

// TestSwitchedOffWhileTheShootMovesInItsSleep holds up nobody: gardenlet waits for the Extension before it moves the shoot.
func TestSwitchedOffWhileTheShootMovesInItsSleep(t *testing.T) {
	t.Parallel()
	s := newShoot(t, targetNamespace)
	s.configure(publicRepository)
	s.operate("reconcile")
	s.expectSuccess()
	s.sleep()
	s.switchOff()
	s.expectFailure("the shoot sleeps")
	s.object.Status.LastOperation = &gardencorev1beta1.LastOperation{Type: gardencorev1beta1.LastOperationTypeMigrate, State: gardencorev1beta1.LastOperationStateProcessing}
	s.syncCluster()
	s.operateDeletion()
	s.expectSwitchedOff()
	s.expectNothingInSeed()
	s.expectEvent("FluxStays", "the shoot moves to another seed while it sleeps, so Flux, which was to be removed from it "+
		"when it wakes up, stays: when it is awake, switch the extension on and off once more")
}

// TestSwitchedOffBesideAnotherFlux has noted that Flux is to be installed, and did not come so far. What the shoot's users installed
// themselves stays.
func TestSwitchedOffBesideAnotherFlux(t *testing.T) {
	t.Parallel()
	l := newLiving(t)
	l.upgradeByUsers(newest)
	l.extension.Spec.Class = nil
	l.extension.Annotations = map[string]string{"gardener.cloud/operation": "wait-for-state"}
	l.extension.Finalizers = []string{"extensions.gardener.cloud/shoot-flux"}
	l.Expect(shared.seedClient.Create(l.ctx, l.extension)).To(Succeed())
	l.Expect(fluxv1alpha1.SetState(l.extension, fluxv1alpha1.FluxState{FluxVersion: newest, RemovalPolicy: fluxv1alpha1.RemovalDeleteWorkloads})).To(Succeed())
	l.Expect(shared.seedClient.Status().Update(l.ctx, l.extension)).To(Succeed())
	l.extension.Annotations = nil
	l.Expect(shared.seedClient.Update(l.ctx, l.extension)).To(Succeed())
	l.switchOff()
	l.expectSwitchedOff()
	l.Expect(l.versionOfFlux()).To(Equal(newest))
	l.Expect(l.exists(l.deployment("source-controller"))).To(BeTrue())
}

// TestStateOfAnEarlierRelease switches the extension off in a shoot of which the Extension knows nothing, but the seed does.
func TestStateOfAnEarlierRelease(t *testing.T) {
	t.Parallel()
	s := newShoot(t, targetNamespace)
	s.configure(with(publicRepository, "removalPolicy", "keep-flux"))
	s.operate("reconcile")
	s.expectSuccess()
	s.settle()
	known := s.state()
	s.Expect(known).To(And(HaveField("FluxVersion", newest), HaveField("RemovalPolicy", fluxv1alpha1.RemovalKeepFlux)))
	forget := func() {
		s.Expect(shared.seedClient.Get(s.ctx, client.ObjectKeyFromObject(s.extension), s.extension)).To(Succeed())
		s.extension.Status.State = nil
		s.Expect(shared.seedClient.Status().Update(s.ctx, s.extension)).To(Succeed())
	}
	known.HasConfigMap = false // no earlier release has noted it
	forget()
	s.sleep()
	s.operate("reconcile")
	s.Eventually(s.state, timeout).Should(Equal(known), "also while the shoot sleeps")
	s.expectSuccess()
	s.wakeUp()

	forget()
	s.switchOff()
	s.expectSwitchedOff()
	s.expectNothingInSeed()
}

// TestStateOfALaterRelease touches nothing.
func TestStateOfALaterRelease(t *testing.T) {
	t.Parallel()
	s := newShoot(t, targetNamespace)
	s.configure(publicRepository)
	s.operate("reconcile")
	s.expectSuccess()
	s.settle()
	s.state()
	later := &runtime.RawExtension{Raw: []byte(`{"apiVersion":"flux.extensions.gardener.cloud/v9","kind":"FluxState"}`)}
	s.extension.Status.State = later
	s.Expect(shared.seedClient.Status().Update(s.ctx, s.extension)).To(Succeed())
	s.configure(with(publicRepository, "fluxVersion", "v2.9.2", "allowDowngrade", "true"))
	s.operate("reconcile")
	s.expectFailure("which this release of the extension does not know: a newer one wrote it")
	s.Expect(s.extension.Status.State).To(Equal(later))
	installation, _ := s.managedResource(managedresource.Installation)
	s.Expect(installation.Labels).To(HaveKeyWithValue(managedresource.FluxVersionLabel, "v2.9.4"))
}
