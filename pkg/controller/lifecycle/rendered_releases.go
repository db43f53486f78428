// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"sync"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/lru"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/takeover"
)

// maxRendered bounds the memory for releases, of which anybody can ask for any. One takes about 40 KiB.
const maxRendered = 64

// renderedRelease is a release of Flux, rendered and serialized.
type renderedRelease struct {
	*render.Installation
	data managedresource.Data
	// notable are those of the objects that are looked for in the shoot before the others are written.
	notable []client.Object
	// definitions are the CustomResourceDefinitions, with nothing but the names of their groups, kinds and versions.
	definitions []*apiextensionsv1.CustomResourceDefinition
}

// renderedReleases renders each release once, for any number of shoots, and again when the images of the landscape have
// changed.
type renderedReleases struct {
	mutex sync.Mutex
	// known has an *renderedRelease by the digests of release and images, and variants one of other variants by these as well: the owners of
	// shoots choose them, and must not push others out of memory.
	known, variants *lru.Cache
}

// of returns the installation of a release in a variant. Rendering takes well below a second, so that
// others simply wait for it.
func (r *renderedReleases) of(fetched *release.Release, images render.Images, as variant) (*renderedRelease, error) {
	images = images.From(as.registry)
	r.mutex.Lock()
	defer r.mutex.Unlock()

	if r.known == nil {
		r.known, r.variants = lru.New(maxRendered), lru.New(maxRendered)
	}
	cache, key := r.known, fetched.Digest+images.Digest()
	if len(as.tolerations) > 0 || as.registry != "" || !as.IsDefault() {
		cache, key = r.variants, fmt.Sprintf("%s%x", key, sha256.Sum256(fmt.Append(nil, as)))
	}
	if known, ok := cache.Get(key); ok {
		return known.(*renderedRelease), nil
	}
	rendered, err := newRenderedRelease(fetched, images, as)
	if err != nil {
		return nil, fmt.Errorf("the manifests of Flux %s (%s) cannot be used: %w", fetched.Version, fetched.Origin, err)
	}
	cache.Add(key, rendered)
	return rendered, nil
}

func newRenderedRelease(fetched *release.Release, images render.Images, as variant) (*renderedRelease, error) {
	manifests, err := fetched.Install(as.Options)
	if err != nil {
		return nil, err
	}
	rendered, err := render.NewInstallation(manifests, images)
	if err != nil {
		return nil, err
	}
	if err := rendered.Tolerate(as.tolerations); err != nil {
		return nil, err
	}
	data, err := managedresource.Serialize(rendered.Objects)
	if err != nil {
		return nil, err
	}
	definitions, err := definitionsOf(data)
	if err != nil {
		return nil, err
	}
	notable := slices.DeleteFunc(rendered.Objects, func(object client.Object) bool { return !takeover.IsNotable(object) })
	// From here on the others are needed as data only, which is a tenth of the size.
	rendered.Objects = nil
	return &renderedRelease{Installation: rendered, data: data, notable: slices.Clip(notable), definitions: namesOf(definitions)}, nil
}

// namesOf returns the definitions with nothing but the names of their groups, kinds and versions: what decides whether objects are to be stored
// anew, in a hundredth of the size.
func namesOf(definitions []*apiextensionsv1.CustomResourceDefinition) []*apiextensionsv1.CustomResourceDefinition {
	var names []*apiextensionsv1.CustomResourceDefinition
	for _, definition := range definitions {
		names = append(names, &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: definition.Name}, Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: definition.Spec.Group, Names: apiextensionsv1.CustomResourceDefinitionNames{Kind: definition.Spec.Names.Kind}, Versions: versionsOf(definition),
		}})
	}
	return names
}

// versionsOf are the versions of a definition, with nothing but their names.
func versionsOf(definition *apiextensionsv1.CustomResourceDefinition) []apiextensionsv1.CustomResourceDefinitionVersion {
	var versions []apiextensionsv1.CustomResourceDefinitionVersion
	for _, version := range definition.Spec.Versions {
		versions = append(versions, apiextensionsv1.CustomResourceDefinitionVersion{Name: version.Name})
	}
	return versions
}
