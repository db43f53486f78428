// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package certificates has the certificate authorities of the landscape: of clusters, and of servers that nobody trusts by himself.
package certificates

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
)

// Lifetime of what lives as long as the landscape: longer than any landscape does.
const Lifetime = 30 * 24 * time.Hour

// Authority is a certificate authority.
type Authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

// NewAuthority makes an authority with a key of its own.
func NewAuthority(name string) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	certificate, err := cert.NewSelfSignedCACert(cert.Config{CommonName: name}, key)
	if err != nil {
		return nil, err
	}
	return &Authority{certificate: certificate, key: key}, nil
}

// KeepAuthority returns the authority that is kept in a file. If there is no file, it makes one, so that those who trust the authority do so
// after a restart. Several processes may ask for the same.
func KeepAuthority(file, name string) (*Authority, error) {
	content, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeAuthority(file, name); err != nil {
			return nil, fmt.Errorf("making authority %s: %w", name, err)
		}
		content, err = os.ReadFile(file)
	}
	if err != nil {
		return nil, err
	}
	return parseAuthority(file, content)
}

// makeAuthority writes a new authority to a file, unless another process was faster.
func makeAuthority(file, name string) error {
	a, err := NewAuthority(name)
	if err != nil {
		return err
	}
	certificate, err := a.PEM()
	if err != nil {
		return err
	}
	key, err := keyutil.MarshalPrivateKeyToPEM(a.key)
	if err != nil {
		return err
	}
	unfinished, err := os.CreateTemp(filepath.Dir(file), ".authority-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(unfinished.Name()) }()
	_, err = unfinished.Write(slices.Concat(certificate, key))
	if err := errors.Join(err, unfinished.Close()); err != nil {
		return err
	}
	if err := os.Link(unfinished.Name(), file); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

func parseAuthority(file string, content []byte) (*Authority, error) {
	certificates, err := cert.ParseCertsPEM(content)
	if err != nil {
		return nil, fmt.Errorf("%s holds no certificate, remove it to get a new authority: %w", file, err)
	}
	key, err := keyutil.ParsePrivateKeyPEM(content)
	if err != nil {
		return nil, fmt.Errorf("%s holds no key, remove it to get a new authority: %w", file, err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%s holds a key that can't sign, remove it to get a new authority", file)
	}
	return &Authority{certificate: certificates[0], key: signer}, nil
}

// PEM is the authority's certificate.
func (a *Authority) PEM() ([]byte, error) {
	return cert.EncodeCertificates(a.certificate)
}

// Pool has the authority alone.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return pool
}

// IssueServer issues a serving certificate for names and addresses. Certificate and key are in PEM.
func (a *Authority) IssueServer(commonName string, names []string, addresses []net.IP) (certificate, key []byte, err error) {
	return a.issue(&x509.Certificate{
		Subject:     pkix.Name{CommonName: commonName},
		DNSNames:    names,
		IPAddresses: addresses,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, Lifetime)
}

// ServerConfig is what a server on an address of this machine needs that the authority's clients trust.
func (a *Authority) ServerConfig(commonName string, address net.IP) (*tls.Config, error) {
	certificate, key, err := a.IssueServer(commonName, nil, []net.IP{address})
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return nil, err
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}

// IssueClient issues a client certificate for a user and its groups. Certificate and key are in PEM.
func (a *Authority) IssueClient(user string, groups []string, lifetime time.Duration) (certificate, key []byte, err error) {
	return a.issue(&x509.Certificate{
		Subject:     pkix.Name{CommonName: user, Organization: groups},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, lifetime)
}

func (a *Authority) issue(template *x509.Certificate, lifetime time.Duration) (certificate, key []byte, err error) {
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)); err != nil {
		return nil, nil, err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.NotBefore = a.certificate.NotBefore
	template.NotAfter = time.Now().Add(lifetime)
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, signer.Public(), a.key)
	if err != nil {
		return nil, nil, err
	}
	issued, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, err
	}
	if certificate, err = cert.EncodeCertificates(issued); err != nil {
		return nil, nil, err
	}
	key, err = keyutil.MarshalPrivateKeyToPEM(signer)
	return certificate, key, err
}
