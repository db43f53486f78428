// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package garden_test

import (
	"os"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/cluster"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/garden"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
)

func start(t *testing.T, options garden.Options) *garden.Garden {
	t.Helper()
	g := NewWithT(t)
	bin, err := process.FindBinaries()
	g.Expect(err).NotTo(HaveOccurred())
	dir := t.TempDir()
	options.Etcd, err = cluster.StartEtcd(t.Context(), cluster.Options{Dir: dir, Bin: bin, Progress: os.Stderr})
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { g.Expect(options.Etcd.Stop()).To(Succeed()) })
	started, err := garden.Start(t.Context(), options)
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { g.Expect(started.Stop()).To(Succeed()) })
	return started
}

func TestStart(t *testing.T) {
	g := NewWithT(t)
	started := start(t, garden.Options{})
	namespace, err := started.CreateProject(t.Context(), "local")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(namespace).To(Equal("garden-local"))
}
