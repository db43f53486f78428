// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package project_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	. "github.com/onsi/gomega"
	"sigs.k8s.io/yaml"

	. "github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
)

// shootCase is read by the test of the admission policy that the garden checks Shoots with.
type shootCase struct {
	ProviderConfig json.RawMessage `json:"providerConfig"`
	// Error is what is wrong if nobody but the shoot's owner says anything, or empty.
	Error string `json:"error,omitempty"`
}

// moreShootCases are about what only a policy could read in another way.
var moreShootCases = map[string]string{
	"unknown fields in the form of the other extension": "{flux: {versiom: x}, source: {template: " + gitTemplate + ", secret: x}" + follows + ", repository: {uri: x}, whatever: {}}",
	"null everywhere":                            "{flux: {version: null, components: null}, repository: null, source: null, kustomization: {template: null}, additionalSecretResources: null, suspend: null, installation: null}",
	"empty everywhere":                           "{flux: {version: '', components: [], registry: ''}, repository: {}, additionalSecretResources: [], installation: '', syncMode: ''}",
	"blanks around":                              "{flux: {version: ' 2.x '}, repository: {url: ' https://example.org/x ', branch: ' main '}, installation: ' once '}",
	"registry with slash":                        "flux: {registry: 'registry.example.org:5000/fluxcd/'}",
	"all components":                             "flux: {components: [source-controller, helm-controller], componentsExtra: [kustomize-controller, source-watcher]}",
	"components in no list":                      "flux: {components: [helm-controller], componentsExtra: [source-controller]}",
	"empty list of extra":                        "flux: {components: [helm-controller], componentsExtra: []}",
	"Secrets":                                    "additionalSecretResources: [{name: a}, {name: b, targetName: x.y, labels: {a: b, example.org/c: '', d.e/f_g: H-i.j}}, {name: c, targetName: null, labels: null}]",
	"wrong key of a label":                       "additionalSecretResources: [{name: a, labels: {'A/b': c}}]",
	"Secret that is text":                        "additionalSecretResources: [a]",
	"Secret that is null":                        "additionalSecretResources: [{name: a}, null]",
	"SSH template with user":                     source("{spec: {url: 'ssh://git@example.org/x', ref: {name: refs/heads/x}}}"),
	"capitals in the scheme":                     source("{spec: {url: 'HTTPS://example.org/x', ref: {commit: x}}}"),
	"template of artifacts":                      source("{kind: OCIRepository, apiVersion: source.toolkit.fluxcd.io/v1beta2, spec: {url: 'oci://example.org/x', ref: {digest: x}}}"),
	"template without host":                      source("{spec: {url: 'https:///x', ref: {branch: x}}}"),
	"name that is a number":                      source("{metadata: {name: 1, namespace: null}, spec: {url: 'https://example.org/x', ref: {branch: x}}}"),
	"namespace of a template":                    source("{metadata: {namespace: 'a.b'}, spec: {url: 'https://example.org/x', ref: {branch: x}}}"),
	"list as providerConfig":                     "[]",
	"number as URL":                              "repository: {url: 3}",
	"list as repository":                         "repository: []",
	"fields as a list":                           "flux: {components: {}}",
	"verification is text":                       "repository: {verify: x}",
	"unknown of verification with wrong letters": "repository: {verify: {key: x}}",
	"unknown deep":                               "repository: {verify: {whatever: x}}",
	"unknown alike":                              "{semver: 1.x}",
}

// The cases of this package are also those of the policy for Shoots: each providerConfig, and each set of keys as a providerConfig.
func TestCasesOfThePolicyForShoots(t *testing.T) {
	g := NewWithT(t)
	const file = "testdata/shoot_cases.golden.json"
	cases := map[string]shootCase{}
	add := func(name, providerConfig string) {
		raw, err := yaml.YAMLToJSON([]byte(providerConfig))
		if err != nil {
			return // what is no YAML is no field of a Shoot
		}
		tc := shootCase{ProviderConfig: raw}
		if _, err := (&written{shoot: providerConfig}).effective(g); err != nil {
			g.Expect(err.Error()).To(HavePrefix(inShoot))
			tc.Error = strings.TrimPrefix(err.Error(), inShoot)
		}
		cases[name] = tc
	}
	for name, tc := range layersCases {
		if tc.shoot != "" {
			add("layers: "+name, tc.shoot)
		}
	}
	for name, tc := range refusedLayers() {
		if tc.shoot != "" {
			add("refusals: "+name, tc.shoot)
		}
		if document, ok := tc.data["config"]; ok && len(tc.data) == 1 {
			add("refusals: "+name, document)
		}
		if document, ok := asProviderConfig(g, tc.data); ok {
			add("refused keys: "+name, document)
		}
	}
	for name, document := range moreShootCases {
		add("more: "+name, document)
	}
	for name, tc := range acceptedCases {
		if document, ok := asProviderConfig(g, tc.data); ok {
			add("accepted keys: "+name, document)
		}
	}
	for name, tc := range refusedCases {
		if document, ok := asProviderConfig(g, tc.data); ok {
			add("refused keys: "+name, document)
		}
	}
	actual, err := json.MarshalIndent(cases, "", "  ")
	g.Expect(err).NotTo(HaveOccurred())
	if *update {
		g.Expect(os.WriteFile(file, append(actual, '\n'), 0o644)).To(Succeed())
	}
	expected, err := os.ReadFile(file)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(actual).To(MatchJSON(expected), "run the test with -update, and then the one of the policy")
}

// asProviderConfig writes keys as the fields that they stand for. It is false if one stands for none.
func asProviderConfig(g *WithT, data map[string]string) (string, bool) {
	document := map[string]any{}
	for name, value := range data {
		i := slices.IndexFunc(Keys(), func(key Key) bool { return key.Name == name })
		if i < 0 || Keys()[i].Field == "" || !utf8.ValidString(value) {
			return "", false
		}
		at := document
		names := strings.Split(Keys()[i].Field, ".")
		for _, part := range names[:len(names)-1] {
			if at[part] == nil {
				at[part] = map[string]any{}
			}
			at = at[part].(map[string]any)
		}
		at[names[len(names)-1]] = value
		if slices.Equal(Keys()[i].OneOf, []string{"true", "false"}) && slices.Contains(Keys()[i].OneOf, value) {
			at[names[len(names)-1]] = value == "true"
		}
	}
	text, err := yaml.Marshal(document)
	g.Expect(err).NotTo(HaveOccurred())
	return string(text), len(data) > 0
}
