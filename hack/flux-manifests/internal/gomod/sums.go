// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package gomod

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"golang.org/x/mod/module"
)

const sumsHeader = `# SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
#
# SPDX-License-Identifier: Apache-2.0
#
# The hash (h1:, as in go.sum) of each Go module that the manifests of the Flux releases are made from. Written with -pin.
`

// Sums holds the hash of each module version, as go.sum does.
type Sums map[module.Version]string

// ReadSums reads what Write wrote.
func ReadSums(path string) (Sums, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	sums := Sums{}
	scanner := bufio.NewScanner(bytes.NewReader(data))
	for scanner.Scan() {
		if strings.HasPrefix(scanner.Text(), "#") {
			continue
		}
		fields := strings.Fields(scanner.Text())
		if len(fields) != 3 {
			return nil, fmt.Errorf("%s: a line must have a module, a version and a hash, but one is %q", path, scanner.Text())
		}
		sums[module.Version{Path: fields[0], Version: fields[1]}] = fields[2]
	}
	return sums, scanner.Err()
}

// Write writes one line for each module, in order.
func (s Sums) Write(path string) error {
	var text strings.Builder
	text.WriteString(sumsHeader)
	byPath := func(a, b module.Version) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Version, b.Version))
	}
	for _, mod := range slices.SortedFunc(maps.Keys(s), byPath) {
		fmt.Fprintf(&text, "%s %s %s\n", mod.Path, mod.Version, s[mod])
	}
	return os.WriteFile(path, []byte(text.String()), 0o644)
}
