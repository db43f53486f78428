// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"

	"github.com/go-logr/logr/funcr"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/yaml"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/source"
)

func TestCredentialsHideThePrivateKey(t *testing.T) {
	credentials := &source.Credentials{
		Identity:    []byte("very private"),
		IdentityPub: []byte("ssh-ed25519 AAAA ops\n"),
		KnownHosts:  []byte("example.org ssh-ed25519 AAAA\n"),
		Created:     true,
		HostKeys:    []source.HostKey{{Type: "ssh-ed25519", Fingerprint: "SHA256:abc", Origin: source.OriginScanned}},
	}
	printed := map[string]string{}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%c", "%b", "%t"} {
		printed[verb+" of the pointer"] = fmt.Sprintf(verb, credentials)
		printed[verb+" of the value"] = fmt.Sprintf(verb, *credentials)
		printed[verb+" in a struct"] = fmt.Sprintf(verb, struct{ C source.Credentials }{*credentials})
		printed[verb+" in a list"] = fmt.Sprintf(verb, []*source.Credentials{credentials})
	}
	printed["Print"] = fmt.Sprint(credentials)
	printed["String"] = credentials.String()
	printed["GoString"] = credentials.GoString()
	printed["error"] = fmt.Errorf("with %v", credentials).Error()
	printed["json"] = marshal(t, json.Marshal, credentials)
	printed["json in a map"] = marshal(t, json.Marshal, map[string]any{"c": *credentials})
	printed["yaml"] = marshal(t, yaml.Marshal, credentials)

	var text, structured bytes.Buffer
	slog.New(slog.NewTextHandler(&text, nil)).Info("x", "c", credentials)
	slog.New(slog.NewJSONHandler(&structured, nil)).Info("x", "c", *credentials)
	printed["slog text"], printed["slog json"] = text.String(), structured.String()
	logged := ""
	funcr.New(func(_, args string) { logged += args }, funcr.Options{}).Info("x", "c", credentials, "d", *credentials)
	printed["logr"] = logged

	for how, what := range printed {
		t.Run(how, func(t *testing.T) {
			g := NewWithT(t)
			// As text, as bytes in decimal and hexadecimal form, and as base64.
			for _, secret := range []string{"very private", "118 101 114", "0x76, 0x65", "766572", "dmVyeSBwcml2YXRl"} {
				g.Expect(what).NotTo(ContainSubstring(secret))
			}
			g.Expect(what).To(ContainSubstring("ssh-ed25519 AAAA ops"))
			g.Expect(what).To(ContainSubstring("SHA256:abc"))
		})
	}
}

func marshal(t *testing.T, marshaller func(any) ([]byte, error), value any) string {
	t.Helper()
	data, err := marshaller(value)
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return string(data)
}

func TestCredentialsJSON(t *testing.T) {
	g := NewWithT(t)
	credentials := source.Credentials{
		IdentityPub: []byte("ssh-ed25519 AAAA\n"),
		HostKeys:    []source.HostKey{{Type: "ssh-ed25519", Fingerprint: "SHA256:abc", Origin: source.OriginPublished}},
	}
	g.Expect(json.Marshal(credentials)).To(MatchJSON(
		`{"publicKey":"ssh-ed25519 AAAA","created":false,"hostKeys":[{"type":"ssh-ed25519","fingerprint":"SHA256:abc","origin":"published"}]}`))
	g.Expect(credentials.PublicKey()).To(Equal("ssh-ed25519 AAAA"))
}
