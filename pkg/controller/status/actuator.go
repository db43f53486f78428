// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"context"
	"time"

	"github.com/go-logr/logr"

	"github.com/gardener/gardener/extensions/pkg/controller/extension"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
)

// farewell bounds how long the end of an Extension waits for the garden.
const farewell = 5 * time.Second

// Actuator returns an actuator that does what the given one does, and takes a shoot out of ConfigMap flux-status before its
// Extension goes: afterwards, nobody would do it if the extension were stopped at that moment. If the garden can't be reached,
// the Extension goes all the same.
func (t *Teller) Actuator(actuator extension.Actuator) extension.Actuator {
	return &tellingActuator{Actuator: actuator, teller: t}
}

type tellingActuator struct {
	extension.Actuator
	teller *Teller
}

// Delete implements extension.Actuator.
func (a *tellingActuator) Delete(ctx context.Context, log logr.Logger, ex *extensionsv1alpha1.Extension) error {
	return a.sayFarewell(ctx, log, ex, a.Actuator.Delete)
}

// ForceDelete implements extension.Actuator.
func (a *tellingActuator) ForceDelete(ctx context.Context, log logr.Logger, ex *extensionsv1alpha1.Extension) error {
	return a.sayFarewell(ctx, log, ex, a.Actuator.ForceDelete)
}

// Migrate implements extension.Actuator.
func (a *tellingActuator) Migrate(ctx context.Context, log logr.Logger, ex *extensionsv1alpha1.Extension) error {
	return a.sayFarewell(ctx, log, ex, a.Actuator.Migrate)
}

func (a *tellingActuator) sayFarewell(ctx context.Context, log logr.Logger, ex *extensionsv1alpha1.Extension,
	do func(context.Context, logr.Logger, *extensionsv1alpha1.Extension) error) error {
	if err := do(ctx, log, ex); err != nil {
		return err
	}
	project := a.teller.projects.of(ctx, ex.Namespace)
	if project == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, farewell)
	defer cancel()
	if _, err := a.teller.tell(ctx, project, ex.Namespace); err != nil {
		log.Error(err, "ConfigMap flux-status in the garden still speaks of the shoot")
	}
	return nil
}
