// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package knownhosts reads known_hosts data the way Flux does.
//
// The format is described in sshd(8), section "SSH_KNOWN_HOSTS FILE FORMAT". Whether a line fits a
// host is decided by the code that Flux itself verifies Git servers with
// (github.com/fluxcd/pkg/ssh/knownhosts), so a line that fits here also works in a shoot.
package knownhosts

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/ssh"

	fluxknownhosts "github.com/fluxcd/pkg/ssh/knownhosts"
)

const (
	markerRevoked       = "@revoked"
	markerCertAuthority = "@cert-authority"
	// hashMarker is the beginning of hosts in their hashed form.
	hashMarker = "|"
	// maxWildcards bounds the time that matching takes: it grows with the power of their number.
	maxWildcards = 2
)

// Line is one entry of known_hosts data: hosts and one public key.
type Line struct {
	text string
	// number counts from 1. It is 0 if the line is not from known_hosts data.
	number  int
	revoked bool
	key     ssh.PublicKey
	verify  ssh.HostKeyCallback
}

// ParseLine reads one line. A comment at the line's end is dropped, and names of hosts get small letters: OpenSSH compares them so,
// and Flux compares them as they are written. The error is a sentence about the line which never repeats what the line holds.
func ParseLine(text string) (Line, error) {
	if err := checkText(text); err != nil {
		return Line{}, err
	}
	fields := strings.Fields(text)
	var line Line
	if len(fields) > 0 && strings.HasPrefix(fields[0], "@") {
		switch fields[0] {
		case markerRevoked:
			line.revoked = true
		case markerCertAuthority:
			return Line{}, errors.New("@cert-authority is not supported by Flux: write the host's own public key")
		default:
			return Line{}, errors.New("only the marker @revoked is known")
		}
	}
	start := 0
	if line.revoked {
		start = 1
	}
	if len(fields) < start+3 {
		return Line{}, errors.New(`write host, key type and key, for example "git.example.org ssh-ed25519 AAAAC3…"`)
	}
	if countKeys(fields) > 1 {
		return Line{}, errors.New("it holds several keys, of which Flux uses only the first: write each key on its own line")
	}

	if strings.Count(fields[start], "*") > maxWildcards {
		return Line{}, errors.New(`it has too many "*": write a line for each host`)
	}

	// The hashed form is base64, in which the case counts.
	if !strings.HasPrefix(fields[start], hashMarker) {
		fields[start] = strings.ToLower(fields[start])
	}

	// Without the comment: golang.org/x/crypto refuses comments of several words, OpenSSH doesn't.
	line.text = strings.Join(fields[:start+3], " ")
	_, _, key, _, _, err := ssh.ParseKnownHosts([]byte(line.text))
	if err != nil {
		return Line{}, errors.New("the key can't be read: copy the line again, as ssh-keyscan prints it")
	}
	if _, isCertificate := key.(*ssh.Certificate); isCertificate {
		return Line{}, errors.New("the key is a certificate, which Flux does not support: write the host's own public key")
	}
	line.key = key
	if line.verify, _, err = fluxknownhosts.New([]byte(line.text)); err != nil {
		return Line{}, errors.New("the host can't be read: write its name, [name]:port, or the hashed form that ssh-keygen -H makes")
	}
	return line, nil
}

// checkText refuses what can't be seen, such as a byte order mark, which would be taken for a part of the host's name, and text in
// another encoding.
func checkText(text string) error {
	if !utf8.ValidString(text) {
		return errors.New("it is not UTF-8 text: save the file as UTF-8")
	}
	position := 0
	for _, r := range text {
		position++
		if !unicode.IsPrint(r) && !unicode.IsSpace(r) {
			return fmt.Errorf("character %d is invisible (%U): write the line again", position, r)
		}
	}
	return nil
}

// countKeys tells how many fields are public keys in the wire format of RFC 4253, section 6.6.
func countKeys(fields []string) int {
	count := 0
	for _, field := range fields {
		blob, err := base64.StdEncoding.DecodeString(field)
		if err != nil {
			continue
		}
		if _, err := ssh.ParsePublicKey(blob); err == nil {
			count++
		}
	}
	return count
}

// NewLine is the line that says that the host at hostPort ("name:port") has this public key. The port is
// left out if it is 22.
func NewLine(hostPort string, key ssh.PublicKey) (Line, error) {
	return ParseLine(address(hostPort) + " " + strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key))))
}

// String is the line as it is written into a file, without comment and without line end.
func (l Line) String() string { return l.text }

// KeyType is the type of the line's key, such as "ssh-ed25519".
func (l Line) KeyType() string { return l.key.Type() }

// Fingerprint is the key's SHA-256 fingerprint as ssh-keygen -l shows it: "SHA256:…".
func (l Line) Fingerprint() string { return ssh.FingerprintSHA256(l.key) }

// fits tells whether Flux accepts the line's key for the host at hostPort ("name:port").
func (l Line) fits(hostPort string) bool {
	// The remote address only counts if there is no host name.
	return !l.revoked && l.verify(hostPort, &net.TCPAddr{}, l.key) == nil
}
