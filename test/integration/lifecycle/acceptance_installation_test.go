// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle_test

import (
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
)

// minimal is the smallest file with something to follow, in the form of the extension that Gardener lists. The source's template goes on.
const minimal = `
syncMode: Managed
kustomization: {template: {spec: {path: clusters/dev}}}
source:
  template:
    apiVersion: source.toolkit.fluxcd.io/v1
    kind: GitRepository
`

const minimalSpec = minimal + `
    spec: {url: https://git.example.org/platform/base.git, ref: {branch: main}}
`

// writeProviderConfig writes a file as the shoot's owner does.
func (s *shoot) writeProviderConfig(text string) {
	raw, err := yaml.YAMLToJSON([]byte(text))
	s.Expect(err).NotTo(HaveOccurred())
	s.setRawProviderConfig(&runtime.RawExtension{Raw: raw})
}

// TestAcceptanceOfInstallations has files as people have them for the extension that Gardener lists, which are about Secrets, namespaces and
// components. (Cases 22 and 23 are TestSecretsOfTheShoot.)
func TestAcceptanceOfInstallations(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		file string
		// objects must be in the shoot, and absent must not.
		objects, absent []string
		// secretRef is that of the source.
		secretRef string
		// refused is what is said of a file that is refused.
		refused string
	}{
		"6: secretRef without secretResourceName": {
			file:      minimal + "    spec: {url: https://git.example.org/platform/base.git, ref: {branch: main}, secretRef: {name: theirs}}",
			objects:   []string{"GitRepository flux-system/flux-system"},
			absent:    []string{"Secret flux-system/theirs"},
			secretRef: "theirs",
		},
		"7: secretResourceName that spec.resources has not": {
			file:    minimalSpec + "  secretResourceName: nobody",
			refused: `source.secretResourceName: spec.resources of the Shoot `,
		},
		"7: secretResourceName of a ConfigMap": {
			file:    minimalSpec + "  secretResourceName: values",
			refused: `source.secretResourceName: entry "values" in spec.resources of the Shoot `,
		},
		"17: another namespace": {
			file: minimalSpec + "  secretResourceName: reader\nflux: {version: v2.9.4, namespace: gitops}\nadditionalSecretResources: [{name: reader, targetName: again}]",
			objects: []string{"GitRepository gitops/flux-system", "Kustomization gitops/flux-system", "Secret gitops/flux-system", "Secret gitops/again",
				"ConfigMap gitops/shoot-info", "Namespace/gitops", "Deployment gitops/source-controller"},
			absent:    []string{"Namespace/flux-system", "Secret flux-system/flux-system"},
			secretRef: "flux-system",
		},
		"18: the source in a namespace of its own": {
			file:      minimal + "    metadata: {namespace: other}\n    spec: {url: https://git.example.org/platform/base.git, ref: {branch: main}}\n  secretResourceName: reader",
			objects:   []string{"GitRepository other/flux-system", "Secret other/flux-system", "Namespace/other", "Kustomization flux-system/flux-system"},
			absent:    []string{"Secret flux-system/flux-system"},
			secretRef: "flux-system",
		},
		"19: no source-controller": {
			file:    minimalSpec + "flux: {components: [kustomize-controller]}",
			refused: "source-controller",
		},
		"20: an unknown component": {
			file:    minimalSpec + "flux: {components: [kustomize-controller, foo], componentsExtra: [source-controller]}",
			refused: "helm-controller",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShoot(t, targetNamespace, "--extra-target-namespace=gitops", "--extra-target-namespace=other")
			s.refer("reader", "Secret", "git-reader")
			s.refer("values", "ConfigMap", "values")
			s.bring("git-reader", corev1.SecretTypeOpaque, map[string]string{"username": "u", "password": "p"})
			s.writeProviderConfig(tc.file)
			s.operate("reconcile")
			if tc.refused != "" {
				s.expectFailure(tc.refused)
				s.expectNothingInSeed()
				return
			}
			s.expectSuccess()
			content := s.contentOf(managedresource.Configuration)
			for name, object := range s.contentOf(managedresource.Installation) {
				content[name] = object
			}
			var source *unstructured.Unstructured
			for name, object := range content {
				if object.GetKind() == "GitRepository" {
					source = content[name]
				}
			}
			for _, name := range tc.objects {
				s.Expect(content).To(HaveKey(name))
			}
			for _, name := range tc.absent {
				s.Expect(content).NotTo(HaveKey(name))
			}
			secretRef, _, _ := unstructured.NestedString(source.Object, "spec", "secretRef", "name")
			s.Expect(secretRef).To(Equal(tc.secretRef))
		})
	}
}
