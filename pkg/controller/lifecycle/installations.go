// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"fmt"
	"sync"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
)

// installation is a release, rendered and serialized.
type installation struct {
	*render.Installation
	data managedresource.Data
}

// installations renders each release once, for any number of shoots. The zero value is ready for use.
type installations struct {
	mutex    sync.Mutex
	byDigest map[string]*installation
}

// of returns the installation of a release. Rendering takes well below a second, so that others simply wait for it.
func (i *installations) of(flux *release.Release) (*installation, error) {
	i.mutex.Lock()
	defer i.mutex.Unlock()

	if known, ok := i.byDigest[flux.Digest]; ok {
		return known, nil
	}
	rendered, err := newInstallation(flux)
	if err != nil {
		return nil, fmt.Errorf("the manifests of Flux %s (%s) cannot be used: %w", flux.Version, flux.Origin, err)
	}
	if i.byDigest == nil {
		i.byDigest = map[string]*installation{}
	}
	i.byDigest[flux.Digest] = rendered
	return rendered, nil
}

func newInstallation(flux *release.Release) (*installation, error) {
	rendered, err := render.NewInstallation(flux.Manifests)
	if err != nil {
		return nil, err
	}
	data, err := managedresource.Serialize(rendered.Objects)
	if err != nil {
		return nil, err
	}
	// From here on only the data is needed, and it is a tenth of the size.
	rendered.Objects = nil
	return &installation{Installation: rendered, data: data}, nil
}
