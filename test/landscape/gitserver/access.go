// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package gitserver

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// Protocol is how a client came.
type Protocol string

// The protocols that the server speaks.
const (
	SSH   Protocol = "ssh"
	HTTP  Protocol = "http"
	HTTPS Protocol = "https"
)

// Access is one entry of the access log: a request for a repository, or an SSH login that was refused before it got so far.
type Access struct {
	Time     time.Time `json:"time"`
	Protocol Protocol  `json:"protocol"`
	// Repository is "owner/name" as the client asked for it; empty if a login was refused or the request named none.
	Repository string `json:"repository,omitempty"`
	// Fingerprint is that of the client's key, such as ssh.FingerprintSHA256 gives it; empty over HTTP and HTTPS.
	Fingerprint string `json:"fingerprint,omitempty"`
	// Credential is the name of the [Credential] over HTTPS; empty if there was none, or none that the server knows.
	Credential string `json:"credential,omitempty"`
	// Request is the command over SSH, method and URL over HTTP and HTTPS; empty if a login was refused.
	Request  string `json:"request,omitempty"`
	Accepted bool   `json:"accepted"`
	// Reason says why the access was refused.
	Reason string `json:"reason,omitempty"`
}

const accessLogFile = "access.log"

// Accesses returns the access log, oldest first.
func (s *Store) Accesses() ([]Access, error) {
	file, err := os.Open(s.path(accessLogFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // only read

	var accesses []Access
	for lines := bufio.NewReader(file); ; {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return accesses, nil // a line without an end is being written
		}
		var access Access
		if err == nil {
			err = json.Unmarshal(line, &access)
		}
		if err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", file.Name(), len(accesses)+1, err)
		}
		accesses = append(accesses, access)
	}
}

// CredentialUses counts the requests that were accepted for a repository, by the name of the credential that let them in.
func (s *Store) CredentialUses(repository string) (map[string]int, error) {
	accesses, err := s.Accesses()
	uses := map[string]int{}
	for _, access := range accesses {
		if access.Repository == repository && access.Accepted && access.Credential != "" {
			uses[access.Credential]++
		}
	}
	return uses, err
}

// record appends to the access log. One write per line keeps concurrent lines apart.
func (s *Server) record(access Access) {
	access.Time = time.Now()
	s.log.Info("access", "protocol", access.Protocol, "repository", access.Repository, "fingerprint", access.Fingerprint,
		"credential", access.Credential, "request", access.Request, "accepted", access.Accepted, "reason", access.Reason)
	if err := s.appendAccess(access); err != nil {
		s.log.Error("cannot write the access log", "error", err)
	}
}

func (s *Server) appendAccess(access Access) error {
	line, err := json.Marshal(access)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(s.path(accessLogFile), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(append(line, '\n'))
	return errors.Join(err, file.Close())
}
