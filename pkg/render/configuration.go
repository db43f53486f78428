// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package render

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/sourcesecret"
)

// Wanted is what a shoot is to have besides the installation.
type Wanted struct {
	// Config is complete: nothing is defaulted here but what is left out of an object that is written as a template.
	Config *fluxv1alpha1.FluxConfig
	// Credentials are those of the project for Config.Repository, or nil if it is public.
	Credentials *sourcesecret.Credentials
	// Resources are Secrets that the Shoot refers to, by the names of the entries in its spec.resources.
	Resources map[string]Resource
	// TargetNamespace is into which namespace all of Config.Repository is deployed, or empty if its manifests say that.
	TargetNamespace string
	// Shoot is what ConfigMap shoot-info says, or nil.
	Shoot *ShootInfo
	// Release is the Flux that the shoot gets, such as v2.9.4, or empty if it is not known. Errors name it.
	Release string
	// FluxOfUsers tells that only the shoot's users can upgrade it.
	FluxOfUsers bool
	// Origins say who wrote Config. Errors name where it is to be corrected.
	Origins project.Origins
}

// Configuration is what a shoot has besides the installation.
type Configuration struct {
	// Objects are a source and a Kustomization, if something is followed, the Secrets, and ConfigMap shoot-info.
	Objects []client.Object
	// Unknown are fields of the templates that the release does not know, and that are left out.
	Unknown []string
	// Refused is nil or says why the source and the Kustomization must not be written: the release does not know a field without which they would be
	// something else than what is configured. Who leaves to the shoot's users what they have can ignore it.
	Refused error
}

// namespace is where Flux is installed.
func (w Wanted) namespace() string {
	return cmp.Or(w.Config.Flux.Namespace, flux.Namespace)
}

// Configuration renders what makes Flux follow something, in the versions that the installation serves: a source, a Kustomization and the
// Secrets that they need. A source and a Kustomization that are written as templates stay as they are written, but for what can't be left
// out. The objects are protected from what the source says of them (Protect), unless they are their users' (syncMode: Once). The error says
// which field can't be had.
func (i *Installation) Configuration(wanted Wanted) (*Configuration, error) {
	configuration := &Configuration{}
	followed, err := i.follow(wanted, configuration)
	if err != nil {
		return nil, err
	}
	if wanted.Config.SyncMode != fluxv1alpha1.SyncOnce {
		for _, object := range followed {
			Protect(object)
		}
	}
	others, err := secretsOf(wanted, followed)
	if err != nil {
		return nil, err
	}
	if wanted.Shoot != nil {
		others = append(others, wanted.Shoot.configMap(wanted.namespace()))
	}
	for _, object := range others {
		Protect(object)
	}
	for _, object := range followed {
		configuration.Objects = append(configuration.Objects, object)
	}
	configuration.Objects = append(configuration.Objects, others...)
	configuration.Objects = append(configuration.Objects, otherNamespaces(wanted.namespace(), configuration.Objects)...)
	return configuration, checkDistinct(configuration.Objects)
}

// follow renders the source and the Kustomization, or nothing.
func (i *Installation) follow(wanted Wanted, configuration *Configuration) ([]*unstructured.Unstructured, error) {
	config := wanted.Config
	if config.Source == nil && config.Repository == nil {
		if config.Kustomization != nil {
			return nil, errors.New("source.template is missing: write it beside kustomization.template")
		}
		return nil, nil
	}
	origin, err := sourceObject(wanted)
	if err != nil {
		return nil, err
	}
	root, err := kustomizationObject(wanted, origin)
	if err != nil {
		return nil, err
	}
	if config.IsSuspended() {
		for _, object := range []*unstructured.Unstructured{origin, root} {
			if err := unstructured.SetNestedField(object.Object, true, "spec", "suspend"); err != nil {
				return nil, err
			}
		}
	}
	if err := i.completeSource(wanted, origin, configuration); err != nil {
		return nil, err
	}
	if err := i.completeKustomization(wanted, root, configuration); err != nil {
		return nil, err
	}
	return []*unstructured.Unstructured{origin, root}, nil
}

// completeSource turns a source into what the API server of the shoot would store for it.
func (i *Installation) completeSource(wanted Wanted, origin *unstructured.Unstructured, configuration *Configuration) error {
	written := origin.DeepCopy()
	resource, err := i.resourceOf(wanted, origin)
	if err != nil {
		return err
	}
	unknown := resource.complete(origin)
	if wanted.Config.Source == nil {
		configuration.refuse(wanted.checkShortForm(written, unknown))
		return nil
	}
	configuration.refuse(wanted.checkTemplate(written, sourceTemplate, unknown))
	return configuration.addTemplate(wanted, resource, origin, sourceTemplate, unknown)
}

// completeKustomization does likewise.
func (i *Installation) completeKustomization(wanted Wanted, root *unstructured.Unstructured, configuration *Configuration) error {
	written := root.DeepCopy()
	resource, err := i.resourceOf(wanted, root)
	if err != nil {
		return err
	}
	if wanted.Config.Kustomization == nil {
		configuration.refuse(wanted.checkShortForm(written, resource.complete(root)))
		return nil
	}
	if err := resource.keepDeployed(root, wanted.Config.SyncMode); err != nil {
		return err
	}
	return configuration.addTemplate(wanted, resource, root, kustomizationTemplate, resource.complete(root))
}

// refuse notes the first reason, if there is one.
func (c *Configuration) refuse(reason error) {
	if c.Refused == nil {
		c.Refused = reason
	}
}

// addTemplate checks an object that was written as a template and is complete, and notes what the release does not know of it.
func (c *Configuration) addTemplate(wanted Wanted, resource *customResource, object *unstructured.Unstructured, template string, unknown []string) error {
	if err := resource.validate(object, template); err != nil {
		return fmt.Errorf("%w: correct it in %s", err, wanted.Origins.Of(template).Place(""))
	}
	for _, field := range unknown {
		c.Unknown = append(c.Unknown, template+"."+field)
	}
	return nil
}

// resourceOf returns how the API server of the shoot sees an object.
func (i *Installation) resourceOf(wanted Wanted, object *unstructured.Unstructured) (*customResource, error) {
	kind, ok := flux.KindOf(object.GroupVersionKind().GroupKind())
	if !ok {
		return nil, fmt.Errorf("the kind %s of %s can't be followed", object.GetKind(), object.GetAPIVersion())
	}
	resource := i.followed[kind.Definition()]
	if resource == nil {
		return nil, fmt.Errorf("the Flux of the shoot has no kind %s: %s", kind.Kind, wanted.upgrade())
	}
	return resource, nil
}

// otherNamespaces are those of some objects beside that of Flux. They stay when the objects go, because others may have come into them, and are
// not protected: a repository may say more of them.
func otherNamespaces(namespace string, objects []client.Object) []client.Object {
	var others []client.Object
	known := []string{namespace, metav1.NamespaceDefault, metav1.NamespaceSystem}
	for _, object := range objects {
		if slices.Contains(known, object.GetNamespace()) {
			continue
		}
		known = append(known, object.GetNamespace())
		others = append(others, &corev1.Namespace{
			TypeMeta:   metav1.TypeMeta{APIVersion: corev1.SchemeGroupVersion.String(), Kind: "Namespace"},
			ObjectMeta: metav1.ObjectMeta{Name: object.GetNamespace(), Annotations: map[string]string{resourcesv1alpha1.KeepObject: "true"}},
		})
	}
	return others
}

// checkDistinct refuses objects of which one would take the place of another.
func checkDistinct(objects []client.Object) error {
	seen := map[string]bool{}
	for _, object := range objects {
		name := object.GetObjectKind().GroupVersionKind().Kind + " " + client.ObjectKeyFromObject(object).String()
		if seen[name] {
			return fmt.Errorf("the shoot would get two objects %s: give one of them another name", name)
		}
		seen[name] = true
	}
	return nil
}
