// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/23technologies/gardener-extension-shoot-flux/test/fluxreleases"
)

func TestListIsWhatTheArchiveHas(t *testing.T) {
	g := NewWithT(t)
	list, err := readReleases("../../../" + releasesFile)
	g.Expect(err).NotTo(HaveOccurred())
	var versions []string
	for _, entry := range list {
		versions = append(versions, entry.Version)
		g.Expect(filepath.Join("../../..", entry.ControllerGen, "go.mod")).To(BeAnExistingFile())
	}
	g.Expect(versions).To(Equal(fluxreleases.Versions()))
}

func TestReadReleases(t *testing.T) {
	for name, test := range map[string]struct{ text, problem string }{
		"complete":          {"- version: v2.6.4\n  controllerGen: hack/tools/controller-gen\n  standIns: {source-controller: v1.7.0}\n", ""},
		"no version":        {"- controllerGen: hack/tools/controller-gen\n", "each release must have a version, such as v2.6.4, and controllerGen"},
		"no version's form": {"- version: 2.6.4\n  controllerGen: hack/tools/controller-gen\n", "each release must have a version"},
		"no controllerGen":  {"- version: v2.6.4\n", "each release must have a version"},
		"unknown key":       {"- version: v2.6.4\n  controllerGen: a\n  standIn: {}\n", `unknown field "standIn"`},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			path := filepath.Join(t.TempDir(), "releases.yaml")
			g.Expect(os.WriteFile(path, []byte(test.text), 0o600)).To(Succeed())
			list, err := readReleases(path)
			if test.problem == "" {
				g.Expect(err).NotTo(HaveOccurred())
				g.Expect(list).To(Equal([]pastRelease{{"v2.6.4", "hack/tools/controller-gen", map[string]string{"source-controller": "v1.7.0"}}}))
				return
			}
			g.Expect(err).To(MatchError(And(HavePrefix(path+": "), ContainSubstring(test.problem))))
		})
	}
}

func TestControllerGenThatCannotBeBuilt(t *testing.T) {
	g := NewWithT(t)
	module := t.TempDir()
	g.Expect(os.WriteFile(filepath.Join(module, "go.mod"), []byte("module example.org/empty\n"), 0o600)).To(Succeed())
	_, err := buildControllerGen(t.Context(), module, t.TempDir())
	g.Expect(err).To(MatchError(And(HavePrefix("building controller-gen of "+module), ContainSubstring("sigs.k8s.io/controller-tools/cmd/controller-gen"))))
}
