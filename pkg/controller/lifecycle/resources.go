// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
)

// maxResourcesLength in bytes is how much all Secrets together may hold that a Shoot refers to: they become part of one Secret of the seed, which has
// at most 1 MiB.
const maxResourcesLength = 256 << 10

// resourceUse is a field of the configuration that names an entry of spec.resources of the Shoot.
type resourceUse struct{ field, name string }

// resourceUses are all fields that name a Secret to which the Shoot refers.
func resourceUses(config *fluxv1alpha1.FluxConfig) []resourceUse {
	var uses []resourceUse
	if config.Source != nil && config.Source.SecretResourceName != "" {
		uses = append(uses, resourceUse{"source.secretResourceName", config.Source.SecretResourceName})
	}
	for n, additional := range config.AdditionalSecretResources {
		uses = append(uses, resourceUse{fmt.Sprintf("additionalSecretResources[%d].name", n), additional.Name})
	}
	return uses
}

// readResources reads the Secrets of the shoot's owner that the configuration names. gardenlet has copied them to the seed, when it last reconciled
// the Shoot. A shoot that names none asks nobody.
func (r *reconciliation) readResources(ctx context.Context) error {
	resources, length := map[string]render.Resource{}, 0
	for _, use := range resourceUses(r.desired.FluxConfig) {
		if _, known := resources[use.name]; known {
			continue
		}
		resource, err := r.readResource(ctx, use)
		if err != nil {
			return err
		}
		for key, value := range resource.Data {
			length += len(key) + len(value)
		}
		if length > maxResourcesLength {
			return fmt.Errorf("%s: the Secrets to which the Shoot %s refers have more than %d KiB together: let it bring less into the shoot",
				use.field, client.ObjectKeyFromObject(r.shoot), maxResourcesLength>>10)
		}
		resources[use.name] = resource
	}
	r.desired.resources = resources
	return checkTargets(r.desired.FluxConfig, resources, r.desired.origins)
}

// readResource reads a Secret that the Shoot refers to. What it holds is in no error.
func (r *reconciliation) readResource(ctx context.Context, use resourceUse) (render.Resource, error) {
	none := render.Resource{}
	entry := slices.IndexFunc(r.shoot.Spec.Resources, func(resource gardencorev1beta1.NamedResourceReference) bool { return resource.Name == use.name })
	if entry < 0 {
		return none, fmt.Errorf("%s: spec.resources of the Shoot %s has no entry %q: add one that refers to a Secret", use.field, client.ObjectKeyFromObject(r.shoot), use.name)
	}
	reference := r.shoot.Spec.Resources[entry].ResourceRef
	if reference.Kind != "Secret" || cmp.Or(reference.APIVersion, "v1") != "v1" {
		return none, fmt.Errorf("%s: entry %q in spec.resources of the Shoot %s refers to a %s: let it refer to a Secret", use.field, use.name, client.ObjectKeyFromObject(r.shoot), reference.Kind)
	}
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: r.extension.Namespace, Name: v1beta1constants.ReferencedResourcesPrefix + reference.Name}
	if err := r.Seed.Get(ctx, key, secret); apierrors.IsNotFound(err) {
		return none, fmt.Errorf("%s: Secret %s/%s, to which entry %q in spec.resources of the Shoot refers, has not come to the seed (as Secret %s): Gardener brings it when it reconciles the Shoot",
			use.field, r.shoot.Namespace, reference.Name, use.name, key)
	} else if err != nil {
		return none, fmt.Errorf("failed to read Secret %s of the seed: %w", key, err)
	}
	if secret.Type == corev1.SecretTypeServiceAccountToken || secret.Type == corev1.SecretTypeBootstrapToken {
		return none, fmt.Errorf("%s: Secret %s/%s is of type %s, which means something only in its own cluster: take a Secret of another type", use.field, r.shoot.Namespace, reference.Name, secret.Type)
	}
	return render.Resource{Name: reference.Name, Type: secret.Type, Data: secret.Data}, nil
}

// checkTargets refuses two Secrets of one name: which of them counts would be chance.
func checkTargets(config *fluxv1alpha1.FluxConfig, resources map[string]render.Resource, origins project.Origins) error {
	first := map[string]int{}
	for n, additional := range config.AdditionalSecretResources {
		target := cmp.Or(additional.TargetName, resources[additional.Name].Name)
		if other, taken := first[target]; taken {
			return fmt.Errorf("additionalSecretResources[%d].targetName: Secret %s of the shoot is that of additionalSecretResources[%d] already: write another targetName in %s", n, target, other,
				origins.Of(project.FieldAdditionalSecrets).Place(""))
		}
		first[target] = n
	}
	return nil
}

// checkPullSecret refuses a Secret in the place of the one for Flux's own images, which comes with the installation.
func checkPullSecret(namespace string, objects []client.Object) error {
	taken := client.ObjectKey{Namespace: namespace, Name: render.PullSecretName}
	for _, object := range objects {
		if _, isSecret := object.(*corev1.Secret); isSecret && client.ObjectKeyFromObject(object) == taken {
			return fmt.Errorf("the Secret %s of the shoot is the one for Flux's own images: give the Secret that is to come into the shoot another name", taken)
		}
	}
	return nil
}

// replaceRetyped lets gardener-resource-manager make a Secret of the shoot's owner anew if it is of another type than the one in its place, because no Secret can
// change its type. That stays so: gardener-resource-manager may not have come to it yet. All others are never deleted because they can't be written.
func (r *reconciliation) replaceRetyped(ctx context.Context) error {
	var secrets []*corev1.Secret
	for _, object := range r.desired.objects {
		if secret, ok := object.(*corev1.Secret); ok && secret.Labels[render.ManagedByLabel] == render.ManagedBy {
			secrets = append(secrets, secret)
		}
	}
	if len(secrets) == 0 {
		return nil
	}
	kept, err := r.keptSecrets(ctx)
	if err != nil && !managedresource.IsDamaged(err) { // it is about to be mended
		return mustFail(err)
	}
	for _, secret := range secrets {
		before := kept[client.ObjectKeyFromObject(secret)]
		if before != nil && (before.Type != secret.Type || before.Annotations[resourcesv1alpha1.DeleteOnInvalidUpdate] != "") {
			metav1.SetMetaDataAnnotation(&secret.ObjectMeta, resourcesv1alpha1.DeleteOnInvalidUpdate, "true")
		}
	}
	return nil
}
