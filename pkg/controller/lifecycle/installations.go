// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"fmt"
	"slices"
	"sync"

	"k8s.io/utils/lru"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/takeover"
)

// maxInstallations bounds the memory for releases, of which anybody can ask for any. One takes about 40 KiB.
const maxInstallations = 64

// installation is a release, rendered and serialized.
type installation struct {
	*render.Installation
	data managedresource.Data
	// notable are those of the objects that are looked for in the shoot before the others are written.
	notable []client.Object
}

// installations renders each release once, for any number of shoots, and again when the images of the landscape have
// changed.
type installations struct {
	mutex sync.Mutex
	// known has an *installation by the digests of release and images.
	known *lru.Cache
}

// of returns the installation of a release. Rendering takes well below a second, so that others simply wait for it.
func (i *installations) of(flux *release.Release, images render.Images) (*installation, error) {
	i.mutex.Lock()
	defer i.mutex.Unlock()

	if i.known == nil {
		i.known = lru.New(maxInstallations)
	}
	key := flux.Digest + images.Digest()
	if known, ok := i.known.Get(key); ok {
		return known.(*installation), nil
	}
	rendered, err := newInstallation(flux, images)
	if err != nil {
		return nil, fmt.Errorf("the manifests of Flux %s (%s) cannot be used: %w", flux.Version, flux.Origin, err)
	}
	i.known.Add(key, rendered)
	return rendered, nil
}

func newInstallation(flux *release.Release, images render.Images) (*installation, error) {
	rendered, err := render.NewInstallation(flux.Manifests, images)
	if err != nil {
		return nil, err
	}
	data, err := managedresource.Serialize(rendered.Objects)
	if err != nil {
		return nil, err
	}
	notable := slices.DeleteFunc(rendered.Objects, func(object client.Object) bool { return !takeover.IsNotable(object) })
	// From here on the others are needed as data only, which is a tenth of the size.
	rendered.Objects = nil
	return &installation{Installation: rendered, data: data, notable: slices.Clip(notable)}, nil
}
