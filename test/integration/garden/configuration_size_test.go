// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package garden_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
)

func manyKeys(prefix string, count int) map[string]string {
	data := map[string]string{}
	for i := range count {
		data[fmt.Sprintf("%s-%05d", prefix, i)] = "x"
	}
	return data
}

// The policy has a budget. A ConfigMap that takes more would be let through, so that whatever an API server takes has to be within it.
func TestConfigurationPolicyOnHugeConfigMaps(t *testing.T) {
	projectAdmin := asProjectAdmin(t)
	waitForPolicy(t, projectAdmin)
	many := strings.Repeat("x ", 500_000)
	for name, configMap := range map[string]*corev1.ConfigMap{
		"many wrong keys":      configuration(ownProject, manyKeys("wrong", 40_000)),
		"long wrong keys":      configuration(ownProject, manyKeys(strings.Repeat("repository", 24), 32)),
		"long URL":             configuration(ownProject, map[string]string{"repositoryUrl": many}),
		"long version":         configuration(ownProject, map[string]string{"fluxVersion": strings.Repeat("2||", 330_000)}),
		"long path":            configuration(ownProject, map[string]string{"repositoryUrl": "https://example.org/x", "repositoryPath": strings.Repeat("x/", 500_000)}),
		"long known hosts":     configuration(ownProject, map[string]string{"repositoryUrl": "https://example.org/x", "knownHosts": strings.Repeat("x\n", 500_000)}),
		"long value":           configuration(ownProject, map[string]string{"installation": many}),
		"longest known hosts":  configuration(ownProject, map[string]string{"repositoryUrl": "https://example.org/x", "knownHosts": strings.Repeat("x\n", 32_000) + "@cert-authority"}),
		"longest version":      configuration(ownProject, map[string]string{"fluxVersion": strings.Repeat("2||", 680) + "x y"}),
		"longest path":         configuration(ownProject, map[string]string{"repositoryUrl": "https://example.org/x", "repositoryPath": strings.Repeat("x/", 1000) + ".."}),
		"UTF-16":               binary(map[string]string{"repositoryBranch": "main"}, "repositoryUrl"),
		"UTF-16 and wrong":     binary(nil, "repositoryURL"),
		"many binary keys":     binary(manyKeys("wrong", 30), "a", "b", "c"),
		"a long key as binary": {ObjectMeta: configuration(ownProject, nil).ObjectMeta, BinaryData: map[string][]byte{"x": make([]byte, 1<<20)}},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			_, problem := project.Parse(configMap)
			g.Expect(problem).To(HaveOccurred())
			err := projectAdmin.Create(t.Context(), configMap, client.DryRunAll)
			g.Expect(err).To(HaveOccurred())
			_, message, found := strings.Cut(err.Error(), "denied request: ")
			g.Expect(found).To(BeTrue(), err.Error())
			key, words, _ := strings.Cut(message, ": ")
			// Of keys that are cut in the sentences of the extension, the beginning.
			g.Expect(problem.Error()).To(ContainSubstring(key[:min(len(key), 60)]))
			if !strings.HasPrefix(words, "unknown key") {
				g.Expect(problem.Error()).To(ContainSubstring(words))
			}
		})
	}
}

func binary(data map[string]string, keys ...string) *corev1.ConfigMap {
	configMap := configuration(ownProject, data)
	configMap.BinaryData = map[string][]byte{}
	for _, key := range keys {
		configMap.BinaryData[key] = []byte("\xff\xfeh\x00")
	}
	return configMap
}

// TestConfigurationPolicyOnBinaryChanges: a change of binaryData alone is a change.
func TestConfigurationPolicyOnBinaryChanges(t *testing.T) {
	g := NewWithT(t)
	projectAdmin := asProjectAdmin(t)
	waitForPolicy(t, projectAdmin)
	configMap := configuration(ownProject, map[string]string{"repositoryBranch": "main", "repositoryUrl": "https://example.org/x"})
	g.Expect(projectAdmin.Create(t.Context(), configMap)).To(Succeed())
	t.Cleanup(func() { g.Expect(admin.Delete(context.WithoutCancel(t.Context()), configMap)).To(Succeed()) })
	configMap.BinaryData = map[string][]byte{"repositoryPath": []byte("\xff\xfeh\x00")}
	g.Expect(projectAdmin.Update(t.Context(), configMap)).To(MatchError(ContainSubstring("repositoryPath: it is in binaryData")))
}
