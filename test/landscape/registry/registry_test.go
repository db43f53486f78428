// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	gardencorev1 "github.com/gardener/gardener/pkg/apis/core/v1"
	"github.com/gardener/gardener/pkg/utils/oci"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/registry"
)

func start(t *testing.T) *registry.Registry {
	g := NewWithT(t)
	bin, err := process.FindBinaries()
	g.Expect(err).NotTo(HaveOccurred())
	r, err := registry.Start(t.Context(), registry.Options{Bin: bin, Dir: t.TempDir(), OnExit: func(err error) { t.Error(err) }})
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { g.Expect(r.Stop()).To(Succeed()) })
	return r
}

// TestRegistry pushes and pulls as one who trusts the registry and has its password, and tries without.
func TestRegistry(t *testing.T) {
	g := NewWithT(t)
	r := start(t)
	pushed, err := random.Image(1024, 1)
	g.Expect(err).NotTo(HaveOccurred())
	tag, err := name.NewTag(r.Host + "/some/image:v1.2.3")
	g.Expect(err).NotTo(HaveOccurred())
	trusted, known := remote.WithTransport(r.Transport()), remote.WithAuthFromKeychain(r)

	g.Expect(remote.Write(tag, pushed, trusted)).To(MatchError(ContainSubstring("401")))
	g.Expect(remote.Write(tag, pushed, known)).To(MatchError(ContainSubstring("certificate signed by unknown authority")))
	g.Expect(remote.Write(tag, pushed, trusted, known)).To(Succeed())
	pulled, err := remote.Image(tag, trusted, known)
	g.Expect(err).NotTo(HaveOccurred())
	digest, err := pushed.Digest()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(pulled.Digest()).To(Equal(digest))
	_, err = remote.Image(tag, trusted)
	g.Expect(err).To(MatchError(ContainSubstring("UNAUTHORIZED")))
}

// TestGardenerPulls shows what Gardener's own code needs to pull from a private registry: both Secrets.
func TestGardenerPulls(t *testing.T) {
	g := NewWithT(t)
	r := start(t)
	pullSecret, err := r.PullSecret()
	g.Expect(err).NotTo(HaveOccurred())
	helm := oci.NewHelmRegistry(fake.NewClientBuilder().WithObjects(
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "garden", Name: "pull"}, Data: map[string][]byte{corev1.DockerConfigJsonKey: pullSecret}},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "garden", Name: "ca"}, Data: map[string][]byte{"bundle.crt": r.CA}},
	).Build())
	pull := func(change func(*gardencorev1.OCIRepository)) error {
		repository := &gardencorev1.OCIRepository{
			Repository:        new(r.Host + "/charts/some"),
			Tag:               new("v1.2.3"),
			PullSecretRef:     &corev1.LocalObjectReference{Name: "pull"},
			CABundleSecretRef: &corev1.LocalObjectReference{Name: "ca"},
		}
		change(repository)
		_, err := helm.Pull(context.Background(), repository)
		return err
	}
	g.Expect(pull(func(*gardencorev1.OCIRepository) {})).To(MatchError(ContainSubstring("MANIFEST_UNKNOWN")))
	g.Expect(pull(func(r *gardencorev1.OCIRepository) { r.PullSecretRef = nil })).To(MatchError(ContainSubstring("UNAUTHORIZED")))
	g.Expect(pull(func(r *gardencorev1.OCIRepository) { r.CABundleSecretRef = nil })).To(MatchError(ContainSubstring("unknown authority")))
}

// TestFiles makes sure that nobody else reads the password.
func TestFiles(t *testing.T) {
	g := NewWithT(t)
	info, err := os.Stat(filepath.Join(start(t).DockerConfig, "config.json"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(info.Mode().Perm()).To(Equal(os.FileMode(0o600)))
}
