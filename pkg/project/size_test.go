// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package project_test

import (
	"fmt"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	. "github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
)

// TestBinaryData has what kubectl makes of files that are not UTF-8 text.
func TestBinaryData(t *testing.T) {
	const binary = "it is in binaryData, where kubectl puts a file that is not UTF-8 text: save the file as UTF-8, and make the ConfigMap from it again"
	utf16 := []byte("\xff\xfeh\x00t\x00t\x00p\x00s\x00")
	for name, tc := range map[string]struct {
		data map[string]string
		keys []string
		want string
	}{
		"the only key":                  {nil, []string{"repositoryUrl"}, "repositoryUrl: Invalid value: " + binary},
		"the URL, others are text":      {map[string]string{"repositoryBranch": "main", "repositoryType": "private"}, []string{"repositoryUrl"}, "repositoryUrl: Invalid value: " + binary},
		"host keys, which are optional": {map[string]string{"repositoryUrl": sshURL, "repositoryType": "private"}, []string{"knownHosts"}, "knownHosts: Invalid value: " + binary},
		"a choice with a default":       {map[string]string{"repositoryUrl": httpsURL}, []string{"removalPolicy", "fluxVersion"}, "[fluxVersion: Invalid value: " + binary + ", removalPolicy: Invalid value: " + binary + "]"},
		"unknown key":                   {map[string]string{"repositoryUrl": httpsURL}, []string{"repositoryURL"}, "repositoryURL: Forbidden: unknown key, did you mean repositoryUrl?"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			configMap := &corev1.ConfigMap{Data: tc.data, BinaryData: map[string][]byte{}}
			for _, key := range tc.keys {
				configMap.BinaryData[key] = utf16
			}
			configuration, err := Parse(configMap)
			g.Expect(configuration).To(BeNil(), "what runs must not change because something could not be read")
			g.Expect(err).To(MatchError(tc.want))
		})
	}
}

// hugeConfigMaps are within the limit of an API server, which is 1 MiB.
var hugeConfigMaps = map[string]*corev1.ConfigMap{
	"wrong keys":        {Data: manyKeys(40_000)},
	"long values":       {Data: map[string]string{"repositoryUrl": strings.Repeat("x", 500_000), "knownHosts": strings.Repeat("x\n", 250_000)}},
	"most lines":        {Data: map[string]string{"repositoryUrl": sshURL, "repositoryType": "private", "knownHosts": strings.Repeat("git.example.org "+keyA+"\n", 65_000/len("git.example.org "+keyA+"\n")) + "x"}},
	"bad lines":         {Data: map[string]string{"repositoryUrl": sshURL, "repositoryType": "private", "knownHosts": strings.Repeat("x\n", 32_768)}},
	"long wrong keys":   {Data: longKeys(32)},
	"all values wrong":  {Data: allWrong()},
	"binary wrong keys": {BinaryData: map[string][]byte{strings.Repeat("a", 253): make([]byte, 1<<20)}},
}

func longKeys(count int) map[string]string {
	data := map[string]string{}
	for i := range count {
		data[fmt.Sprintf("repository-%03d", i)+strings.Repeat("x", 239)] = "x"
	}
	return data
}

func allWrong() map[string]string {
	data := map[string]string{}
	for _, key := range Keys() {
		data[key.Name] = "/" + strings.Repeat("..ü ", 500)
	}
	return data
}

// TestSizeOfErrors: they are repeated in the status of each shoot of the project.
func TestSizeOfErrors(t *testing.T) {
	for name, configMap := range hugeConfigMaps {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			_, err := Parse(configMap)
			g.Expect(err).To(HaveOccurred())
			g.Expect(len(err.Error())).To(BeNumerically("<", 1100), err.Error())
		})
	}
}

func TestErrorCountsWhatItLeavesOut(t *testing.T) {
	g := NewWithT(t)
	_, err := Parse(hugeConfigMaps["long wrong keys"])
	g.Expect(err).To(MatchError(And(
		HavePrefix("[repository-000"+strings.Repeat("x", 50)+"…: Forbidden: unknown key, the known ones are fluxVersion, "), HaveSuffix(", and 30 more]"))))
}

// TestWorkIsBounded counts allocations, of which each thing that is looked at needs one at least.
func TestWorkIsBounded(t *testing.T) {
	for name, want := range map[string]float64{
		"wrong keys":        50,
		"long values":       500,
		"long wrong keys":   5_000,
		"all values wrong":  5_000,
		"bad lines":         500,
		"binary wrong keys": 500,
	} {
		t.Run(name, func(t *testing.T) {
			NewWithT(t).Expect(testing.AllocsPerRun(1, func() { _, _ = Parse(hugeConfigMaps[name]) })).To(BeNumerically("<", want))
		})
	}
}

func BenchmarkParse(b *testing.B) {
	for name, configMap := range hugeConfigMaps {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				_, _ = Parse(configMap)
			}
		})
	}
}
