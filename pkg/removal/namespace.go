// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package removal

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/shoot"
)

const (
	// searchDuration bounds the search through a namespace, of which the shoot's users choose how many kinds it can have.
	searchDuration = 10 * time.Second
	// parallelLists is how many kinds are listed at the same time.
	parallelLists = 8
)

var namespaceKind = corev1.SchemeGroupVersion.WithKind("Namespace")

// DeleteNamespace deletes the namespace of Flux after DeleteInstallation, if nothing of somebody else is in it. Else it stays, and
// kept says because of what. It returns the namespace if it is not gone yet.
func (r Removal) DeleteNamespace(ctx context.Context, contents *shoot.Contents) (kept string, left Left, err error) {
	namespaces, err := read(ctx, r.Shoot, references(namespaceKind, r.Namespace))
	if err != nil {
		return "", nil, err
	}
	if slices.ContainsFunc(namespaces, isAlive) {
		if kept, err = r.search(ctx, contents); err != nil || kept != "" {
			return kept, nil, err
		}
	}
	d := r.newDeletion()
	err = d.delete(ctx, namespaces)
	return "", d.left, err
}

// search says what of somebody else is in the namespace of Flux. If that can't be found out for all of it, it says so.
func (r Removal) search(ctx context.Context, contents *shoot.Contents) (string, error) {
	resources, unknown, err := contents.Resources()
	if err != nil {
		return "", err
	}
	limited, cancel := context.WithTimeout(ctx, searchDuration)
	defer cancel()
	found := &findings{namespace: r.Namespace, kinds: sets.New[schema.GroupKind]()}
	for _, version := range unknown {
		found.add("what is served as " + version + ", which does not answer")
	}
	for _, resource := range resources {
		found.kinds.Insert(schema.GroupKind{Group: resource.Group, Kind: resource.Kind})
	}
	group, groupContext := errgroup.WithContext(limited)
	group.SetLimit(parallelLists)
	for _, resource := range resources {
		if slices.Contains(flux.Definitions(), resource.GroupResource().String()) || passing.Has(resource.GroupResource()) {
			continue
		}
		group.Go(func() error { return found.list(groupContext, contents, resource) })
	}
	err = group.Wait()
	switch {
	case err == nil, errors.Is(err, errEnough):
	case limited.Err() != nil && ctx.Err() == nil:
		found.add("more kinds of objects than can be looked through")
	default:
		return "", err
	}
	slices.Sort(found.objects)
	return nameSome(found.objects), nil
}

// findings are what of somebody else is in a namespace.
type findings struct {
	namespace string
	// kinds are all that are in namespaces.
	kinds sets.Set[schema.GroupKind]

	mutex   sync.Mutex
	objects []string
}

// add adds something, and tells whether there is place for more.
func (f *findings) add(object string) bool {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if len(f.objects) <= named {
		f.objects = append(f.objects, object)
	}
	return len(f.objects) <= named
}

func (f *findings) list(ctx context.Context, contents *shoot.Contents, resource shoot.Resource) error {
	more := true
	err := contents.List(ctx, resource, f.namespace, func(object *metav1.PartialObjectMetadata) bool {
		if isForeign(object, f.kinds.Has) {
			more = f.add(describe(object))
		}
		return more
	})
	var noAnswer *url.Error
	switch {
	case apierrors.IsNotFound(err), apierrors.IsMethodNotSupported(err): // the kind has just gone, or has nothing to list
	case errors.As(err, &noAnswer), ctx.Err() != nil:
		return err
	case err != nil:
		more = f.add("objects of kind " + resource.Kind + ", which can't be listed")
	}
	if !more {
		return errEnough
	}
	return nil
}

// passing are kinds whose objects live only as long as something else, and hold nothing that anybody would miss.
var passing = sets.New(
	schema.GroupResource{Resource: "events"},
	schema.GroupResource{Group: "events.k8s.io", Resource: "events"},
	schema.GroupResource{Resource: "endpoints"},
	schema.GroupResource{Group: "discovery.k8s.io", Resource: "endpointslices"},
	schema.GroupResource{Group: "coordination.k8s.io", Resource: "leases"},
)

// isForeign tells whether an object in the namespace of Flux is somebody's who would miss it. It isn't if it is being deleted, belongs
// to another object in the namespace, or is what Kubernetes and Flux's controllers make in a namespace themselves.
func isForeign(object *metav1.PartialObjectMetadata, isNamespaced func(schema.GroupKind) bool) bool {
	if object.DeletionTimestamp != nil || slices.ContainsFunc(object.OwnerReferences, func(owner metav1.OwnerReference) bool {
		return isNamespaced(schema.FromAPIVersionAndKind(owner.APIVersion, owner.Kind).GroupKind())
	}) {
		return false
	}
	switch object.GroupVersionKind() {
	case corev1.SchemeGroupVersion.WithKind("ConfigMap"):
		_, lock := object.Annotations[resourcelock.LeaderElectionRecordAnnotationKey] // of old releases; the others have a Lease
		return !lock && object.Name != rootCAConfigMap
	case corev1.SchemeGroupVersion.WithKind("ServiceAccount"):
		return object.Name != defaultServiceAccount
	case corev1.SchemeGroupVersion.WithKind("Secret"):
		// The token of a service account goes with it. Kubernetes made one for each before v1.24.
		account, isToken := object.Annotations[corev1.ServiceAccountNameKey]
		return !isToken || account == defaultServiceAccount && !strings.HasPrefix(object.Name, defaultServiceAccount+"-token-")
	}
	return true
}

const (
	// rootCAConfigMap and defaultServiceAccount are what kube-controller-manager makes in each namespace.
	rootCAConfigMap       = "kube-root-ca.crt"
	defaultServiceAccount = "default"
)

// DescribeKept is the sentence about a namespace that stays because of what DeleteNamespace says.
func (r Removal) DescribeKept(kept string) string {
	return fmt.Sprintf("Flux has been removed, and namespace %s stays in the shoot, because the extension did not install all that is in it: %s", r.Namespace, kept)
}

// DescribeUsers is the sentence about a namespace that stays because it was there before Flux.
func (r Removal) DescribeUsers() string {
	return fmt.Sprintf("Flux has been removed, and namespace %s stays in the shoot, because it was there before Flux", r.Namespace)
}

// GiveBackNamespace takes off a namespace, which was there before Flux, what tells that it is Flux's.
func (r Removal) GiveBackNamespace(ctx context.Context) error {
	namespaces, err := read(ctx, r.Shoot, references(namespaceKind, r.Namespace))
	if err != nil {
		return err
	}
	return annotate(ctx, r.Shoot, namespaces, annotation{
		change: func(namespace client.Object) bool {
			before := len(namespace.GetLabels()) + len(namespace.GetAnnotations())
			for _, label := range []string{flux.LabelPartOf, flux.LabelInstance, flux.LabelVersion} {
				delete(namespace.GetLabels(), label)
			}
			delete(namespace.GetAnnotations(), resourcesv1alpha1.OriginAnnotation)
			return render.Unprotect(namespace) || len(namespace.GetLabels())+len(namespace.GetAnnotations()) < before
		},
		progress: "the namespace of Flux is being left to the shoot's users: %w", failed: "failed to leave %s of the shoot to its users: %w",
	})
}
