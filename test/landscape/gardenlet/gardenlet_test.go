// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package gardenlet_test

import (
	"context"
	"encoding/json"
	"os"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	v1beta1helper "github.com/gardener/gardener/pkg/api/core/v1beta1/helper"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"
	"github.com/gardener/gardener/pkg/client/kubernetes"
	"github.com/gardener/gardener/pkg/extensions"
	"github.com/gardener/gardener/pkg/utils/managedresources"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/cluster"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/garden"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/gardenlet"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
)

const (
	projectName   = "demo"
	shootName     = "one"
	technicalID   = "shoot--demo--one"
	extensionType = "shoot-flux"
	timeout       = 2 * time.Minute
	// pollingInterval is how often tests look whether what they wait for has come.
	pollingInterval = 200 * time.Millisecond
)

func TestMain(m *testing.M) {
	// By default 10 milliseconds: then the API servers are busy with answering those who wait.
	SetDefaultEventuallyPollingInterval(pollingInterval)
	SetDefaultConsistentlyPollingInterval(pollingInterval)
	os.Exit(m.Run())
}

// landscape is what the tests of a gardenlet need: three API servers, and nothing that would run an extension.
type landscape struct {
	running             *garden.Garden
	garden, seed, shoot client.Client
	gardenlet           *gardenlet.Gardenlet
	namespace           string                        // of the project
	workersGone         chan *gardencorev1beta1.Shoot // as the Cluster resource shows it then
}

func startLandscape(t *testing.T) *landscape {
	t.Helper()
	g := NewWithT(t)
	bin, err := process.FindBinaries()
	g.Expect(err).NotTo(HaveOccurred())
	dir := t.TempDir()
	log := zap.New(zap.UseDevMode(true), zap.WriteTo(logFile(t, dir)))
	ctrllog.SetLogger(log)

	etcd, err := cluster.StartEtcd(t.Context(), cluster.Options{Dir: dir, Bin: bin})
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { _ = etcd.Stop() })
	var (
		running  *garden.Garden
		clusters = make([]*cluster.Cluster, 2)
	)
	group, ctx := errgroup.WithContext(t.Context())
	group.Go(func() (err error) {
		running, err = garden.Start(ctx, garden.Options{Etcd: etcd})
		return err
	})
	for i, name := range []string{"seed", technicalID} {
		group.Go(func() (err error) {
			var args []string
			if name == technicalID {
				args = gardenlet.ShootAPIServerArgs
			}
			if clusters[i], err = cluster.Start(ctx, name, etcd, args...); err != nil {
				return err
			}
			if err := clusters[i].StartControllers(ctx); err != nil || name != "seed" {
				return err
			}
			return gardenlet.InstallSeed(ctx, clusters[i].AdminConfig)
		})
	}
	err = group.Wait()
	if running != nil {
		t.Cleanup(func() { _ = running.Stop() })
	}
	for _, c := range clusters {
		if c != nil {
			t.Cleanup(func() { _ = c.Stop() })
		}
	}
	g.Expect(err).NotTo(HaveOccurred())

	l := &landscape{
		running:     running,
		garden:      newClient(t, running.Cluster, kubernetes.GardenScheme),
		seed:        newClient(t, clusters[0], kubernetes.SeedScheme),
		shoot:       newClient(t, clusters[1], kubernetes.ShootScheme),
		workersGone: make(chan *gardencorev1beta1.Shoot, 1),
	}
	l.namespace, err = running.CreateProject(t.Context(), projectName)
	g.Expect(err).NotTo(HaveOccurred())
	l.register(t)
	access, err := running.GardenletConfig(gardenlet.DefaultSeedName)
	g.Expect(err).NotTo(HaveOccurred())
	l.gardenlet, err = gardenlet.Start(context.Background(), gardenlet.Options{
		Garden: access, Seed: clusters[0].AdminConfig, SeedSpec: garden.SeedSpec(gardenlet.DefaultSeedName), Bin: bin, Dir: dir, Log: log,
		GardenerVersion: "v1.150.0",
		RetryInterval:   time.Second, SevereThreshold: time.Second,
		ShootCluster: func(context.Context, *gardencorev1beta1.Shoot) (*cluster.Cluster, error) { return clusters[1], nil },
		DestroyWorkers: func(ctx context.Context, _ *gardencorev1beta1.Shoot) error {
			cluster, err := extensions.GetCluster(ctx, l.seed, technicalID)
			if err != nil {
				return err
			}
			select {
			case l.workersGone <- cluster.Shoot:
			default: // it is done again if the operation is
			}
			return nil
		},
	})
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() {
		if err := l.gardenlet.Stop(); err != nil {
			t.Errorf("gardenlet did not stop cleanly: %v", err)
		}
	})
	return l
}

// logFile is shown if the test fails.
func logFile(t *testing.T, dir string) *os.File {
	t.Helper()
	file, err := os.Create(dir + "/gardenlet.log")
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() {
		if content, err := os.ReadFile(file.Name()); err == nil && t.Failed() {
			t.Logf("log of gardenlet:\n%s", content)
		}
		_ = file.Close()
	})
	return file
}

func newClient(t *testing.T, c *cluster.Cluster, scheme *runtime.Scheme) client.Client {
	t.Helper()
	result, err := client.New(c.AdminConfig, client.Options{Scheme: scheme})
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return result
}

// TestGardenlet tells the life of one Shoot.
func TestGardenlet(t *testing.T) {
	l := startLandscape(t)
	for _, chapter := range []struct {
		name string
		test func(*testing.T)
	}{
		{"a Shoot gets a control plane", l.testCreate},
		{"the resource manager applies to its target namespaces only", l.testTargetNamespaces},
		{"an Extension is waited for, and its errors reach the Shoot", l.testExtension},
		{"an Extension that is not wanted any more goes", l.testDisable},
		{"the Shoot goes", l.testDelete},
	} {
		if !t.Run(chapter.name, chapter.test) {
			return
		}
	}
}

func (l *landscape) testCreate(t *testing.T) {
	g := NewWithT(t)
	g.Expect(l.garden.Create(t.Context(), newShoot(l.namespace))).To(Succeed())
	g.Eventually(l.lastOperation(t), timeout).Should(And(
		HaveField("Type", gardencorev1beta1.LastOperationTypeCreate),
		HaveField("State", gardencorev1beta1.LastOperationStateSucceeded),
		HaveField("Progress", int32(100)),
	))

	shoot := l.getShoot(t, g)
	g.Expect(shoot.Status.TechnicalID).To(Equal(technicalID))
	g.Expect(shoot.Finalizers).To(ContainElement("gardener"))

	namespace := &corev1.Namespace{}
	g.Expect(l.seed.Get(t.Context(), client.ObjectKey{Name: technicalID}, namespace)).To(Succeed())
	g.Expect(namespace.Labels).To(And(
		HaveKeyWithValue("gardener.cloud/role", "shoot"),
		HaveKeyWithValue("shoot.gardener.cloud/provider", "local"),
		HaveKeyWithValue("seed.gardener.cloud/provider", "local"),
	))

	cluster, err := extensions.GetCluster(t.Context(), l.seed, technicalID)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(cluster.Shoot.Name).To(Equal(shootName))
	g.Expect(cluster.Seed.Name).To(Equal(gardenlet.DefaultSeedName))
	g.Expect(cluster.CloudProfile.Name).To(Equal(garden.CloudProfileName))

	for _, name := range []string{v1beta1constants.SecretNameGardener, v1beta1constants.SecretNameGardenerInternal} {
		g.Eventually(func(g Gomega) { // the flow waits for the token of one of them
			shootClient, err := kubernetes.NewClientFromSecret(t.Context(), l.seed, technicalID, name, kubernetes.WithDisabledCachedClient())
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(shootClient.Client().List(t.Context(), &corev1.SecretList{})).To(Succeed())
		}, timeout).Should(Succeed(), "the access of Secret %s", name)
	}

	g.Expect(l.resourceManager(t).Spec.Template.Spec.Containers[0].Image).To(HaveSuffix("/resource-manager:v1.150.0"))
	_, running := l.gardenlet.ResourceManager(technicalID)
	g.Expect(running).To(BeTrue())
	for _, conditionType := range []gardencorev1beta1.ConditionType{"APIServerAvailable", "ControlPlaneHealthy", "ObservabilityComponentsHealthy", "SystemComponentsHealthy"} {
		g.Eventually(l.condition(t, conditionType), timeout).Should(HaveField("Status", gardencorev1beta1.ConditionTrue))
	}
}

func (l *landscape) testTargetNamespaces(t *testing.T) {
	g := NewWithT(t)
	for _, name := range []string{"kube-system", "flux-system"} {
		createManagedResource(t, l.seed, name, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Name: "greeting", Namespace: name}, Data: map[string]string{"hello": "world"},
		})
	}
	g.Expect(l.shoot.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "flux-system"}})).To(Succeed())

	g.Eventually(l.applied(t, "kube-system"), timeout).Should(HaveField("Status", gardencorev1beta1.ConditionTrue))
	g.Expect(l.shoot.Get(t.Context(), client.ObjectKey{Namespace: "kube-system", Name: "greeting"}, &corev1.ConfigMap{})).To(Succeed())
	g.Eventually(l.applied(t, "flux-system"), timeout).Should(And(
		HaveField("Status", gardencorev1beta1.ConditionFalse),
		HaveField("Message", ContainSubstring("unable to get: flux-system/greeting because of unknown namespace for the cache")),
	))
	g.Eventually(l.condition(t, "SystemComponentsHealthy"), timeout).Should(HaveField("Status", Not(Equal(gardencorev1beta1.ConditionTrue))))

	deployment := l.resourceManager(t)
	patch := client.MergeFrom(deployment.DeepCopy())
	container := &deployment.Spec.Template.Spec.Containers[0]
	container.Args = append(container.Args, "--extra-target-namespace=flux-system")
	g.Expect(l.seed.Patch(t.Context(), deployment, patch)).To(Succeed())

	g.Eventually(l.applied(t, "flux-system"), timeout).Should(HaveField("Status", gardencorev1beta1.ConditionTrue))
	g.Expect(l.shoot.Get(t.Context(), client.ObjectKey{Namespace: "flux-system", Name: "greeting"}, &corev1.ConfigMap{})).To(Succeed())
	g.Eventually(l.condition(t, "SystemComponentsHealthy"), timeout).Should(HaveField("Status", gardencorev1beta1.ConditionTrue))

	for _, name := range []string{"kube-system", "flux-system"} {
		g.Expect(managedresources.DeleteForShoot(t.Context(), l.seed, technicalID, name)).To(Succeed())
		g.Expect(managedresources.WaitUntilDeleted(t.Context(), l.seed, technicalID, name)).To(Succeed())
	}
}

func (l *landscape) testExtension(t *testing.T) {
	g := NewWithT(t)
	l.want(t, gardencorev1beta1.Extension{Type: extensionType})

	extension := &extensionsv1alpha1.Extension{}
	g.Eventually(func() (map[string]string, error) {
		err := l.seed.Get(t.Context(), client.ObjectKey{Namespace: technicalID, Name: extensionType}, extension)
		return extension.Annotations, err
	}, timeout).Should(And(HaveKeyWithValue("gardener.cloud/operation", "reconcile"), HaveKey("gardener.cloud/timestamp")))
	g.Expect(extension.Spec.Type).To(Equal(extensionType))
	namespace := &corev1.Namespace{}
	g.Expect(l.seed.Get(t.Context(), client.ObjectKey{Name: technicalID}, namespace)).To(Succeed())
	g.Expect(namespace.Labels).To(HaveKeyWithValue("extensions.gardener.cloud/shoot-flux", "true"))

	g.Eventually(func(g Gomega) gardencorev1beta1.LastOperation {
		l.answer(t, g, &gardencorev1beta1.LastError{Description: "there is no ConfigMap flux-config"}) // to each attempt, as an extension does
		return l.lastOperation(t)(g)
	}, timeout).Should(And(
		HaveField("Type", gardencorev1beta1.LastOperationTypeReconcile),
		HaveField("State", gardencorev1beta1.LastOperationStateError),
		HaveField("Description", HaveSuffix("Operation will be retried.")),
	))
	g.Expect(l.getShoot(t, g).Status.LastErrors).To(ConsistOf(HaveField("Description", And(
		ContainSubstring("Waiting until extension resources handled after kube-apiserver are ready"),
		ContainSubstring("Error while waiting for Extension shoot--demo--one/shoot-flux to become ready"),
		ContainSubstring("there is no ConfigMap flux-config"),
	))))

	g.Eventually(func(g Gomega) gardencorev1beta1.LastOperationState {
		l.answer(t, g, nil) // to each attempt
		return l.lastOperation(t)(g).State
	}, timeout).Should(Equal(gardencorev1beta1.LastOperationStateSucceeded))
	g.Expect(l.getShoot(t, g).Status.LastErrors).To(BeEmpty())
}

// register registers an extension that nobody installs.
func (l *landscape) register(t *testing.T) {
	t.Helper()
	g := NewWithT(t)
	g.Expect(l.garden.Create(t.Context(), &gardencorev1beta1.ControllerRegistration{
		ObjectMeta: metav1.ObjectMeta{Name: "shoot-flux"},
		Spec: gardencorev1beta1.ControllerRegistrationSpec{Resources: []gardencorev1beta1.ControllerResource{
			{Kind: extensionsv1alpha1.ExtensionResource, Type: extensionType},
		}},
	})).To(Succeed())
}

// want makes the Shoot ask for these extensions only.
func (l *landscape) want(t *testing.T, extensions ...gardencorev1beta1.Extension) {
	t.Helper()
	g := NewWithT(t)
	shoot := l.getShoot(t, g)
	patch := client.MergeFrom(shoot.DeepCopy())
	shoot.Spec.Extensions = extensions
	g.Expect(l.garden.Patch(t.Context(), shoot, patch)).To(Succeed())
}

// answer does what an extension that is asked for an operation does last: report how it went.
func (l *landscape) answer(t *testing.T, g Gomega, lastError *gardencorev1beta1.LastError) {
	t.Helper()
	extension := &extensionsv1alpha1.Extension{}
	g.Expect(l.seed.Get(t.Context(), client.ObjectKey{Namespace: technicalID, Name: extensionType}, extension)).To(Succeed())
	patch := client.MergeFrom(extension.DeepCopy())
	delete(extension.Annotations, v1beta1constants.GardenerOperation)
	g.Expect(l.seed.Patch(t.Context(), extension, patch)).To(Succeed())

	patch = client.MergeFrom(extension.DeepCopy())
	state := gardencorev1beta1.LastOperationStateSucceeded
	if lastError != nil {
		state = gardencorev1beta1.LastOperationStateError
	}
	extension.Status.ObservedGeneration = extension.Generation
	extension.Status.LastError = lastError
	extension.Status.LastOperation = &gardencorev1beta1.LastOperation{
		Type: gardencorev1beta1.LastOperationTypeReconcile, State: state, Progress: 100, LastUpdateTime: metav1.Now(),
	}
	g.Expect(l.seed.Status().Patch(t.Context(), extension, patch)).To(Succeed())
}

func (l *landscape) testDisable(t *testing.T) {
	g := NewWithT(t)
	l.want(t)
	g.Eventually(func() bool {
		err := l.seed.Get(t.Context(), client.ObjectKey{Namespace: technicalID, Name: extensionType}, &extensionsv1alpha1.Extension{})
		return apierrors.IsNotFound(err)
	}, timeout).Should(BeTrue())
	namespace := &corev1.Namespace{}
	g.Expect(l.seed.Get(t.Context(), client.ObjectKey{Name: technicalID}, namespace)).To(Succeed())
	g.Expect(namespace.Labels).NotTo(HaveKey("extensions.gardener.cloud/shoot-flux"))
	g.Eventually(l.lastOperation(t), timeout).Should(HaveField("State", gardencorev1beta1.LastOperationStateSucceeded))
}

func (l *landscape) testDelete(t *testing.T) {
	g := NewWithT(t)
	g.Expect(l.running.DeleteShoot(t.Context(), l.namespace, shootName)).To(Succeed())
	g.Eventually(l.workersGone, timeout).Should(Receive(HaveField("DeletionTimestamp", Not(BeNil()))))
	g.Eventually(func() bool {
		return apierrors.IsNotFound(l.garden.Get(t.Context(), client.ObjectKey{Namespace: l.namespace, Name: shootName}, &gardencorev1beta1.Shoot{}))
	}, timeout).Should(BeTrue())
	for _, object := range []client.Object{&corev1.Namespace{}, &extensionsv1alpha1.Cluster{}} {
		g.Expect(apierrors.IsNotFound(l.seed.Get(t.Context(), client.ObjectKey{Name: technicalID}, object))).To(BeTrue(), "%T must be gone", object)
	}
	g.Eventually(func() bool {
		_, running := l.gardenlet.ResourceManager(technicalID)
		return running
	}, timeout).Should(BeFalse())
}

func newShoot(namespace string) *gardencorev1beta1.Shoot {
	return &gardencorev1beta1.Shoot{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: shootName},
		Spec: gardencorev1beta1.ShootSpec{
			CloudProfile:           &gardencorev1beta1.CloudProfileReference{Kind: "CloudProfile", Name: garden.CloudProfileName},
			CredentialsBindingName: new(garden.CredentialsBindingName),
			Region:                 garden.ProviderType,
			Networking:             &gardencorev1beta1.Networking{Type: new(garden.ProviderType), Nodes: new("10.0.0.0/16")},
			Provider: gardencorev1beta1.Provider{Type: garden.ProviderType, Workers: []gardencorev1beta1.Worker{{
				Name: "worker", Machine: gardencorev1beta1.Machine{Type: garden.ProviderType}, Minimum: 1, Maximum: 1,
			}}},
		},
	}
}

func createManagedResource(t *testing.T, seed client.Client, name string, object client.Object) {
	t.Helper()
	g := NewWithT(t)
	object.GetObjectKind().SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ConfigMap"))
	data, err := json.Marshal(object)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(managedresources.CreateForShoot(t.Context(), seed, technicalID, name, "test", false, map[string][]byte{"object.yaml": data})).To(Succeed())
}

func (l *landscape) getShoot(t *testing.T, g Gomega) *gardencorev1beta1.Shoot {
	t.Helper()
	shoot := &gardencorev1beta1.Shoot{}
	g.Expect(l.garden.Get(t.Context(), client.ObjectKey{Namespace: l.namespace, Name: shootName}, shoot)).To(Succeed())
	return shoot
}

func (l *landscape) lastOperation(t *testing.T) func(Gomega) gardencorev1beta1.LastOperation {
	return func(g Gomega) gardencorev1beta1.LastOperation {
		if last := l.getShoot(t, g).Status.LastOperation; last != nil {
			return *last
		}
		return gardencorev1beta1.LastOperation{}
	}
}

func (l *landscape) condition(t *testing.T, conditionType gardencorev1beta1.ConditionType) func(Gomega) gardencorev1beta1.Condition {
	return func(g Gomega) gardencorev1beta1.Condition {
		if condition := v1beta1helper.GetCondition(l.getShoot(t, g).Status.Conditions, conditionType); condition != nil {
			return *condition
		}
		return gardencorev1beta1.Condition{}
	}
}

// applied is the condition of a ManagedResource that says whether its objects are in the shoot.
func (l *landscape) applied(t *testing.T, name string) func(Gomega) gardencorev1beta1.Condition {
	return func(g Gomega) gardencorev1beta1.Condition {
		managedResource := &resourcesv1alpha1.ManagedResource{}
		g.Expect(l.seed.Get(t.Context(), client.ObjectKey{Namespace: technicalID, Name: name}, managedResource)).To(Succeed())
		if condition := v1beta1helper.GetCondition(managedResource.Status.Conditions, resourcesv1alpha1.ResourcesApplied); condition != nil {
			return *condition
		}
		return gardencorev1beta1.Condition{}
	}
}

func (l *landscape) resourceManager(t *testing.T) *appsv1.Deployment {
	t.Helper()
	deployment := &appsv1.Deployment{}
	key := client.ObjectKey{Namespace: technicalID, Name: v1beta1constants.DeploymentNameGardenerResourceManager}
	NewWithT(t).Expect(l.seed.Get(t.Context(), key, deployment)).To(Succeed())
	return deployment
}
