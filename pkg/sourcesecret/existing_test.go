// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package sourcesecret

import (
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
)

// TestExisting reads what is left for a repository that the project no longer has, and makes nothing for it.
func TestExisting(t *testing.T) {
	const overSSH, overHTTPS = "ssh://git@git.example.org/o/r", "https://git.example.org/o/r"
	identity, identityPub := openSSHIdentity(t, "")
	line := "git.example.org " + keyA + "\n"
	for name, tc := range map[string]struct {
		url, knownHosts string
		data            map[string][]byte // nil: there is no Secret
		want            map[string][]byte // nil: there is nothing
		wantErr         string
	}{
		"no Secret, SSH":       {url: overSSH},
		"no Secret, HTTPS":     {url: overHTTPS},
		"a token":              {url: overHTTPS, data: map[string][]byte{KeyBearerToken: []byte("t0ken"), KeyIdentity: identity}, want: map[string][]byte{KeyBearerToken: []byte("t0ken")}},
		"a token for SSH":      {url: overSSH, knownHosts: line, data: map[string][]byte{KeyBearerToken: []byte("t0ken")}},
		"a key pair for HTTPS": {url: overHTTPS, data: map[string][]byte{KeyIdentity: identity}},
		"a key pair": {
			url: overSSH, data: map[string][]byte{KeyIdentity: identity, KeyKnownHosts: []byte(line)},
			want: map[string][]byte{KeyIdentity: identity, KeyIdentityPub: identityPub, KeyKnownHosts: []byte(line)},
		},
		"a key pair, and the shoot knows the host": {
			url: overSSH, knownHosts: line, data: map[string][]byte{KeyIdentity: identity, KeyIdentityPub: identityPub},
			want: map[string][]byte{KeyIdentity: identity, KeyIdentityPub: identityPub, KeyKnownHosts: []byte(line)},
		},
		"a key pair, and nobody knows the host": {url: overSSH, data: map[string][]byte{KeyIdentity: identity}},
		"what can't be used":                    {url: overHTTPS, data: map[string][]byte{KeyBearerToken: []byte("t0ken\n")}, wantErr: "secret garden-one/flux-source in the garden: key bearerToken ends with a line break: "},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			builder := fake.NewClientBuilder()
			if tc.data != nil {
				builder.WithObjects(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: SecretName}, Data: tc.data})
			}
			garden := builder.Build()
			credentials, err := Existing(t.Context(), garden, namespace, &fluxv1alpha1.Repository{URL: tc.url, Type: fluxv1alpha1.RepositoryPrivate, KnownHosts: tc.knownHosts})
			if tc.wantErr != "" {
				g.Expect(err).To(MatchError(HavePrefix(tc.wantErr)))
				return
			}
			g.Expect(err).NotTo(HaveOccurred())
			secret := &corev1.Secret{}
			err = garden.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: SecretName}, secret)
			if tc.data == nil {
				g.Expect(err).To(HaveOccurred(), "none is made")
			} else {
				g.Expect(secret.Data).To(Equal(tc.data), "nothing is added")
			}
			if tc.want == nil {
				g.Expect(credentials).To(BeNil())
				return
			}
			g.Expect(credentials.SecretRef.Data).To(BeEquivalentTo(tc.want))
			g.Expect(credentials.Version).To(Equal(VersionOf(secret.UID, secret.ResourceVersion)))
		})
	}
}
