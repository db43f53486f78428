// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/gitserver"
)

var kills = flag.Int("kills", shortKills, "how often TestExtensionIsKilled kills the extension at random")

// shortKills is how often the extension is killed among other tests, while the shoots of one project live. With more, there are two projects.
const shortKills = 10

// TestExtensionIsKilled has a seed for itself, on which one test after the other kills the extension: the others should not suffer.
func TestExtensionIsKilled(t *testing.T) {
	parallel(t)
	seed, err := addSeed("kills")
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	NewWithT(t).Eventually(seed.ExtensionProcess, timeout, interval).ShouldNot(BeNil())
	t.Run("in the middle", func(t *testing.T) { testKilledInTheMiddle(t, seed) })
	t.Run("for a while", func(t *testing.T) { testKilledForAWhile(t, seed) })
	t.Run("often", func(t *testing.T) { testKilledOften(t, seed) })
}

func testKilledInTheMiddle(t *testing.T, seed *landscape.Seed) {
	p := newProject(t, "killed")
	repository := p.newRepository(false)
	p.configure(p.private(repository))
	shoot := p.newShootOn(seed, "one")
	p.registerKey(repository) // the key is made, so a reconciliation is under way
	key := p.sourceSecret()
	seed.ExtensionProcess().Kill()
	p.Expect(seed.ExtensionProcess().Restart(t.Context())).To(Succeed())

	shoot.expectSucceeded()
	shoot.expectSynced(repository, gitserver.DefaultBranch)
	shoot.expectContent()
	p.Expect(p.sourceSecret().Data).To(Equal(key.Data))
}

// testKilledForAWhile shows that a shoot is not blocked by an extension that is down, and heals once it is back.
func testKilledForAWhile(t *testing.T, seed *landscape.Seed) {
	p := newProject(t, "down")
	p.configure(map[string]string{"fluxVersion": fluxVersion})
	seed.ExtensionProcess().Kill()
	shoot := p.newShootOn(seed, "one")
	shoot.cluster() // gardener-resource-manager comes right after, and without the webhook
	p.Eventually(func(g Gomega) {
		shoot.state(g)
		g.Expect(shoot.shoot.Status.LastOperation.Description).To(ContainSubstring("Waiting until extension resources handled after workers are ready"))
	}, timeout, interval).Should(Succeed())
	p.Expect(seed.ExtensionProcess().Restart(t.Context())).To(Succeed())

	shoot.expectError("does not manage namespace flux-system of the shoot yet: the extension's webhook adds --extra-target-namespace=flux-system when Gardener reconciles the shoot")
	shoot.expectSucceeded()
	shoot.expectHealthy()
}

// testKilledOften kills the extension again and again, at random, while shoots of several projects come, get another configuration and another
// release, lose the extension, and go. Everything that is not to be disturbed by that is checked on the way.
func testKilledOften(t *testing.T, seed *landscape.Seed) {
	var over atomic.Bool
	t.Run("killer", func(t *testing.T) {
		t.Parallel()
		defer over.Store(true)
		kill(t, seed, *kills)
	})
	projects := []string{"kills-a", "kills-b"}
	if *kills <= shortKills {
		projects = projects[:1]
	}
	for _, name := range projects {
		p := newProject(t, name)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p.Gomega, p.t = NewWithT(t), t
			var key map[string][]byte
			for round := 0; ; round++ {
				key = p.live(seed, fmt.Sprint(round), key)
				if over.Load() {
					t.Logf("%d rounds of two shoots", round+1)
					return
				}
			}
		})
	}
}

// kill kills the extension n times, and says what it was doing.
func kill(t *testing.T, seed *landscape.Seed, n int) {
	g := NewWithT(t)
	namespace, err := seed.ExtensionNamespace(t.Context())
	g.Expect(err).NotTo(HaveOccurred())
	during := map[string]int{}
	for range n {
		pause(t, rand.N(4*time.Second)) // #nosec G404 -- a random moment
		for _, doing := range operations(t, g, seed) {
			during[doing]++
		}
		running := seed.ExtensionProcess()
		running.Kill()
		// The one that was killed had promised to lead for some seconds more.
		lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "shoot-flux-leader-election"}}
		g.Expect(client.IgnoreNotFound(seed.Client.Delete(t.Context(), lease))).To(Succeed())
		g.Expect(running.Restart(t.Context())).To(Succeed())
	}
	t.Logf("%d kills; Extensions that were at the time", n)
	for _, doing := range slices.Sorted(maps.Keys(during)) {
		t.Logf("%5d  %s", during[doing], doing)
	}
}

// operations tells for each Extension what is being done with it.
func operations(t *testing.T, g Gomega, seed *landscape.Seed) []string {
	extensions := &extensionsv1alpha1.ExtensionList{}
	g.Expect(seed.Client.List(t.Context(), extensions)).To(Succeed())
	var doing []string
	for _, ex := range extensions.Items {
		switch last := ex.Status.LastOperation; {
		case ex.DeletionTimestamp != nil:
			doing = append(doing, "going")
		case last == nil:
			doing = append(doing, "not begun")
		default:
			doing = append(doing, string(last.Type)+" "+string(last.State))
		}
	}
	return doing
}

// live creates two shoots, changes them, and takes them away, one of them after the extension was switched off. The project's key must be the given one
// all the time, if there is one yet, and is returned.
func (p *projectAdmin) live(seed *landscape.Seed, round string, key map[string][]byte) map[string][]byte {
	repository := p.newRepositoryOnce()
	configuration := p.private(repository)
	configuration["fluxVersion"] = "v2.6.4"
	p.configure(configuration)
	shoots := []*shootOwner{p.newShootOn(seed, "one"+round), p.newShootOn(seed, "two"+round)}
	p.registerKey(repository)
	if key == nil {
		key = p.sourceSecret().Data
	}
	for _, shoot := range shoots {
		shoot.expectSynced(repository, gitserver.DefaultBranch)
		shoot.expectSucceeded()
		shoot.createOwnObjects()
	}

	pushMessage(p, p.t, repository, gitserver.DefaultBranch, "Good evening "+round)
	configuration["fluxVersion"] = fluxVersion
	p.configure(configuration)
	for _, shoot := range shoots {
		shoot.reconcile()
	}
	for _, shoot := range shoots {
		shoot.expectFlux(fluxVersion)
		shoot.expectSucceeded()
		shoot.fetch()
		shoot.expectSynced(repository, gitserver.DefaultBranch)
		shoot.expectOwnObjects(true)
	}

	shoots[0].switchOff()
	shoots[0].Eventually(func() bool { return shoots[0].fluxIsGone() }, timeout, interval).Should(BeTrue())
	shoots[0].expectOwnObjects(false)
	p.Expect(shoots[0].has(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "shop"}})).To(BeTrue(), "what Flux had deployed stays")
	for _, shoot := range shoots {
		shoot.delete(p.t.Context())
		shoot.expectNothingIn(shoot.seed)
	}

	p.Expect(p.sourceSecret().Data).To(Equal(key))
	p.Eventually(func(g Gomega) {
		for _, shoot := range shoots {
			g.Expect(shoot.statusConfigMap(g)).NotTo(HaveKey(shoot.shoot.Name))
		}
	}, timeout, interval).Should(Succeed())
	return key
}

// newRepositoryOnce is the project's repository.
func (p *projectAdmin) newRepositoryOnce() *gitserver.Repository {
	repository, err := p.landscape.Git.Repository(p.name + "/fleet")
	if err != nil {
		return p.newRepository(false)
	}
	return repository
}

// ownObjects are a user's: one that Flux would have to lose for it to go, and one that nobody but its user has to do with.
func ownObjects() []*unstructured.Unstructured {
	return []*unstructured.Unstructured{
		{Object: map[string]any{
			"apiVersion": "source.toolkit.fluxcd.io/v1beta2", "kind": "OCIRepository",
			"metadata": map[string]any{"namespace": "default", "name": "own"},
			"spec":     map[string]any{"interval": "1h", "suspend": true, "url": "oci://registry.example.org/own"},
		}},
		{Object: map[string]any{
			"apiVersion": "v1", "kind": "ConfigMap",
			"metadata": map[string]any{"namespace": "default", "name": "own"},
			"data":     map[string]any{"key": "value"},
		}},
	}
}

func (s *shootOwner) createOwnObjects() {
	for _, object := range ownObjects() {
		s.Expect(s.cluster().Create(s.t.Context(), object)).To(Succeed())
	}
}

// expectOwnObjects checks that the user's objects are there, those of Flux's kinds only as long as Flux is.
func (s *shootOwner) expectOwnObjects(flux bool) {
	for _, object := range ownObjects() {
		want := object.DeepCopy()
		if object.GetKind() == "OCIRepository" {
			if !flux {
				continue
			}
			object.SetAPIVersion("source.toolkit.fluxcd.io/v1")
		}
		s.Expect(s.cluster().Get(s.t.Context(), client.ObjectKeyFromObject(object), object)).To(Succeed())
		for _, field := range []string{"spec", "data"} {
			if want.Object[field] != nil {
				for key, value := range want.Object[field].(map[string]any) {
					s.Expect(object.Object[field]).To(HaveKeyWithValue(key, value))
				}
			}
		}
	}
}

func (s *shootOwner) fluxIsGone() bool {
	return !s.has(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "flux-system"}})
}
