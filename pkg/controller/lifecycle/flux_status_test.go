// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"encoding/json"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	extensionscontroller "github.com/gardener/gardener/extensions/pkg/controller"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/sourcesecret"
)

// sourceOf is a source beside another object.
func sourceOf(kind string, spec map[string]any) []client.Object {
	return []client.Object{&corev1.Secret{}, &unstructured.Unstructured{Object: map[string]any{"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": kind, "spec": spec}}}
}

func TestStatusSaysHowFluxGetsIn(t *testing.T) {
	g := NewWithT(t)
	status := fluxv1alpha1.FluxStatus{}
	g.Expect(describeSource(&status, "flux-system", sourceOf("GitRepository", map[string]any{"url": "ssh://git@git.example.com/fleet", "ref": map[string]any{"branch": "main"}}), &sourcesecret.Credentials{
		SecretRef: &sourcesecret.ShootSecret{Data: sourcesecret.Data{sourcesecret.KeyIdentity: []byte("private"), sourcesecret.KeyIdentityPub: []byte("ssh-ed25519 AAAA\n")}},
		HostKeys:  []sourcesecret.HostKey{{Type: "ssh-ed25519", Fingerprint: "SHA256:x", Origin: sourcesecret.OriginScanned}},
	})).To(Succeed())
	g.Expect(status).To(Equal(fluxv1alpha1.FluxStatus{
		RepositoryURL: "ssh://git@git.example.com/fleet", Reference: `branch "main"`, PublicKey: "ssh-ed25519 AAAA", HostKeys: []string{"ssh-ed25519 SHA256:x"},
	}))

	g.Expect(describeSource(&status, "flux-system", sourceOf("OCIRepository", map[string]any{"url": "oci://r/x", "ref": map[string]any{"semver": "1.x"}}), nil)).To(Succeed())
	g.Expect(status).To(Equal(fluxv1alpha1.FluxStatus{RepositoryURL: "oci://r/x", Reference: `tag in the range "1.x"`}))
	g.Expect(describeSource(&status, "flux-system", sourceOf("Bucket", map[string]any{"endpoint": "s3", "bucketName": "x"}), nil)).To(Succeed())
	g.Expect(status).To(Equal(fluxv1alpha1.FluxStatus{RepositoryURL: "s3/x"}))
	g.Expect(describeSource(&status, "", nil, nil)).To(Succeed())
	g.Expect(status).To(Equal(fluxv1alpha1.FluxStatus{}))
}

// Whoever applies and manages the objects has to know where they are.
func TestStatusSaysWhereFluxIs(t *testing.T) {
	g := NewWithT(t)
	status := fluxv1alpha1.FluxStatus{}
	in := func(namespace string) client.Object {
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace}}
	}
	g.Expect(describeSource(&status, "gitops", []client.Object{in("gitops"), in("other"), in(""), in("other"), in("flux-system")}, nil)).To(Succeed())
	g.Expect(status).To(Equal(fluxv1alpha1.FluxStatus{Namespace: "gitops", OtherNamespaces: []string{"other", "flux-system"}}))
	g.Expect(namespacesOf(status)).To(Equal([]string{"gitops", "other", "flux-system"}))
	g.Expect(describeSource(&status, "flux-system", []client.Object{in("flux-system")}, nil)).To(Succeed())
	g.Expect(status).To(Equal(fluxv1alpha1.FluxStatus{}))
	g.Expect(namespacesOf(status)).To(Equal([]string{"flux-system"}))
}

// A project's admin can write known_hosts and a URL of any size.
func TestStatusIsBounded(t *testing.T) {
	g := NewWithT(t)
	long := strings.Repeat("x", 1_000_000)
	credentials := &sourcesecret.Credentials{SecretRef: &sourcesecret.ShootSecret{Data: sourcesecret.Data{sourcesecret.KeyIdentityPub: []byte(long)}}}
	for range 10_000 {
		credentials.HostKeys = append(credentials.HostKeys, sourcesecret.HostKey{Type: "ssh-ed25519", Fingerprint: long[:1000]})
	}
	status := fluxv1alpha1.FluxStatus{}
	g.Expect(describeSource(&status, "flux-system", sourceOf("GitRepository", map[string]any{"url": long, "ref": map[string]any{"branch": long}}), credentials)).To(Succeed())
	raw, err := json.Marshal(status)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(len(raw)).To(BeNumerically("<", 10_000))
	g.Expect(status.HostKeys).To(And(HaveLen(17), ContainElement("and 9984 more")))
}

// The revision is found out by another controller. It is of one repository.
func TestStatusKeepsTheRevision(t *testing.T) {
	g := NewWithT(t)
	scheme := runtime.NewScheme()
	g.Expect(extensionscontroller.AddToScheme(scheme)).To(Succeed())
	ex := &extensionsv1alpha1.Extension{ObjectMeta: metav1.ObjectMeta{Namespace: "shoot--p--one", Name: Type}}
	ex.Status.ProviderStatus = &runtime.RawExtension{Raw: []byte(
		`{"apiVersion":"flux.extensions.gardener.cloud/v1alpha1","kind":"FluxStatus","version":"v2.9.4","requested":"","origin":"","digest":"","repositoryURL":"https://a","revision":"main@sha1:1"}`)}
	seed := fake.NewClientBuilder().WithScheme(scheme).WithObjects(ex).WithStatusSubresource(ex).Build()
	told := func(status fluxv1alpha1.FluxStatus) fluxv1alpha1.FluxStatus {
		g.Expect((&reconciliation{Actuator: &Actuator{Seed: seed}, extension: ex}).writeStatus(t.Context(), nextStatus(ex, status))).To(Succeed())
		g.Expect(seed.Get(t.Context(), client.ObjectKeyFromObject(ex), ex)).To(Succeed())
		return fluxv1alpha1.StatusOf(ex)
	}
	g.Expect(seed.Get(t.Context(), client.ObjectKeyFromObject(ex), ex)).To(Succeed())
	before := ex.ResourceVersion
	g.Expect(told(fluxv1alpha1.FluxStatus{Version: "v2.9.4", RepositoryURL: "https://a"}).Revision).To(Equal("main@sha1:1"))
	g.Expect(ex.ResourceVersion).To(Equal(before), "nothing to write")
	g.Expect(told(fluxv1alpha1.FluxStatus{Version: "v2.10.0", RepositoryURL: "https://a"})).To(And(HaveField("Version", "v2.10.0"), HaveField("Revision", "main@sha1:1")))
	g.Expect(told(fluxv1alpha1.FluxStatus{Version: "v2.10.0", RepositoryURL: "https://b"}).Revision).To(BeEmpty())
}
