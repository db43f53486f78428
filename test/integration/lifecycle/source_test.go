// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle_test

import (
	"encoding/base64"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/sourcesecret"
)

// A Git server that says nothing, as behind many a firewall, holds up neither the single worker of this landscape nor another project. That the
// extension gives it up in time, pkg/sourcesecret shows.
func TestASilentGitServerHoldsUpNobody(t *testing.T) {
	silentServer, gaveUp := fmt.Sprintf("silent-%d.example.org:22", shared.projects.Add(1)), make(chan struct{})
	shared.silent.Store(silentServer, gaveUp)
	giveUp := sync.OnceFunc(func() { close(gaveUp) })
	defer giveUp()
	silent := maps.Clone(privateRepository)
	silent["repositoryUrl"] = "ssh://git@" + silentServer + "/fleet/shoots.git"
	delete(silent, "knownHosts")

	waiting := newShoot(t, targetNamespace)
	waiting.configure(silent)
	defer waiting.configure(map[string]string{"fluxVersion": "v2.9.4"}) // and be done
	for _, name := range []string{"two", "three"} {
		newShootOf(t, waiting.project, name, targetNamespace).operate("reconcile")
	}
	waiting.operate("reconcile")
	waiting.expectFailure("waiting for the SSH host keys of " + silentServer + ": the Git server is asked in the background, and Gardener asks for them again by itself")
	other := newShoot(t, targetNamespace)
	other.configure(publicRepository)
	other.operate("reconcile")
	other.expectSuccess()
	giveUp()
	waiting.expectFailure("could not ask " + silentServer + " for its SSH host key: the Git server says nothing")
}

// sourceSecret is what the shoot gets.
func (s *shoot) sourceSecret(g Gomega) map[string]any {
	for _, object := range s.configurationObjects(g) {
		if object.GetKind() == "Secret" {
			return object.Object["data"].(map[string]any)
		}
	}
	return nil
}

// configurationObjects are those that make Flux follow the repository.
func (s *shoot) configurationObjects(g Gomega) []*unstructured.Unstructured {
	managedResource, err := managedresource.Get(s.ctx, shared.seedClient, s.control, managedresource.Configuration)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(managedResource).NotTo(BeNil())
	secret := &corev1.Secret{}
	g.Expect(shared.seedClient.Get(s.ctx, client.ObjectKey{Namespace: s.control, Name: managedResource.Spec.SecretRefs[0].Name}, secret)).To(Succeed())
	objects, err := managedresource.Data(secret.Data).Objects()
	g.Expect(err).NotTo(HaveOccurred())
	return objects
}

// Nobody but the project's admin does anything here.
func TestAChangeOfTheSecretReachesTheShootAtOnce(t *testing.T) {
	t.Parallel()
	s := newShoot(t, targetNamespace)
	s.configure(privateRepository)
	s.operate("reconcile")
	s.expectSuccess()
	public := newShoot(t, targetNamespace)
	public.configure(publicRepository)
	public.operate("reconcile")
	public.expectSuccess()
	public.settle()
	public.lastOperation(public)
	untouched := public.extension.Status.LastOperation.LastUpdateTime

	key := client.ObjectKey{Namespace: s.project, Name: sourcesecret.SecretName}
	secret := &corev1.Secret{}
	s.Expect(shared.gardenClient.Get(s.ctx, key, secret)).To(Succeed())
	old := secret.Data["identity.pub"]

	// What is missing is there again at once.
	delete(secret.Data, "identity.pub")
	s.Expect(shared.gardenClient.Update(s.ctx, secret)).To(Succeed())
	s.Eventually(func(g Gomega) {
		g.Expect(shared.gardenClient.Get(s.ctx, key, secret)).To(Succeed())
		g.Expect(secret.Data).To(HaveKeyWithValue("identity.pub", old))
	}, timeout).Should(Succeed())

	// A new pair.
	delete(secret.Data, "identity")
	delete(secret.Data, "identity.pub")
	s.Expect(shared.gardenClient.Update(s.ctx, secret)).To(Succeed())
	s.Eventually(func(g Gomega) {
		g.Expect(shared.gardenClient.Get(s.ctx, key, secret)).To(Succeed())
		g.Expect(secret.Data).To(HaveKeyWithValue("identity.pub", Not(Equal(old))))
		g.Expect(s.sourceSecret(g)).To(HaveKeyWithValue("identity.pub", base64.StdEncoding.EncodeToString(secret.Data["identity.pub"])))
	}, timeout).Should(Succeed())
	s.expectSuccess()

	s.Eventually(func(g Gomega) {
		s.lastOperation(g)
		before := s.extension.Status.LastOperation.LastUpdateTime
		s.pause(3 * time.Second)
		state, _ := s.lastOperation(g)
		g.Expect(state).To(Equal(gardencorev1beta1.LastOperationStateSucceeded))
		g.Expect(s.extension.Status.LastOperation.LastUpdateTime).To(Equal(before))
	}, timeout).Should(Succeed(), "then there is nothing to do any more")
	public.lastOperation(public)
	public.Expect(public.extension.Status.LastOperation.LastUpdateTime).To(Equal(untouched), "another project's shoot")
}

// TestNoKeyPairForWhatIsRefused: what can't be rendered needs no key pair, and no Git server is asked for it.
func TestNoKeyPairForWhatIsRefused(t *testing.T) {
	t.Parallel()
	s := newShoot(t, targetNamespace)
	s.configure(with(privateRepository, "config", "kustomization: {template: {spec: {path: ./, interval: never}}}"))
	s.operate("reconcile")
	s.expectFailure(`kustomization.template.spec.interval: Invalid value: "never"`)
	key := client.ObjectKey{Namespace: s.project, Name: sourcesecret.SecretName}
	s.Expect(shared.gardenClient.Get(s.ctx, key, &corev1.Secret{})).To(MatchError(apierrors.IsNotFound, "IsNotFound"))

	s.configure(privateRepository)
	s.operate("reconcile")
	s.expectSuccess()
	s.Expect(shared.gardenClient.Get(s.ctx, key, &corev1.Secret{})).To(Succeed())
}

// What the project's admin writes reaches the shoot at once: the first time, a change, and a Secret that is made anew. A mistake changes
// nothing in the shoot.
func TestWrittenCredentialsReachTheShootAtOnce(t *testing.T) {
	t.Parallel()
	s := newShoot(t, targetNamespace)
	s.configure(map[string]string{"fluxVersion": "v2.9.4", "repositoryUrl": "https://git.example.com/fleet/shoots", "repositoryType": "private"})
	s.operate("reconcile")
	s.expectFailure("secret " + s.project + "/flux-source in the garden: it does not exist, and a private repository is read with it: make it, for example by " +
		`"kubectl -n ` + s.project + ` create secret generic flux-source --from-literal=username=NAME --from-literal=password=TOKEN"`)

	write := func(data map[string]string) *corev1.Secret {
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.project, Name: sourcesecret.SecretName}, StringData: data}
		s.Expect(shared.gardenClient.Create(s.ctx, secret)).To(Succeed())
		return secret
	}
	requests := map[string]bool{}
	expect := func(key, value string) {
		t.Helper()
		s.Eventually(func(g Gomega) {
			g.Expect(s.sourceSecret(g)).To(HaveKeyWithValue(key, base64.StdEncoding.EncodeToString([]byte(value))))
		}, timeout).Should(Succeed())
		s.expectSuccess()
		request := ""
		for _, object := range s.configurationObjects(s) {
			request += object.GetAnnotations()["reconcile.fluxcd.io/requestedAt"]
		}
		s.Expect(request).To(HavePrefix("credentials-"))
		s.Expect(requests).NotTo(HaveKey(request), "Flux looks at once")
		requests[request] = true
	}

	secret := write(map[string]string{"username": "ops", "password": "hunter2", "note": "not for the shoot"})
	expect("password", "hunter2")
	s.Expect(s.sourceSecret(s)).To(HaveLen(2))

	secret.StringData = map[string]string{"password": "hunter3"}
	s.Expect(shared.gardenClient.Update(s.ctx, secret)).To(Succeed())
	expect("password", "hunter3")

	secret.StringData = map[string]string{"bearerToken": "t0ken"}
	s.Expect(shared.gardenClient.Update(s.ctx, secret)).To(Succeed())
	s.Eventually(func(g Gomega) {
		s.lastOperation(g)
		g.Expect(fluxv1alpha1.StatusOf(s.extension).Problem).To(HaveValue(HaveField("Message", ContainSubstring("it holds password, username as well as bearerToken, and only one of them can be used"))))
	}, timeout).Should(Succeed())
	s.Expect(s.sourceSecret(s)).To(HaveLen(2), "what runs stays")

	s.Expect(shared.gardenClient.Delete(s.ctx, secret)).To(Succeed())
	write(map[string]string{"bearerToken": "t0ken"})
	expect("bearerToken", "t0ken")

	// While nothing is wrong.
	s.Expect(shared.gardenClient.Delete(s.ctx, secret)).To(Succeed())
	write(map[string]string{"bearerToken": "an0ther"})
	expect("bearerToken", "an0ther")
}
