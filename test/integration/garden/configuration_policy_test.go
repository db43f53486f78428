// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package garden_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func configuration(namespace string, data map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "flux-config"}, Data: data}
}

// waitForPolicy: a policy acts a moment after it was written.
func waitForPolicy(t *testing.T, projectAdmin client.Client) {
	t.Helper()
	NewWithT(t).Eventually(func() error {
		return projectAdmin.Create(t.Context(), configuration(ownProject, map[string]string{"typo": "x"}), client.DryRunAll)
	}, timeout).Should(MatchError(ContainSubstring("typo: unknown key")))
}

// beyondCEL are mistakes that only the extension finds.
var beyondCEL = []string{
	"cut key", "known hosts of another host", "known hosts of another port", "only a revoked key", "the same key is revoked", "unknown hash", "unknown marker",
	"several keys on a line", "second key of one type", "many lines that can't be used", "public key without host", "wildcards that take long to match", "control character", "invisible blank", "encoded control character",
	"odd user", "host as an option", "port out of range", "IPv6 zone", "no host", "no path", "password with slash", "password behind an encoded colon",
	"no expression", "no range", "key that can't be read",
}

// The policy refuses nothing that the extension accepts, and says the same as the extension.
func TestConfigurationPolicy(t *testing.T) {
	g := NewWithT(t)
	projectAdmin := asProjectAdmin(t)
	waitForPolicy(t, projectAdmin)
	file, err := os.ReadFile("../../../pkg/project/testdata/cases.golden.json")
	g.Expect(err).NotTo(HaveOccurred())
	cases := map[string]struct {
		Data  map[string]string
		Error string
	}{}
	g.Expect(json.Unmarshal(file, &cases)).To(Succeed())
	g.Expect(len(cases)).To(BeNumerically(">", 50))

	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			err := projectAdmin.Create(t.Context(), configuration(ownProject, test.Data), client.DryRunAll)
			if test.Error == "" || slices.Contains(beyondCEL, strings.TrimPrefix(name, "refuses ")) {
				g.Expect(err).NotTo(HaveOccurred())
				return
			}
			g.Expect(err).To(HaveOccurred())
			_, message, found := strings.Cut(err.Error(), "denied request: ")
			g.Expect(found).To(BeTrue(), err.Error())
			key, words, _ := strings.Cut(message, ": ")
			// Only the extension finds the nearest key when letters are wrong.
			if strings.HasSuffix(name, "with wrong letters") {
				words, _, _ = strings.Cut(words, ", the known ones are")
			}
			g.Expect(test.Error).To(ContainSubstring(key + ": "))
			g.Expect(test.Error).To(ContainSubstring(words))
		})
	}
}
