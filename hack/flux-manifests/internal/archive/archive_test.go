// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
)

func TestPack(t *testing.T) {
	g := NewWithT(t)
	releases := map[string]map[string][]byte{
		"v2.9.4": {"rbac.yaml": []byte("a"), "policies.yaml": []byte("b")},
		"v2.8.8": {"rbac.yaml": []byte("c")},
	}
	archive, err := Pack(releases)
	g.Expect(err).NotTo(HaveOccurred())
	for range 20 { // the order of a map is random
		again, err := Pack(releases)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(again).To(Equal(archive))
	}

	path := filepath.Join(t.TempDir(), "new", "releases.tar.br")
	g.Expect(Write(path, archive)).To(Succeed())
	g.Expect(read(path)).To(Equal(archive))
	g.Expect(os.ReadFile(path + ".license")).To(BeEquivalentTo(licence))
}

func TestCheck(t *testing.T) {
	archive, err := Pack(map[string]map[string][]byte{"v2.9.4": {"rbac.yaml": []byte("a")}})
	NewWithT(t).Expect(err).NotTo(HaveOccurred())

	for name, test := range map[string]struct {
		change  func(path string) error
		problem string
	}{
		"current":          {change: func(string) error { return nil }},
		"other content":    {func(path string) error { return Write(path, []byte("other")) }, "releases.tar.br is not current"},
		"not compressed":   {func(path string) error { return os.WriteFile(path, archive, 0o600) }, "decompressing"},
		"missing":          {os.Remove, "no such file or directory"},
		"licence missing":  {func(path string) error { return os.Remove(path + ".license") }, "it has no licence file"},
		"licence modified": {func(path string) error { return os.WriteFile(path+".license", nil, 0o600) }, "releases.tar.br is not current"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			path := filepath.Join(t.TempDir(), "releases.tar.br")
			g.Expect(Write(path, archive)).To(Succeed())
			g.Expect(test.change(path)).To(Succeed())

			err := Check(path, archive)
			if test.problem == "" {
				g.Expect(err).NotTo(HaveOccurred())
				return
			}
			g.Expect(err).To(MatchError(ErrStale))
			g.Expect(err).To(MatchError(And(ContainSubstring(test.problem), ContainSubstring("run make generate"))))
		})
	}
}
