// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package fluxready

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
)

// The newest version that a shoot serves is found out once, without asking for all that the shoot serves.
func TestVersions(t *testing.T) {
	for name, test := range map[string]struct {
		// serves are the versions that the shoot serves, and exists is whether there is an object.
		serves []string
		exists bool
		// last is in which version the kind was found last.
		last string
		// asked are the versions that the shoot is asked for, version is in which the kind is found.
		asked   []string
		version string
	}{
		"a new release":            {[]string{"v1"}, true, "", []string{"v1"}, "v1"},
		"the release before it":    {[]string{"v1beta2", "v1beta1"}, true, "", []string{"v1", "v1beta2"}, "v1beta2"},
		"an old release":           {[]string{"v1beta1"}, true, "", []string{"v1", "v1beta2", "v1beta1"}, "v1beta1"},
		"what was found last":      {[]string{"v1beta1"}, true, "v1beta1", []string{"v1beta1"}, "v1beta1"},
		"what is no longer served": {[]string{"v1"}, true, "v1beta1", []string{"v1beta1", "v1"}, "v1"},
		"no object":                {[]string{"v1"}, false, "", []string{"v1"}, "v1"},
		"no Flux":                  {nil, false, "", []string{"v1", "v1beta2", "v1beta1"}, ""},
		"no Flux any more":         {nil, false, "v1", []string{"v1", "v1", "v1beta2", "v1beta1"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			var asked []string
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
				version := strings.Split(request.URL.Path, "/")[3]
				asked = append(asked, version)
				serve(w, request, strings.Contains(strings.Join(test.serves, " ")+" ", version+" "), test.exists)
			}))
			t.Cleanup(server.Close)
			shoot, err := client.New(&rest.Config{Host: server.URL}, client.Options{Mapper: NewMapper()})
			g.Expect(err).NotTo(HaveOccurred())
			object, version, err := get(t.Context(), shoot, flux.GitRepository.GroupKind, client.ObjectKey{Namespace: "flux-system", Name: "flux-system"}, test.last)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(object != nil).To(Equal(test.exists))
			g.Expect(version).To(Equal(test.version))
			g.Expect(asked).To(Equal(test.asked))
		})
	}
}

// serve answers as a kube-apiserver does.
func serve(w http.ResponseWriter, request *http.Request, known, exists bool) {
	w.Header().Set("Content-Type", "application/json")
	switch {
	case !known:
		http.Error(w, "404 page not found", http.StatusNotFound)
	case !exists:
		w.WriteHeader(http.StatusNotFound)
		status := apierrors.NewNotFound(schema.GroupResource{Group: flux.GitRepository.GroupKind.Group, Resource: "gitrepositories"}, "flux-system").ErrStatus
		status.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}
		_ = json.NewEncoder(w).Encode(status)
	default:
		version := strings.Split(request.URL.Path, "/")[3]
		_ = json.NewEncoder(w).Encode(map[string]any{"apiVersion": flux.GitRepository.Group + "/" + version, "kind": flux.GitRepository.Kind, "metadata": map[string]any{"name": "flux-system"}})
	}
}
