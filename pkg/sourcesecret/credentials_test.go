// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package sourcesecret_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"

	"github.com/go-logr/logr/funcr"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/sourcesecret"
)

func TestCredentialsHideSecrets(t *testing.T) {
	credentials := &sourcesecret.Credentials{
		Kind: sourcesecret.KindSSH,
		SecretRef: &sourcesecret.ShootSecret{Name: sourcesecret.SecretName, Type: corev1.SecretTypeOpaque, Data: sourcesecret.Data{
			"identity":     []byte("very private"),
			"identity.pub": []byte("ssh-ed25519 AAAA ops\n"),
			"known_hosts":  []byte("example.org ssh-ed25519 AAAA\n"),
		}},
		CertSecretRef: &sourcesecret.ShootSecret{Name: "other", Data: sourcesecret.Data{"tls.key": []byte("very private")}},
		Created:       true,
		HostKeys:      []sourcesecret.HostKey{{Type: "ssh-ed25519", Fingerprint: "SHA256:abc", Origin: sourcesecret.OriginScanned}},
	}
	printed := map[string]string{}
	verbs := []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%c", "%b", "%t"}
	for _, verb := range verbs {
		printed[verb+" of the pointer"] = fmt.Sprintf(verb, credentials)
		printed[verb+" of the value"] = fmt.Sprintf(verb, *credentials)
		printed[verb+" in a struct"] = fmt.Sprintf(verb, struct{ C sourcesecret.Credentials }{*credentials})
		printed[verb+" in a list"] = fmt.Sprintf(verb, []*sourcesecret.Credentials{credentials})
	}
	parts := map[string]any{"of a Secret": credentials.SecretRef, "of the value of a Secret": *credentials.SecretRef, "of data": credentials.SecretRef.Data}
	hidden := map[string]string{}
	for what, part := range parts {
		for _, verb := range verbs {
			hidden[verb+" "+what] = fmt.Sprintf(verb, part)
		}
		hidden["json "+what], hidden["yaml "+what] = marshal(t, json.Marshal, part), marshal(t, yaml.Marshal, part)
		hidden["logs "+what] = logged(part)
	}
	printed["Print"] = fmt.Sprint(credentials)
	printed["String"] = credentials.String()
	printed["GoString"] = credentials.GoString()
	printed["error"] = fmt.Errorf("with %v", credentials).Error()
	printed["json"] = marshal(t, json.Marshal, credentials)
	printed["json in a map"] = marshal(t, json.Marshal, map[string]any{"c": *credentials})
	printed["yaml"] = marshal(t, yaml.Marshal, credentials)

	printed["logs of the pointer"], printed["logs of the value"] = logged(credentials), logged(*credentials)

	// As text, as bytes in decimal and hexadecimal form, and as base64.
	secrets := []string{"very private", "118 101 114", "0x76, 0x65", "766572", "dmVyeSBwcml2YXRl"}
	for how, what := range hidden {
		t.Run(how, func(t *testing.T) {
			g := NewWithT(t)
			for _, secret := range secrets {
				g.Expect(what).NotTo(ContainSubstring(secret))
			}
			g.Expect(what).To(ContainSubstring("identity.pub"), "the key's name")
		})
	}
	for how, what := range printed {
		t.Run(how, func(t *testing.T) {
			g := NewWithT(t)
			for _, secret := range secrets {
				g.Expect(what).NotTo(ContainSubstring(secret))
			}
			g.Expect(what).To(ContainSubstring("ssh-ed25519 AAAA ops"))
			g.Expect(what).To(ContainSubstring("SHA256:abc"))
		})
	}
}

// logged is what loggers write of a value.
func logged(value any) string {
	var text, structured bytes.Buffer
	slog.New(slog.NewTextHandler(&text, nil)).Info("x", "c", value)
	slog.New(slog.NewJSONHandler(&structured, nil)).Info("x", "c", value)
	lines := text.String() + structured.String()
	funcr.New(func(_, args string) { lines += args }, funcr.Options{}).Info("x", "c", value)
	return lines
}

func marshal(t *testing.T, marshaller func(any) ([]byte, error), value any) string {
	t.Helper()
	data, err := marshaller(value)
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return string(data)
}

func TestCredentialsJSON(t *testing.T) {
	g := NewWithT(t)
	credentials := sourcesecret.Credentials{
		Kind:      sourcesecret.KindSSH,
		SecretRef: &sourcesecret.ShootSecret{Data: sourcesecret.Data{sourcesecret.KeyIdentityPub: []byte("ssh-ed25519 AAAA\n")}},
		HostKeys:  []sourcesecret.HostKey{{Type: "ssh-ed25519", Fingerprint: "SHA256:abc", Origin: sourcesecret.OriginPublished}},
	}
	g.Expect(json.Marshal(credentials)).To(MatchJSON(
		`{"kind":"SSH","keys":["identity.pub"],"publicKey":"ssh-ed25519 AAAA","created":false,"hostKeys":[{"type":"ssh-ed25519","fingerprint":"SHA256:abc","origin":"published"}]}`))
	g.Expect(credentials.PublicKey()).To(Equal("ssh-ed25519 AAAA"))
}
