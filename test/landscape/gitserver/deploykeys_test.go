// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package gitserver

import (
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
)

func TestKeysInTheDirectory(t *testing.T) {
	server := start(t)
	repository := server.mustCreate(t, "team/fleet", false)
	url := sshURL(t, repository)
	alice, bob := newPerson(t, server), newPerson(t, server)
	keys := server.path("keys", "team", "fleet")
	NewWithT(t).Expect(os.MkdirAll(keys, 0o700)).To(Succeed())
	write := func(t *testing.T, name, content string) string {
		path := filepath.Join(keys, name)
		NewWithT(t).Expect(os.WriteFile(path, []byte(content), 0o600)).To(Succeed())
		t.Cleanup(func() { _ = os.Remove(path) })
		return path
	}

	for name, content := range map[string]string{
		"one key":                  string(alice.publicKey),
		"two keys and a comment":   "# the team\n\n" + string(bob.publicKey) + string(alice.publicKey),
		"a key after a broken one": "ssh-ed25519 broken\n" + string(alice.publicKey),
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			write(t, "team.pub", content)
			g.Expect(alice.clone(url)).To(BeADirectory())
		})
	}
	for name, test := range map[string]struct{ file, content string }{
		"another's key":       {"bob.pub", string(bob.publicKey)},
		"not a .pub file":     {"alice.txt", string(alice.publicKey)},
		"a key with options":  {"alice.pub", `restrict ` + string(alice.publicKey)},
		"a commented-out key": {"alice.pub", "# " + string(alice.publicKey)},
		"an empty file":       {"alice.pub", ""},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			write(t, test.file, test.content)
			_, err := alice.clone(url)
			g.Expect(err).To(MatchError(ContainSubstring("Permission denied (publickey)")))
		})
	}
	t.Run("removed file", func(t *testing.T) {
		g := NewWithT(t)
		path := write(t, "alice.pub", string(alice.publicKey))
		g.Expect(alice.clone(url)).To(BeADirectory())
		g.Expect(os.Remove(path)).To(Succeed())
		_, err := alice.clone(url)
		g.Expect(err).To(MatchError(ContainSubstring("Permission denied (publickey)")))
	})
}

func TestRegisterAndUnregisterFromAnotherProcess(t *testing.T) {
	g := NewWithT(t)
	server := start(t)
	url := sshURL(t, server.mustCreate(t, "team/fleet", false))
	alice, bob := newPerson(t, server), newPerson(t, server)

	store, err := Open(server.dir) // as another process does it
	g.Expect(err).NotTo(HaveOccurred())
	repository, err := store.Repository("team/fleet")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(repository.UnregisterKey(alice.publicKey)).To(Succeed(), "nothing there yet")
	for range 2 {
		g.Expect(repository.RegisterKey(alice.publicKey)).To(Succeed())
	}
	g.Expect(alice.clone(url)).To(BeADirectory())

	both := filepath.Join(server.path("keys", "team", "fleet"), "both.pub")
	g.Expect(os.WriteFile(both, append(append([]byte{}, alice.publicKey...), bob.publicKey...), 0o600)).To(Succeed())
	g.Expect(repository.UnregisterKey(alice.publicKey)).To(Succeed())
	_, err = alice.clone(url)
	g.Expect(err).To(MatchError(ContainSubstring("Permission denied (publickey)")))
	g.Expect(bob.clone(url)).To(BeADirectory())

	g.Expect(repository.UnregisterKey(bob.publicKey)).To(Succeed())
	g.Expect(both).NotTo(BeAnExistingFile())
}

func TestRegisterKeyRefusesWhatIsNoKey(t *testing.T) {
	server := start(t)
	repository := server.mustCreate(t, "team/fleet", false)
	alice := newPerson(t, server)
	private, err := os.ReadFile(alice.path("id_ed25519"))
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	for name, test := range map[string]struct{ line, want string }{
		"nothing":        {"", "not a public key in OpenSSH's form"},
		"a private key":  {string(private), "not a public key in OpenSSH's form"},
		"options":        {`from="10.0.0.0/8" ` + string(alice.publicKey), "the public key has options in front of it: remove them"},
		"more than one":  {string(alice.publicKey) + string(alice.publicKey), "more than one line: register one public key at a time"},
		"some other PEM": {"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "not a public key in OpenSSH's form"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			err := repository.RegisterKey([]byte(test.line))
			g.Expect(err).To(MatchError(And(ContainSubstring("registering a key for repository team/fleet: "), ContainSubstring(test.want))))
			g.Expect(err.Error()).NotTo(ContainSubstring("PRIVATE"))
			g.Expect(server.path("keys", "team", "fleet")).NotTo(BeADirectory())
		})
	}
}
