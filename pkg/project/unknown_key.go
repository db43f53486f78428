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
	if nearest := nearestKey(key); nearest != "" {
		return field.Forbidden(path, fmt.Sprintf("unknown key, did you mean %s?", nearest))
	}
	return field.Forbidden(path, "unknown key, the known ones are "+joinKeys())
}

// nearestKey is the known key that key resembles, or "" if there is none: written in another case or with
// separators, without its first part, or with a few wrong letters.
func nearestKey(key string) string {
	word := fold(key)
	nearest, distance := "", len(word)/3+1
	for _, known := range keys {
		target := fold(known.Name)
		if len(word) > 2 && strings.HasSuffix(target, word) {
			return known.Name
		}
		// To make words of different lengths equal takes at least their difference.
		if len(word)-len(target) >= distance {
			continue
		}
		if d := editDistance(word, target); d < distance {
			nearest, distance = known.Name, d
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
