// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package gitserver

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// Credential is what a client proves over HTTPS that it may read a private repository. It has either a password, or a token, or a client
// certificate.
type Credential struct {
	// Name is what the access log calls it.
	Name string
	// Username and Password are those of HTTP's basic authentication. Forges take most of their tokens as such a password.
	Username, Password string
	// BearerToken is the token of HTTP's bearer authentication.
	BearerToken string
	// Certificate is the common name of a client certificate, see [Store.IssueClientCertificate]. It counts where the server asks for one, see
	// [Repository.MutualTLSURL].
	Certificate string
	// Expires is when it is no longer accepted. Zero means never.
	Expires time.Time
	// Forbidden is one that the server knows, and that may not read this repository: a token without the right scope.
	Forbidden bool
}

// storedCredential is how a credential is kept. What is compared is a digest, so that nobody finds a password in the state directory.
type storedCredential struct {
	SHA256    string    `json:"sha256"`
	Expires   time.Time `json:"expires,omitzero"`
	Forbidden bool      `json:"forbidden,omitempty"`
}

const (
	basicScheme       = "Basic"
	bearerScheme      = "Bearer"
	certificateScheme = "Certificate" // of no standard: nothing sends it as a header
)

var credentialPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]*$`)

// proof is what is compared of a credential: the scheme, and what goes with it.
func (c Credential) proof() (string, error) {
	var proofs []string
	if c.Username != "" || c.Password != "" {
		proofs = append(proofs, basicProof(c.Username, c.Password))
	}
	if c.BearerToken != "" {
		proofs = append(proofs, bearerScheme+" "+c.BearerToken)
	}
	if c.Certificate != "" {
		proofs = append(proofs, certificateScheme+" "+c.Certificate)
	}
	if len(proofs) != 1 {
		return "", errors.New("a credential has a password, or a token, or a certificate")
	}
	return proofs[0], nil
}

func basicProof(username, password string) string {
	return basicScheme + " " + username + "\x00" + password
}

func digest(proof string) string {
	sum := sha256.Sum256([]byte(proof))
	return hex.EncodeToString(sum[:])
}

func (r *Repository) credentialsDir() string {
	return r.store.path("credentials", filepath.FromSlash(r.name))
}

func (r *Repository) credentialFile(name string) (string, error) {
	if !credentialPattern.MatchString(name) {
		return "", fmt.Errorf("%q is not the name of a credential: write letters, digits, '_' and '-'", name)
	}
	return filepath.Join(r.credentialsDir(), name+".json"), nil
}

// AddCredential lets a client read the repository over HTTPS, from its next request on. It replaces one of the same name.
func (r *Repository) AddCredential(c Credential) error {
	proof, err := c.proof()
	if err != nil {
		return fmt.Errorf("credential %s of repository %s: %w", c.Name, r.name, err)
	}
	file, err := r.credentialFile(c.Name)
	if err != nil {
		return err
	}
	text, err := json.Marshal(storedCredential{SHA256: digest(proof), Expires: c.Expires, Forbidden: c.Forbidden})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	return writeFile(file, append(text, '\n'))
}

// RemoveCredential takes the access away. That there is none of this name is no error.
func (r *Repository) RemoveCredential(name string) error {
	file, err := r.credentialFile(name)
	if err != nil {
		return err
	}
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// findCredential returns the name of the repository's credential that has one of the proofs, and what is kept of it. The name is empty if
// there is none that is accepted still.
func (r *Repository) findCredential(proof string, now time.Time) (string, storedCredential, error) {
	files, err := filepath.Glob(filepath.Join(r.credentialsDir(), "*.json"))
	if err != nil {
		return "", storedCredential{}, err
	}
	wanted := digest(proof)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it was removed meanwhile
		}
		if err != nil {
			return "", storedCredential{}, err
		}
		var stored storedCredential
		if err := json.Unmarshal(text, &stored); err != nil {
			return "", storedCredential{}, fmt.Errorf("%s is damaged, remove it: %w", file, err)
		}
		if stored.SHA256 == wanted && (stored.Expires.IsZero() || now.Before(stored.Expires)) {
			return strings.TrimSuffix(filepath.Base(file), ".json"), stored, nil
		}
	}
	return "", storedCredential{}, nil
}

// knowsCredential says whether the proof belongs to a credential of any repository.
func (s *Store) knowsCredential(proof string, now time.Time) (bool, error) {
	dirs, err := filepath.Glob(s.path("credentials", "*", "*"))
	if err != nil {
		return false, err
	}
	for _, dir := range dirs {
		name, err := filepath.Rel(s.path("credentials"), dir)
		if err != nil {
			return false, err
		}
		found, _, err := (&Repository{store: s, name: filepath.ToSlash(name)}).findCredential(proof, now)
		if found != "" || err != nil {
			return found != "", err
		}
	}
	return false, nil
}

// proofOf is what a request proves who it is from with: its header or else, where the server asks for one, its certificate. Empty means nothing.
func proofOf(r *http.Request) string {
	if username, password, ok := r.BasicAuth(); ok {
		return basicProof(username, password)
	}
	if header := r.Header.Get("Authorization"); header != "" {
		scheme, token, _ := strings.Cut(header, " ")
		if strings.EqualFold(scheme, bearerScheme) {
			return bearerScheme + " " + token
		}
		return header // no credential is like that
	}
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		return certificateScheme + " " + r.TLS.PeerCertificates[0].Subject.CommonName
	}
	return ""
}
