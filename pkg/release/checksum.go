// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
)

var errNoChecksum = errors.New("no checksum (releases of Flux have one since v0.25.3)")

// findChecksum returns the SHA-256 that a checksums file, in the format of the program sha256sum, has for a file.
func findChecksum(checksums []byte, name string) ([]byte, error) {
	var found []byte
	for line := range strings.Lines(string(checksums)) {
		fields := strings.Fields(line)
		if len(fields) != 2 || strings.TrimPrefix(fields[1], "*") != name {
			continue
		}
		sum, err := hex.DecodeString(fields[0])
		if err != nil || len(sum) != 32 {
			return nil, errors.New("malformed checksum")
		}
		if found != nil && !bytes.Equal(found, sum) {
			return nil, errors.New("two different checksums")
		}
		found = sum
	}
	if found == nil {
		return nil, errNoChecksum
	}
	return found, nil
}
