// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package garden_test gives the manifests for the garden to a real kube-apiserver, and asks it as the identities that a
// garden has: the authorizer, the admission policies and the authentication are those of Kubernetes, and the binding is
// made by the reconciler of gardener-controller-manager.
package garden_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/yaml"

	"github.com/gardener/gardener/pkg/controllermanager/controller/controllerregistration/extensionclusterrole"

	"github.com/23technologies/gardener-extension-shoot-flux/test/integration"
)

const (
	ownSeed     = "seed-one"
	foreignSeed = "seed-two"
	// ownProject has a shoot on the seed, foreignProject has not: the ClusterRole makes no difference.
	ownProject     = "garden-own"
	foreignProject = "garden-foreign"
	// narrowProject uses the per-project rights.
	narrowProject = "garden-local"
	// existing is a project with a key pair.
	existing = "garden-existing"

	accessLabel = "flux.extensions.gardener.cloud/garden-access"
	clusterRole = "gardener-extension-shoot-flux-garden"

	// timeout bounds what is waited for.
	timeout = time.Minute
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
		return nil, prepare(ctx)
	}))
}

// prepare does what the operator does, and what gardenlet and gardener-controller-manager make of it.
func prepare(ctx context.Context) error {
	for _, namespace := range []string{"garden", ownSeed, foreignSeed, "seed-local", ownProject, foreignProject, narrowProject, existing} {
		if err := admin.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}); err != nil {
			return err
		}
	}
	for _, file := range []string{"configuration-policy.yaml", "policies.yaml", "rights.yaml", "per-project/rights.yaml"} {
		if err := apply(ctx, "../../../example/garden/"+file); err != nil {
			return err
		}
	}
	for _, namespace := range []string{ownSeed, foreignSeed} {
		if err := admin.Create(ctx, serviceAccount(namespace, "shoot-flux-garden", true)); err != nil {
			return err
		}
	}
	// Its rights are those of one project only.
	if err := admin.Create(ctx, serviceAccount("seed-local", "shoot-flux-garden", false)); err != nil {
		return err
	}
	written := secret(existing, "flux-source", corev1.SecretTypeOpaque)
	written.Data["password"] = []byte("x")
	if err := errors.Join(
		admin.Create(ctx, serviceAccount(ownSeed, "other", false)),
		admin.Create(ctx, serviceAccount(ownProject, "robot", false)),
		admin.Create(ctx, written),
		admin.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: existing, Name: "flux-status"}}),
		bind(ctx),
	); err != nil {
		return err
	}
	if err := makeProjectAdmin(ctx, ownProject); err != nil {
		return err
	}
	return waitForRights(ctx)
}

// waitForRights waits until the API server knows the roles and bindings that were written last: they act a moment later.
func waitForRights(ctx context.Context) error {
	rights := map[string]authorizationv1.ResourceAttributes{
		"admin": {Namespace: ownProject, Verb: "create", Resource: "configmaps"},
		"system:serviceaccount:seed-local:shoot-flux-garden":          {Namespace: narrowProject, Verb: "get", Resource: "secrets", Name: "flux-source"},
		"system:serviceaccount:" + ownSeed + ":shoot-flux-garden":     {Namespace: ownProject, Verb: "get", Resource: "secrets", Name: "flux-source"},
		"system:serviceaccount:" + foreignSeed + ":shoot-flux-garden": {Namespace: ownProject, Verb: "get", Resource: "secrets", Name: "flux-source"},
	}
	return wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, timeout, true, func(ctx context.Context) (bool, error) {
		for user, attributes := range rights {
			review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: user, ResourceAttributes: &attributes}}
			if err := admin.Create(ctx, review); err != nil || !review.Status.Allowed {
				return false, err
			}
		}
		return true, nil
	})
}

func apply(ctx context.Context, file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(document, &object.Object); err != nil {
			return err
		}
		if len(object.Object) == 0 {
			continue
		}
		if err := admin.Create(ctx, object, client.FieldValidation(metav1.FieldValidationStrict)); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
}

// bind does what gardener-controller-manager does when a ClusterRole or ServiceAccount changes.
func bind(ctx context.Context) error {
	_, err := (&extensionclusterrole.Reconciler{Client: admin}).Reconcile(ctx, reconcile.Request{NamespacedName: client.ObjectKey{Name: clusterRole}})
	return err
}

func serviceAccount(namespace, name string, labelled bool) *corev1.ServiceAccount {
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	if labelled {
		account.Labels = map[string]string{accessLabel: "true"}
	}
	return account
}

// makeProjectAdmin gives user "admin" what Gardener gives the admin of a project, as far as it matters here.
func makeProjectAdmin(ctx context.Context, namespace string) error {
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "admin"}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"configmaps", "secrets", "serviceaccounts", "serviceaccounts/token"}, Verbs: []string{"*"}},
	}}
	if err := admin.Create(ctx, role); err != nil {
		return err
	}
	return admin.Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "admin"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "admin"}},
	})
}

// token is what gardenlet's TokenRequestor gets for a ServiceAccount.
func token(t *testing.T, namespace, name string) string {
	t.Helper()
	request := &authenticationv1.TokenRequest{}
	NewWithT(t).Expect(admin.SubResource("token").Create(t.Context(), serviceAccount(namespace, name, false), request)).To(Succeed())
	return request.Status.Token
}

func as(t *testing.T, namespace, name string) client.Client {
	t.Helper()
	config := rest.AnonymousClientConfig(apiServer.Config)
	config.BearerToken = token(t, namespace, name)
	return newClient(t, config)
}

func asProjectAdmin(t *testing.T) client.Client {
	t.Helper()
	config, err := apiServer.UserConfig("admin")
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return newClient(t, config)
}

func newClient(t *testing.T, config *rest.Config) client.Client {
	t.Helper()
	config.QPS = -1
	result, err := client.New(config, client.Options{Mapper: admin.RESTMapper()})
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return result
}

func createToken(ctx context.Context, garden client.Client) error {
	return garden.SubResource("token").Create(ctx, serviceAccount(ownSeed, "other", false), &authenticationv1.TokenRequest{})
}
