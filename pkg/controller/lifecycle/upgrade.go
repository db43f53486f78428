// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/fluxversion"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/metrics"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/migration"
)

// install gives the shoot a release. If it is another one than the shoot has, the shoot is prepared first. If that takes
// more than one step, the error says what is under way, and makes the controller come back soon.
func (a *Actuator) install(ctx context.Context, object *gardencorev1beta1.Shoot, ex *extensionsv1alpha1.Extension, configuration *wanted, has *present, flux *chosen) (err error) {
	defer metrics.ObservePhase(metrics.PhaseInstall, time.Now(), &err)
	labels := map[string]string{
		managedresource.FluxVersionLabel:   flux.version,
		managedresource.MigratingLabel:     strconv.FormatBool(false),
		managedresource.ProtectedLabel:     strconv.FormatBool(configuration.Installation != fluxv1alpha1.InstallationOnce),
		managedresource.RemovalPolicyLabel: string(configuration.RemovalPolicy),
	}
	if flux.ofUsers {
		return a.leaveToUsers(ctx, ex, has, labels, flux.status)
	}
	if has.isComplete(flux.version) {
		return a.applyInstallation(ctx, ex, has, labels, flux.status, flux.data)
	}
	if err := fluxversion.CheckKubernetes(flux.version, object.Spec.Kubernetes.Version); err != nil {
		return err
	}
	bridges, err := a.prepare(ctx, has, flux)
	if err != nil {
		return err
	}
	if len(bridges) == 0 {
		return a.applyInstallation(ctx, ex, has, labels, flux.status, flux.data)
	}

	data, err := withDefinitions(flux.data, bridges)
	if err != nil {
		return err
	}
	labels[managedresource.MigratingLabel] = strconv.FormatBool(true)
	if err := a.applyInstallation(ctx, ex, has, labels, flux.status, data); err != nil {
		return err
	}
	if err := a.checkResourceManager(ctx, ex.Namespace, object, flux.status); err != nil {
		return mustFail(err)
	}
	return soon(time.Now(), fmt.Errorf("the shoot gets Flux %s in two steps: first with the API versions of the release before (%s), and, as soon as gardener-resource-manager "+
		"has applied that and all objects are stored in the new versions, without them", flux.version, strings.Join(names(bridges), ", ")))
}

// applyInstallation also takes the installation back from the shoot's users, if it was theirs.
func (a *Actuator) applyInstallation(ctx context.Context, ex *extensionsv1alpha1.Extension, has *present, labels map[string]string,
	status fluxv1alpha1.FluxStatus, data managedresource.Data) error {
	if err := a.note(ctx, ex, has, labels, status, false); err != nil {
		return err
	}
	if err := managedresource.Apply(ctx, a.Seed, ex.Namespace, managedresource.Installation, labels, data, has.installation); err != nil || has.installation == nil {
		return mustFail(err)
	}
	return mustFail(managedresource.Regard(ctx, a.Seed, has.installation))
}

// prepare makes the shoot ready for the CustomResourceDefinitions of a release, or returns those that it needs before.
func (a *Actuator) prepare(ctx context.Context, has *present, flux *chosen) ([]*apiextensionsv1.CustomResourceDefinition, error) {
	shootClient, err := has.shoot.get(ctx)
	if err != nil {
		return nil, err
	}
	err = migration.CheckLoss(ctx, shootClient, has.definitions(), flux.definitions)
	if loss := (*migration.LossError)(nil); errors.As(err, &loss) {
		err = fmt.Errorf("%w: delete them first, or set key fluxVersion of ConfigMap flux-config to a release that has it", err)
	}
	if err != nil {
		return nil, fmt.Errorf("Flux %s would replace %s: %w", flux.version, has.fluxVersion, err)
	}
	bridges, err := migration.Prepare(ctx, shootClient, flux.definitions)
	if err != nil || len(bridges) == 0 {
		return nil, ifUnfinished(err)
	}
	// Only now the whole of them is needed.
	wanted, err := definitionsOf(flux.data)
	if err != nil {
		return nil, err
	}
	bridges, err = migration.Prepare(ctx, shootClient, wanted)
	return bridges, ifUnfinished(err)
}

// definitionsOf returns the CustomResourceDefinitions in the data.
func definitionsOf(data managedresource.Data) ([]*apiextensionsv1.CustomResourceDefinition, error) {
	objects, err := data.Objects()
	if err != nil {
		return nil, err
	}
	return definitionsIn(objects)
}

func definitionsIn(objects []*unstructured.Unstructured) ([]*apiextensionsv1.CustomResourceDefinition, error) {
	var definitions []*apiextensionsv1.CustomResourceDefinition
	for _, object := range objects {
		if object.GetKind() != "CustomResourceDefinition" {
			continue
		}
		definition := &apiextensionsv1.CustomResourceDefinition{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, definition); err != nil {
			return nil, fmt.Errorf("failed to read CustomResourceDefinition %s of the Flux manifests: %w", object.GetName(), err)
		}
		definitions = append(definitions, definition)
	}
	return definitions, nil
}

// withDefinitions returns the data with other CustomResourceDefinitions in place of those of the same names.
func withDefinitions(data managedresource.Data, definitions []*apiextensionsv1.CustomResourceDefinition) (managedresource.Data, error) {
	original, err := data.Objects()
	if err != nil {
		return nil, err
	}
	objects := make([]client.Object, len(original))
	for i, object := range original {
		objects[i] = object
		for _, definition := range definitions {
			if object.GetKind() != "CustomResourceDefinition" || object.GetName() != definition.Name {
				continue
			}
			spec, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&definition.Spec)
			if err != nil {
				return nil, fmt.Errorf("failed to render CustomResourceDefinition %s: %w", definition.Name, err)
			}
			object.Object["spec"] = spec
		}
	}
	return managedresource.Serialize(objects)
}

func names(definitions []*apiextensionsv1.CustomResourceDefinition) []string {
	var names []string
	for _, definition := range definitions {
		names = append(names, definition.Name)
	}
	return names
}
