// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/fluxcd/flux2/v2/pkg/manifestgen"
	"github.com/fluxcd/flux2/v2/pkg/manifestgen/install"
)

// renderer makes the installation of a release from the files of its manifests.tar.gz.
type renderer struct {
	// tempDir is where the temporary files of a render go.
	tempDir string
	// generate makes the installation from the files in a directory. Tests remember what it made of the same files.
	generate func(options install.Options, base string) ([]byte, error)
	// renders counts them.
	renders atomic.Int64
}

func newRenderer(tempDir string) *renderer {
	return &renderer{tempDir: tempDir, generate: generate}
}

// render takes some hundred milliseconds and tens of megabytes, and one render waits for another: kustomize allows only
// one at a time.
func (r *renderer) render(version string, files map[string][]byte) ([]byte, error) {
	r.renders.Add(1)
	options := install.MakeDefaultOptions()
	options.Version = version

	// Kustomize reads what is around its directory too, so this directory gets a private one around it.
	private, err := manifestgen.MkdirTempAbs(r.tempDir, "flux-manifests-")
	if err != nil {
		return nil, &localError{fmt.Errorf("rendering needs a writable directory for temporary files: %w", err)}
	}
	defer os.RemoveAll(private)
	base := filepath.Join(private, "base")
	if err := writeBase(base, options.Components, files); err != nil {
		return nil, err
	}

	manifests, err := r.generate(options, base)
	if err != nil {
		return nil, err
	}
	if err := checkComplete(manifests, options); err != nil {
		return nil, &refusedError{err}
	}
	return manifests, nil
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
