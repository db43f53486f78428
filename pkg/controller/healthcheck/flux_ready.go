// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package healthcheck

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gardener/gardener/extensions/pkg/controller/healthcheck"
	v1beta1helper "github.com/gardener/gardener/pkg/api/core/v1beta1/helper"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
)

// fluxReady repeats what condition FluxReady of the Extension says. It does not look into the shoot itself. What is under way is
// no fault.
type fluxReady struct {
	seed client.Reader
}

// Check implements healthcheck.HealthCheck.
func (c *fluxReady) Check(ctx context.Context, key types.NamespacedName) (*healthcheck.SingleCheckResult, error) {
	ex := &extensionsv1alpha1.Extension{}
	if err := c.seed.Get(ctx, key, ex); err != nil {
		return nil, fmt.Errorf("failed to read Extension %s of the seed: %w", key, err)
	}
	condition := v1beta1helper.GetCondition(ex.Status.Conditions, fluxv1alpha1.FluxReady)
	if condition == nil || condition.Status != gardencorev1beta1.ConditionFalse {
		return &healthcheck.SingleCheckResult{Status: gardencorev1beta1.ConditionTrue}, nil
	}
	return &healthcheck.SingleCheckResult{Status: gardencorev1beta1.ConditionFalse, Detail: condition.Message}, nil
}

// SetLoggerSuffix implements healthcheck.HealthCheck. Nothing is logged.
func (c *fluxReady) SetLoggerSuffix(string, string) {}
