// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"
	"os"

	"github.com/spf13/pflag"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
)

// images says where all shoots get Flux's images from.
type images struct {
	registry       string
	pullSecretFile string
}

func (i *images) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&i.registry, "flux-image-registry", "",
		"The registry, optionally with a path, from which shoots get Flux's images, such as registry.example.org/mirror/fluxcd. Default: that of each release.")
	flags.StringVar(&i.pullSecretFile, "flux-image-pull-secret-file", "",
		"The path of a .dockerconfigjson with which shoots get Flux's images. It is put into each shoot, and read again at each reconciliation.")
}

// complete keeps a process from starting with images that no shoot could use.
func (i *images) complete() error {
	if err := (render.Images{Registry: i.registry}).Validate(); err != nil {
		return fmt.Errorf("--flux-image-registry: %w", err)
	}
	_, err := i.read()
	return err
}

// read returns the images with the pull secret that is in the file now: kubelet replaces it when the Secret is rotated.
func (i *images) read() (render.Images, error) {
	images := render.Images{Registry: i.registry}
	if i.pullSecretFile == "" {
		return images, nil
	}
	content, err := os.ReadFile(i.pullSecretFile)
	if err != nil {
		return render.Images{}, fmt.Errorf("--flux-image-pull-secret-file: failed to read the pull secret for Flux's images: %w", err)
	}
	images.PullSecret = content
	if err := images.Validate(); err != nil {
		return render.Images{}, fmt.Errorf("--flux-image-pull-secret-file %s: %w", i.pullSecretFile, err)
	}
	return images, nil
}
