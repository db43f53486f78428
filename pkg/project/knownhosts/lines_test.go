// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package knownhosts_test

import (
	"testing"

	. "github.com/onsi/gomega"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project/knownhosts"
)

const (
	keyA = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
	keyB = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAfuCHKVTjquxvt6CM6tdG4SLp1Btn/nOeHHE5UOzRdf"
)

func TestLines(t *testing.T) {
	g := NewWithT(t)
	lines, errs := knownhosts.Parse("a.example.org " + keyA + " with a comment of many words\n\nnonsense\n" +
		"*.example.org,!a.example.org " + keyB + "\n@revoked * " + keyB + "\n")

	g.Expect(errs).To(HaveLen(1))
	g.Expect(errs[0]).To(MatchError(`line 3: write host, key type and key, for example "git.example.org ssh-ed25519 AAAAC3…"`))
	g.Expect(lines.String()).To(Equal("a.example.org " + keyA + "\n*.example.org,!a.example.org " + keyB + "\n@revoked * " + keyB + "\n"))
	g.Expect(lines.For("a.example.org:22").String()).To(Equal("a.example.org " + keyA + "\n"))
	g.Expect(lines.For("a.example.org:2222")).To(BeEmpty())
	g.Expect(lines.For("b.example.org:22")).To(BeEmpty(), "its only key is revoked")
	g.Expect(lines.Revoked().String()).To(Equal("@revoked * " + keyB + "\n"))
	g.Expect(lines.Without(lines.Revoked())).To(HaveLen(2))
}

func TestNewLine(t *testing.T) {
	g := NewWithT(t)
	lines, _ := knownhosts.Parse("x " + keyA)
	g.Expect(lines[0].KeyType()).To(Equal("ssh-ed25519"))
	// As ssh-keygen -lf says.
	g.Expect(lines[0].Fingerprint()).To(Equal("SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU"))
}
