// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package sourcesecret

import (
	"maps"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
)

// FuzzWritten has anything in place of the value of a key. What is taken is what the key holds, and what is refused is not repeated.
func FuzzWritten(f *testing.F) {
	m := newMaterial(f)
	bases := []map[string][]byte{
		data("username", "ops", "password", "x"),
		data("bearerToken", "x"),
		data("githubAppID", "1", "githubAppInstallationID", "2", "githubAppPrivateKey", m.appKey, "githubAppBaseURL", "https://github.example.com"),
		data("ca.crt", m.ca, "tls.crt", m.cert, "tls.key", m.key),
		data(".dockerconfigjson", dockerConfig("registry.example.com:5000", "ops:x")),
	}
	// mark is what no sentence has by itself.
	const mark = "qzxv"
	for _, seed := range []string{"", "\x00", "{", `{"auths":null}`, `{"auths":{"[":{"auth":"eDp4"}}}`, `{"auths":{"%":{}}}`, "-----BEGIN CERTIFICATE-----", string(m.ca), string(m.key), "https://%"} {
		f.Add([]byte(seed+mark), uint8(0), uint8(0))
		f.Add([]byte(seed+mark), uint8(4), uint8(0))
	}
	f.Fuzz(func(t *testing.T, value []byte, base, key uint8) {
		g := NewWithT(t)
		written := maps.Clone(bases[int(base)%len(bases)])
		keys := slices.Sorted(maps.Keys(written))
		name := keys[int(key)%len(keys)]
		written[name] = value
		for _, url := range []string{gitURL, ociURL} {
			credentials, err := readFor(&corev1.Secret{Data: written}, url, nil)
			if err != nil {
				g.Expect(strings.Contains(err.Error(), mark)).To(BeFalse(), err.Error())
				g.Expect(len(err.Error())).To(BeNumerically("<", 512))
				continue
			}
			for _, secret := range credentials.Secrets() {
				if secret.Data.has(name) && name != KeyDockerConfig {
					g.Expect(secret.Data[name]).To(Equal(value))
				}
			}
		}
	})
}
