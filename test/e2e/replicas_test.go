// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"golang.org/x/crypto/ssh"
	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	runtimeobject "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
	"github.com/gardener/gardener/pkg/client/kubernetes"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/sourcesecret"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/gitserver"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
)

const (
	// A leader that is killed leaves a lease of 15 seconds. Busy machines take much longer.
	takeoverLimit = 2 * time.Minute
	sampling      = 50 * time.Millisecond
)

// leads asks a replica whether it leads. One that does not answer does not.
func leads(ctx context.Context, replica *process.Process) bool {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+replica.Flag("metrics-bind-address")+"/metrics", http.NoBody)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	var body bytes.Buffer
	_, err = body.ReadFrom(response.Body)
	return err == nil && strings.Contains(body.String(), "\nleader_election_master_status{name=\"shoot-flux-leader-election\"} 1\n")
}

// leaders are the replicas that say that they lead.
func (i *installation) leaders() []*process.Process {
	return slices.DeleteFunc(i.Seed.ExtensionProcesses(), func(replica *process.Process) bool { return !leads(i.t.Context(), replica) })
}

// leader waits for the one leader.
func (i *installation) leader() *process.Process {
	var leader *process.Process
	i.Eventually(func(g Gomega) {
		leaders := i.leaders()
		g.Expect(leaders).To(HaveLen(1))
		leader = leaders[0]
	}, timeout, sampling).Should(Succeed())
	return leader
}

// expectTakeover waits until another replica leads, and tells how long that took.
func (i *installation) expectTakeover(former *process.Process, ended time.Time, limit time.Duration) {
	leader := i.leader()
	took := time.Since(ended)
	i.Expect(leader).NotTo(BeIdenticalTo(former))
	i.Expect(took).To(BeNumerically("<", limit))
	i.t.Logf("another replica leads after %s", took.Round(10*time.Millisecond))
}

const leaseName = "shoot-flux-leader-election"

// leaseHolder is who holds the lease of the leader. It is empty when the last one has given it away.
func (i *installation) leaseHolder() string { return ptr.Deref(i.lease().Spec.HolderIdentity, "") }

func (i *installation) lease() *coordinationv1.Lease {
	namespace, err := i.Seed.ExtensionNamespace(i.t.Context())
	i.Expect(err).NotTo(HaveOccurred())
	lease := &coordinationv1.Lease{}
	i.Expect(i.Seed.Client.Get(i.t.Context(), client.ObjectKey{Namespace: namespace, Name: leaseName}, lease)).To(Succeed())
	return lease
}

// leadership watches that there is never more than one leader, for how long there is none, and whether each has given its lease away.
type leadership struct {
	over     chan struct{}
	lease    watch.Interface
	ended    sync.WaitGroup
	several  atomic.Bool
	withheld atomic.Bool   // somebody has got the lease only because it expired
	longest  time.Duration // that nobody led
}

// watchLease sees each version of the lease.
func (w *leadership) watchLease() {
	holder := ""
	for event := range w.lease.ResultChan() {
		if lease, ok := event.Object.(*coordinationv1.Lease); ok {
			next := ptr.Deref(lease.Spec.HolderIdentity, "")
			if holder != "" && next != "" && next != holder {
				w.withheld.Store(true)
			}
			holder = next
		}
	}
}

func (i *installation) watchLeadership() *leadership {
	namespace, err := i.Seed.ExtensionNamespace(i.t.Context())
	i.Expect(err).NotTo(HaveOccurred())
	w := &leadership{over: make(chan struct{})}
	w.lease, err = i.newWatchingClient().Watch(i.t.Context(), &coordinationv1.LeaseList{}, client.InNamespace(namespace), client.MatchingFields{"metadata.name": leaseName})
	i.Expect(err).NotTo(HaveOccurred())
	w.ended.Go(w.watchLease)
	w.ended.Go(func() {
		since, vacant := time.Now(), false
		tick := time.NewTicker(sampling)
		defer tick.Stop()
		for {
			select {
			case <-w.over:
				if vacant {
					w.longest = max(w.longest, time.Since(since))
				}
				return
			case <-tick.C:
			}
			leaders := i.leaders()
			if len(leaders) > 1 { // one may have given the leadership away while the next was asked: only what is so twice is so
				leaders = i.leaders()
			}
			if len(leaders) > 1 {
				w.several.Store(true)
			}
			switch none := len(leaders) == 0; {
			case none && !vacant:
				since, vacant = time.Now(), true
			case !none && vacant:
				w.longest, vacant = max(w.longest, time.Since(since)), false
			}
		}
	})
	return w
}

func (w *leadership) stop() {
	close(w.over)
	w.lease.Stop()
	w.ended.Wait()
}

// newWatchingClient has all rights in the seed.
func (i *installation) newWatchingClient() client.WithWatch {
	c, err := client.NewWithWatch(i.Seed.AdminConfig, client.Options{Scheme: kubernetes.SeedScheme})
	i.Expect(err).NotTo(HaveOccurred())
	return c
}

// endInTheMiddle calls end as soon as an operation on the shoot's Extension is under way that begin has caused.
func (i *installation) endInTheMiddle(namespace string, begin, end func()) {
	c := i.newWatchingClient()
	ctx, cancel := context.WithTimeout(i.t.Context(), timeout)
	defer cancel()
	list := &extensionsv1alpha1.ExtensionList{}
	i.Expect(c.List(ctx, list, client.InNamespace(namespace))).To(Succeed())
	extensions, err := c.Watch(ctx, list, client.InNamespace(namespace), &client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: list.ResourceVersion}})
	i.Expect(err).NotTo(HaveOccurred())
	defer extensions.Stop()
	begin()
	for event := range extensions.ResultChan() {
		ex, ok := event.Object.(*extensionsv1alpha1.Extension)
		if ok && ex.Status.LastOperation != nil && ex.Status.LastOperation.State == gardencorev1beta1.LastOperationStateProcessing {
			end()
			return
		}
	}
	i.Expect(errors.New("no operation has begun")).NotTo(HaveOccurred())
}

// killLeader kills the leader while it brings Flux into a second shoot. While nobody leads, the project's admin rotates the key. The next leader
// finishes what was begun, and brings the key to both shoots; what is as it should be, it leaves alone.
func (i *installation) killLeader(p *projectAdmin, repository *gitserver.Repository, one *shootOwner) *shootOwner {
	private, public := newKey(p)
	p.Expect(repository.RegisterKey(public)).To(Succeed())
	rotated, err := json.Marshal(map[string]any{"data": map[string][]byte{"identity": private, "identity.pub": public}})
	p.Expect(err).NotTo(HaveOccurred())
	secret := p.sourceSecret()
	leader, holder := i.leader(), i.leaseHolder()
	i.Expect(i.lease().Spec.LeaseDurationSeconds).To(HaveValue(BeEquivalentTo(15)), "so long nobody leads")
	others := slices.DeleteFunc(i.Seed.ExtensionProcesses(), func(replica *process.Process) bool { return replica == leader })
	before := one.versions(managedresource.Installation)
	var two *shootOwner
	var ended time.Time
	i.endInTheMiddle("shoot--"+p.name+"--two", func() { two = p.newShoot("two") }, func() {
		leader.Kill()
		ended = time.Now()
		i.signal(others, syscall.SIGSTOP) // however long the rotation takes
	})
	p.Expect(i.GardenClient.Patch(i.t.Context(), secret, client.RawPatch(types.MergePatchType, rotated))).To(Succeed())
	i.Expect(i.leaseHolder()).To(Equal(holder), "nobody has led meanwhile")
	i.signal(others, syscall.SIGCONT)
	i.expectTakeover(leader, ended, takeoverLimit)
	i.Expect(leader.Restart(i.t.Context())).To(Succeed())

	two.expectSucceeded()
	for _, shoot := range []*shootOwner{one, two} {
		shoot.expectKey(public)
		shoot.expectSynced(repository, gitserver.DefaultBranch)
	}
	i.Expect(one.versions(managedresource.Installation)).To(Equal(before))
	i.Expect(p.sourceSecret().Data).To(HaveKeyWithValue("identity.pub", public))
	return two
}

func (i *installation) signal(replicas []*process.Process, signal syscall.Signal) {
	for _, replica := range replicas {
		i.Expect(syscall.Kill(replica.PID(), signal)).To(Succeed())
	}
}

// newKey is what ssh-keygen makes.
func newKey(g Gomega) (private, public []byte) {
	publicKey, privateKey, err := ed25519.GenerateKey(rand.Reader)
	g.Expect(err).NotTo(HaveOccurred())
	block, err := ssh.MarshalPrivateKey(privateKey, "")
	g.Expect(err).NotTo(HaveOccurred())
	authorized, err := ssh.NewPublicKey(publicKey)
	g.Expect(err).NotTo(HaveOccurred())
	return pem.EncodeToMemory(block), ssh.MarshalAuthorizedKey(authorized)
}

// expectKey waits until the shoot has the key.
func (s *shootOwner) expectKey(public []byte) {
	s.Eventually(func(g Gomega) {
		secret := &corev1.Secret{}
		g.Expect(s.cluster().Get(s.t.Context(), client.ObjectKey{Namespace: "flux-system", Name: sourcesecret.SecretName}, secret)).To(Succeed())
		g.Expect(string(secret.Data["identity.pub"])).To(Equal(string(public)))
	}, timeout, interval).Should(Succeed())
}

// endLeader ends the leader, as when its node is drained, in the middle of an operation. The next one does not wait for the lease to expire.
func (i *installation) endLeader(p *projectAdmin, one *shootOwner) {
	leader := i.leader()
	holder := i.leaseHolder()
	configuration := p.configuration()
	configuration["repositoryBranch"] = "drained"
	var ended time.Time
	i.endInTheMiddle(one.technicalID, func() { p.configure(configuration) }, func() {
		ended = time.Now()
		i.Expect(leader.Stop()).To(Succeed())
		i.Expect(i.leaseHolder()).NotTo(Equal(holder), "it gives its lease away")
	})
	i.expectTakeover(leader, ended, takeoverLimit)
	i.Expect(leader.Restart(i.t.Context())).To(Succeed())
	one.expectSourceError("drained")
	delete(configuration, "repositoryBranch")
	p.configure(configuration)
	one.expectReported(gardencorev1beta1.ConditionTrue, "Normal FluxReady", "Flux has applied")
}

// configuration is what flux-config has.
func (p *projectAdmin) configuration() map[string]string {
	configMap := &corev1.ConfigMap{}
	p.Expect(p.landscape.GardenClient.Get(p.t.Context(), client.ObjectKey{Namespace: p.namespace, Name: "flux-config"}, configMap)).To(Succeed())
	return configMap.Data
}

// renewGardenAccess takes away the identity with which the extension reaches the garden, and lets gardenlet make another, as when all tokens are
// renewed. Each replica finds it, without a restart.
func (i *installation) renewGardenAccess() {
	before := i.gardenAccount(i)
	i.Expect(i.GardenClient.Delete(i.t.Context(), before)).To(Succeed())
	namespace, err := i.Seed.ExtensionNamespace(i.t.Context())
	i.Expect(err).NotTo(HaveOccurred())
	access := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "garden-access-shoot-flux"}}
	// What gardenlet does when the Seed is annotated with gardener.cloud/operation=renew-garden-access-secrets.
	renew := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"serviceaccount.resources.gardener.cloud/token-renew-timestamp":null}}}`))
	i.Expect(i.Seed.Client.Patch(i.t.Context(), access, renew)).To(Succeed())
	renewed := time.Now()
	i.Eventually(func(g Gomega) {
		g.Expect(i.gardenAccount(g).UID).NotTo(Equal(before.UID))
		g.Expect(time.Since(renewed)).To(BeNumerically(">", reachabilityAge), "what replicas say may be of before")
		for _, replica := range i.Seed.ExtensionProcesses() {
			g.Expect(i.reachesGarden(replica)).To(BeTrue())
		}
	}, timeout, interval).Should(Succeed())
}

// reachabilityAge is how old at most what a replica says of the garden may be: it asks every 30 seconds, for 10 seconds.
const reachabilityAge = 41 * time.Second

// gardenAccount is the ServiceAccount of the extension in the garden.
func (i *installation) gardenAccount(g Gomega) *corev1.ServiceAccount {
	accounts := &corev1.ServiceAccountList{}
	g.Expect(i.GardenClient.List(i.t.Context(), accounts, client.InNamespace("seed-"+i.Seed.SeedName), client.HasLabels{"flux.extensions.gardener.cloud/garden-access"})).To(Succeed())
	g.Expect(accounts.Items).To(HaveLen(1))
	return &accounts.Items[0]
}

func (i *installation) reachesGarden(replica *process.Process) bool {
	request, err := http.NewRequestWithContext(i.t.Context(), http.MethodGet, "http://"+replica.Flag("health-bind-address")+"/readyz/garden", http.NoBody)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	return response.Body.Close() == nil && response.StatusCode == http.StatusOK
}

// expectWebhooks asks each replica, the leader and the other, what the seed asks them.
func (i *installation) expectWebhooks(shoot *shootOwner) {
	configuration := &admissionregistrationv1.MutatingWebhookConfiguration{}
	i.Expect(i.Seed.Client.Get(i.t.Context(), client.ObjectKey{Name: "gardener-extension-shoot-flux"}, configuration)).To(Succeed())
	pool := x509.NewCertPool()
	i.Expect(pool.AppendCertsFromPEM(configuration.Webhooks[0].ClientConfig.CABundle)).To(BeTrue())
	seed := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}}
	review := i.review(shoot)
	for _, replica := range i.Seed.ExtensionProcesses() {
		url := "https://" + net.JoinHostPort("127.0.0.1", replica.Flag("webhook-config-server-port")) + "/controlplane"
		response, err := seed.Post(url, "application/json", bytes.NewReader(review))
		i.Expect(err).NotTo(HaveOccurred(), "leader: %t", leads(i.t.Context(), replica))
		answer := &admissionv1.AdmissionReview{}
		i.Expect(json.NewDecoder(response.Body).Decode(answer)).To(Succeed())
		i.Expect(response.Body.Close()).To(Succeed())
		i.Expect(answer.Response).To(HaveValue(HaveField("Allowed", true)))
		i.Expect(string(answer.Response.Patch)).To(ContainSubstring("--extra-target-namespace=flux-system"))
	}
}

// review is what the seed sends when gardenlet writes the Deployment of the shoot's gardener-resource-manager.
func (i *installation) review(shoot *shootOwner) []byte {
	deployment := &appsv1.Deployment{}
	i.Expect(i.Seed.Client.Get(i.t.Context(), client.ObjectKey{Namespace: shoot.technicalID, Name: "gardener-resource-manager"}, deployment)).To(Succeed())
	args := &deployment.Spec.Template.Spec.Containers[0].Args
	*args = slices.DeleteFunc(*args, func(arg string) bool { return strings.HasPrefix(arg, "--extra-target-namespace") })
	deployment.APIVersion, deployment.Kind = appsv1.SchemeGroupVersion.String(), "Deployment"
	object, err := json.Marshal(deployment)
	i.Expect(err).NotTo(HaveOccurred())
	review, err := json.Marshal(&admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: admissionv1.SchemeGroupVersion.String(), Kind: "AdmissionReview"},
		Request: &admissionv1.AdmissionRequest{
			UID:       "1",
			Kind:      metav1.GroupVersionKind{Group: appsv1.GroupName, Version: "v1", Kind: "Deployment"},
			Resource:  metav1.GroupVersionResource{Group: appsv1.GroupName, Version: "v1", Resource: "deployments"},
			Namespace: deployment.Namespace, Name: deployment.Name,
			Operation: admissionv1.Create,
			Object:    runtimeobject.RawExtension{Raw: object},
		},
	})
	i.Expect(err).NotTo(HaveOccurred())
	return review
}

// beside runs f beside the test again and again, until the returned function is called, which waits for the last time and tells how often it was. What
// f expects fails the test.
func beside(t *testing.T, f func(g Gomega, round int)) (stop func() int) {
	over := make(chan struct{})
	ended := make(chan int, 1)
	go func() {
		round := 0
		defer func() { ended <- round }()
		g := NewGomega(func(message string, _ ...int) {
			t.Error(message)
			runtime.Goexit()
		})
		for {
			select {
			case <-over:
				return
			default:
				f(g, round)
				round++
			}
		}
	}()
	return func() int {
		close(over)
		return <-ended
	}
}

// upgrade brings the next release while two shoots are reconciled, and their repository changes, without a pause.
func (i *installation) upgrade(repository *gitserver.Repository, shoots ...*shootOwner) {
	watched := i.watchLeadership()
	longest := make([]time.Duration, len(shoots))
	loads := map[string]func() int{
		"commits": beside(i.t, func(g Gomega, round int) {
			pushMessage(g, i.t, repository, gitserver.DefaultBranch, fmt.Sprintf("upgrade %d", round))
			for _, shoot := range shoots {
				s := *shoot
				s.Gomega = g
				s.fetch()
				s.expectSynced(repository, gitserver.DefaultBranch)
			}
		}),
	}
	for n, shoot := range shoots {
		loads["reconciliations of "+shoot.technicalID] = beside(i.t, func(g Gomega, _ int) {
			s := *shoot
			s.shoot, s.Gomega = shoot.shoot.DeepCopy(), g
			began := time.Now()
			s.reconcile()
			s.expectSucceeded()
			longest[n] = max(longest[n], time.Since(began))
		})
	}
	i.applyRegistration(newRelease)
	i.expectReplicas(newRelease)
	i.leader()
	for name, stop := range loads {
		rounds := stop()
		i.Expect(rounds).To(BeNumerically(">=", 1), name)
		i.t.Logf("%d %s during the upgrade", rounds, name)
	}
	for _, shoot := range shoots { // once more by the new one
		shoot.reconcile()
		shoot.expectSucceeded()
	}
	watched.stop()
	i.Expect(watched.several.Load()).To(BeFalse(), "two replicas led")
	i.t.Logf("the longest reconciliation took %s; nobody led for %s", slices.Max(longest).Round(10*time.Millisecond), watched.longest.Round(10*time.Millisecond))
	i.Expect(watched.withheld.Load()).To(BeFalse(), "a leader that ended did not give its lease away")
}
