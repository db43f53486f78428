// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/go-logr/logr"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/sourcesecret"
)

// configuredByShoot is a reconciliation of a shoot whose owner has written all that is followed.
func configuredByShoot(a *Actuator) *reconciliation {
	shoot := &gardencorev1beta1.Shoot{ObjectMeta: metav1.ObjectMeta{Namespace: "garden-shop", Name: "one"}}
	r := &reconciliation{Actuator: a, shoot: shoot, extension: &extensionsv1alpha1.Extension{}, log: logr.Discard()}
	r.desired.FluxConfig = &fluxv1alpha1.FluxConfig{}
	r.desired.origins = project.Origins{
		"flux.version": project.OriginShoot, "repository.url": project.OriginShoot, "repository.type": project.OriginShoot,
	}
	return r
}

// Who is told that a version can't be had is told where it was written.
func TestMissingReleaseOfShoot(t *testing.T) {
	g := NewWithT(t)
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	catalogue, err := release.NewCatalogue(release.Options{BaseURL: server.URL})
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(catalogue.Close)
	r := configuredByShoot(&Actuator{Releases: catalogue, Images: func() (render.Images, error) { return render.Images{}, nil }})

	r.desired.Flux.Version = "v2.9.99"
	g.Eventually(func() error { return r.chooseManagedRelease(t.Context()) }, time.Minute).Should(MatchError(HaveSuffix(
		" for example does: correct flux.version in the providerConfig of the shoot")))
	r.desired.Flux.Version, r.observed.fluxVersion = "v2.8.8", "v2.9.4"
	g.Expect(r.chooseManagedRelease(t.Context())).To(MatchError("Flux v2.9.4 is installed, and v2.8.8, which flux.version in the providerConfig of the shoot asks for, " +
		"is older: ask for v2.9.4 or a newer one, or set flux.allowDowngrade in the providerConfig of the shoot to true to go back nonetheless"))
}

func TestReleaseOfShootNeedsKubernetes(t *testing.T) {
	r := configuredByShoot(&Actuator{})
	r.desired.version, r.shoot.Spec.Kubernetes.Version = "v2.9.4", "1.31.4"
	NewWithT(t).Expect(r.applyInstallation(t.Context())).To(MatchError("Flux v2.9.4 needs Kubernetes 1.33.0 or newer, but the shoot has 1.31.4: " +
		"set flux.version in the providerConfig of the shoot to a release of Flux v2.6, the newest that supports it, or update the shoot to Kubernetes 1.33.0 or newer"))
}

func TestCredentialsOfShoot(t *testing.T) {
	for name, tc := range map[string]struct {
		url  string
		data map[string][]byte
		want string
	}{
		"host keys": {"ssh://git@git.example.org/fleet", map[string][]byte{sourcesecret.KeyKnownHosts: []byte("x")},
			"; correct it, or write the server's lines into repository.knownHosts in the providerConfig of the shoot"},
		"release": {"https://git.example.org/fleet", map[string][]byte{sourcesecret.KeyBearerToken: []byte("t0ken")},
			": set flux.version in the providerConfig of the shoot to a newer release, or write keys username and password"},
	} {
		t.Run(name, func(t *testing.T) {
			secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "garden-shop", Name: sourcesecret.SecretName}, Data: tc.data}
			r := configuredByShoot(&Actuator{Sources: sourcesecret.NewKeeper(func(context.Context, string, string) (net.Conn, error) {
				return nil, errors.New("must not be asked")
			})})
			r.gardenClient = fake.NewClientBuilder().WithObjects(secret).Build()
			r.desired.version = "v0.38.3"
			r.desired.Repository = &fluxv1alpha1.Repository{URL: tc.url, Type: fluxv1alpha1.RepositoryPrivate}
			NewWithT(t).Expect(r.ensureCredentials(t.Context())).To(MatchError(HaveSuffix(tc.want)))
		})
	}
}

// TestWrittenBefore: who removes a field from one shoot is not told to write it for all of the project.
func TestWrittenBefore(t *testing.T) {
	for name, test := range map[string]struct {
		now    project.Origins
		before string
		want   string
	}{
		"written now":            {project.Origins{project.FieldNamespace: project.OriginConfig}, project.OriginShoot, "flux.namespace in key config of ConfigMap flux-config"},
		"removed from shoot":     {nil, project.OriginShoot, "flux.namespace in the providerConfig of the shoot"},
		"removed from project":   {nil, project.OriginConfig, "flux.namespace in key config of ConfigMap flux-config"},
		"removed from overrides": {nil, "overrides[1]", "flux.namespace in overrides[1] of ConfigMap flux-config"},
		"nobody knows":           {nil, "", "flux.namespace in the providerConfig of the shoot"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			status := fluxv1alpha1.FluxStatus{}
			if test.before != "" {
				status.Configuration = []fluxv1alpha1.WrittenField{{Field: project.FieldNamespace, Value: "gitops", Origin: test.before}}
			}
			r := &reconciliation{extension: &extensionsv1alpha1.Extension{}, desired: desired{origins: test.now}}
			g.Expect(fluxv1alpha1.SetStatus(r.extension, status)).To(Succeed())
			g.Expect(r.writtenBefore(project.FieldNamespace).String()).To(Equal(test.want))
		})
	}
}
