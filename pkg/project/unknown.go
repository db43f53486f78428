// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package project

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// unknownKey says which key was probably meant. The value is not repeated: nobody knows what it is.
func unknownKey(key string) *field.Error {
	path := field.NewPath(echo(key))
	names := make([]string, len(keys))
	for i := range keys {
		names[i] = keys[i].Name
	}
	if nearest := nearestOf(key, names); nearest != "" {
		return field.Forbidden(path, fmt.Sprintf("unknown key, did you mean %s?", nearest))
	}
	if len(fieldsBelow(key)) > 0 {
		return field.Forbidden(path, fmt.Sprintf("unknown key: it is a field, write it into key %s", keyConfig))
	}
	return field.Forbidden(path, "unknown key, the known ones are "+joinKeys())
}

// hintFor says which field was probably meant: one beside it, the one that a key of the same name stands for, or one elsewhere.
func hintFor(path string) string {
	parent, name := "", path
	if i := strings.LastIndex(path, "."); i >= 0 {
		parent, name = path[:i], path[i+1:]
	}
	for _, key := range keys {
		if key.Field != "" && fold(key.Name) == fold(name) {
			return fmt.Sprintf("did you mean %s?", key.Field)
		}
	}
	beside := fieldsBelow(parent)
	if nearest := nearestOf(name, beside); nearest != "" {
		return fmt.Sprintf("did you mean %s?", join(parent, nearest))
	}
	for _, known := range fieldPaths {
		if fold(known[strings.LastIndex(known, ".")+1:]) == fold(name) {
			return fmt.Sprintf("did you mean %s?", known)
		}
	}
	return "the known ones here are " + strings.Join(beside, ", ")
}

func join(parent, name string) string {
	if parent == "" {
		return name
	}
	return parent + "." + name
}

// nearestOf is the known name that a word resembles, or "" if there is none: written in another case or with separators, without its
// first part, or with a few wrong letters.
func nearestOf(name string, known []string) string {
	word := fold(echo(name))
	nearest, distance := "", len(word)/3+1
	for _, candidate := range known {
		target := fold(candidate)
		if len(word) > 2 && strings.HasSuffix(target, word) {
			return candidate
		}
		// To make words of different lengths equal takes at least their difference.
		if len(word)-len(target) >= distance {
			continue
		}
		if d := editDistance(word, target); d < distance {
			nearest, distance = candidate, d
		}
	}
	return nearest
}

var separators = strings.NewReplacer("-", "", "_", "", ".", "")

func fold(key string) string {
	return strings.ToLower(separators.Replace(key))
}

// editDistance is Levenshtein's: the number of bytes to insert, delete or replace.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, diagonal+1, row[j]+1)
		}
	}
	return row[len(b)]
}
