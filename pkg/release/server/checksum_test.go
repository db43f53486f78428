// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/export"
)

func TestFindChecksum(t *testing.T) {
	a, b := strings.Repeat("a1", 32), strings.Repeat("b2", 32)
	for name, test := range map[string]struct {
		checksums string
		sum       string
		problem   string
	}{
		"text mode":             {checksums: b + "  other\n" + a + "  file\n", sum: a},
		"binary mode":           {checksums: a + " *file\n", sum: a},
		"upper case":            {checksums: strings.ToUpper(a) + "  file\n", sum: a},
		"Windows line ends":     {checksums: b + "  other\r\n" + a + "  file\r\n", sum: a},
		"no line end":           {checksums: a + "  file", sum: a},
		"twice the same":        {checksums: a + "  file\n" + a + "  file\n", sum: a},
		"twice, but different":  {checksums: a + "  file\n" + b + "  file\n", problem: "two different checksums"},
		"empty":                 {problem: "no checksum"},
		"other files only":      {checksums: a + "  file.sig\n" + a + "  dir/file\n", problem: "no checksum"},
		"name only":             {checksums: "file\n", problem: "no checksum"},
		"another hash function": {checksums: a[:40] + "  file\n", problem: "malformed checksum"},
		"not hexadecimal":       {checksums: strings.Repeat("x", 64) + "  file\n", problem: "malformed checksum"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			sum, err := findChecksum([]byte(test.checksums), "file")
			if test.problem != "" {
				g.Expect(err).To(MatchError(HavePrefix(test.problem)))
				return
			}
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(hex.EncodeToString(sum)).To(Equal(test.sum))
		})
	}
}

func FuzzFindChecksum(f *testing.F) {
	f.Add([]byte(strings.Repeat("a1", 32) + "  manifests.tar.gz\n"))
	f.Add([]byte(strings.Repeat("a1", 32) + " *manifests.tar.gz\r\n\r\n<html>"))
	f.Fuzz(func(t *testing.T, checksums []byte) {
		sum, err := findChecksum(checksums, export.Archive)
		if err == nil && (len(sum) != 32 || !bytes.Contains(bytes.ToLower(checksums), []byte(hex.EncodeToString(sum)))) {
			t.Errorf("found %x, which is not in the file", sum)
		}
	})
}
