// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package gitserver

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
)

func TestServerKeepsItsAddressesAndHostKeysOverARestart(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()

	first := startIn(t, dir)
	repository := first.mustCreate(t, "team/fleet", true)
	ssh, http := sshURL(t, repository), httpURL(t, repository)
	alice := newPerson(t, first)
	g.Expect(repository.RegisterKey(alice.publicKey)).To(Succeed())
	first.Close()
	_, err := alice.clone(ssh)
	g.Expect(err).To(MatchError(ContainSubstring("Connection refused")))

	second := startIn(t, dir)
	repository, err = second.Repository("team/fleet")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(sshURL(t, repository)).To(Equal(ssh))
	g.Expect(httpURL(t, repository)).To(Equal(http))
	g.Expect(alice.clone(ssh)).To(BeADirectory())
}

func TestServerTakesAnotherPortIfItsOwnIsTaken(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	first := startIn(t, dir)
	address := first.sshListener.Addr().String()
	first.Close()
	thief, err := net.Listen("tcp", address)
	g.Expect(err).NotTo(HaveOccurred())
	defer func() { _ = thief.Close() }()

	second := startIn(t, dir)
	g.Expect(second.sshListener.Addr().String()).NotTo(Equal(address))
	knownHosts, err := os.ReadFile(filepath.Join(dir, "known_hosts"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(second.KnownHosts()).To(Equal(knownHosts))
}

func TestServerRefusesToShareItsDirectory(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	startIn(t, dir)
	_, err := Start(t.Context(), Options{Dir: dir})
	g.Expect(err).To(MatchError(ContainSubstring("another Git server uses the directory " + dir)))
}

func TestServerSaysWhatIsWrongWithItsDirectory(t *testing.T) {
	for _, test := range []struct{ file, want string }{
		{"addresses.json", "addresses.json is damaged, remove it"},
		{"authority.pem", "authority.pem holds no certificate, remove it to get a new authority"},
		{"hostkeys.pem", "hostkeys.pem holds no key, remove it to get new host keys"},
	} {
		t.Run(test.file, func(t *testing.T) {
			g := NewWithT(t)
			dir := t.TempDir()
			g.Expect(os.WriteFile(filepath.Join(dir, test.file), []byte("rubbish"), 0o600)).To(Succeed())
			for range 2 { // the second time shows that the first released the directory
				_, err := Start(t.Context(), Options{Dir: dir})
				g.Expect(err).To(MatchError(ContainSubstring(test.want)))
			}
		})
	}
	_, err := Start(t.Context(), Options{})
	NewWithT(t).Expect(err).To(MatchError("the Git server needs a state directory"))
}

func TestServerEndsWithItsContext(t *testing.T) {
	g := NewWithT(t)
	ctx, cancel := context.WithCancel(t.Context())
	server, err := Start(ctx, Options{Dir: t.TempDir()})
	g.Expect(err).NotTo(HaveOccurred())
	repository := server.mustCreate(t, "team/fleet", true)
	alice := newPerson(t, server)
	g.Expect(repository.RegisterKey(alice.publicKey)).To(Succeed())

	// A session that only waits must not keep the server.
	waiting := make(chan error, 1)
	go func() { _, err := alice.ssh(server, "git", "git-upload-pack '/team/fleet.git'"); waiting <- err }()
	g.Eventually(func() []Access { return accesses(t, server) }, timeout).Should(HaveLen(1))
	cancel()
	server.Close()
	g.Eventually(waiting, timeout).Should(Receive(HaveOccurred()))
	for _, address := range []string{server.sshListener.Addr().String(), server.httpAddress(t)} {
		_, err := net.Dial("tcp", address)
		g.Expect(err).To(HaveOccurred())
	}
}

func TestALineOfTheAccessLogThatIsBeingWritten(t *testing.T) {
	g := NewWithT(t)
	store, err := Open(t.TempDir())
	g.Expect(err).NotTo(HaveOccurred())
	log := `{"protocol":"ssh","accepted":true}` + "\n" + `{"protocol":"ht`
	g.Expect(os.WriteFile(store.path(accessLogFile), []byte(log), 0o600)).To(Succeed())
	g.Expect(store.Accesses()).To(Equal([]Access{{Protocol: SSH, Accepted: true}}))

	g.Expect(os.WriteFile(store.path(accessLogFile), []byte(log+"\n"), 0o600)).To(Succeed())
	_, err = store.Accesses()
	g.Expect(err).To(MatchError(ContainSubstring("access.log, line 2: ")))
}

func TestStoreWithoutServer(t *testing.T) {
	g := NewWithT(t)
	store, err := Open(t.TempDir())
	g.Expect(err).NotTo(HaveOccurred())
	repository, err := store.CreateRepository(t.Context(), "team/fleet", false)
	g.Expect(err).NotTo(HaveOccurred())

	_, err = repository.SSHURL()
	g.Expect(err).To(MatchError(ContainSubstring("no Git server has been started on ")))
	g.Expect(errors.Is(err, fs.ErrNotExist)).To(BeTrue())
	_, err = store.HostKeys()
	g.Expect(err).To(MatchError(fs.ErrNotExist))
	g.Expect(store.Accesses()).To(BeEmpty())
}
