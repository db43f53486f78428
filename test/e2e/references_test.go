// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"bytes"
	"maps"
	"strings"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	. "github.com/onsi/gomega"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/gitserver"
)

// TestReferences follows a Git repository by each kind of reference but a branch, after looking for what is not there.
func TestReferences(t *testing.T) {
	parallel(t)
	p := newProject(t, "refs")
	repository := p.newRepository(true)
	url, err := repository.HTTPURL()
	p.Expect(err).NotTo(HaveOccurred())
	follow := func(reference map[string]string) {
		configuration := map[string]string{"fluxVersion": fluxVersion, "repositoryUrl": url}
		maps.Copy(configuration, reference)
		p.configure(configuration)
	}
	missing := func(reference, key string) string {
		return "the repository " + url + " has no " + reference + ", or correct " + key + " in ConfigMap garden-refs/flux-config of the garden"
	}
	first := pushMessage(p, t, repository, gitserver.DefaultBranch, "first")

	follow(map[string]string{"repositoryTag": "v1.0.0"})
	shoot := p.newShoot("one")
	shoot.expectMistake("TagNotFound", missing(`tag "v1.0.0": push it`, "repositoryTag"))
	p.Expect(repository.Tag(t.Context(), "v1.0.0", first)).To(Succeed())
	shoot.fetch()
	shoot.expectApplied("v1.0.0@sha1:" + first)

	follow(map[string]string{"repositorySemver": "2.x"})
	shoot.expectMistake("VersionNotFound", missing(`tag in the range "2.x": push one`, "repositorySemver"))
	follow(map[string]string{"repositorySemver": "1.x"})
	shoot.expectApplied("v1.0.0@sha1:" + first)
	second := pushMessage(p, t, repository, gitserver.DefaultBranch, "second")
	p.Expect(repository.Tag(t.Context(), "v1.1.0", second)).To(Succeed())
	p.Expect(repository.Tag(t.Context(), "v2.0.0", pushMessage(p, t, repository, gitserver.DefaultBranch, "too new"))).To(Succeed())
	shoot.fetch()
	shoot.expectApplied("v1.1.0@sha1:" + second)
	p.Expect(shoot.message()).To(Equal("second"))

	nowhere := strings.Repeat("1", 40)
	follow(map[string]string{"repositoryCommit": nowhere})
	shoot.expectMistake("CommitNotFound", missing(`commit "`+nowhere+`": push it`, "repositoryCommit"))
	p.Expect(shoot.message()).To(Equal("second"), "what runs stays")
	follow(map[string]string{"repositoryCommit": first})
	shoot.expectApplied("sha1:" + first)
	p.Expect(shoot.message()).To(Equal("first"))

	follow(map[string]string{"repositoryCommit": first, "repositoryRefName": "refs/pull/1/head"})
	shoot.expectMistake("NotAsConfigured", "says already what to follow: remove one of them")
	p.Expect(repository.SetRef(t.Context(), "refs/pull/1/head", second)).To(Succeed())
	follow(map[string]string{"repositoryRefName": "refs/pull/1/head"})
	shoot.expectApplied("refs/pull/1/head@sha1:" + second)

	right, wrong := newSigner(p), newSigner(p)
	pushMessage(p, t, repository, gitserver.DefaultBranch, "signed")
	follow(map[string]string{"verifyKeys": right.publicKey})
	notSigned := `branch "main" of ` + url + " is not signed as it has to be, so Flux does not take it: sign it, or correct verifyKeys"
	shoot.expectMistake("VerificationFailed", notSigned)
	_, err = repository.Sign(t.Context(), gitserver.DefaultBranch, wrong.sign)
	p.Expect(err).NotTo(HaveOccurred())
	shoot.fetch()
	shoot.expectMistake("VerificationFailed", notSigned)
	p.Expect(shoot.message()).To(Equal("second"), "what runs stays")
	pushMessage(p, t, repository, gitserver.DefaultBranch, "signed again")
	signed, err := repository.Sign(t.Context(), gitserver.DefaultBranch, right.sign)
	p.Expect(err).NotTo(HaveOccurred())
	shoot.fetch()
	shoot.expectApplied("main@sha1:" + signed)
	p.Expect(shoot.message()).To(Equal("signed again"))
	shoot.expectSucceeded()
}

// signer signs commits with a PGP key.
type signer struct {
	entity *openpgp.Entity
	// publicKey is armoured.
	publicKey string
}

func newSigner(g Gomega) *signer {
	entity, err := openpgp.NewEntity("Landscape", "", "landscape@example.org", nil)
	g.Expect(err).NotTo(HaveOccurred())
	var text strings.Builder
	armoured, err := armor.Encode(&text, openpgp.PublicKeyType, nil)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(entity.Serialize(armoured)).To(Succeed())
	g.Expect(armoured.Close()).To(Succeed())
	return &signer{entity, text.String()}
}

func (s *signer) sign(content []byte) (string, error) {
	var signature strings.Builder
	err := openpgp.ArmoredDetachSign(&signature, s.entity, bytes.NewReader(content), nil)
	return signature.String(), err
}
