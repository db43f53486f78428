// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"github.com/spf13/pflag"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/oci"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/server"
)

// releases says where Flux releases come from besides those that are built in.
type releases struct {
	options release.Options

	catalogue *release.Catalogue
}

func (r *releases) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&r.options.Directory, "flux-releases-directory", "",
		"A directory with Flux releases that are not built in, each as <version>/gotk-components.yaml with the output of flux install --export.")
	flags.StringVar(&r.options.OCIRepository, "flux-releases-oci-repository", oci.DefaultRepository,
		"The OCI repository of Flux's manifests, or a mirror of it, for releases that are neither built in nor in the directory. If it is empty, there is none.")
	flags.StringVar(&r.options.BaseURL, "flux-releases-url", server.DefaultURL,
		"The URL of Flux's releases, or of a mirror with the same layout, for releases that are nowhere else.")
	flags.StringVar(&r.options.CAFile, "flux-releases-ca-file", "",
		"A file with the certificates of CAs, as PEM, that the OCI repository and the URL of Flux's releases may have besides those of the system.")
}

func (r *releases) complete() error {
	var err error
	r.catalogue, err = release.NewCatalogue(r.options)
	return err
}
