// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Command configuration-keys writes what is said outside of Go about the keys of ConfigMap flux-config: the table in the README, the lists of
// the admission policy, and the rules of the admission policy for Shoots. Each stands between two lines with a mark; the rest of the files is
// written by hand.
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
var parts = map[string]func(root string) (string, error){
	"README.md":         func(string) (string, error) { return readmeTable(project.Keys()), nil },
	configurationPolicy: func(string) (string, error) { return policyLists(project.Keys()), nil },
	shootPolicy: func(root string) (string, error) {
		rules, err := readRules(root)
		return shootVariables(project.Keys(), project.Fields(), rules), err
	},
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
		text, err := generate(root)
		if err != nil {
			return err
		}
		changed, err := replace(string(document), text)
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
	var lists strings.Builder
	write := func(name, expression string) {
		fmt.Fprintf(&lists, "    - name: %s\n      expression: \"%s\"\n", name, expression)
	}
	write("maxKeys", fmt.Sprint(project.MaxKeys))
	listsOf(keys).write(write, "known", "aboutRepository", "references", "maxLengths", "supported")
	return lists.String()
}

// lists are what the policies have of the table of keys, in CEL, by the names of their variables.
type lists map[string]string

func listsOf(keys []project.Key) lists {
	var known, repository, references, supported, lengths []string
	for _, key := range keys {
		known = append(known, key.Name)
		lengths = append(lengths, fmt.Sprintf("%s: %d", quote(key.Name), cmp.Or(key.MaxLength, project.DefaultMaxLength)))
		if key.IsOfRepository() {
			repository = append(repository, key.Name)
		}
		if key.IsReference() {
			references = append(references, key.Name)
		}
		if key.OneOf != nil {
			supported = append(supported, quote(key.Name)+": ["+quoteAll(key.OneOf)+"]")
		}
	}
	return lists{
		"known":           "[" + quoteAll(known) + "]",
		"aboutRepository": "[" + quoteAll(repository) + "]",
		"references":      "[" + quoteAll(references) + "]",
		"maxLengths":      "{" + strings.Join(lengths, ", ") + "}",
		"supported":       "{" + strings.Join(supported, ", ") + "}",
	}
}

func (l lists) write(write func(name, expression string), names ...string) {
	for _, name := range names {
		write(name, l[name])
	}
}

// quote makes a string of CEL. Names and values of keys have nothing to escape.
func quote(text string) string {
	return "'" + text + "'"
}
