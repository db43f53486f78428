// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package source_test runs pkg/sourcesecret against a real kube-apiserver and a real SSH server.
package source_test

import (
	"context"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/sourcesecret"
	"github.com/23technologies/gardener-extension-shoot-flux/test/integration"
)

var (
	apiServer *integration.Server
	admin     client.Client
)

func TestMain(m *testing.M) {
	os.Exit(integration.Run(m, func(ctx context.Context, servers *integration.Servers) (_ func(), err error) {
		if apiServer, err = servers.Start(ctx, "garden"); err != nil {
			return nil, err
		}
		admin = apiServer.Client
		return nil, nil
	}))
}

// newNamespace is the namespace of a new project.
func newNamespace(t *testing.T) string {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "garden-"}}
	NewWithT(t).Expect(admin.Create(t.Context(), namespace)).To(Succeed())
	return namespace.Name
}

// newExtension is a client for the garden that may do in this namespace what the rules allow, and that
// notes its requests.
func newExtension(t *testing.T, namespace string, rules ...rbacv1.PolicyRule) (client.Client, *requests) {
	t.Helper()
	g := NewWithT(t)
	config, err := apiServer.UserConfig("extension-of-" + namespace)
	g.Expect(err).NotTo(HaveOccurred())
	if len(rules) > 0 {
		meta := metav1.ObjectMeta{GenerateName: "extension-", Namespace: namespace}
		role := &rbacv1.Role{ObjectMeta: meta, Rules: rules}
		g.Expect(admin.Create(t.Context(), role)).To(Succeed())
		g.Expect(admin.Create(t.Context(), &rbacv1.RoleBinding{
			ObjectMeta: meta,
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "extension-of-" + namespace}},
		})).To(Succeed())
	}
	noted := &requests{}
	config.Wrap(noted.wrap)
	extension, err := client.New(config, client.Options{})
	g.Expect(err).NotTo(HaveOccurred())
	if len(rules) > 0 {
		waitUntilAllowed(t, extension, namespace, rules[0].Verbs[0])
	}
	noted.take()
	return extension, noted
}

// waitUntilAllowed: the authorizer learns of a new role a moment later.
func waitUntilAllowed(t *testing.T, extension client.Client, namespace, verb string) {
	t.Helper()
	NewWithT(t).Eventually(func(g Gomega) {
		review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
			ResourceAttributes: &authorizationv1.ResourceAttributes{
				Namespace: namespace, Verb: verb, Resource: "secrets", Name: sourcesecret.SecretName,
			},
		}}
		g.Expect(extension.Create(t.Context(), review)).To(Succeed())
		g.Expect(review.Status.Allowed).To(BeTrue())
	}, time.Minute, 10*time.Millisecond).Should(Succeed())
}

// leastPrivilege is all that the extension needs, for this one name only.
func leastPrivilege(verbs ...string) rbacv1.PolicyRule {
	if len(verbs) == 0 {
		verbs = []string{"get", "create", "patch"}
	}
	return rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"secrets"}, ResourceNames: []string{sourcesecret.SecretName}, Verbs: verbs}
}

// requests notes what a client asks about objects of a namespace. The client's discovery is left out.
type requests struct {
	mu    sync.Mutex
	noted []string
}

func (r *requests) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(request *http.Request) (*http.Response, error) {
		if strings.Contains(request.URL.Path, "/namespaces/") {
			r.mu.Lock()
			r.noted = append(r.noted, request.Method)
			r.mu.Unlock()
		}
		return next.RoundTrip(request)
	})
}

// take gives the methods since the last time.
func (r *requests) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	noted := r.noted
	r.noted = nil
	return noted
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }

// readSecret is what the project's admin sees.
func readSecret(t *testing.T, namespace string) *corev1.Secret {
	t.Helper()
	secret := &corev1.Secret{}
	NewWithT(t).Expect(admin.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: sourcesecret.SecretName}, secret)).To(Succeed())
	return secret
}

// writeSecret is what the project's admin makes beforehand.
func writeSecret(t *testing.T, namespace string, data map[string][]byte, change ...func(*corev1.Secret)) *corev1.Secret {
	t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: sourcesecret.SecretName}, Data: data}
	for _, c := range change {
		c(secret)
	}
	NewWithT(t).Expect(admin.Create(t.Context(), secret)).To(Succeed())
	return secret
}
