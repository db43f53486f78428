// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle_test

import (
	"testing"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/cluster"
)

// gitops is where the Flux of these tests is.
const gitops = "gitops"

func inGitops(policy string) map[string]string {
	return with(withPolicy(policy), "config", "{flux: {namespace: gitops}, additionalSecretResources: [{name: age}]}")
}

// newInGitops is newWorking with a Flux in another namespace, which has deployed something.
func newInGitops(t *testing.T, policy string, before ...client.Object) (l *living, deployed *corev1.ConfigMap) {
	s := newShoot(t, targetNamespace, "--extra-target-namespace="+gitops)
	l = s.live(t, s.startServer(t, cluster.WorkloadControllers...))
	for _, object := range before {
		l.Expect(l.client.Create(l.ctx, object)).To(Succeed())
	}
	l.refer("age", "Secret", "team-age")
	l.bring("team-age", corev1.SecretTypeOpaque, map[string]string{"age.agekey": "x"})
	l.configure(inGitops(policy))
	l.operate("reconcile")
	l.expectVersion(newest)
	l.Eventually(func(g Gomega) {
		pods := &corev1.PodList{}
		g.Expect(l.client.List(l.ctx, pods, client.InNamespace(gitops), client.MatchingLabels{"app": "kustomize-controller"})).To(Succeed())
		g.Expect(pods.Items).NotTo(BeEmpty())
	}, timeout).Should(Succeed())
	kustomizeController{l.client, gitops}.run(t)
	l.Eventually(func(g Gomega) {
		root := fluxObject("Kustomization", "flux-system", nil)
		root.SetNamespace(gitops)
		g.Expect(l.client.Get(l.ctx, client.ObjectKeyFromObject(root), root)).To(Succeed())
		g.Expect(root.GetFinalizers()).To(ConsistOf(fluxFinalizer))
	}, timeout).Should(Succeed())
	return l, l.deploy("flux-system")
}

// TestNothingIsReplacedByWhatCantBeApplied: gardener-resource-manager would delete what is in place, and then fail. When Gardener has given it the new
// namespace, it goes on.
func TestNothingIsReplacedByWhatCantBeApplied(t *testing.T) {
	t.Parallel()
	l := newLiving(t)
	l.refer("reader", "Secret", "git-reader")
	l.bring("git-reader", corev1.SecretTypeOpaque, map[string]string{"username": "u", "password": "p"})
	l.configure(publicRepository)
	l.operate("reconcile")
	l.expectVersion(publicRepository["fluxVersion"])
	l.Eventually(func(g Gomega) {
		managedResource, _ := l.managedResource(managedresource.Configuration)
		g.Expect(managedResource.Status.Resources).NotTo(BeEmpty())
	}, timeout).Should(Succeed())
	before, _ := l.managedResource(managedresource.Configuration)
	noted, said := l.state(), l.status(l)
	l.configure(map[string]string{"fluxVersion": publicRepository["fluxVersion"], "config": `
source: {secretResourceName: reader, template: {metadata: {name: team, namespace: team}, spec: {url: "https://git.example.com/fleet/shoots", ref: {branch: main}, secretRef: {name: reader}}}}
kustomization: {template: {spec: {path: ./clusters}}}`})
	l.operate("reconcile")
	l.expectFailure("does not manage namespace team of the shoot yet")
	after, _ := l.managedResource(managedresource.Configuration)
	l.Expect(after.Spec.SecretRefs).To(Equal(before.Spec.SecretRefs), "what is to be applied stays as it was")
	l.Expect(l.state()).To(Equal(noted), "a removal knows what is in the shoot")
	l.Expect(l.status(l)).To(And(HaveField("OtherNamespaces", ConsistOf("team")), HaveField("RepositoryURL", said.RepositoryURL), HaveField("Fields", said.Fields)),
		"the webhook knows the namespace, and all else is as the shoot has it")

	deployment := &appsv1.Deployment{}
	l.Expect(shared.seedClient.Get(l.ctx, client.ObjectKey{Namespace: l.control, Name: "gardener-resource-manager"}, deployment)).To(Succeed())
	args := &deployment.Spec.Template.Spec.Containers[0].Args
	*args = append(*args, "--extra-target-namespace=team")
	l.Expect(shared.seedClient.Update(l.ctx, deployment)).To(Succeed())
	l.operate("reconcile")
	l.expectSuccess()
	l.Expect(l.contentOf(managedresource.Configuration)).To(And(HaveKey("GitRepository team/team"), HaveKey("Secret team/reader")))
	l.Expect(l.state()).To(HaveField("Source", "team/team"))
}

func (l *living) hasNamespace(name string) bool {
	err := l.client.Get(l.ctx, client.ObjectKey{Name: name}, &corev1.Namespace{})
	l.Expect(client.IgnoreNotFound(err)).To(Succeed())
	return err == nil
}

// TestConfiguredNamespace is known before gardenlet makes the Extension: from the project's ConfigMap, and from the Shoot.
func TestConfiguredNamespace(t *testing.T) {
	t.Parallel()
	s := newShoot(t, targetNamespace)
	_, err := shared.actuator.Configured(s.ctx, s.control)
	s.Expect(err).To(MatchError(ContainSubstring("does not exist in the garden: create it")))
	s.configure(inGitops("keep-workloads"))
	s.Expect(shared.actuator.Configured(s.ctx, s.control)).To(HaveField("Flux.Namespace", gitops))

	s.object.Spec.Extensions = []gardencorev1beta1.Extension{{Type: "shoot-flux", ProviderConfig: &runtime.RawExtension{Raw: []byte(`{"flux":{"namespace":"own"}}`)}}}
	s.syncCluster()
	s.Expect(shared.actuator.Configured(s.ctx, s.control)).To(HaveField("Flux.Namespace", "own"))
	_, err = shared.actuator.Configured(s.ctx, "shoot--of--nobody")
	s.Expect(err).To(MatchError(ContainSubstring("failed to read Cluster shoot--of--nobody of the seed")))
}

// TestFluxInAnotherNamespace: all of it is there, and does not move.
func TestFluxInAnotherNamespace(t *testing.T) {
	t.Parallel()
	l, deployed := newInGitops(t, "keep-workloads")
	l.Expect(l.hasNamespace("flux-system")).To(BeFalse())
	for _, object := range []client.Object{&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "team-age"}}, l.shootInfo(), fluxObject("GitRepository", "flux-system", nil), l.deployment("source-controller")} {
		object.SetNamespace(gitops)
		l.Expect(l.exists(object)).To(BeTrue(), object.GetName())
	}
	l.Expect(l.state().Namespace).To(Equal(gitops))
	l.Expect(l.status(l).Namespace).To(Equal(gitops))

	before, _ := l.managedResource(managedresource.Configuration)
	l.configure(withPolicy("keep-workloads"))
	l.expectProblem(fluxv1alpha1.NotAsConfigured, "Flux is in namespace gitops of the shoot, and does not move to flux-system: set flux.namespace in key config of ConfigMap flux-config to gitops, or switch the extension off and, when Flux is gone, on again")
	unchanged, _ := l.managedResource(managedresource.Configuration)
	l.Expect(unchanged.ResourceVersion).To(Equal(before.ResourceVersion))
	l.Expect(l.state().Namespace).To(Equal(gitops))

	l.switchOff() // it knows better than the configuration
	l.expectSwitchedOff()
	l.expectNoFlux()
	l.Expect(l.hasNamespace(gitops)).To(BeFalse())
	l.Expect(l.exists(deployed)).To(BeTrue())
}

// TestSwitchedOffInTheNamespaceOfUsers: it was there before Flux, with nothing in it.
func TestSwitchedOffInTheNamespaceOfUsers(t *testing.T) {
	t.Parallel()
	theirs := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: gitops, Labels: map[string]string{"team": "a"}}}
	l, deployed := newInGitops(t, "keep-workloads", theirs)
	l.switchOff()
	l.expectSwitchedOff()
	l.expectNoFlux()
	l.Expect(l.exists(deployed)).To(BeTrue())
	l.Expect(l.client.Get(l.ctx, client.ObjectKey{Name: gitops}, theirs)).To(Succeed())
	l.Expect(theirs.DeletionTimestamp).To(BeNil())
	l.Expect(theirs.Labels).To(And(HaveKeyWithValue("team", "a"), Not(HaveKey("app.kubernetes.io/part-of"))))
	l.Expect(theirs.Annotations).NotTo(HaveKey("resources.gardener.cloud/origin"))
	secrets := &corev1.SecretList{}
	l.Expect(l.client.List(l.ctx, secrets, client.InNamespace(gitops))).To(Succeed())
	l.Expect(secrets.Items).To(BeEmpty())
}

// TestSwitchedOffInAnotherNamespaceAfterAMove: the seed knows only what was noted.
func TestSwitchedOffInAnotherNamespaceAfterAMove(t *testing.T) {
	t.Parallel()
	for _, policy := range []string{"keep-workloads", "delete-workloads", "keep-flux"} {
		t.Run(policy, func(t *testing.T) {
			l, deployed := newInGitops(t, policy)
			l.move()
			arrivals["it could not be restored"](l)
			l.Expect(l.status(l).Namespace).To(Equal(gitops), "the webhook reads it there")
			l.switchOff()
			l.expectSwitchedOff()
			l.expectNothingInSeed()
			l.Expect(l.exists(deployed)).To(Equal(policy != "delete-workloads"))
			if policy != "keep-flux" {
				l.expectNoFlux()
				l.Expect(l.hasNamespace(gitops)).To(BeFalse())
				return
			}
			controller := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: gitops, Name: "kustomize-controller"}}
			age := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: gitops, Name: "team-age"}}
			for _, object := range []client.Object{controller, age} {
				l.Expect(l.exists(object)).To(BeTrue(), object.GetName())
				l.Expect(render.IsProtected(object.GetAnnotations())).To(BeFalse(), object.GetName())
			}
		})
	}
}

// TestRestoreInAnotherNamespace: the other seed goes on with what it is told.
func TestRestoreInAnotherNamespace(t *testing.T) {
	t.Parallel()
	l, _ := newInGitops(t, "keep-workloads")
	l.move()
	l.operate("restore")
	l.expectVersion(newest)
	l.Expect(l.state().Namespace).To(Equal(gitops))
	l.Expect(apierrors.IsNotFound(l.client.Get(l.ctx, client.ObjectKey{Name: "flux-system"}, &corev1.Namespace{}))).To(BeTrue())
}
