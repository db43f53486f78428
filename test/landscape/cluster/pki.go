// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"fmt"
	"net"
	"os"
	"path/filepath"

	"k8s.io/client-go/util/keyutil"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/certificates"
)

// pki is what a control plane proves itself and its clients with.
type pki struct {
	dir string
	ca  *certificates.Authority
}

// newPKI creates the authorities, certificates and keys of a control plane and writes those that its programs read to dir.
func newPKI(dir, name string) (*pki, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	ca, err := certificates.NewAuthority(name)
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
	serverCertificate, serverKey, err := ca.IssueServer("kube-apiserver",
		[]string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"},
		[]net.IP{net.ParseIP(loopback), net.ParseIP(kubernetesServiceIP)})
	if err != nil {
		return nil, err
	}
	for file, content := range map[string][]byte{
		"ca.crt":              caPEM,
		"kube-apiserver.crt":  serverCertificate,
		"kube-apiserver.key":  serverKey,
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
