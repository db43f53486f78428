// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"fmt"
	"strings"
	"time"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/metrics"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
)

// wanted is what the project's admin wants for a shoot, and in its place what the shoot's owner wants.
type wanted struct {
	*fluxv1alpha1.FluxConfig
	// projectDigest is of what the project's admin wants alone. A change of it reaches the shoots by configurationWatch.
	projectDigest string
}

// readWanted returns what is wanted for a shoot.
func readWanted(ctx context.Context, garden client.Reader, shoot *gardencorev1beta1.Shoot, ex *extensionsv1alpha1.Extension) (_ *wanted, err error) {
	defer metrics.ObservePhase(metrics.PhaseProject, time.Now(), &err)
	configuration, err := readConfiguration(ctx, garden, shoot.Namespace)
	if err != nil {
		return nil, err
	}
	digest := project.Digest(configuration)
	if err := override(configuration, ex.Spec.ProviderConfig); err != nil {
		return nil, fmt.Errorf("field providerConfig of extension %s in Shoot %s is not valid: %w", Type, client.ObjectKeyFromObject(shoot), err)
	}
	return &wanted{FluxConfig: configuration, projectDigest: digest}, nil
}

// maxProviderConfigLength in bytes is far more than a FluxConfig needs.
const maxProviderConfigLength = 4096

// writeFluxConfig is what to do about a providerConfig that can't be read.
var writeFluxConfig = fmt.Sprintf("write apiVersion: %s, kind: FluxConfig, and the fields %s", fluxv1alpha1.GroupVersion, strings.Join(project.ShootKeys(), " and "))

func override(configuration *fluxv1alpha1.FluxConfig, providerConfig *runtime.RawExtension) error {
	if providerConfig == nil || len(providerConfig.Raw) == 0 {
		return nil
	}
	if len(providerConfig.Raw) > maxProviderConfigLength {
		return fmt.Errorf("it has more than %d bytes: %s", maxProviderConfigLength, writeFluxConfig)
	}
	object, _, err := providerConfigDecoder.Decode(providerConfig.Raw, nil, nil)
	if err != nil {
		// The words of the decoder repeat each unknown field.
		return fmt.Errorf("%s: %.400s", writeFluxConfig, err.Error())
	}
	config, ok := object.(*fluxv1alpha1.FluxConfig)
	if !ok {
		return fmt.Errorf("write kind: FluxConfig in place of %s", object.GetObjectKind().GroupVersionKind().Kind)
	}
	if err := checkSupported(config); err != nil {
		return err
	}
	project.Override(configuration, config)
	return project.Validate(configuration).ToAggregate()
}

// providerConfigDecoder refuses unknown fields.
var providerConfigDecoder = func() runtime.Decoder {
	scheme := runtime.NewScheme()
	utilruntime.Must(fluxv1alpha1.AddToScheme(scheme))
	return serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
}()

// checkSupported refuses what a FluxConfig can hold, and a shoot can't have yet.
func checkSupported(config *fluxv1alpha1.FluxConfig) error {
	others := config.DeepCopy()
	others.TypeMeta, others.Installation, others.RemovalPolicy = metav1.TypeMeta{}, "", ""
	if !apiequality.Semantic.DeepEqual(others, &fluxv1alpha1.FluxConfig{}) {
		return fmt.Errorf("a shoot can only have its own %s", strings.Join(project.ShootKeys(), " and "))
	}
	return nil
}
