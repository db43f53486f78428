// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package sourcesecret

import (
	"strings"
	"testing"
	"unicode/utf16"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
)

// certificate is what ssh-keygen -s -h made of a host's key.
const certificate = "ssh-ed25519-cert-v01@openssh.com AAAAIHNzaC1lZDI1NTE5LWNlcnQtdjAxQG9wZW5zc2guY29tAAAAINPgJBGd6iVdoBzWWlEsqty3Wqt/BSzUmAzOCQTaVJRwAAAAIJJ01jZNC0gAADlHE0MIpmxNd6jMDrlItvoIn7u55D2dAAAAAAAAAAAAAAACAAAAAmlkAAAAEwAAAA9naXQuZXhhbXBsZS5vcmcAAAAAAAAAAP//////////AAAAAAAAAAAAAAAAAAAAMwAAAAtzc2gtZWQyNTUxOQAAACDiQVvb/YeGV6DYIVE16e9TZrrPORyeefsXxBOJWaVbFAAAAFMAAAALc3NoLWVkMjU1MTkAAABAqOhMEwBB0DsuLFOWO5vHEoONpd2YaiXvZmVUapAOtSt/htj+0PrawTL4lvvDuHD6v1fE/Ac4FTu4/FeSBML2DQ=="

// utf16Text is what an editor of Windows writes.
func utf16Text(text string) string {
	data := []byte{0xff, 0xfe}
	for _, unit := range utf16.Encode([]rune(text)) {
		data = append(data, byte(unit), byte(unit>>8))
	}
	return string(data)
}

// TestStoredHostKeys has lines that an admin wrote into the Secret and that can't be used. The Git server must not be asked in their
// place.
func TestStoredHostKeys(t *testing.T) {
	const orWrite = "; correct it, or write the server's lines into key knownHosts of ConfigMap flux-config"
	line := "git.example.org " + keyA
	for name, tc := range map[string]struct{ knownHosts, want string }{
		"byte order mark":         {"\ufeff" + line, "line 1: character 1 is invisible (U+FEFF): write the line again"},
		"UTF-16":                  {utf16Text(line), "line 1: it is not UTF-8 text: save the file as UTF-8"},
		"UTF-16 without mark":     {utf16Text(line)[2:], "line 1: character 2 is invisible (U+0000): write the line again"},
		"several keys on a line":  {line + " " + line, "line 1: it holds several keys, of which Flux uses only the first: write each key on its own line"},
		"certificate authority":   {"# ours\n@cert-authority *.example.org " + keyA, "line 2: @cert-authority is not supported by Flux: write the host's own public key"},
		"cut key":                 {line[:50], "line 1: the key can't be read: copy the line again, as ssh-keyscan prints it"},
		"cut key beside a whole":  {line + "\n" + line[:50], "line 2: the key can't be read: copy the line again, as ssh-keyscan prints it"},
		"key without host":        {keyA, `line 1: write host, key type and key, for example "git.example.org ssh-ed25519 AAAAC3…"`},
		"two keys of one type":    {line + "\n*.example.org " + keyB, "line 2: it is never used, because line 1 has another key of type ssh-ed25519 for git.example.org:22, and Flux takes the first: keep only the one that the server has"},
		"several mistakes":        {"x\n" + line + "\ny\nz\n", `line 1: write host, key type and key, for example "git.example.org ssh-ed25519 AAAAC3…" (more lines that can't be used: 2)`},
		"too much":                {strings.Repeat("git.example.com "+keyA+"\n", 1000), "line 676: more than 65536 bytes are not read: keep the lines of the Git server"},
		"too many lines":          {strings.Repeat("\n", 2000), "line 1001: more than 1000 lines are not read: keep those of the Git server"},
		"a certificate of a host": {"git.example.org " + certificate, "line 1: the key is a certificate, which Flux does not support: write the host's own public key"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			identity, identityPub := openSSHIdentity(t, "")
			secret := &corev1.Secret{Data: map[string][]byte{KeyIdentity: identity, KeyIdentityPub: identityPub, KeyKnownHosts: []byte(tc.knownHosts)}}
			repository := &fluxv1alpha1.Repository{URL: "ssh://git@git.example.org/owner/repo", Type: fluxv1alpha1.RepositoryPrivate}
			completion := completion{scanner: newScanner(noDial), repository: repository}
			_, _, err := completion.of(secret)
			g.Expect(err).To(MatchError("key known_hosts: " + tc.want + orWrite))

			// The way out that needs no right to the Secret, which stays as it is.
			repository.KnownHosts = line + "\n"
			credentials, missing, err := completion.of(secret)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(string(credentials.SecretRef.Data[KeyKnownHosts])).To(Equal(line + "\n"))
			g.Expect(missing).To(BeEmpty())
		})
	}
}
