// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/certificates"
)

const frontProxyUser = "front-proxy-client"

// AggregationArgs are the arguments for Start with which the kube-apiserver of the cluster tells other API servers, whose APIs it serves, who asks.
// Others should not have them: kube-apiserver watches each of these files, and Linux gives all programs of a user 128 instances of inotify.
func AggregationArgs(name string, etcd *Etcd) ([]string, error) {
	authority, err := certificates.NewAuthority(name + "-front-proxy")
	if err != nil {
		return nil, fmt.Errorf("failed to create the authority of front proxies of cluster %s: %w", name, err)
	}
	authorityPEM, err := authority.PEM()
	if err != nil {
		return nil, fmt.Errorf("failed to encode the authority of front proxies of cluster %s: %w", name, err)
	}
	certificate, key, err := authority.IssueClient(frontProxyUser, nil, certificates.Lifetime)
	if err != nil {
		return nil, fmt.Errorf("failed to issue the certificate of the front proxy of cluster %s: %w", name, err)
	}
	dir := filepath.Join(etcd.options.Dir, name, "front-proxy")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("failed to make a directory for the front proxy of cluster %s: %w", name, err)
	}
	file := func(name string) string { return filepath.Join(dir, name) }
	for name, content := range map[string][]byte{"ca.crt": authorityPEM, "client.crt": certificate, "client.key": key} {
		if err := os.WriteFile(file(name), content, 0o600); err != nil {
			return nil, fmt.Errorf("failed to write a file for the front proxy of cluster %s: %w", name, err)
		}
	}
	return []string{
		"--requestheader-client-ca-file=" + file("ca.crt"),
		"--requestheader-allowed-names=" + frontProxyUser,
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + file("client.crt"),
		"--proxy-client-key-file=" + file("client.key"),
	}, nil
}
