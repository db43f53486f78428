// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
)

const (
	configurationPolicy = "example/garden/configuration-policy.yaml"
	shootPolicy         = "example/garden/shoot-policy.yaml"

	// The marks of the lines before and behind the rules that both policies have.
	beginRules = "begin of the rules that shoot-policy.yaml has as well"
	endRules   = "end of the rules that shoot-policy.yaml has as well"
)

// readRules takes the rules out of the policy for flux-config.
func readRules(root string) (string, error) {
	policy, err := os.ReadFile(filepath.Join(root, configurationPolicy))
	if err != nil {
		return "", err
	}
	_, rest, hasBegin := strings.Cut(string(policy), beginRules)
	rules, _, hasEnd := strings.Cut(rest, endRules)
	if !hasBegin || !hasEnd {
		return "", fmt.Errorf("%s: a line with %q and one behind it with %q are missing", configurationPolicy, beginRules, endRules)
	}
	return rules[strings.Index(rules, "\n")+1 : strings.LastIndex(rules, "\n")+1], nil
}

// shootVariables are what the policy for Shoots has of the fields of a FluxConfig, and the rules of the policy for flux-config with the fields
// in place of the keys that stand for them.
func shootVariables(keys []project.Key, fields []project.Field, rules string) string {
	var variables strings.Builder
	write := func(name, expression string) {
		fmt.Fprintf(&variables, "    - name: %s\n      expression: \"%s\"\n", name, expression)
	}
	writeParts(write, fields)
	writeKinds(write, fields)
	texts := slices.DeleteFunc(slices.Clone(keys), func(key project.Key) bool { return kindOf(fields, key.Field) != "text" })
	for i := range texts {
		texts[i].Name = texts[i].Field
	}
	lists := listsOf(texts)
	lists.write(write, "known", "aboutRepository", "references", "maxLengths", "supported")
	write("components", "["+quoteAll(flux.Components())+"]")
	write("byName", byName(keys))
	write("tooLong", "variables.large ? [] : variables.known.filter(key, variables.texts[?key].orValue('').trim().size() > variables.maxLengths[key])")
	write("data", "variables.large || variables.tooLong.size() > 0 ? {} : variables.texts")
	variables.WriteString(nameFields(keys, rules))
	return variables.String()
}

// writeParts writes a variable for each part of a FluxConfig that has fields: its content, or nothing if it has another kind.
func writeParts(write func(name, expression string), fields []project.Field) {
	for _, field := range fields {
		if field.Kind == "fields" {
			value := access(field.Path) + ".orValue({})"
			write(variableOf(field.Path), fmt.Sprintf("type(%s) == map ? %s : {}", value, value))
		}
	}
}

// writeKinds writes which kind each field has, which names each part knows, and what is written.
func writeKinds(write func(name, expression string), fields []project.Field) {
	var paths, kinds, values, texts, parts []string
	known := map[string][]string{}
	for _, field := range fields {
		parent, name := split(field.Path)
		known[parent] = append(known[parent], quote(name))
		if field.Kind == "fields" {
			parts = append(parts, field.Path)
		}
		paths = append(paths, quote(field.Path))
		kinds = append(kinds, quote(field.Path)+": "+quote(field.Kind))
		values = append(values, quote(field.Path)+": dyn("+access(field.Path)+".orValue(null))")
		if field.Kind == "text" {
			value := "variables.values[" + quote(field.Path) + "]"
			texts = append(texts, fmt.Sprintf("%s: type(%s) == string ? string(%s) : ''", quote(field.Path), value, value))
		}
	}
	var below []string
	for _, part := range append([]string{""}, parts...) {
		below = append(below, quote(part)+": ["+strings.Join(known[part], ", ")+"]")
	}
	write("fields", "["+strings.Join(paths, ", ")+"]")
	write("kinds", "{"+strings.Join(kinds, ", ")+"}")
	write("below", "{"+strings.Join(below, ", ")+"}")
	write("values", "{"+strings.Join(values, ", ")+"}")
	write("texts", "{"+strings.Join(texts, ", ")+"}")
	write("large", "variables.config.size() > variables.maxNames || variables.repository.size() > variables.maxNames || variables.repositoryVerify.size() > variables.maxNames || variables.fields.map(path, variables.texts[?path].orValue('').size()).sum() > variables.maxLength")
}

// byName has the fields by the names of the keys that stand for them, as the policy compares names.
func byName(keys []project.Key) string {
	var entries []string
	for _, key := range keys {
		if key.Field != "" {
			entries = append(entries, quote(strings.ToLower(key.Name))+": "+quote(key.Field))
		}
	}
	return "{" + strings.Join(entries, ", ") + "}"
}

// nameFields puts the fields into rules in the place of the keys that stand for them. A variable may have the name of a key.
func nameFields(keys []project.Key, rules string) string {
	fields := map[string]string{}
	var names []string
	for _, key := range keys {
		if key.Field != "" {
			fields[key.Name] = key.Field
			names = append(names, key.Name)
		}
	}
	word := regexp.MustCompile(`(variables\.|- name: )?\b(` + strings.Join(names, "|") + `)\b`)
	return word.ReplaceAllStringFunc(rules, func(found string) string {
		if field, ok := fields[found]; ok {
			return field
		}
		return found
	})
}

// access is a field of its part, as an optional value of CEL.
func access(path string) string {
	parent, name := split(path)
	return "variables." + variableOf(parent) + "[?" + quote(name) + "]"
}

// variableOf is the variable of a part: repositoryVerify for repository.verify.
func variableOf(path string) string {
	if path == "" {
		return "config"
	}
	words := strings.Split(path, ".")
	for i, word := range words[1:] {
		words[i+1] = strings.ToUpper(word[:1]) + word[1:]
	}
	return strings.Join(words, "")
}

func split(path string) (parent, name string) {
	if i := strings.LastIndex(path, "."); i >= 0 {
		return path[:i], path[i+1:]
	}
	return "", path
}

func kindOf(fields []project.Field, path string) string {
	if i := slices.IndexFunc(fields, func(field project.Field) bool { return field.Path == path }); i >= 0 {
		return fields[i].Kind
	}
	return ""
}

func quoteAll(texts []string) string {
	quoted := make([]string, len(texts))
	for i, text := range texts {
		quoted[i] = quote(text)
	}
	return strings.Join(quoted, ", ")
}
