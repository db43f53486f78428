// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/download"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/export"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/releasetest"
)

const testVersion = "v2.9.99"

func writeRelease(g Gomega, dir, version string, manifests []byte) {
	path := filepath.Join(dir, version, export.File)
	g.Expect(os.MkdirAll(filepath.Dir(path), 0o700)).To(Succeed())
	g.Expect(os.WriteFile(path, manifests, 0o600)).To(Succeed())
}

// A kubelet mounts a ConfigMap as symbolic links, by which it replaces everything at once.
func TestDirectoryOfConfigMap(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	writeRelease(g, filepath.Join(dir, "..2026_05_01"), testVersion, releasetest.Manifests(t, testVersion, nil))
	g.Expect(os.Symlink("..2026_05_01", filepath.Join(dir, "..data"))).To(Succeed())
	g.Expect(os.Symlink(filepath.Join("..data", testVersion), filepath.Join(dir, testVersion))).To(Succeed())

	source, err := New(dir, download.Limits{MaxUnpackedBytes: 4 << 20})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(source.Versions(t.Context())).To(Equal([]string{testVersion}))
	_, reference, err := source.Get(t.Context(), testVersion)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(reference).To(Equal("v2.9.99/gotk-components.yaml"))
	g.Expect(source.HasChanged(testVersion)).To(BeFalse())

	writeRelease(g, filepath.Join(dir, "..2026_05_02"), testVersion, releasetest.Manifests(t, testVersion, nil))
	g.Expect(os.Symlink("..2026_05_02", filepath.Join(dir, "..tmp"))).To(Succeed())
	g.Expect(os.Rename(filepath.Join(dir, "..tmp"), filepath.Join(dir, "..data"))).To(Succeed())
	g.Expect(source.HasChanged(testVersion)).To(BeTrue())
}

func TestVersionsOfDirectory(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	for _, name := range []string{"v2.9.4", "v2.10.0-rc.1", "2.9.4", "latest", "v2", "lost+found"} {
		g.Expect(os.Mkdir(filepath.Join(dir, name), 0o700)).To(Succeed())
	}
	g.Expect(os.WriteFile(filepath.Join(dir, "v2.9.5"), nil, 0o600)).To(Succeed())
	g.Expect(os.Symlink(t.TempDir(), filepath.Join(dir, "v2.9.6"))).To(Succeed())
	source, err := New(dir, download.Limits{MaxUnpackedBytes: 4 << 20})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(source.Versions(t.Context())).To(ConsistOf("v2.9.4", "v2.10.0-rc.1"))

	g.Expect(os.RemoveAll(dir)).To(Succeed())
	_, err = source.Versions(t.Context())
	g.Expect(err).To(MatchError(os.ErrNotExist))
	g.Expect(err).To(MatchError(ContainSubstring(dir)))
}
