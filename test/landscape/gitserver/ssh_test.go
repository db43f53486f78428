// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package gitserver

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gstruct"
	"golang.org/x/crypto/ssh"

	fluxssh "github.com/fluxcd/pkg/ssh"
)

func fingerprint(t *testing.T, publicKey []byte) string {
	t.Helper()
	key, err := parseKey(publicKey)
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return ssh.FingerprintSHA256(key)
}

func TestSSHServesARegisteredKey(t *testing.T) {
	g := NewWithT(t)
	server := start(t)
	repository := server.mustCreate(t, "team/fleet", false)
	alice := newPerson(t, server)
	g.Expect(repository.RegisterKey(alice.publicKey)).To(Succeed())

	dir, err := alice.clone(sshURL(t, repository))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(filepath.Join(dir, "apps", "production", "kustomization.yaml")).To(BeAnExistingFile())
	head, err := alice.git("-C", dir, "rev-parse", "HEAD")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(repository.Head(t.Context(), "main")).To(Equal(strings.TrimSpace(head)))

	g.Expect(alice.clone(strings.TrimSuffix(sshURL(t, repository), ".git"))).To(BeADirectory())
	g.Expect(accesses(t, server)).To(HaveLen(2))
	g.Expect(accesses(t, server)[0]).To(gstruct.MatchAllFields(gstruct.Fields{
		"Time":        BeTemporally("~", time.Now(), time.Hour),
		"Protocol":    Equal(SSH),
		"Repository":  Equal("team/fleet"),
		"Fingerprint": Equal(fingerprint(t, alice.publicKey)),
		"Credential":  BeEmpty(),
		"Request":     Equal("git-upload-pack '/team/fleet.git'"),
		"Accepted":    BeTrue(),
		"Reason":      BeEmpty(),
	}))
}

func TestSSHSpeaksTheProtocolVersionThatTheClientAsksFor(t *testing.T) {
	server := start(t)
	repository := server.mustCreate(t, "team/fleet", false)
	for version, want := range map[string]bool{"0": false, "2": true} {
		t.Run(version, func(t *testing.T) {
			g := NewWithT(t)
			alice := newPerson(t, server)
			g.Expect(repository.RegisterKey(alice.publicKey)).To(Succeed())
			_, err := alice.git("-c", "protocol.version="+version, "ls-remote", sshURL(t, repository))
			g.Expect(err).NotTo(HaveOccurred())
			packets, err := os.ReadFile(alice.path("packets"))
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(strings.Contains(string(packets), "< version 2")).To(Equal(want), string(packets))
		})
	}
}

func TestSSHRefusesAKeyThatIsNotRegistered(t *testing.T) {
	g := NewWithT(t)
	server := start(t)
	repository := server.mustCreate(t, "team/fleet", true)
	stranger := newPerson(t, server)

	_, err := stranger.clone(sshURL(t, repository))
	g.Expect(err).To(MatchError(ContainSubstring("Permission denied (publickey)")))
	g.Expect(accesses(t, server)).To(ConsistOf(gstruct.MatchFields(gstruct.IgnoreExtras, gstruct.Fields{
		"Protocol":    Equal(SSH),
		"Repository":  BeEmpty(),
		"Fingerprint": Equal(fingerprint(t, stranger.publicKey)),
		"Accepted":    BeFalse(),
		"Reason":      Equal("the key is not registered for any repository"),
	})))
}

func TestSSHRefusesWithoutAKey(t *testing.T) {
	g := NewWithT(t)
	server := start(t)
	alice := newPerson(t, server)
	g.Expect(server.mustCreate(t, "team/fleet", true).RegisterKey(alice.publicKey)).To(Succeed())
	alice.sshOptions = []string{"-o", "PubkeyAuthentication=no", "-o", "PreferredAuthentications=none,password,keyboard-interactive"}
	_, err := alice.ssh(server, "git", "git-upload-pack '/team/fleet.git'")
	g.Expect(err).To(MatchError(ContainSubstring("Permission denied (publickey)")))
}

func TestSSHRefusesTheRepositoryOfOthers(t *testing.T) {
	g := NewWithT(t)
	server := start(t)
	own := server.mustCreate(t, "team/fleet", false)
	other := server.mustCreate(t, "other/fleet", false)
	alice, bob := newPerson(t, server), newPerson(t, server)
	g.Expect(own.RegisterKey(alice.publicKey)).To(Succeed())
	g.Expect(other.RegisterKey(bob.publicKey)).To(Succeed())

	_, err := alice.clone(sshURL(t, other))
	refusal := "repository other/fleet does not exist, or the key is not registered for it"
	g.Expect(err).To(MatchError(ContainSubstring("ERROR: " + refusal)))
	g.Expect(accesses(t, server)).To(ConsistOf(gstruct.MatchFields(gstruct.IgnoreExtras, gstruct.Fields{
		"Repository":  Equal("other/fleet"),
		"Fingerprint": Equal(fingerprint(t, alice.publicKey)),
		"Accepted":    BeFalse(),
		"Reason":      Equal(refusal),
	})))

	_, err = alice.clone(strings.Replace(sshURL(t, own), "team/fleet", "team/nothing", 1))
	g.Expect(err).To(MatchError(ContainSubstring("ERROR: repository team/nothing does not exist, or the key is not registered for it")))
	g.Expect(alice.clone(sshURL(t, own))).To(BeADirectory())
	g.Expect(bob.clone(sshURL(t, other))).To(BeADirectory())
}

func TestSSHRefusesAPush(t *testing.T) {
	g := NewWithT(t)
	server := start(t)
	repository := server.mustCreate(t, "team/fleet", false)
	alice := newPerson(t, server)
	g.Expect(repository.RegisterKey(alice.publicKey)).To(Succeed())
	before, err := repository.Head(t.Context(), "main")
	g.Expect(err).NotTo(HaveOccurred())

	dir, err := alice.clone(sshURL(t, repository))
	g.Expect(err).NotTo(HaveOccurred())
	_, err = alice.git("-C", dir, "commit", "--quiet", "--allow-empty", "-m", "change")
	g.Expect(err).NotTo(HaveOccurred())
	_, err = alice.git("-C", dir, "push", "origin", "main")
	g.Expect(err).To(MatchError(ContainSubstring("ERROR: git-receive-pack is refused: this server is read-only over SSH")))
	g.Expect(repository.Head(t.Context(), "main")).To(Equal(before))

	_, err = alice.git("-C", dir, "push", repository.Dir(), "main")
	g.Expect(err).NotTo(HaveOccurred(), "through the file system")
	g.Expect(repository.Head(t.Context(), "main")).NotTo(Equal(before))
}

func TestSSHRefusesEverythingElse(t *testing.T) {
	server := start(t)
	alice := newPerson(t, server)
	NewWithT(t).Expect(server.mustCreate(t, "team/fleet", false).RegisterKey(alice.publicKey)).To(Succeed())
	server.mustCreate(t, "other/fleet", false)
	const onlyUploadPack = "ERROR: only git-upload-pack '/owner/name.git' can be run here"
	for name, test := range map[string]struct{ user, command, want string }{
		"shell":              {"git", "", "shell request failed"},
		"another user":       {"root", "git-upload-pack '/team/fleet.git'", "Permission denied (publickey)"},
		"a program":          {"git", "id", onlyUploadPack},
		"a second command":   {"git", "git-upload-pack '/team/fleet.git'; id", onlyUploadPack},
		"a substitution":     {"git", "git-upload-pack \"$(id)\"", onlyUploadPack},
		"a quote":            {"git", `git-upload-pack '/team/fleet.git'\'''`, onlyUploadPack},
		"an option":          {"git", "git-upload-pack --help", onlyUploadPack},
		"an option as path":  {"git", "git-upload-pack '--help'", "is not the name of a repository"},
		"an archive":         {"git", "git-upload-archive '/team/fleet.git'", "git-upload-archive is refused"},
		"up and down":        {"git", "git-upload-pack '/team/../other/fleet.git'", "is not the name of a repository"},
		"up":                 {"git", "git-upload-pack '../../etc'", "is not the name of a repository"},
		"only dots":          {"git", "git-upload-pack '/../..'", "is not the name of a repository"},
		"up as owner":        {"git", "git-upload-pack '/../repositories'", "is not the name of a repository"},
		"absolute":           {"git", "git-upload-pack '" + server.path("repositories", "team", "fleet.git") + "'", "is not the name of a repository"},
		"home":               {"git", "git-upload-pack '~/fleet.git'", "is not the name of a repository"},
		"home of a user":     {"git", "git-upload-pack '/~root/fleet.git'", "is not the name of a repository"},
		"inside":             {"git", "git-upload-pack '/team/fleet.git/objects'", "is not the name of a repository"},
		"the objects":        {"git", "git-upload-pack '/fleet.git/objects'", "is not the name of a repository"},
		"the suffix twice":   {"git", "git-upload-pack '/team/fleet.git.git'", "is not the name of a repository"},
		"a newline":          {"git", "git-upload-pack '/team/fleet.git\n'", "is not the name of a repository"},
		"an owner's folder":  {"git", "git-upload-pack '/team'", "is not the name of a repository"},
		"percent-encoded up": {"git", "git-upload-pack '/team/%2e%2e'", "is not the name of a repository"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			before := len(accesses(t, server))
			output, err := alice.ssh(server, test.user, test.command)
			g.Expect(err).To(HaveOccurred())
			g.Expect(output).To(ContainSubstring(test.want))
			for _, access := range accesses(t, server)[before:] {
				g.Expect(access.Accepted).To(BeFalse())
				g.Expect(access.Reason).NotTo(BeEmpty())
			}
		})
	}

	t.Run("forwarding", func(t *testing.T) {
		host, port, _ := strings.Cut(server.sshListener.Addr().String(), ":")
		output, err := alice.run(nil, append(alice.sshCommand(), "-p", port, "-W", server.httpAddress(t), "git@"+host)...)
		g := NewWithT(t)
		g.Expect(err).To(HaveOccurred())
		g.Expect(output).To(ContainSubstring("this server only serves Git repositories"))
	})
}

func TestSSHHostKeys(t *testing.T) {
	g := NewWithT(t)
	server := start(t)
	repository := server.mustCreate(t, "team/fleet", false)
	alice := newPerson(t, server)
	g.Expect(repository.RegisterKey(alice.publicKey)).To(Succeed())

	keys, err := server.HostKeys()
	g.Expect(err).NotTo(HaveOccurred())
	var types []string
	for _, key := range keys {
		types = append(types, key.Type())
	}
	g.Expect(types).To(Equal([]string{ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoRSA}))
	for _, algorithm := range []string{ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoRSASHA512} {
		alice.sshOptions = []string{"-o", "HostKeyAlgorithms=" + algorithm}
		_, err := alice.clone(sshURL(t, repository))
		g.Expect(err).NotTo(HaveOccurred(), algorithm)
	}
	alice.sshOptions = nil

	scanned, err := fluxssh.ScanHostKey(server.sshListener.Addr().String(), 30*time.Second, nil, false)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(alice.knownHosts).To(ContainSubstring(strings.TrimSpace(string(scanned))))

	g.Expect(server.RotateHostKey()).To(Succeed())
	_, err = alice.clone(sshURL(t, repository))
	g.Expect(err).To(MatchError(ContainSubstring("Host key verification failed")))
	g.Expect(os.ReadFile(server.path("known_hosts"))).NotTo(BeEquivalentTo(alice.knownHosts))
	alice.learnHostKeys(server)
	g.Expect(alice.clone(sshURL(t, repository))).To(BeADirectory())
}

func FuzzParseCommand(f *testing.F) {
	for _, seed := range []string{"git-upload-pack '/team/fleet.git'", "git upload-pack 'team/fleet'", "git-upload-pack '../a/b'", "git-receive-pack 'a/b'"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, command string) {
		name, err := parseCommand(command)
		if err != nil {
			return
		}
		repositories := t.TempDir()
		dir := filepath.Join(repositories, name+".git")
		if filepath.Dir(filepath.Dir(dir)) != repositories || strings.HasPrefix(filepath.Base(dir), ".") {
			t.Errorf("%q leads to %s", command, dir)
		}
		if !strings.HasPrefix(command, "git-upload-pack '") && !strings.HasPrefix(command, "git upload-pack '") {
			t.Errorf("%q is accepted", command)
		}
	})
}
