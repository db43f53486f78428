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
	"time"

	"github.com/go-logr/logr"
	. "github.com/onsi/gomega"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/garden"
)

func TestEmergencyStop(t *testing.T) {
	seed := func(annotations string) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			if request.URL.Path != "/apis/core.gardener.cloud/v1beta1/seeds/local" {
				w.WriteHeader(http.StatusNotFound)
			}
			_, _ = fmt.Fprintf(w, `{"apiVersion":"meta.k8s.io/v1","kind":"PartialObjectMetadata","metadata":{"name":"local","annotations":%s}}`, annotations)
		}))
		t.Cleanup(server.Close)
		return server.URL
	}
	for name, test := range map[string]struct {
		server string
		want   bool
	}{
		"is on":               {seed(`{"shoot.gardener.cloud/emergency-stop-reconciliations":"true"}`), true},
		"is off":              {seed(`{"shoot.gardener.cloud/emergency-stop-reconciliations":"false"}`), false},
		"was never on":        {seed(`{}`), false},
		"may not be seen":     {answers(t, http.StatusForbidden, "Forbidden"), false},
		"has no garden to it": {"https://127.0.0.1:1", false},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			directory := t.TempDir()
			g.Expect(os.WriteFile(filepath.Join(directory, "token"), []byte("one"), 0o600)).To(Succeed())
			stop := &garden.EmergencyStop{Access: garden.KubeconfigFile(writeKubeconfig(t, directory, test.server)), Log: logr.Discard()}
			_, known := stop.Holds(t.Context(), "local")
			g.Expect(known).To(BeFalse(), "nobody waits for the garden")
			g.Eventually(func(g Gomega) {
				stopped, known := stop.Holds(t.Context(), "local")
				g.Expect(known).To(BeTrue())
				g.Expect(stopped).To(Equal(test.want))
			}, time.Minute, 10*time.Millisecond).Should(Succeed())
		})
	}
}
