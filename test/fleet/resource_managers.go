// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"
	"github.com/gardener/gardener/pkg/utils/managedresources"

	"github.com/23technologies/gardener-extension-shoot-flux/test/integration"
)

const (
	// fluxNamespace is the namespace of a shoot in which Flux is.
	fluxNamespace = "flux-system"
	// configurationResource is the name of the ManagedResource by which Flux follows the project's repository. It comes last.
	configurationResource = "extension-shoot-flux-configuration"
	installationResource  = "extension-shoot-flux-installation"

	// revision is what Flux has applied in all shoots.
	revision = "main@sha1:0123456789abcdef0123456789abcdef01234567"

	resourceManagerWorkers = 8
)

// resourceManagers plays the gardener-resource-manager of each shoot, and Flux in it: what a ManagedResource holds is applied at once and healthy.
//
// The shoots that have Flux share an API server. So what is the same in many shoots is applied for the first of them only. The objects of a project's
// configuration are read back then, and the proxy answers each shoot of the project with them.
type resourceManagers struct {
	seed, shoot *integration.Server
	proxy       *shootProxy
	queue       workqueue.TypedRateLimitingInterface[appliedResource]

	mutex sync.Mutex
	// applied are the objects of Secrets, by the name of the Secret, which has a hash of the content, and by what of the content is brought to the
	// API server of all shoots.
	applied map[string]*appliedObjects
}

// appliedObjects are what a ManagedResource holds.
type appliedObjects struct {
	references []resourcesv1alpha1.ObjectReference
	// answers are what an API server answers who reads one of Flux's kinds, by the path of the request.
	answers map[string][]byte
}

// appliedResource is a ManagedResource as it was when it was seen.
type appliedResource struct {
	key        types.NamespacedName
	generation int64
	secret     string
}

func newResourceManagers(seed, shoot *integration.Server, proxy *shootProxy) *resourceManagers {
	limiter := workqueue.NewTypedItemExponentialFailureRateLimiter[appliedResource](100*time.Millisecond, 10*time.Second)
	return &resourceManagers{
		seed: seed, shoot: shoot, proxy: proxy, queue: workqueue.NewTypedRateLimitingQueue(limiter), applied: map[string]*appliedObjects{},
	}
}

// run works until the context ends.
func (m *resourceManagers) run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, m.queue.ShutDown)
	defer stop()
	var workers sync.WaitGroup
	for range resourceManagerWorkers {
		workers.Go(func() {
			for {
				item, down := m.queue.Get()
				if down {
					return
				}
				if err := m.apply(ctx, item); err != nil && !apierrors.IsNotFound(err) {
					m.queue.AddRateLimited(item)
				} else {
					m.queue.Forget(item)
				}
				m.queue.Done(item)
			}
		})
	}
	workers.Wait()
	return nil
}

// seen is called for each version of each ManagedResource.
func (m *resourceManagers) seen(managedResource *resourcesv1alpha1.ManagedResource) {
	if managedResource.DeletionTimestamp != nil || len(managedResource.Spec.SecretRefs) == 0 || managedResource.Status.ObservedGeneration == managedResource.Generation {
		return
	}
	m.queue.Add(appliedResource{client.ObjectKeyFromObject(managedResource), managedResource.Generation, managedResource.Spec.SecretRefs[0].Name})
}

func (m *resourceManagers) apply(ctx context.Context, item appliedResource) error {
	objects, err := m.objects(ctx, item)
	if err != nil {
		return err
	}
	if item.key.Name == configurationResource {
		m.proxy.bringFlux(item.key.Namespace, objects.answers)
	}
	status := resourcesv1alpha1.ManagedResourceStatus{ObservedGeneration: item.generation, Resources: objects.references}
	for kind, is := range map[gardencorev1beta1.ConditionType]gardencorev1beta1.ConditionStatus{
		resourcesv1alpha1.ResourcesApplied:     gardencorev1beta1.ConditionTrue,
		resourcesv1alpha1.ResourcesHealthy:     gardencorev1beta1.ConditionTrue,
		resourcesv1alpha1.ResourcesProgressing: gardencorev1beta1.ConditionFalse,
	} {
		status.Conditions = append(status.Conditions, gardencorev1beta1.Condition{
			Type: kind, Status: is, Reason: "Done", Message: "All resources are as they should be.", LastTransitionTime: metav1.Now(), LastUpdateTime: metav1.Now(),
		})
	}
	patch, err := json.Marshal(map[string]any{"status": status})
	if err != nil {
		return fmt.Errorf("failed to encode the status of ManagedResource %s: %w", item.key, err)
	}
	managedResource := &resourcesv1alpha1.ManagedResource{ObjectMeta: metav1.ObjectMeta{Namespace: item.key.Namespace, Name: item.key.Name}}
	if err := m.seed.Client.Status().Patch(ctx, managedResource, client.RawPatch(types.MergePatchType, patch)); err != nil {
		return fmt.Errorf("failed to write the status of ManagedResource %s: %w", item.key, err)
	}
	return nil
}

// objects returns what a ManagedResource holds, and sees that it is in the API server of the shoots.
func (m *resourceManagers) objects(ctx context.Context, item appliedResource) (*appliedObjects, error) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if applied, ok := m.applied[item.secret]; ok {
		return applied, nil
	}
	secret := &corev1.Secret{}
	if err := m.seed.Client.Get(ctx, client.ObjectKey{Namespace: item.key.Namespace, Name: item.secret}, secret); err != nil {
		return nil, fmt.Errorf("failed to read the Secret of ManagedResource %s: %w", item.key, err)
	}
	objects, err := managedresources.ExtractObjectsFromSecret(decoder{}, secret)
	if err != nil {
		return nil, fmt.Errorf("failed to read what ManagedResource %s holds: %w", item.key, err)
	}
	// ConfigMap shoot-info differs from shoot to shoot. All else is the same for many, and is brought to the API server of all shoots once: a real shoot
	// has a resource manager of its own, and they would not wait for each other.
	isShared := func(object client.Object) bool { return object.GetObjectKind().GroupVersionKind().Kind != "ConfigMap" }
	applied := &appliedObjects{references: []resourcesv1alpha1.ObjectReference{}, answers: map[string][]byte{}}
	var manifest bytes.Buffer
	for _, object := range objects {
		version, kind := object.GetObjectKind().GroupVersionKind().ToAPIVersionAndKind()
		applied.references = append(applied.references, resourcesv1alpha1.ObjectReference{ObjectReference: corev1.ObjectReference{
			APIVersion: version, Kind: kind, Namespace: object.GetNamespace(), Name: object.GetName(),
		}})
		if !isShared(object) {
			continue
		}
		content, err := yaml.Marshal(object)
		if err != nil {
			return nil, fmt.Errorf("failed to encode what ManagedResource %s holds: %w", item.key, err)
		}
		fmt.Fprintf(&manifest, "---\n%s", content)
	}
	if known, ok := m.applied[manifest.String()]; ok {
		return &appliedObjects{references: applied.references, answers: known.answers}, nil
	}
	if err := m.shoot.ApplyYAML(ctx, manifest.Bytes()); err != nil {
		return nil, err
	}
	if err := m.bringUp(ctx, objects); err != nil {
		return nil, err
	}
	for _, object := range objects {
		if err := m.readBack(ctx, object, applied.answers); err != nil {
			return nil, err
		}
	}
	m.applied[item.secret], m.applied[manifest.String()] = applied, applied
	return applied, nil
}

// readBack notes what the API server answers who reads an object of one of Flux's kinds.
func (m *resourceManagers) readBack(ctx context.Context, object client.Object, answers map[string][]byte) error {
	gvk := object.GetObjectKind().GroupVersionKind()
	if !strings.HasSuffix(gvk.Group, ".toolkit.fluxcd.io") {
		return nil
	}
	mapping, err := m.shoot.Client.RESTMapper().RESTMapping(gvk.GroupKind(), gvk.Version)
	if err != nil {
		return fmt.Errorf("failed to find out where %s is read: %w", gvk.Kind, err)
	}
	path := fmt.Sprintf("/apis/%s/%s/namespaces/%s/%s/%s", gvk.Group, gvk.Version, object.GetNamespace(), mapping.Resource.Resource, object.GetName())
	current := &unstructured.Unstructured{}
	current.SetGroupVersionKind(gvk)
	if err := m.shoot.Client.Get(ctx, client.ObjectKeyFromObject(object), current); err != nil {
		return fmt.Errorf("failed to read %s of the shoots: %w", path, err)
	}
	answers[path], err = current.MarshalJSON()
	return err
}

// bringUp writes what Kubernetes and Flux would write to the status of objects: Deployments run, the repository is fetched and applied.
func (m *resourceManagers) bringUp(ctx context.Context, objects []client.Object) error {
	var errs []error
	for _, object := range objects {
		current := &unstructured.Unstructured{}
		current.SetGroupVersionKind(object.GetObjectKind().GroupVersionKind())
		current.SetNamespace(object.GetNamespace())
		current.SetName(object.GetName())
		content := statusOf(current.GetKind())
		if content == nil {
			continue
		}
		errs = append(errs, m.writeStatus(ctx, current, content))
	}
	return errors.Join(errs...)
}

func (m *resourceManagers) writeStatus(ctx context.Context, object *unstructured.Unstructured, status func(generation int64) map[string]any) error {
	where := object.GetKind() + " " + client.ObjectKeyFromObject(object).String()
	if err := m.shoot.Client.Get(ctx, client.ObjectKeyFromObject(object), object); err != nil {
		return fmt.Errorf("failed to read %s of the shoots: %w", where, err)
	}
	object.Object["status"] = status(object.GetGeneration())
	if err := m.shoot.Client.Status().Update(ctx, object); err != nil {
		return fmt.Errorf("failed to write the status of %s of the shoots: %w", where, err)
	}
	return nil
}

// statusOf returns the status of objects of a kind that is watched by somebody in a shoot, or else nil.
func statusOf(kind string) func(generation int64) map[string]any {
	now := time.Now().UTC().Format(time.RFC3339)
	condition := func(name string, generation int64, since string) map[string]any {
		return map[string]any{"type": name, "status": "True", "reason": "Succeeded", "message": "all is well", "lastTransitionTime": since, "observedGeneration": generation}
	}
	switch kind {
	case "Deployment":
		return func(generation int64) map[string]any {
			available := condition(string(appsv1.DeploymentAvailable), generation, time.Now().UTC().Add(-24*time.Hour).Format(time.RFC3339))
			delete(available, "observedGeneration")
			return map[string]any{
				"observedGeneration": generation, "replicas": int64(1), "readyReplicas": int64(1), "availableReplicas": int64(1), "updatedReplicas": int64(1),
				"conditions": []any{available},
			}
		}
	case "GitRepository":
		return func(generation int64) map[string]any {
			return map[string]any{
				"observedGeneration": generation, "conditions": []any{condition("Ready", generation, now)},
				"artifact": map[string]any{
					"digest": "sha256:" + strings.Repeat("0", 64), "lastUpdateTime": now, "revision": revision,
					"path": "gitrepository/flux-system/flux-system/0123.tar.gz", "url": "http://source-controller.flux-system.svc/0123.tar.gz",
				},
			}
		}
	case "Kustomization":
		return func(generation int64) map[string]any {
			return map[string]any{
				"observedGeneration": generation, "conditions": []any{condition("Ready", generation, now)},
				"lastAppliedRevision": revision, "lastAttemptedRevision": revision,
			}
		}
	}
	return nil
}

// decoder reads YAML of any kind.
type decoder struct{}

// Decode implements runtime.Decoder.
func (decoder) Decode(data []byte, _ *schema.GroupVersionKind, _ runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	object := &unstructured.Unstructured{}
	if err := yaml.Unmarshal(data, &object.Object); err != nil {
		return nil, nil, err
	}
	return object, new(object.GroupVersionKind()), nil
}
