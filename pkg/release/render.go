// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/fluxcd/flux2/v2/pkg/manifestgen"
	"github.com/fluxcd/flux2/v2/pkg/manifestgen/install"
)

// render makes the installation of a release from the files of its manifests.tar.gz. It takes some hundred
// milliseconds and tens of megabytes, and one render waits for another: kustomize allows only one at a time.
func render(tempDir, version string, origin Origin, files map[string][]byte) (*Release, error) {
	options := install.MakeDefaultOptions()
	options.Version = version

	// Kustomize reads what is around its directory too, so this directory gets a private one around it.
	private, err := manifestgen.MkdirTempAbs(tempDir, "flux-manifests-")
	if err != nil {
		return nil, &localError{fmt.Errorf("rendering needs a writable directory for temporary files: %w", err)}
	}
	defer os.RemoveAll(private)
	base := filepath.Join(private, "base")
	if err := writeBase(base, options.Components, files); err != nil {
		return nil, err
	}

	manifests, err := generate(options, base)
	if err != nil {
		return nil, err
	}
	if err := checkComplete(manifests, options); err != nil {
		return nil, err
	}
	digest := sha256.Sum256(manifests)
	return &Release{Version: version, Origin: origin, Digest: "sha256:" + hex.EncodeToString(digest[:]), Manifests: manifests}, nil
}

// writeBase writes only the files that the components need: no other can influence what is rendered.
func writeBase(base string, components []string, files map[string][]byte) error {
	if err := os.Mkdir(base, 0o700); err != nil {
		return &localError{err}
	}
	for _, name := range append([]string{"rbac", "policies"}, components...) {
		name += ".yaml"
		content, ok := files[name]
		if !ok {
			return &refusedError{fmt.Errorf("%s has no file %s", tarballName, name)}
		}
		if err := os.WriteFile(filepath.Join(base, name), content, 0o600); err != nil {
			return &localError{err}
		}
	}
	return nil
}

// checkComplete refuses manifests that lack what everything else builds on. Kustomize does not mind an empty file.
func checkComplete(manifests []byte, options install.Options) error {
	missing := sets.New(
		"CustomResourceDefinition gitrepositories.source.toolkit.fluxcd.io",
		"CustomResourceDefinition kustomizations.kustomize.toolkit.fluxcd.io",
	)
	for _, component := range options.Components {
		missing.Insert("Deployment " + options.Namespace + "/" + component)
	}
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(manifests), 4096)
	for {
		var object metav1.PartialObjectMetadata
		switch err := decoder.Decode(&object); {
		case errors.Is(err, io.EOF) && missing.Len() == 0:
			return nil
		case errors.Is(err, io.EOF):
			return &refusedError{fmt.Errorf("its manifests have no %s", strings.Join(sets.List(missing), ", no "))}
		case err != nil:
			return &refusedError{fmt.Errorf("its manifests can't be read: %w", err)}
		}
		missing.Delete(object.Kind + " " + strings.TrimPrefix(object.Namespace+"/"+object.Name, "/"))
	}
}

// generate turns a panic of kustomize, which it is known for when objects are malformed, into an error.
func generate(options install.Options, base string) (manifests []byte, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = &refusedError{fmt.Errorf("kustomize panicked on its manifests: %v", cause)}
		}
	}()
	manifest, err := install.Generate(options, base)
	if err != nil {
		return nil, &refusedError{fmt.Errorf("its manifests can't be rendered: %w", err)}
	}
	return []byte(manifest.Content), nil
}
