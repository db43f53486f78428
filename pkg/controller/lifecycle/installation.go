// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"cmp"
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

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/fluxversion"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/migration"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
)

// applyInstallation gives the shoot its release. If it is another one than the shoot has, the shoot is prepared first. If that takes
// more than one step, the error says what is under way, and makes the controller come back soon.
func (r *reconciliation) applyInstallation(ctx context.Context) error {
	r.logRelease()
	if r.desired.ownedByUsers {
		return r.recordUsersFlux(ctx)
	}
	if r.observed.isComplete(r.desired.version) && r.observed.hasDefinitions(r.desired.release.definitions) {
		return r.writeInstallation(ctx, r.desired.release.data, false)
	}
	if err := fluxversion.CheckKubernetes(r.desired.version, r.shoot.Spec.Kubernetes.Version, r.desired.origins); err != nil {
		return err
	}
	bridges, err := r.prepareUpgrade(ctx)
	if err != nil {
		return err
	}
	if len(bridges) == 0 {
		return r.writeInstallation(ctx, r.desired.release.data, false)
	}

	data, err := withDefinitions(r.desired.release.data, bridges)
	if err != nil {
		return err
	}
	if err := r.writeInstallation(ctx, data, true); err != nil {
		return err
	}
	if err := r.checkResourceManager(ctx); err != nil {
		return err
	}
	return requeueSoon(time.Now(), fmt.Errorf("the shoot gets Flux %s in two steps: first with the API versions of the release before (%s), and, as soon as gardener-resource-manager "+
		"has applied that and all objects are stored in the new versions, without them", r.desired.version, strings.Join(names(bridges), ", ")))
}

// installationLabels are what ManagedResource Installation says about itself.
func (r *reconciliation) installationLabels(migrating bool) map[string]string {
	return map[string]string{
		managedresource.FluxVersionLabel:   r.desired.version,
		managedresource.MigratingLabel:     strconv.FormatBool(migrating),
		managedresource.ProtectedLabel:     strconv.FormatBool(r.desired.Installation != fluxv1alpha1.InstallationOnce),
		managedresource.RemovalPolicyLabel: string(r.desired.RemovalPolicy),
	}
}

// writeInstallation also takes the installation back from the shoot's users, if it was theirs.
func (r *reconciliation) writeInstallation(ctx context.Context, data managedresource.Data, migrating bool) error {
	labels, existing := r.installationLabels(migrating), r.observed.installation
	if r.isHandedOver() { // before it is done: afterwards it can't be told from a Flux that was never managed
		if err := r.addNotices(ctx, r.describeHandover()); err != nil {
			return err
		}
	}
	if err := r.deleteFormer(ctx); err != nil {
		return err
	}
	if err := r.recordInstallation(ctx, labels, false); err != nil {
		return err
	}
	if err := managedresource.Apply(ctx, r.Seed, r.extension.Namespace, managedresource.Installation, labels, data, existing); err != nil || existing == nil {
		return mustFail(err)
	}
	return mustFail(managedresource.Unignore(ctx, r.Seed, existing))
}

// prepareUpgrade makes the shoot ready for the CustomResourceDefinitions of its release, or returns those that it needs before.
func (r *reconciliation) prepareUpgrade(ctx context.Context) ([]*apiextensionsv1.CustomResourceDefinition, error) {
	shootClient, err := r.connectToShoot(ctx)
	if err != nil {
		return nil, err
	}
	err = migration.CheckLoss(ctx, shootClient, r.observed.definitions(), r.desired.release.definitions)
	if loss := (*migration.LossError)(nil); errors.As(err, &loss) {
		if r.desired.version == r.observed.fluxVersion {
			return nil, fmt.Errorf("the chosen components of Flux %s would replace others: %w: delete them first, or choose their component again (%s, %s)",
				r.desired.version, err, r.writtenBefore(project.FieldComponents), r.writtenBefore(project.FieldComponentsExtra))
		}
		err = fmt.Errorf("%w: delete them first, or set %s to a release that has it", err, r.desired.origins.Of(project.FieldVersion))
	}
	if err != nil {
		return nil, fmt.Errorf("Flux %s would replace %s: %w", r.desired.version, r.observed.fluxVersion, err)
	}
	settling := cmp.Or(r.SettlingTime, migration.SettlingTime)
	bridges, err := migration.Prepare(ctx, shootClient, settling, r.desired.release.definitions)
	if err != nil || len(bridges) == 0 {
		return nil, requeueUnfinished(err)
	}
	// Only now the whole of them is needed.
	definitions, err := definitionsOf(r.desired.release.data)
	if err != nil {
		return nil, err
	}
	bridges, err = migration.Prepare(ctx, shootClient, settling, definitions)
	return bridges, requeueUnfinished(err)
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
