// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package garden_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/garden"
)

// writeKubeconfig is what gardenlet mounts: a server, and a token in a file beside it.
func writeKubeconfig(t *testing.T, directory, server string) string {
	t.Helper()
	path := filepath.Join(directory, "kubeconfig")
	NewWithT(t).Expect(os.WriteFile(path, fmt.Appendf(nil, `apiVersion: v1
kind: Config
clusters: [{name: garden, cluster: {server: %q}}]
users: [{name: extension, user: {tokenFile: %q}}]
contexts: [{name: garden, context: {cluster: garden, user: extension}}]
current-context: garden
`, server, filepath.Join(directory, "token")), 0o600)).To(Succeed())
	return path
}

// answers is an API server that answers every request so.
func answers(t *testing.T, status int, reason string) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"apiVersion":"v1","kind":"Status","status":"Failure","code":%d,"reason":%q,"message":"what the garden says"}`, status, reason)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestClientFollowsTheFile(t *testing.T) {
	g := NewWithT(t)
	directory := t.TempDir()
	g.Expect(os.WriteFile(filepath.Join(directory, "token"), []byte("one"), 0o600)).To(Succeed())
	access := garden.KubeconfigFile(writeKubeconfig(t, directory, "https://one.example.org"))
	g.Expect(access.Host()).To(BeEmpty())
	first, err := access.Client(t.Context())
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(access.Host()).To(Equal("one.example.org"))
	again, err := access.Client(t.Context())
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(again).To(BeIdenticalTo(first), "a client is built once")

	writeKubeconfig(t, directory, "https://two.example.org")
	connection, err := access.Connection(t.Context())
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(connection.Client).NotTo(BeIdenticalTo(first))
	g.Expect(connection.Config.Host).To(Equal("https://two.example.org"))
	g.Expect(access.Host()).To(Equal("two.example.org"))
}

func TestMissingFile(t *testing.T) {
	_, err := garden.KubeconfigFile("/nobody/mounts/this").Client(t.Context())
	NewWithT(t).Expect(err).To(MatchError("no access to the garden: failed to read the kubeconfig that the environment variable GARDEN_KUBECONFIG names: " +
		"open /nobody/mounts/this: no such file or directory"))
}

func TestARefusalSaysWhatTheOperatorCanDo(t *testing.T) {
	for name, test := range map[string]struct {
		status   int
		reason   string
		sentence string
	}{
		"no right": {http.StatusForbidden, "Forbidden",
			"what the garden says; apply garden/rights.yaml of the extension's release to the garden, which allows it for all projects, or garden/per-project/rights.yaml, which allows it for one"},
		"expired": {http.StatusUnauthorized, "Unauthorized",
			"the garden does not accept the credentials of file %s, which gardenlet renews before they expire: is gardenlet running in the seed? what the garden says"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			directory := t.TempDir()
			g.Expect(os.WriteFile(filepath.Join(directory, "token"), []byte("one"), 0o600)).To(Succeed())
			path := writeKubeconfig(t, directory, answers(t, test.status, test.reason))
			garden, err := garden.KubeconfigFile(path).Client(t.Context())
			g.Expect(err).NotTo(HaveOccurred())

			sentence := test.sentence
			if name == "expired" {
				sentence = fmt.Sprintf(sentence, path)
			}
			configMap := &corev1.ConfigMap{}
			configMap.Namespace, configMap.Name, configMap.ResourceVersion = "garden-one", "flux-config", "1"
			err = garden.Get(t.Context(), client.ObjectKeyFromObject(configMap), configMap)
			g.Expect(err).To(MatchError(sentence))
			g.Expect(apierrors.ReasonForError(err)).To(BeEquivalentTo(test.reason), "the kind of the error stays")
			g.Expect(garden.Patch(t.Context(), configMap, client.RawPatch("application/merge-patch+json", []byte("{}")))).To(MatchError(sentence))
		})
	}
}
