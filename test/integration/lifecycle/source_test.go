// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle_test

import (
	"encoding/base64"
	"maps"
	"net"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/source"
)

// A Git server that accepts connections and says nothing, as behind many a firewall, holds up neither the single worker of this
// landscape nor another project.
func TestASilentGitServerHoldsUpNobody(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { _ = listener.Close() })
	silent := maps.Clone(privateRepository)
	silent["repositoryUrl"] = "ssh://git@" + listener.Addr().String() + "/fleet/shoots.git"
	delete(silent, "knownHosts")

	succeed := func() time.Duration {
		other := newShoot(t, targetNamespace)
		other.configure(publicRepository)
		start := time.Now()
		other.operate("reconcile")
		other.expectSuccess()
		return time.Since(start)
	}
	usual := succeed()

	waiting := newShoot(t, targetNamespace)
	waiting.configure(silent)
	defer waiting.configure(map[string]string{"fluxVersion": "v2.9.4"}) // and be done
	for _, name := range []string{"two", "three"} {
		newShootOf(t, waiting.project, name, targetNamespace).operate("reconcile")
	}
	waiting.operate("reconcile")
	waiting.Expect(succeed()).To(BeNumerically("<", 5*time.Second+4*usual), "the silent server is given 10 s to answer")

	waiting.expectFailure("waiting for the SSH host keys of " + listener.Addr().String() + ": the Git server is asked in the background, and Gardener asks for them again by itself")
	waiting.expectFailure("could not ask " + listener.Addr().String() + " for its SSH host key: no SSH server answered: ")
}

// sourceSecret is what the shoot gets.
func (s *shoot) sourceSecret(g Gomega) map[string]any {
	managedResource, err := managedresource.Get(s.ctx, shared.seedClient, s.control, managedresource.Configuration)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(managedResource).NotTo(BeNil())
	secret := &corev1.Secret{}
	g.Expect(shared.seedClient.Get(s.ctx, client.ObjectKey{Namespace: s.control, Name: managedResource.Spec.SecretRefs[0].Name}, secret)).To(Succeed())
	objects, err := managedresource.Data(secret.Data).Objects()
	g.Expect(err).NotTo(HaveOccurred())
	for _, object := range objects {
		if object.GetKind() == "Secret" {
			return object.Object["data"].(map[string]any)
		}
	}
	return nil
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
	untouched := public.extension.Status.LastOperation.LastUpdateTime

	key := client.ObjectKey{Namespace: s.project, Name: source.SecretName}
	secret := &corev1.Secret{}
	s.Expect(shared.gardenClient.Get(s.ctx, key, secret)).To(Succeed())
	knownHosts, old := secret.Data["known_hosts"], secret.Data["identity.pub"]

	// What is missing is there again at once.
	delete(secret.Data, "known_hosts")
	s.Expect(shared.gardenClient.Update(s.ctx, secret)).To(Succeed())
	s.Eventually(func(g Gomega) {
		g.Expect(shared.gardenClient.Get(s.ctx, key, secret)).To(Succeed())
		g.Expect(secret.Data).To(HaveKeyWithValue("known_hosts", knownHosts))
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
