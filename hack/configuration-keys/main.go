// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Command configuration-keys writes what is said outside of Go about the keys of ConfigMap flux-config: the table in the README, and the lists of
// the admission policy. Each stands between two lines with a mark; the rest of the files is written by hand.
//
//	go run ./hack/configuration-keys
package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
)

// The marks of the lines before and behind what is generated.
const (
	begin = "begin of what hack/configuration-keys generates"
	end   = "end of what hack/configuration-keys generates"
)

// parts are what is generated, by file.
var parts = map[string]func([]project.Key) string{
	"README.md": readmeTable,
	"example/garden/configuration-policy.yaml": policyLists,
}

func main() {
	if err := run("."); err != nil {
		fmt.Fprintln(os.Stderr, "configuration-keys:", err)
		os.Exit(1)
	}
}

func run(root string) error {
	for name, generate := range parts {
		file := filepath.Join(root, name)
		document, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		changed, err := replace(string(document), generate(project.Keys()))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := os.WriteFile(file, []byte(changed), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// replace puts text between the lines with the marks.
func replace(document, text string) (string, error) {
	before, rest, hasBegin := strings.Cut(document, begin)
	first, _, _ := strings.Cut(rest, "\n")
	old, after, hasEnd := strings.Cut(rest, end)
	if !hasBegin || !hasEnd {
		return "", fmt.Errorf("a line with %q and one behind it with %q are missing", begin, end)
	}
	// What stands before the mark in its line.
	last := old[strings.LastIndex(old, "\n")+1:]
	return before + begin + first + "\n" + text + last + end + after, nil
}

// readmeTable has a row for each key, and says where the rest is told.
func readmeTable(keys []project.Key) string {
	var table strings.Builder
	table.WriteString("\n| key | meaning | default |\n|---|---|---|\n")
	for _, key := range keys {
		without := key.Without
		if key.Default != "" {
			without = "`" + key.Default + "`"
		}
		fmt.Fprintf(&table, "| `%s` | %s |%s |\n", key.Name, key.Meaning, strings.TrimRight(" "+without, " "))
	}
	table.WriteString("\nA shoot can have its own of what is [a field of a FluxConfig](docs/usage/configuration.md), in its `providerConfig` ([example](example/shoot.yaml)).\n\n")
	return table.String()
}

// policyLists are variables of the policy, in CEL.
func policyLists(keys []project.Key) string {
	var known, repository, references, supported, lengths []string
	for _, key := range keys {
		known = append(known, quote(key.Name))
		lengths = append(lengths, fmt.Sprintf("%s: %d", quote(key.Name), cmp.Or(key.MaxLength, project.DefaultMaxLength)))
		if key.IsOfRepository() {
			repository = append(repository, quote(key.Name))
		}
		if key.IsReference() {
			references = append(references, quote(key.Name))
		}
		if key.OneOf != nil {
			var values []string
			for _, value := range key.OneOf {
				values = append(values, quote(value))
			}
			supported = append(supported, quote(key.Name)+": ["+strings.Join(values, ", ")+"]")
		}
	}
	var lists strings.Builder
	for _, list := range []struct{ name, expression string }{
		{"maxKeys", fmt.Sprint(project.MaxKeys)},
		{"known", "[" + strings.Join(known, ", ") + "]"},
		{"aboutRepository", "[" + strings.Join(repository, ", ") + "]"},
		{"references", "[" + strings.Join(references, ", ") + "]"},
		{"maxLengths", "{" + strings.Join(lengths, ", ") + "}"},
		{"supported", "{" + strings.Join(supported, ", ") + "}"},
	} {
		fmt.Fprintf(&lists, "    - name: %s\n      expression: \"%s\"\n", list.name, list.expression)
	}
	return lists.String()
}

// quote makes a string of CEL. Names and values of keys have nothing to escape.
func quote(text string) string {
	return "'" + text + "'"
}
