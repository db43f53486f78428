// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package render_test

import (
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
)

const pullSecret = `{"auths": {"registry.example.org": {"auth": "dXNlcjpub3QtYS1yZWFsLXBhc3N3b3Jk"}}}`

func TestInstallationWithImages(t *testing.T) {
	g := NewWithT(t)
	images := render.Images{Registry: "registry.example.org:5000/mirror/fluxcd", PullSecret: []byte(pullSecret)}
	installation, err := render.NewInstallation(embeddedRelease(t).Manifests, images)
	g.Expect(err).NotTo(HaveOccurred())

	concerned := slices.DeleteFunc(slices.Clone(installation.Objects), func(object client.Object) bool {
		kind := object.GetObjectKind().GroupVersionKind().Kind
		return kind != "Deployment" && kind != "Secret"
	})
	expectGolden(g, "installation-images", concerned)
}

// Neither setting drags the other with it.
func TestInstallationWithOnlyOneOfRegistryAndPullSecret(t *testing.T) {
	g := NewWithT(t)
	mirrored, err := render.NewInstallation(oldRelease(t), render.Images{Registry: "registry.example.org"})
	g.Expect(err).NotTo(HaveOccurred())
	pod := podSpec(g, mirrored, "Deployment", "spec", "template", "spec")
	g.Expect(images(pod, "containers")).To(HaveExactElements("registry.example.org/source-controller:v0.25.0"))
	g.Expect(pod).NotTo(HaveKey("imagePullSecrets"))
	g.Expect(find(mirrored, "Secret")).To(BeNil())

	opened, err := render.NewInstallation(oldRelease(t), render.Images{PullSecret: []byte(pullSecret)})
	g.Expect(err).NotTo(HaveOccurred())
	pod = podSpec(g, opened, "Deployment", "spec", "template", "spec")
	g.Expect(images(pod, "containers")).To(HaveExactElements("example/source-controller:v0.25.0"))
	g.Expect(pod["imagePullSecrets"]).To(HaveExactElements(map[string]any{"name": render.PullSecretName}))
	g.Expect(find(opened, "Secret")).NotTo(BeNil())
}

func TestRegistryKeepsNameTagAndDigest(t *testing.T) {
	const digest = "@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	for released, mirrored := range map[string]string{
		"docker.io/fluxcd/source-controller:v1.2.3":         "source-controller:v1.2.3",
		"ghcr.io/fluxcd/source-controller:v1.2.3" + digest:  "source-controller:v1.2.3" + digest,
		"ghcr.io/fluxcd/source-controller" + digest:         "source-controller" + digest,
		"registry.example.com:5000/a/b/source-controller:1": "source-controller:1",
		"fluxcd/source-controller":                          "source-controller",
		"source-controller:v1.2.3":                          "source-controller:v1.2.3",
	} {
		t.Run(released, func(t *testing.T) {
			g := NewWithT(t)
			manifests := strings.Replace(string(oldRelease(t)), "example/source-controller:v0.25.0", released, 1)
			installation, err := render.NewInstallation([]byte(manifests), render.Images{Registry: "registry.example.org/mirror"})
			g.Expect(err).NotTo(HaveOccurred())
			pod := podSpec(g, installation, "Deployment", "spec", "template", "spec")
			g.Expect(images(pod, "containers")).To(HaveExactElements("registry.example.org/mirror/" + mirrored))
		})
	}
}

func TestImagesOfAllWorkloads(t *testing.T) {
	const pod = `spec: {initContainers: [{name: a, image: ghcr.io/fluxcd/a:1}], containers: [{name: b, image: ghcr.io/fluxcd/b:1}, {name: c, image: ghcr.io/fluxcd/c:1}], imagePullSecrets: [{name: other}]}`
	template := []string{"spec", "template", "spec"}
	for kind, test := range map[string]struct {
		apiVersion, spec string
		fields           []string
	}{
		"StatefulSet": {"apps/v1", "{template: {" + pod + "}}", template},
		"DaemonSet":   {"apps/v1", "{template: {" + pod + "}}", template},
		"Job":         {"batch/v1", "{template: {" + pod + "}}", template},
		"CronJob":     {"batch/v1", "{jobTemplate: {spec: {template: {" + pod + "}}}}", []string{"spec", "jobTemplate", "spec", "template", "spec"}},
	} {
		t.Run(kind, func(t *testing.T) {
			g := NewWithT(t)
			manifests := string(oldRelease(t)) + "\n---\napiVersion: " + test.apiVersion + "\nkind: " + kind + "\nmetadata: {name: other}\nspec: " + test.spec
			installation, err := render.NewInstallation([]byte(manifests), render.Images{Registry: "registry.example.org", PullSecret: []byte(pullSecret)})
			g.Expect(err).NotTo(HaveOccurred())
			pod := podSpec(g, installation, kind, test.fields...)
			g.Expect(images(pod, "initContainers")).To(HaveExactElements("registry.example.org/a:1"))
			g.Expect(images(pod, "containers")).To(HaveExactElements("registry.example.org/b:1", "registry.example.org/c:1"))
			g.Expect(pod["imagePullSecrets"]).To(HaveExactElements(map[string]any{"name": "other"}, map[string]any{"name": render.PullSecretName}))
		})
	}
}

func TestManifestsWhoseImagesCannotBeSet(t *testing.T) {
	for name, test := range map[string]struct{ old, new, problem string }{
		"no pod":       {"template:", "other:", "spec.template.spec is missing"},
		"no image":     {"image: example/", "other: example/", `image "": `},
		"no reference": {"image: example/source", "image: example/Source", `image "example/Source-controller:v0.25.0": `},
		"no object":    {"- name: manager", "- one\n      - name: manager", "one of its containers is not an object"},
	} {
		t.Run(name, func(t *testing.T) {
			manifests := strings.Replace(string(oldRelease(t)), test.old, test.new, 1)
			_, err := render.NewInstallation([]byte(manifests), render.Images{Registry: "registry.example.org"})
			NewWithT(t).Expect(err).To(MatchError(HavePrefix("failed to set the images of Deployment flux-system/source-controller of the Flux manifests: " + test.problem)))
		})
	}
}

func TestValidImages(t *testing.T) {
	for _, images := range []render.Images{
		{},
		{Registry: "registry.example.org"},
		{Registry: "docker.io/fluxcd"},
		{Registry: "localhost:5000"},
		{Registry: "[2001:db8::1]:5000/mirror"},
		{Registry: "registry.example.org:5000/mirror/fluxcd", PullSecret: []byte(pullSecret)},
	} {
		NewWithT(t).Expect(images.Validate()).To(Succeed(), images.Registry)
	}
}

func TestInvalidRegistry(t *testing.T) {
	for _, registry := range []string{
		"https://registry.example.org/mirror", "registry.example.org/mirror/", "registry.example.org/Mirror", "mirror", "mirror/fluxcd",
		"registry.example.org/mirror:v1", " registry.example.org", "/", "registry.example.org/mirror\n",
	} {
		t.Run(registry, func(t *testing.T) {
			g := NewWithT(t)
			images := render.Images{Registry: registry}
			g.Expect(images.Validate()).To(MatchError(And(HavePrefix("the image registry "),
				HaveSuffix(" is not one: write its host and path, such as registry.example.org/mirror/fluxcd, without scheme, tag and trailing slash"))))
			_, err := render.NewInstallation(oldRelease(t), images)
			g.Expect(err).To(MatchError(images.Validate().Error()))
		})
	}
	NewWithT(t).Expect(render.Images{Registry: "user:not-a-real-password@registry.example.org"}.Validate()).
		To(MatchError("the image registry must not hold credentials: they belong in the pull secret"))
}

func TestInvalidPullSecret(t *testing.T) {
	for name, content := range map[string]string{
		"empty":          "",
		"no JSON":        "not-a-real-password",
		"other JSON":     `"not-a-real-password"`,
		"other type":     `{"auths": "not-a-real-password"}`,
		"number":         `{"auths": 271828}`,
		"no registry":    `{"auths": {}}`,
		"old .dockercfg": `{"registry.example.org": {"auth": "not-a-real-password"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			NewWithT(t).Expect(render.Images{PullSecret: []byte(content)}.Validate()).To(MatchError(
				`the pull secret is not the content of a .dockerconfigjson: write {"auths": {"registry.example.org": {"auth": …}}}, as kubectl create secret docker-registry does`))
		})
	}
}

func TestDigestOfImages(t *testing.T) {
	g := NewWithT(t)
	digests := map[string]bool{}
	for _, images := range []render.Images{
		{}, {Registry: "a"}, {Registry: "b"}, {PullSecret: []byte("a")}, {Registry: "a", PullSecret: []byte("b")}, {Registry: "ab"},
	} {
		g.Expect(images.Digest()).To(MatchRegexp("^[0-9a-f]{64}$"))
		g.Expect(images.Digest()).To(Equal(render.Images{Registry: images.Registry, PullSecret: slices.Clone(images.PullSecret)}.Digest()))
		digests[images.Digest()] = true
	}
	g.Expect(digests).To(HaveLen(6))
}

// find returns the first object of a kind, or nil.
func find(installation *render.Installation, kind string) client.Object {
	for _, object := range installation.Objects {
		if object.GetObjectKind().GroupVersionKind().Kind == kind {
			return object
		}
	}
	return nil
}

func podSpec(g Gomega, installation *render.Installation, kind string, fields ...string) map[string]any {
	object, ok := find(installation, kind).(*unstructured.Unstructured)
	g.Expect(ok).To(BeTrue(), kind)
	spec, _, err := unstructured.NestedMap(object.Object, fields...)
	g.Expect(err).NotTo(HaveOccurred())
	return spec
}

func images(pod map[string]any, field string) []string {
	containers, _, _ := unstructured.NestedSlice(pod, field)
	var images []string
	for _, container := range containers {
		images = append(images, container.(map[string]any)["image"].(string))
	}
	return images
}
