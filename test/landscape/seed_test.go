// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package landscape_test

import (
	"os"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	v1beta1helper "github.com/gardener/gardener/pkg/api/core/v1beta1/helper"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
)

// TestAddSeed shows that a landscape with two seeds has two gardenlets that the garden trusts.
func TestAddSeed(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	logFile, err := os.Create(dir + "/landscape.log")
	g.Expect(err).NotTo(HaveOccurred())
	defer logFile.Close()
	log.SetLogger(zap.New(zap.WriteTo(logFile)))
	bin, err := process.FindBinaries()
	g.Expect(err).NotTo(HaveOccurred())
	running, err := landscape.Start(t.Context(), landscape.Options{Dir: dir, Bin: bin, Progress: os.Stderr, Log: log.Log})
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { g.Expect(running.Stop()).To(Succeed()) })
	_, err = running.AddSeed(t.Context(), "second")
	g.Expect(err).NotTo(HaveOccurred())

	for _, seed := range running.Seeds {
		g.Eventually(func(g Gomega) {
			registered := &gardencorev1beta1.Seed{}
			g.Expect(running.GardenClient.Get(t.Context(), client.ObjectKey{Name: seed.SeedName}, registered)).To(Succeed())
			ready := v1beta1helper.GetCondition(registered.Status.Conditions, gardencorev1beta1.GardenletReady)
			g.Expect(ready).NotTo(BeNil())
			g.Expect(ready.Status).To(Equal(gardencorev1beta1.ConditionTrue))
		}, time.Minute, time.Second).Should(Succeed())
	}
}
