// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"crypto/sha256"
	"encoding/json"
	"os"
	"path/filepath"
	"sync"

	"github.com/fluxcd/flux2/v2/pkg/manifestgen/install"
)

// generateOnce does what generate does, but only once in this process for the same files: kustomize takes seconds with the race
// detector, and the tests' many catalogues render the same few releases. TestRenderIsDeterministic is what allows that.
func generateOnce(options install.Options, base string) ([]byte, error) {
	key, err := renderKey(options, base)
	if err != nil {
		return nil, err
	}
	once, _ := generated.LoadOrStore(key, sync.OnceValues(func() ([]byte, error) { return generate(options, base) }))
	return once.(func() ([]byte, error))()
}

var generated sync.Map

func renderKey(options install.Options, base string) ([sha256.Size]byte, error) {
	entries, err := os.ReadDir(base)
	if err != nil {
		return [sha256.Size]byte{}, err
	}
	files := map[string][]byte{}
	for _, entry := range entries {
		if files[entry.Name()], err = os.ReadFile(filepath.Join(base, entry.Name())); err != nil {
			return [sha256.Size]byte{}, err
		}
	}
	text, err := json.Marshal([]any{options, files})
	return sha256.Sum256(text), err
}
