// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package project_test

import (
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	. "github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
)

// written is what has been written for a shoot, in all places. noConfigMap tells that the project has none, and hadOne that it had one before.
type written struct {
	defaults    string
	data        map[string]string
	noConfigMap bool
	hadOne      bool
	labels      map[string]string
	shoot       string
}

func (w *written) effective(g *WithT) (*Effective, error) {
	defaults, err := ReadDefaults(w.defaults)
	g.Expect(err).NotTo(HaveOccurred())
	var configMap *corev1.ConfigMap
	if !w.noConfigMap {
		configMap = &corev1.ConfigMap{Data: w.data}
	}
	providerConfig, err := yaml.YAMLToJSON([]byte(w.shoot))
	g.Expect(err).NotTo(HaveOccurred())
	return Read(defaults, configMap).Effective(Shoot{Namespace: "garden-dev", Name: "one", Labels: w.labels, ProviderConfig: providerConfig, HadConfigMap: w.hadOne})
}

const (
	gitTemplate = `{kind: GitRepository, apiVersion: source.toolkit.fluxcd.io/v1, spec: {url: "https://git.example.org/base", ref: {tag: v1}}}`
	ociTemplate = `{kind: OCIRepository, apiVersion: source.toolkit.fluxcd.io/v1, spec: {url: "oci://registry.example.org/base", ref: {semver: 1.x}}}`
	kustomizing = `{spec: {path: clusters/dev}}`
)

var layersCases = map[string]struct {
	written
	// want has some of the fields that are expected, and origins who wrote each field.
	want    string
	origins Origins
}{
	"nothing but an empty ConfigMap": {
		want:    "{flux: {version: latest, allowDowngrade: false, namespace: flux-system, components: [source-controller, kustomize-controller, helm-controller, notification-controller]}, installation: managed, syncMode: Managed, removalPolicy: keep-workloads, suspend: false}",
		origins: map[string]string{},
	},
	"a field of each layer": {
		written: written{
			defaults: "{flux: {version: 2.x, registry: registry.example.org/fluxcd}, repository: {url: https://git.example.org/base}}",
			data:     map[string]string{"repositoryBranch": "next", "config": "flux: {componentsExtra: [image-reflector-controller]}", "overrides": "- {selector: {matchLabels: {stage: dev}}, config: {repository: {path: dev}}}\n- {selector: {}, config: {suspend: true}}"},
			labels:   map[string]string{"stage": "dev"},
			shoot:    "removalPolicy: keep-flux",
		},
		want: "{flux: {version: 2.x, registry: registry.example.org/fluxcd, componentsExtra: [image-reflector-controller]}, " +
			"repository: {url: https://git.example.org/base, branch: next, path: ./dev, type: public}, suspend: true, removalPolicy: keep-flux}",
		origins: map[string]string{
			"flux.version": "landscape", "flux.registry": "landscape", "repository.url": "landscape", "repository.branch": "project", "flux.componentsExtra": "config",
			"repository.path": "overrides[0]", "suspend": "overrides[1]", "removalPolicy": "shoot",
		},
	},
	"landscape without ConfigMap": {
		written: written{defaults: "repository: {url: https://git.example.org/base}", noConfigMap: true},
		want:    "repository: {url: https://git.example.org/base, branch: main}",
		origins: map[string]string{"repository.url": "landscape"},
	},
	"overrides that match, the later wins": {
		written: written{
			data: map[string]string{"fluxVersion": "v2.8.0", "overrides": "[{selector: {matchExpressions: [{key: a, operator: Exists}]}, config: {flux: {version: v2.9.3}}}, " +
				"{selector: {matchLabels: {a: x}}, config: {flux: {version: v2.9.4}}}, {selector: {matchLabels: {a: z}}, config: {flux: {version: v2.9.5}}}]"},
			labels: map[string]string{"a": "x"},
		},
		want:    "flux: {version: v2.9.4}",
		origins: map[string]string{"flux.version": "overrides[1]"},
	},
	"overrides that don't match": {
		written: written{data: map[string]string{"fluxVersion": "v2.8.0", "overrides": "[{selector: {matchLabels: {a: x}}, config: {flux: {version: v2.9.4}}}]"}},
		want:    "flux: {version: v2.8.0}",
		origins: map[string]string{"flux.version": "project"},
	},
	"a reference replaces another one": {
		written: written{defaults: "repository: {url: https://git.example.org/base, semver: 1.x}", data: map[string]string{"repositoryTag": "v2"}, shoot: "repository: {commit: 5f0c5f0c5f0c5f0c5f0c5f0c5f0c5f0c5f0c5f0c}"},
		want:    "repository: {url: https://git.example.org/base, commit: 5f0c5f0c5f0c5f0c5f0c5f0c5f0c5f0c5f0c5f0c, path: ./, type: public}",
		origins: map[string]string{"repository.url": "landscape", "repository.commit": "shoot"},
	},
	"a URL of another server takes no host keys and no credentials along": {
		written: written{data: map[string]string{"repositoryUrl": sshURL, "repositoryType": "private", "knownHosts": "git.example.org " + keyA}, shoot: "repository: {url: https://example.org/other}"},
		want:    "repository: {url: https://example.org/other, type: public, branch: main, path: ./}",
		origins: map[string]string{"repository.url": "shoot"},
	},
	"another way to the same server takes no host keys along, but the credentials": {
		written: written{data: map[string]string{"repositoryUrl": httpsURL, "repositoryType": "private"}, shoot: "repository: {url: " + strings.Replace(httpsURL, "https://", "ssh://git@", 1) + "}"},
		want:    "repository: {type: private}",
		origins: map[string]string{"repository.url": "shoot", "repository.type": "project"},
	},
	"a URL of the same server does": {
		written: written{data: map[string]string{"repositoryUrl": sshURL, "repositoryType": "private", "knownHosts": "git.example.org " + keyA}, shoot: "repository: {url: ssh://git@git.example.org/other}"},
		want:    "repository: {url: ssh://git@git.example.org/other, knownHosts: \"git.example.org " + keyA + "\\n\"}",
		origins: map[string]string{"repository.url": "shoot", "repository.type": "project", "repository.knownHosts": "project"},
	},
	"artifacts": {
		written: written{data: map[string]string{"repositoryUrl": "oci://Registry.example.org/fleet/shoots", "repositorySemver": ">=1.4.0 <2.0.0", "repositoryType": "private", "verifyIssuer": "^https://issuer$", "verifySubject": "^me$"}},
		want:    `repository: {url: "oci://registry.example.org/fleet/shoots", semver: ">=1.4.0 <2.0.0", type: private, path: ./, verify: {issuer: "^https://issuer$", subject: "^me$"}}`,
		origins: map[string]string{"repository.url": "project", "repository.semver": "project", "repository.type": "project", "repository.verify.issuer": "project", "repository.verify.subject": "project"},
	},
	"templates replace repository and source": {
		written: written{
			defaults: "repository: {url: https://git.example.org/base, path: base}",
			data:     map[string]string{"config": "{source: {template: " + gitTemplate + ", secretResourceName: a}, kustomization: {template: " + kustomizing + "}, installation: managed}"},
			shoot:    "{source: {template: " + ociTemplate + "}, kustomization: {template: {spec: {path: other}}}, installation: managed}",
		},
		want:    "{source: {template: " + ociTemplate + "}, kustomization: {template: {spec: {path: other}}}, repository: null, installation: managed, syncMode: Once, removalPolicy: keep-flux}",
		origins: map[string]string{"source.template": "shoot", "kustomization.template": "shoot", "installation": "shoot", "syncMode": OriginForm, "removalPolicy": OriginForm},
	},
	"the path stays beside a source": {
		written: written{data: map[string]string{"repositoryUrl": httpsURL, "repositoryPath": "dev", "syncMode": "Managed", "removalPolicy": "keep-workloads", "installation": "managed"}, shoot: "source: {template: " + gitTemplate + "}"},
		want:    "{source: {template: " + gitTemplate + "}, repository: {path: ./dev}, syncMode: Managed, removalPolicy: keep-workloads, installation: managed}",
		origins: map[string]string{"source.template": "shoot", "repository.path": "project", "syncMode": "project", "removalPolicy": "project", "installation": "project"},
	},
	"a URL replaces a source": {
		written: written{data: map[string]string{"config": "{source: {template: " + gitTemplate + "}, kustomization: {template: " + kustomizing + "}}"}, shoot: "repository: {url: https://example.org/other}"},
		want:    "{source: null, repository: {url: https://example.org/other, branch: main}, kustomization: {template: " + kustomizing + "}}",
		origins: map[string]string{"repository.url": "shoot", "kustomization.template": "config"},
	},
	"form of the other extension, without ConfigMap": {
		written: written{noConfigMap: true, shoot: "flux: {version: v2.6.4}"},
		want:    "{flux: {version: v2.6.4}, installation: once, syncMode: Once, removalPolicy: keep-flux}",
		origins: map[string]string{"flux.version": "shoot", "installation": OriginForm, "syncMode": OriginForm, "removalPolicy": OriginForm},
	},
	"a shoot of a project that has a ConfigMap": {
		written: written{data: map[string]string{"repositoryUrl": httpsURL, "repositoryType": "public"}, shoot: "{flux: {componentsExtra: [source-watcher]}, additionalSecretResources: [{name: a}]}"},
		want:    "{flux: {componentsExtra: [source-watcher]}, repository: {url: " + httpsURL + ", type: public, branch: main, path: ./}, additionalSecretResources: [{name: a}], installation: managed, syncMode: Managed, removalPolicy: keep-workloads}",
		origins: map[string]string{"repository.url": "project", "repository.type": "project", "flux.componentsExtra": "shoot", "additionalSecretResources": "shoot"},
	},
	"its registry is none": {
		written: written{defaults: "flux: {registry: registry.example.org/mirror}", noConfigMap: true, shoot: "flux: {registry: ghcr.io/fluxcd}"},
		want:    "flux: {registry: registry.example.org/mirror}",
		origins: map[string]string{"flux.registry": "landscape", "installation": OriginForm, "syncMode": OriginForm, "removalPolicy": OriginForm},
	},
	"lists are replaced whole": {
		written: written{data: map[string]string{"config": "additionalSecretResources: [{name: a}, {name: b}]"}, shoot: "{additionalSecretResources: [{name: c, targetName: d, labels: {e: f}}], installation: managed, syncMode: Managed, removalPolicy: keep-workloads}"},
		want:    "additionalSecretResources: [{name: c, targetName: d, labels: {e: f}}]",
		origins: map[string]string{"additionalSecretResources": "shoot", "installation": "shoot", "syncMode": "shoot", "removalPolicy": "shoot"},
	},
	"manifests only": {
		written: written{shoot: "syncMode: ManifestsOnly"},
		want:    "{syncMode: ManifestsOnly, installation: once, removalPolicy: keep-workloads}",
		origins: map[string]string{"syncMode": "shoot"},
	},
	"a project that denies what a shoot doesn't do": {
		written: written{data: map[string]string{"shootOverrides": "deny"}, shoot: "{apiVersion: flux.extensions.gardener.cloud/v1alpha1, kind: FluxConfig}"},
		want:    "installation: managed",
		origins: map[string]string{},
	},
	"templates without type, and of other versions": {
		written: written{noConfigMap: true, shoot: `{source: {template: {spec: {url: "https://git.example.org/base", ref: {name: refs/heads/main}}}}, kustomization: {template: {apiVersion: kustomize.toolkit.fluxcd.io/v1beta2, kind: Kustomization, spec: {path: x}}}}`},
		want:    "kustomization: {template: {apiVersion: kustomize.toolkit.fluxcd.io/v1beta2, kind: Kustomization, spec: {path: x}}}",
	},
	"OCIRepository of a version that is gone": {
		written: written{noConfigMap: true, shoot: "{source: {template: " + strings.Replace(ociTemplate, "/v1,", "/v1beta2,", 1) + "}, kustomization: {template: " + kustomizing + "}}"},
		want:    "{}",
	},
	"Bucket": {
		written: written{noConfigMap: true, shoot: "{source: {template: {kind: Bucket, apiVersion: source.toolkit.fluxcd.io/v1, spec: {endpoint: minio.example.org, bucketName: b}}}, kustomization: {template: " + kustomizing + "}}"},
		want:    "{}",
	},
}

func TestLayers(t *testing.T) {
	for name, tc := range layersCases {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			effective, err := tc.effective(g)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(effective.Warnings).To(BeEmpty())
			expectFields(g, effective.Config, tc.want)
			if tc.origins != nil {
				g.Expect(effective.Origins).To(Equal(tc.origins))
			}
		})
	}
}

// expectFields compares those fields that are wanted. null stands for a field that is not there.
func expectFields(g *WithT, config *fluxv1alpha1.FluxConfig, want string) {
	g.THelper()
	actual, wanted := map[string]any{}, map[string]any{}
	data, err := yaml.Marshal(config)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(yaml.Unmarshal(data, &actual)).To(Succeed())
	g.Expect(yaml.Unmarshal([]byte(want), &wanted)).To(Succeed())
	for name, value := range wanted {
		if fields, ok := value.(map[string]any); ok && name != "source" && name != "kustomization" {
			inner, _ := actual[name].(map[string]any)
			for field, value := range fields {
				g.Expect(inner[field]).To(Equal(value), name+"."+field)
			}
			continue
		}
		if value == nil {
			g.Expect(actual).NotTo(HaveKey(name))
			continue
		}
		g.Expect(actual[name]).To(Equal(value), name)
	}
}
