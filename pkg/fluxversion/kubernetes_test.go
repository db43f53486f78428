// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package fluxversion

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/Masterminds/semver/v3"
	. "github.com/onsi/gomega"
)

func TestCheckKubernetes(t *testing.T) {
	for _, test := range []struct{ flux, kubernetes, error string }{
		{"v2.9.4", "1.36.3", ""},
		{"v2.9.4", "1.33.0", ""},
		{"v2.9.4", "v1.33.0-alpha.1+provider.2", ""},
		{"v2.9.4", "1.33", ""},
		{"v2.9.4", "1.32.9", "Flux v2.9.4 needs Kubernetes 1.33.0 or newer, but the shoot has 1.32.9: " +
			"set key fluxVersion of ConfigMap flux-config to a release of Flux v2.7, the newest that supports it, or update the shoot to Kubernetes 1.33.0 or newer"},
		{"v2.8.0", "1.31.1", "Flux v2.8.0 needs Kubernetes 1.33.0 or newer, but the shoot has 1.31.1: " +
			"set key fluxVersion of ConfigMap flux-config to a release of Flux v2.6, the newest that supports it, or update the shoot to Kubernetes 1.33.0 or newer"},
		{"v2.6.4", "1.31.0", ""},
		{"v2.5.1", "1.29.0-provider.1", "Flux v2.5.1 needs Kubernetes 1.30.0 or newer, but the shoot has 1.29.0-provider.1: " +
			"set key fluxVersion of ConfigMap flux-config to a release of Flux v2.4, the newest that supports it, or update the shoot to Kubernetes 1.30.0 or newer"},
		{"v2.3.0", "1.28.0", ""},
		{"v2.0.0-rc.5", "1.24.0", ""},
		{"v2.0.1", "1.20.6", "Flux v2.0.1 needs Kubernetes 1.24.0 or newer, but the shoot has 1.20.6: " +
			"set key fluxVersion of ConfigMap flux-config to a release of Flux v0.41, the newest that supports it, or update the shoot to Kubernetes 1.24.0 or newer"},
		{"v0.29.5", "1.36.3", ""},
		{"v0.29.5", "1.20.5", "Flux v0.29.5 needs Kubernetes 1.20.6 or newer, but the shoot has 1.20.5: " +
			"set key fluxVersion of ConfigMap flux-config to a release of Flux v0.27, the newest that supports it, or update the shoot to Kubernetes 1.20.6 or newer"},
		{"v0.18.0", "1.16.10", "Flux v0.18.0 needs Kubernetes 1.16.11 or newer, but the shoot has 1.16.10: update the shoot to Kubernetes 1.16.11 or newer"},
		// Newer than the table.
		{"v2.42.0", "1.33.0", ""},
		{"v3.0.0", "1.32.0", "Flux v3.0.0 needs Kubernetes 1.33.0 or newer, but the shoot has 1.32.0: " +
			"set key fluxVersion of ConfigMap flux-config to a release of Flux v2.7, the newest that supports it, or update the shoot to Kubernetes 1.33.0 or newer"},
	} {
		t.Run(test.flux+" on "+test.kubernetes, func(t *testing.T) {
			g := NewWithT(t)
			err := CheckKubernetes(test.flux, test.kubernetes, nil)
			if test.error == "" {
				g.Expect(err).NotTo(HaveOccurred())
				return
			}
			g.Expect(err).To(MatchError(test.error))
			g.Expect(err).To(MatchError(ErrUnsupportedKubernetes))
		})
	}
}

func TestCheckKubernetesOfUnreadableVersions(t *testing.T) {
	for _, version := range []string{"", "v", "1.x", "latest", "1.36.3.4", "1.36.3-", "-1.2.3", "99999999999999999999.1.1"} {
		g := NewWithT(t)
		err := CheckKubernetes("v2.9.4", version, nil)
		g.Expect(err).To(MatchError(HavePrefix("the shoot's Kubernetes version " + strconv.Quote(version) + " can't be compared with what Flux v2.9.4 needs: ")))
		g.Expect(err).NotTo(MatchError(ErrUnsupportedKubernetes))
	}
	for _, version := range []string{"", "latest", "v2.9", "2.x", "v2.9.4+x"} {
		g := NewWithT(t)
		err := CheckKubernetes(version, "1.36.3", nil)
		g.Expect(err).To(MatchError(HavePrefix(strconv.Quote(version) + " is not a version of Flux: ")))
		g.Expect(err).To(MatchError(ErrInvalidVersion))
	}
}

// An entry that is out of order would never be found.
func TestKubernetesMinimumsAscend(t *testing.T) {
	g := NewWithT(t)
	for i := 1; i < len(kubernetesMinimums); i++ {
		previous, next := kubernetesMinimums[i-1], kubernetesMinimums[i]
		g.Expect(next.flux.GreaterThan(previous.flux)).To(BeTrue(), next.flux.String())
		g.Expect(next.kubernetes.GreaterThan(previous.kubernetes)).To(BeTrue(), next.kubernetes.String())
	}
}

// The Flux of go.mod is the newest that this program knows: an update of it has to bring the table along.
func TestKubernetesMinimumOfFluxInGoMod(t *testing.T) {
	g := NewWithT(t)
	output, err := exec.CommandContext(t.Context(), "go", "list", "-mod=readonly", "-m", "-f", "{{.Version}} {{.Dir}}", "github.com/fluxcd/flux2/v2").Output()
	g.Expect(err).NotTo(HaveOccurred())
	version, directory, _ := strings.Cut(strings.TrimSpace(string(output)), " ")
	flux, err := semver.NewVersion(version)
	g.Expect(err).NotTo(HaveOccurred())

	newest := kubernetesMinimums[len(kubernetesMinimums)-1]
	g.Expect(newest.flux).To(Equal(minor(flux.Major(), flux.Minor())), "the table must end with the minor version of Flux %s", version)
	g.Expect(kubernetesConstraints(g, filepath.Join(directory, "cmd", "flux", "check.go"))).To(HaveExactElements(">=" + newest.kubernetes.String() + "-0"))
}

// kubernetesConstraints returns the strings in the variable of this name.
func kubernetesConstraints(g Gomega, file string) []string {
	source, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	g.Expect(err).NotTo(HaveOccurred())
	var constraints []string
	ast.Inspect(source, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok || spec.Names[0].Name != "kubernetesConstraints" {
			return true
		}
		for _, element := range spec.Values[0].(*ast.CompositeLit).Elts {
			constraint, err := strconv.Unquote(element.(*ast.BasicLit).Value)
			g.Expect(err).NotTo(HaveOccurred())
			constraints = append(constraints, constraint)
		}
		return false
	})
	return constraints
}
