// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package charts_test

import (
	"path"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	podsecurityapi "k8s.io/pod-security-admission/api"
	podsecurity "k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
)

// fluxValues are the defaults with some values under flux.
func fluxValues(section, key string, value any) map[string]any {
	return map[string]any{"flux": map[string]any{section: map[string]any{key: value}}}
}

// podTemplate renders the chart and returns the pods of the Deployment.
func podTemplate(t *testing.T, values map[string]any) corev1.PodTemplateSpec {
	t.Helper()
	return find[*appsv1.Deployment](t, objects(t, values)).Spec.Template
}

// fluxArguments are the arguments about Flux's releases and images, by flag.
func fluxArguments(pods corev1.PodTemplateSpec) map[string]string {
	arguments := map[string]string{}
	for _, argument := range pods.Spec.Containers[0].Args {
		if strings.HasPrefix(argument, "--flux-") {
			flag, value, _ := strings.Cut(argument, "=")
			arguments[flag] = value
		}
	}
	return arguments
}

// secretOfType returns the one Secret of a type.
func secretOfType(t *testing.T, objects []client.Object, wanted corev1.SecretType) *corev1.Secret {
	t.Helper()
	var found []*corev1.Secret
	for _, object := range objects {
		if secret, ok := object.(*corev1.Secret); ok && secret.Type == wanted {
			found = append(found, secret)
		}
	}
	NewWithT(t).Expect(found).To(HaveLen(1))
	return found[0]
}

func TestFluxByDefault(t *testing.T) {
	g := NewWithT(t)
	pods := podTemplate(t, nil)
	g.Expect(fluxArguments(pods)).To(Equal(map[string]string{"--flux-releases-oci-repository": "ghcr.io/fluxcd/flux-manifests"}))
	g.Expect(pods.Spec.Containers[0].Env).To(BeEmpty())
	g.Expect(pods.Spec.Volumes).To(HaveLen(1), "only the one for temporary files")
}

// The program has a default of its own, which only an empty argument takes away.
func TestNoOCIRepository(t *testing.T) {
	arguments := fluxArguments(podTemplate(t, fluxValues("releases", "ociRepository", "")))
	NewWithT(t).Expect(arguments).To(Equal(map[string]string{"--flux-releases-oci-repository": ""}))
}

// What the arguments name is mounted, and holds what the operator wrote.
func TestFluxFilesAreMounted(t *testing.T) {
	g := NewWithT(t)
	values := readValues(t, "everything")
	releases := values["flux"].(map[string]any)["releases"].(map[string]any)
	pullSecret := values["flux"].(map[string]any)["images"].(map[string]any)["pullSecret"]
	objects := objects(t, values)
	pods := find[*appsv1.Deployment](t, objects).Spec.Template
	arguments := fluxArguments(pods)

	directory := volumeAt(g, pods, arguments["--flux-releases-directory"])
	g.Expect(directory.PersistentVolumeClaim).To(Equal(&corev1.PersistentVolumeClaimVolumeSource{ClaimName: "flux-releases", ReadOnly: true}))

	authorities := configMapNamed(t, objects, "gardener-extension-shoot-flux-releases-ca")
	authoritiesDirectory, file := path.Split(arguments["--flux-releases-ca-file"])
	g.Expect(volumeAt(g, pods, path.Clean(authoritiesDirectory)).ConfigMap.Name).To(Equal(authorities.Name))
	g.Expect(authorities.Data).To(Equal(map[string]string{file: releases["caBundle"].(string)}))

	secret := secretOfType(t, objects, corev1.SecretTypeDockerConfigJson)
	g.Expect(secret.Data).To(HaveLen(1))
	g.Expect(secret.Data[corev1.DockerConfigJsonKey]).To(BeEquivalentTo(pullSecret))
	secretDirectory, file := path.Split(arguments["--flux-image-pull-secret-file"])
	mounted := volumeAt(g, pods, path.Clean(secretDirectory)).Secret
	g.Expect(mounted.SecretName).To(Equal(secret.Name))
	g.Expect(mounted.Items).To(HaveExactElements(corev1.KeyToPath{Key: corev1.DockerConfigJsonKey, Path: file}))
	g.Expect(file).To(Equal("config.json"), "libraries look for a file of this name in $DOCKER_CONFIG")
	g.Expect(pods.Spec.Containers[0].Env).To(ContainElement(corev1.EnvVar{Name: "DOCKER_CONFIG", Value: path.Clean(secretDirectory)}))
}

func configMapNamed(t *testing.T, objects []client.Object, name string) *corev1.ConfigMap {
	t.Helper()
	var names []string
	for _, object := range objects {
		if configMap, ok := object.(*corev1.ConfigMap); ok {
			if configMap.Name == name {
				return configMap
			}
			names = append(names, configMap.Name)
		}
	}
	NewWithT(t).Expect(names).To(ContainElement(name))
	return nil
}

// TestLandscapeDefaults: what the operator writes is mounted as it is, and read by the program; another value makes new pods.
func TestLandscapeDefaults(t *testing.T) {
	g := NewWithT(t)
	objects := objects(t, readValues(t, "everything"))
	pods := find[*appsv1.Deployment](t, objects).Spec.Template
	var file string
	for _, argument := range pods.Spec.Containers[0].Args {
		if value, ok := strings.CutPrefix(argument, "--landscape-defaults-file="); ok {
			file = value
		}
	}
	defaults := configMapNamed(t, objects, "gardener-extension-shoot-flux-landscape-defaults")
	g.Expect(volumeAt(g, pods, path.Dir(file)).ConfigMap.Name).To(Equal(defaults.Name))
	read, err := project.ReadDefaults(defaults.Data[path.Base(file)])
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(read).NotTo(BeNil())
	one := map[string]any{"defaults": map[string]any{"suspend": true}}
	other := map[string]any{"defaults": map[string]any{"suspend": false}}
	g.Expect(podTemplate(t, one)).NotTo(Equal(podTemplate(t, other)))
}

// volumeAt returns the volume that is mounted at a path, read-only.
func volumeAt(g Gomega, pods corev1.PodTemplateSpec, mountPath string) corev1.VolumeSource {
	for _, mount := range pods.Spec.Containers[0].VolumeMounts {
		if mount.MountPath != mountPath {
			continue
		}
		g.Expect(mount.ReadOnly).To(BeTrue(), mountPath)
		for _, volume := range pods.Spec.Volumes {
			if volume.Name == mount.Name {
				return volume.VolumeSource
			}
		}
	}
	g.Expect(mountPath).To(BeNil(), "nothing is mounted here")
	return corev1.VolumeSource{}
}

// The program reads certificates when it starts, and a pull secret when it uses it.
func TestPodsRestartForOtherCertificatesOnly(t *testing.T) {
	g := NewWithT(t)
	g.Expect(podTemplate(t, fluxValues("releases", "caBundle", "-----BEGIN CERTIFICATE-----\none"))).
		NotTo(Equal(podTemplate(t, fluxValues("releases", "caBundle", "-----BEGIN CERTIFICATE-----\ntwo"))))
	g.Expect(podTemplate(t, fluxValues("images", "pullSecret", `{"auths": {"one.example.org": {}}}`))).
		To(Equal(podTemplate(t, fluxValues("images", "pullSecret", `{"auths": {"two.example.org": {}}}`))))
}

func TestVolumesWithReleases(t *testing.T) {
	g := NewWithT(t)
	evaluator, err := podsecurity.NewEvaluator(podsecurity.DefaultChecks(), nil)
	g.Expect(err).NotTo(HaveOccurred())
	restricted := podsecurityapi.LevelVersion{Level: podsecurityapi.LevelRestricted, Version: podsecurityapi.LatestVersion()}
	for name, source := range map[string]map[string]any{
		"configMap":             {"name": "flux-releases"},
		"csi":                   {"driver": "csi.example.org"},
		"image":                 {"reference": "registry.example.org/flux-releases:1"},
		"persistentVolumeClaim": {"claimName": "flux-releases"},
		"projected":             {"sources": []any{map[string]any{"configMap": map[string]any{"name": "flux-releases"}}}},
		"secret":                {"secretName": "flux-releases"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			pods := podTemplate(t, fluxValues("releases", "volume", map[string]any{name: source}))
			g.Expect(volumeAt(g, pods, fluxArguments(pods)["--flux-releases-directory"])).NotTo(Equal(corev1.VolumeSource{}))
			for _, result := range evaluator.EvaluatePod(restricted, &pods.ObjectMeta, &pods.Spec) {
				g.Expect(result.Allowed).To(BeTrue(), result.ForbiddenDetail)
			}
		})
	}
}

func TestWrongFluxValuesAreRefused(t *testing.T) {
	for name, test := range map[string]struct {
		values  map[string]any
		message string
	}{
		"scheme of OCI":      {fluxValues("releases", "ociRepository", "oci://ghcr.io/fluxcd/flux-manifests"), "/flux/releases/ociRepository"},
		"tag of OCI":         {fluxValues("releases", "ociRepository", "ghcr.io/fluxcd/flux-manifests:v2.9.4"), "/flux/releases/ociRepository"},
		"volume of the node": {fluxValues("releases", "volume", map[string]any{"hostPath": map[string]any{"path": "/"}}), "hostPath"},
		"two volumes":        {fluxValues("releases", "volume", map[string]any{"configMap": map[string]any{}, "secret": map[string]any{}}), "/flux/releases/volume"},
		"volume with name":   {fluxValues("releases", "volume", map[string]any{"name": "releases"}), "name"},
		"no certificate":     {fluxValues("releases", "caBundle", "/etc/ssl/ca.pem"), "/flux/releases/caBundle"},
		"scheme of registry": {fluxValues("images", "registry", "https://registry.example.org"), "/flux/images/registry"},
		"slash at the end":   {fluxValues("images", "registry", "registry.example.org/"), "/flux/images/registry"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := render(test.values)
			NewWithT(t).Expect(err).To(MatchError(ContainSubstring(test.message)))
		})
	}
}

// gardenlet writes the error into the ControllerInstallation.
func TestWrongPullSecretIsNotShown(t *testing.T) {
	const password = "not-a-real-password"
	for name, pullSecret := range map[string]any{
		"no JSON":    password,
		"other JSON": `["` + password + `"]`,
		"no auths":   `{"registry.example.org": {"auth": "` + password + `"}}`,
		"object":     map[string]any{"auths": map[string]any{"registry.example.org": map[string]any{"auth": password}}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := render(fluxValues("images", "pullSecret", pullSecret))
			NewWithT(t).Expect(err).To(MatchError(And(ContainSubstring("pullSecret"), Not(ContainSubstring(password)))))
		})
	}
}
