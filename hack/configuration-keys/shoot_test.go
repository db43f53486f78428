// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
)

func TestShootVariables(t *testing.T) {
	g := NewWithT(t)
	keys := []project.Key{
		{Name: "partUrl", Field: "part.url", OneOf: []string{"a", "b"}},
		{Name: "still", Field: "still", OneOf: []string{"true", "false"}},
		{Name: "alone"},
	}
	fields := []project.Field{
		{Path: "part", Kind: "fields"}, {Path: "part.url", Kind: "text"}, {Path: "part.inner", Kind: "fields"}, {Path: "part.inner.list", Kind: "list"}, {Path: "still", Kind: "bool"},
	}
	variables := shootVariables(keys, fields, "    - name: partUrl\n      expression: variables.partUrl + variables.data['partUrl'] + 'write partUrl, alone or partUrls'\n")
	for _, want := range []string{
		"- name: part\n      expression: \"type(variables.config[?'part'].orValue({})) == map ?",
		"- name: partInner\n      expression: \"type(variables.part[?'inner'].orValue({})) == map ?",
		"\"{'part': 'fields', 'part.url': 'text', 'part.inner': 'fields', 'part.inner.list': 'list', 'still': 'bool'}\"",
		"\"{'': ['part', 'still'], 'part': ['url', 'inner'], 'part.inner': ['list']}\"",
		"'part.inner.list': dyn(variables.partInner[?'list'].orValue(null))",
		"- name: known\n      expression: \"['part.url']\"",
		"- name: supported\n      expression: \"{'part.url': ['a', 'b']}\"",
		"- name: byName\n      expression: \"{'parturl': 'part.url', 'still': 'still'}\"",
		"    - name: partUrl\n      expression: variables.partUrl + variables.data['part.url'] + 'write part.url, alone or partUrls'\n",
	} {
		g.Expect(variables).To(ContainSubstring(want))
	}
}

func TestReadRules(t *testing.T) {
	g := NewWithT(t)
	root := t.TempDir()
	file := filepath.Join(root, configurationPolicy)
	g.Expect(os.MkdirAll(filepath.Dir(file), 0o755)).To(Succeed())
	g.Expect(os.WriteFile(file, []byte("a\n    # "+beginRules+", and more\n    rule\n    # "+endRules+"\nz\n"), 0o644)).To(Succeed())
	g.Expect(readRules(root)).To(Equal("    rule\n"))
	g.Expect(os.WriteFile(file, []byte("a\n"), 0o644)).To(Succeed())
	_, err := readRules(root)
	g.Expect(err).To(MatchError(ContainSubstring("are missing")))
}
