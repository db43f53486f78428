// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package gitserver

import (
	"crypto/tls"
	"net"
	"time"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/certificates"
)

const (
	authorityFile = "authority.pem"
	authorityName = "ca-git"
)

// Authority is the private authority that signs the server's certificate, and those of clients. It survives restarts.
func (s *Store) Authority() (*certificates.Authority, error) {
	return certificates.KeepAuthority(s.path(authorityFile), authorityName)
}

// CA is the certificate of the server's authority, as key ca.crt of a Secret has it.
func (s *Store) CA() ([]byte, error) {
	authority, err := s.Authority()
	if err != nil {
		return nil, err
	}
	return authority.PEM()
}

// IssueClientCertificate returns a client certificate and its key, as keys tls.crt and tls.key of a Secret have them. What it may read says
// field Certificate of [Credential].
func (s *Store) IssueClientCertificate(commonName string, lifetime time.Duration) (certificate, key []byte, err error) {
	authority, err := s.Authority()
	if err != nil {
		return nil, nil, err
	}
	return authority.IssueClient(commonName, nil, lifetime)
}

// tlsConfigs are those of the two servers: one for everybody, and one that talks to nobody without a client certificate.
func (s *Store) tlsConfigs() (anybody, mutual *tls.Config, err error) {
	authority, err := s.Authority()
	if err != nil {
		return nil, nil, err
	}
	if anybody, err = authority.ServerConfig("git", net.IPv4(127, 0, 0, 1)); err != nil {
		return nil, nil, err
	}
	mutual = anybody.Clone()
	mutual.ClientAuth, mutual.ClientCAs = tls.RequireAndVerifyClientCert, authority.Pool()
	return anybody, mutual, nil
}
