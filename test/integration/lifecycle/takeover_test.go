// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle_test

import (
	"maps"
	"testing"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
)

const anotherOne = "Kustomization flux-system/flux-system is another one"

// fluxObject is an object of the users' Flux in flux-system.
func fluxObject(kind, name string, spec map[string]any) *unstructured.Unstructured {
	group := map[string]string{"GitRepository": "source.toolkit.fluxcd.io", "Kustomization": "kustomize.toolkit.fluxcd.io"}[kind]
	object := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	object.SetGroupVersionKind(schema.GroupVersionKind{Group: group, Version: "v1", Kind: kind})
	object.SetNamespace("flux-system")
	object.SetName(name)
	return object
}

// bootstrap makes the objects that `flux bootstrap` makes for another repository, as if Flux had deployed something by them.
func (l *living) bootstrap() (gitRepository, root *unstructured.Unstructured) {
	gitRepository = fluxObject("GitRepository", "flux-system", map[string]any{"interval": "1m0s", "url": "https://git.example.com/theirs", "ref": map[string]any{"branch": "main"}})
	root = fluxObject("Kustomization", "flux-system", map[string]any{
		"interval": "10m0s", "path": "./clusters/theirs", "prune": true, "sourceRef": map[string]any{"kind": "GitRepository", "name": "flux-system"},
		"decryption": map[string]any{"provider": "sops"},
	})
	l.Eventually(func() error { return l.client.Create(l.ctx, gitRepository) }, timeout).Should(Succeed())
	l.Eventually(func() error { return l.client.Create(l.ctx, root) }, timeout).Should(Succeed())
	root.Object["status"] = map[string]any{"inventory": map[string]any{"entries": []any{map[string]any{"id": "default_theirs__ConfigMap", "v": "v1"}}}}
	l.Expect(l.client.Status().Update(l.ctx, root)).To(Succeed())
	return gitRepository, root
}

// handOver does what the conflict tells the shoot's owner, and what kustomize-controller does then.
func (l *living) handOver(objects ...*unstructured.Unstructured) {
	for _, object := range objects {
		l.Expect(l.client.Delete(l.ctx, object)).To(Succeed())
	}
}

func (l *living) expectUnchanged(objects ...client.Object) {
	for _, object := range objects {
		before := object.GetResourceVersion()
		l.Expect(l.client.Get(l.ctx, client.ObjectKeyFromObject(object), object)).To(Succeed())
		l.Expect(object.GetResourceVersion()).To(Equal(before), object.GetName())
	}
}

// expectUntouched is expectUnchanged of a Deployment where its controller runs, which writes the status, and one annotation.
func (l *living) expectUntouched(deployment *appsv1.Deployment) {
	now := &appsv1.Deployment{}
	l.Expect(l.client.Get(l.ctx, client.ObjectKeyFromObject(deployment), now)).To(Succeed())
	for _, object := range []*appsv1.Deployment{deployment, now} {
		delete(object.Annotations, "deployment.kubernetes.io/revision")
	}
	l.Expect(now.Spec).To(Equal(deployment.Spec))
	l.Expect(now.Labels).To(Equal(deployment.Labels))
	l.Expect(maps.Equal(now.Annotations, deployment.Annotations)).To(BeTrue(), "%v", now.Annotations)
	l.Expect([]any{now.UID, now.DeletionTimestamp, now.Finalizers}).To(Equal([]any{deployment.UID, deployment.DeletionTimestamp, deployment.Finalizers}))
}

// expectFollowed checks that the extension's Kustomization is in the shoot, with nothing of what was there before.
func (l *living) expectFollowed() {
	l.Eventually(func(g Gomega) {
		root := fluxObject("Kustomization", "flux-system", nil)
		g.Expect(l.client.Get(l.ctx, client.ObjectKeyFromObject(root), root)).To(Succeed())
		g.Expect(render.IsProtected(root.GetAnnotations())).To(BeTrue())
		g.Expect(root.Object["status"]).NotTo(HaveKey("inventory"))
		g.Expect(root.Object["spec"]).To(And(HaveKeyWithValue("path", "./"), Not(HaveKey("decryption"))))
		l.expectNoChangedFields(g)
	}, timeout).Should(Succeed())
}

// expectNoChangedFields checks that what gardener-resource-manager and the API server made of the objects is what the extension knows of them.
func (l *living) expectNoChangedFields(g Gomega) {
	for _, kind := range []flux.ObjectKind{flux.GitRepository.ObjectKind, flux.Kustomization} {
		object, spec := fluxObject(kind.Kind, "flux-system", nil), kind.NewSpec()
		g.Expect(l.client.Get(l.ctx, client.ObjectKeyFromObject(object), object)).To(Succeed())
		g.Expect(runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object["spec"].(map[string]any), spec)).To(Succeed())
		digests := l.status(g).Fields
		g.Expect(digests).To(And(HaveKey("GitRepository.ref"), HaveKey("Kustomization.path")))
		g.Expect(render.ChangedFields(kind, flux.Namespace, spec, digests)).To(BeEmpty())
	}
}

func TestTakeover(t *testing.T) {
	t.Parallel()
	for _, installation := range []string{"managed", "once"} {
		t.Run(installation, func(t *testing.T) {
			l := newLiving(t)
			l.upgradeByUsers("v2.6.4")
			gitRepository, root := l.bootstrap()
			apps := fluxObject("Kustomization", "apps", map[string]any{"interval": "10m0s", "prune": true, "sourceRef": map[string]any{"kind": "GitRepository", "name": "flux-system"}})
			l.Expect(l.client.Create(l.ctx, apps)).To(Succeed())
			secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "flux-system", Name: "flux-source"}, StringData: map[string]string{"identity": "theirs"}}
			l.Expect(l.client.Create(l.ctx, secret)).To(Succeed())
			deployment := l.deployment("source-controller")
			l.Expect(l.client.Get(l.ctx, client.ObjectKeyFromObject(deployment), deployment)).To(Succeed())

			l.configure(with(privateRepository, "fluxVersion", newest, "installation", installation))
			l.operate("reconcile")
			l.expectFailure("get secret flux-source -o yaml > flux-source.yaml && kubectl delete -f flux-source.yaml")
			l.expectFailure(anotherOne + ", spec.decryption, spec.path would go or change, and Flux would delete what it has deployed (objects: 1)")
			l.expectNothingInSeed()
			l.expectUnchanged(gitRepository, root, secret, apps, deployment)
			// The key pair is made all the same, and only once.
			l.expectEvent("KeyPairMade", HavePrefix("Made a key pair in Secret "+l.project+"/flux-source of the garden: register the public key at the Git server: ssh-"))

			l.handOver(root, gitRepository)
			l.Expect(l.client.Delete(l.ctx, secret)).To(Succeed())
			l.expectSuccess()
			l.expectFollowed()
			l.expectUnchanged(apps)
			l.Expect(l.client.Get(l.ctx, client.ObjectKeyFromObject(deployment), deployment)).To(Succeed())
			if installation == "once" {
				l.Expect(deployment.Annotations).NotTo(HaveKey(resourcesv1alpha1.OriginAnnotation))
				l.expectTheirsStays(apps, deployment)
				return
			}
			l.expectVersion(newest)
			l.Expect(l.client.Get(l.ctx, client.ObjectKeyFromObject(deployment), deployment)).To(Succeed())
			l.Expect(render.IsProtected(deployment.Annotations)).To(BeTrue())
		})
	}
}

// expectTheirsStays switches the extension off in a shoot whose Flux it has not installed.
func (l *living) expectTheirsStays(apps *unstructured.Unstructured, deployment *appsv1.Deployment) {
	l.Eventually(func() error {
		return l.client.Get(l.ctx, client.ObjectKeyFromObject(fluxObject("GitRepository", "flux-system", nil)), fluxObject("GitRepository", "flux-system", nil))
	}, timeout).Should(Succeed())
	l.switchOff()
	l.expectSwitchedOff()
	l.expectNothingInSeed()
	namespace := &corev1.Namespace{}
	l.Expect(l.client.Get(l.ctx, client.ObjectKey{Name: "flux-system"}, namespace)).To(Succeed())
	l.Expect(namespace.DeletionTimestamp).To(BeNil())
	l.expectUnchanged(apps, deployment)
	for _, object := range []client.Object{l.definition("gitrepositories.source.toolkit.fluxcd.io"), l.definition("kustomizations.kustomize.toolkit.fluxcd.io")} {
		l.Expect(l.exists(object)).To(BeTrue(), object.GetName())
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "flux-system", Name: "flux-source"}}
	for _, object := range []client.Object{fluxObject("GitRepository", "flux-system", nil), fluxObject("Kustomization", "flux-system", nil), secret} {
		l.Expect(l.exists(object)).To(BeFalse(), object.GetName())
	}
	l.expectEvent("FluxStays", "Flux stays in the shoot, because the extension has not installed it. It does not follow the project's repository any more")
}

// TestTakeoverOfWhatIsAddedLater lets the operator choose a pull secret for Flux's images when a shoot has Flux, and a Secret of that name.
func TestTakeoverOfWhatIsAddedLater(t *testing.T) {
	t.Parallel()
	l := newLiving(t)
	actuator := l.newInterrupted(t, &interruptions{})
	l.configure(map[string]string{"fluxVersion": newest, "repositoryUrl": "https://git.example.com/fleet/shoots"})
	l.reconcile(actuator)
	l.expectApplied(newest)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "flux-system", Name: render.PullSecretName}, StringData: map[string]string{"theirs": "x"}}
	l.Expect(l.client.Create(l.ctx, secret)).To(Succeed())

	pullSecret := []byte(`{"auths": {"registry.example.org": {"auth": "eDp5"}}}`)
	actuator.Images = func() (render.Images, error) { return render.Images{PullSecret: pullSecret}, nil }
	l.Expect(l.reconcileOnce(actuator)).To(MatchError(ContainSubstring("Secret flux-system/flux-image-pull-secret has another content")))
	l.expectUnchanged(secret)

	l.Expect(l.client.Delete(l.ctx, secret)).To(Succeed())
	l.reconcile(actuator)
	l.Eventually(func(g Gomega) {
		g.Expect(l.client.Get(l.ctx, client.ObjectKeyFromObject(secret), secret)).To(Succeed())
		g.Expect(secret.Data).To(HaveKeyWithValue(corev1.DockerConfigJsonKey, pullSecret))
	}, timeout).Should(Succeed())
	l.Expect(l.reconcileOnce(actuator)).To(Succeed(), "what is the extension's may change")
}

// TestAnotherNamespace has a Flux of the shoot's users in another namespace, before the extension is switched on and when it is switched off.
func TestAnotherNamespace(t *testing.T) {
	t.Parallel()
	l := newWorking(t)
	l.installByUsers("v2.6.4", "gitops")
	theirs := l.deployment("kustomize-controller")
	theirs.Namespace = "gitops"
	l.Expect(l.client.Get(l.ctx, client.ObjectKeyFromObject(theirs), theirs)).To(Succeed())
	l.reconcileWith(map[string]string{"fluxVersion": newest, "repositoryUrl": "https://git.example.com/fleet/shoots"})
	l.expectFailure("Flux is installed in namespace gitops (Deployment gitops/")
	l.expectNothingInSeed()
	l.expectUntouched(theirs)

	l.Expect(l.client.DeleteAllOf(l.ctx, theirs, client.InNamespace("gitops"))).To(Succeed())
	l.expectSuccess()
	l.expectVersion(newest)
	l.expectFollowed()

	again := theirs.DeepCopy()
	again.ObjectMeta = metav1.ObjectMeta{Namespace: theirs.Namespace, Name: theirs.Name, Labels: theirs.Labels}
	l.Expect(l.client.Create(l.ctx, again)).To(Succeed())
	apps := fluxObject("Kustomization", "apps", map[string]any{"interval": "10m0s", "prune": true, "sourceRef": map[string]any{"kind": "GitRepository", "name": "apps"}})
	apps.SetFinalizers([]string{fluxFinalizer})
	l.Expect(l.client.Create(l.ctx, apps)).To(Succeed())
	l.switchOff()
	l.expectFailure("another Flux runs in namespace gitops of the shoot (Deployment gitops/kustomize-controller)")
	l.expectUnchanged(apps)
	l.Expect(l.definition("kustomizations.kustomize.toolkit.fluxcd.io").DeletionTimestamp).To(BeNil())

	l.Expect(l.client.Delete(l.ctx, again)).To(Succeed())
	l.expectSwitchedOff()
	l.expectNothingInSeed()
}

// TestTakeoverOfWhatCameBetween installs only Flux, whose users then make it follow their repository, before the project has one.
func TestTakeoverOfWhatCameBetween(t *testing.T) {
	t.Parallel()
	l := newLiving(t)
	l.configure(map[string]string{"fluxVersion": newest})
	l.operate("reconcile")
	l.expectVersion(newest)
	gitRepository, root := l.bootstrap()

	l.reconcileWith(map[string]string{"fluxVersion": newest, "repositoryUrl": "https://git.example.com/fleet/shoots"})
	l.expectProblem(fluxv1alpha1.NotAsConfigured, anotherOne) // the shoot has Flux, so Gardener goes on
	l.expectUnchanged(gitRepository, root)
	l.handOver(root, gitRepository)
	l.expectNoProblem()
	l.expectFollowed()

	// What is the extension's may change from then on.
	l.reconcileWith(map[string]string{"fluxVersion": newest, "repositoryUrl": "https://git.example.com/fleet/others"})
	l.expectConfigured(map[string]string{"fluxVersion": newest, "repositoryUrl": "https://git.example.com/fleet/others"})
}

// reconcileWith changes the project's configuration, and asks for a reconciliation as gardenlet does.
func (l *living) reconcileWith(data map[string]string) {
	l.configure(data)
	l.operate("reconcile")
}

// TestTakeoverAfterMigration changes the configuration while a shoot is between two seeds.
func TestTakeoverAfterMigration(t *testing.T) {
	t.Parallel()
	l := newLiving(t)
	l.get(newest, false)
	l.operate("migrate")
	l.expectSuccess()
	l.Expect(client.IgnoreNotFound(shared.seedClient.Delete(l.ctx, l.extension))).To(Succeed())
	l.Eventually(l.isGone(l.extension), timeout).Should(BeTrue())
	l.expectNothingInSeed()

	changed := map[string]string{"fluxVersion": newest, "repositoryUrl": "https://git.example.com/fleet/others", "repositoryPath": "clusters/two"}
	l.configure(changed)
	l.operate("restore")
	l.expectConfigured(changed)
}

// TestKeepFluxGivesItAway switches the extension off and on again.
func TestKeepFluxGivesItAway(t *testing.T) {
	t.Parallel()
	l := newLiving(t)
	data := map[string]string{"fluxVersion": newest, "repositoryUrl": "https://git.example.com/fleet/shoots", "removalPolicy": "keep-flux"}
	l.reconcileWith(data)
	l.expectVersion(newest)
	deployment, root := l.deployment("source-controller"), fluxObject("Kustomization", "flux-system", nil)
	l.Expect(l.client.Get(l.ctx, client.ObjectKeyFromObject(deployment), deployment)).To(Succeed())
	l.Expect(render.IsProtected(deployment.Annotations)).To(BeTrue())

	l.switchOff()
	l.expectSwitchedOff()
	l.expectNothingInSeed()
	for _, object := range []client.Object{deployment, root, l.definition("gitrepositories.source.toolkit.fluxcd.io")} {
		l.Expect(l.client.Get(l.ctx, client.ObjectKeyFromObject(object), object)).To(Succeed())
		l.Expect(object.GetAnnotations()).NotTo(Or(HaveKey("kustomize.toolkit.fluxcd.io/ssa"), HaveKey("kustomize.toolkit.fluxcd.io/reconcile"), HaveKey("kustomize.toolkit.fluxcd.io/prune")),
			object.GetName())
	}

	l.reconcileWith(with(data, "repositoryPath", "clusters/two"))
	l.expectFailure(anotherOne)
	l.reconcileWith(data)
	l.expectSuccess()
	l.expectFollowed()
}

// TestProtectionFollowsOwnership lets users have a Flux that was managed, and takes it back.
func TestProtectionFollowsOwnership(t *testing.T) {
	t.Parallel()
	l := newLiving(t)
	protected := func(g Gomega, object client.Object) bool {
		g.Expect(l.client.Get(l.ctx, client.ObjectKeyFromObject(object), object)).To(Succeed())
		return render.IsProtected(object.GetAnnotations())
	}
	l.get("v2.6.4", false)
	l.Expect(protected(l, l.deployment("source-controller"))).To(BeTrue())

	// Another version is not followed any more.
	l.reconcileWith(with(ownedByUsers, "fluxVersion", newest))
	l.Eventually(func() bool { return protected(l, l.deployment("source-controller")) }, timeout).Should(BeFalse())
	l.expectNoProblem()
	l.Expect(l.versionOfFlux()).To(Equal("v2.6.4"))
	l.Expect(protected(l, l.deployment("source-controller"))).To(BeFalse())
	l.Expect(protected(l, fluxObject("Kustomization", "flux-system", nil))).To(BeTrue(), "the configuration is still the extension's")
	l.Expect(l.installation().Annotations).To(HaveKeyWithValue(resourcesv1alpha1.Ignore, "true"))

	l.get("v2.6.4", false)
	l.Eventually(func(g Gomega) { g.Expect(protected(g, l.deployment("source-controller"))).To(BeTrue()) }, timeout).Should(Succeed())
}

// TestKeepFluxWithInterruptions kills the controller at each of its writes.
func TestKeepFluxWithInterruptions(t *testing.T) {
	t.Parallel()
	l := newLiving(t)
	l.reconcileWith(map[string]string{"fluxVersion": newest, "repositoryUrl": "https://git.example.com/fleet/shoots", "removalPolicy": "keep-flux"})
	l.expectVersion(newest)
	faults := &faults{}
	actuator := l.interrupted(t, faults)
	l.Expect(shared.seedClient.Get(l.ctx, client.ObjectKeyFromObject(l.extension), l.extension)).To(Succeed())
	l.Eventually(func() error { return actuator.Delete(l.ctx, log.Log, l.extension) }, 2*timeout).Should(Succeed())
	l.Expect(len(faults.seen)).To(BeNumerically(">", 30), "each object is left to the users, and two ManagedResources are ignored, kept and deleted")
	l.expectNothingInSeed()
	for _, object := range []client.Object{l.deployment("source-controller"), fluxObject("GitRepository", "flux-system", nil), fluxObject("Kustomization", "flux-system", nil)} {
		l.Expect(l.client.Get(l.ctx, client.ObjectKeyFromObject(object), object)).To(Succeed())
		l.Expect(render.IsProtected(object.GetAnnotations())).To(BeFalse(), object.GetName())
	}
}
