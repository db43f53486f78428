// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
)

// certificateLifetime of what the control planes themselves use: longer than any landscape lives.
const certificateLifetime = 30 * 24 * time.Hour

// Authority is a certificate authority: of a cluster (servers and clients), or of the requests that its aggregator forwards.
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

// PEM is the authority's certificate.
func (a *Authority) PEM() ([]byte, error) {
	return cert.EncodeCertificates(a.certificate)
}

// IssueServer issues a serving certificate for names and addresses. Certificate and key are in PEM.
func (a *Authority) IssueServer(commonName string, names []string, addresses []net.IP) (certificate, key []byte, err error) {
	return a.issue(&x509.Certificate{
		Subject:     pkix.Name{CommonName: commonName},
		DNSNames:    names,
		IPAddresses: addresses,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, certificateLifetime)
}

// issueClient issues a client certificate for a user and its groups.
func (a *Authority) issueClient(user string, groups []string, lifetime time.Duration) (certificate, key []byte, err error) {
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

// pki is what a control plane proves itself and its clients with.
type pki struct {
	dir string
	ca  *Authority
}

// newPKI creates the authorities, certificates and keys of a control plane and writes those that its programs read to dir.
func newPKI(dir, name string) (*pki, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	ca, err := NewAuthority(name)
	if err != nil {
		return nil, err
	}
	frontProxyCA, err := NewAuthority(name + "-front-proxy")
	if err != nil {
		return nil, err
	}
	p := &pki{dir: dir, ca: ca}
	serviceAccountKey, err := keyutil.MakeEllipticPrivateKeyPEM()
	if err != nil {
		return nil, err
	}
	caPEM, err := ca.PEM()
	if err != nil {
		return nil, err
	}
	frontProxyPEM, err := frontProxyCA.PEM()
	if err != nil {
		return nil, err
	}
	serverCertificate, serverKey, err := ca.IssueServer("kube-apiserver",
		[]string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"},
		[]net.IP{net.ParseIP(loopback), net.ParseIP(kubernetesServiceIP)})
	if err != nil {
		return nil, err
	}
	proxyCertificate, proxyKey, err := frontProxyCA.issueClient(frontProxyUser, nil, certificateLifetime)
	if err != nil {
		return nil, err
	}
	for file, content := range map[string][]byte{
		"ca.crt":              caPEM,
		"front-proxy-ca.crt":  frontProxyPEM,
		"kube-apiserver.crt":  serverCertificate,
		"kube-apiserver.key":  serverKey,
		"front-proxy.crt":     proxyCertificate,
		"front-proxy.key":     proxyKey,
		"service-account.key": serviceAccountKey,
	} {
		if err := os.WriteFile(p.path(file), content, 0o600); err != nil {
			return nil, fmt.Errorf("failed to write to the PKI of %s: %w", name, err)
		}
	}
	return p, nil
}

func (p *pki) path(file string) string {
	return filepath.Join(p.dir, file)
}
