// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
)

// maxProviderConfigLength in bytes is far more than a FluxConfig needs.
const maxProviderConfigLength = 4096

// writeFluxConfig is what to do about a providerConfig that can't be read.
var writeFluxConfig = fmt.Sprintf("write apiVersion: %s, kind: FluxConfig, and the fields %s", fluxv1alpha1.GroupVersion, strings.Join(project.ShootKeys(), " and "))

func override(configuration *project.Configuration, providerConfig *runtime.RawExtension) error {
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
	configuration.Override(config)
	return configuration.Validate().ToAggregate()
}

// providerConfigDecoder refuses unknown fields.
var providerConfigDecoder = func() runtime.Decoder {
	scheme := runtime.NewScheme()
	utilruntime.Must(fluxv1alpha1.AddToScheme(scheme))
	return serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
}()
