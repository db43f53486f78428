// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package readiness

import (
	"strings"
	"unicode/utf8"
)

const (
	// MaxMessage is how many bytes a message has at most, wherever it is repeated: conditions, ConfigMap flux-status and events
	// say the same. It is the API's limit for the note of an event.
	MaxMessage = 1024
	// maxWords is how many bytes of Flux's own words are repeated, and minWords how many are worth it.
	maxWords, minWords = 480, 40

	// maxRead and maxWord are how many bytes are looked at of a message, and of a name or an address, that somebody else wrote.
	// 32 KiB is the limit of messages in Flux's conditions (github.com/fluxcd/pkg/runtime/conditions/setter.go).
	maxRead, maxWord = 32 << 10, 4 << 10

	// How many bytes are repeated of what a shoot's admin can write.
	maxURL       = 300
	maxPath      = 200
	maxReference = 200
	maxRevision  = 340 // the longest name of a branch, and a SHA-256 commit
	maxReason    = 64

	cut = "…"
)

// Shorten takes the middle out of a sentence that has more than the given number of bytes, and shows that it did: errors begin
// with what failed, and end with why.
func Shorten(sentence string, limit int) string {
	if len(sentence) <= limit {
		return sentence
	}
	keep := limit - len(cut)
	if keep < 0 {
		return ""
	}
	head, tail := keep-keep/2, len(sentence)-keep/2
	for head > 0 && !utf8.RuneStart(sentence[head]) {
		head--
	}
	for tail < len(sentence) && !utf8.RuneStart(sentence[tail]) {
		tail++
	}
	return sentence[:head] + cut + sentence[tail:]
}

// bound returns the beginning of a text, up to a blank, so that nothing is cut by which a secret is recognised.
func bound(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	text = text[:limit]
	if blank := strings.LastIndexAny(text, " \t\r\n"); blank > 0 {
		text = text[:blank]
	}
	return strings.ToValidUTF8(text, "")
}

// withWords puts what people need first, and whole, and then as much of Flux's words as there is room for.
func withWords(advice, says, words string) string {
	if room := min(MaxMessage-len(advice)-len(says), maxWords); words != "" && room >= minWords {
		return advice + says + Shorten(words, room)
	}
	return Shorten(advice, MaxMessage)
}
