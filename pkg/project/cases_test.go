// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package project_test

import (
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	. "github.com/onsi/gomega"

	. "github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
)

var update = flag.Bool("update", false, "write the golden file")

// testCase is read by the test of the admission policy that the garden checks ConfigMap flux-config with.
type testCase struct {
	Data map[string]string `json:"data,omitempty"`
	// Error is empty if the data is accepted.
	Error string `json:"error,omitempty"`
}

// The cases of this package are also those of the policy, so that the two can't drift apart.
func TestCasesOfThePolicy(t *testing.T) {
	g := NewWithT(t)
	const file = "testdata/cases.golden.json"
	cases := map[string]testCase{}
	for name, tc := range acceptedCases {
		cases["accepts "+name] = testCase{Data: tc.data}
	}
	for name, tc := range knownHostsCases {
		// A hash has a random salt.
		if !strings.HasPrefix(name, "hashed") {
			cases["accepts known hosts: "+name] = testCase{Data: map[string]string{"repositoryUrl": tc.url, "repositoryType": "private", "knownHosts": tc.knownHosts}}
		}
	}
	for name, tc := range refusedCases {
		// An API server takes nothing else.
		if utf8.ValidString(tc.data["repositoryBranch"]) {
			cases["refuses "+name] = testCase{Data: tc.data, Error: tc.want}
		}
	}
	for name, tc := range refusedLayers() {
		if words, ok := strings.CutPrefix(tc.want, inConfigMap); ok && tc.defaults == "" && tc.shoot == "" && tc.data["config"] == "" && tc.data["overrides"] == "" {
			cases["refuses "+name] = testCase{Data: tc.data, Error: words}
		}
	}
	for _, key := range Keys() {
		for _, value := range key.OneOf {
			cases["accepts "+value+" of "+key.Name] = testCase{Data: dataOf(key, value)}
		}
		if key.OneOf != nil {
			_, err := parse(dataOf(key, "other"))
			g.Expect(err).To(HaveOccurred())
			cases["refuses another value of "+key.Name] = testCase{Data: dataOf(key, "other"), Error: err.Error()}
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
