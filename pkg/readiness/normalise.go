// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package readiness

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// maxWords is how many bytes of Flux's own words are repeated.
const maxWords = 480

var (
	// temporaryDirectory is where kustomize-controller unpacks the repository. What follows is the path in the repository.
	temporaryDirectory = regexp.MustCompile(`(/[^\s'":/]+)*/kustomization-[0-9]+/?`)
	// ephemeralAddress is the own end of a connection.
	ephemeralAddress = regexp.MustCompile(`\b(read|write|dial) (tcp|udp)[46]? \S+->`)
	// duration is how long something took.
	duration = regexp.MustCompile(` after [0-9][0-9.hmsµn]*s\b`)
	// passwords are in URLs. The user of an https URL often is a token.
	passwords    = regexp.MustCompile(`(?i)\b([a-z][a-z0-9+.-]*://)[^/\s@'"]*:[^/\s@'"]*@`)
	httpUsers    = regexp.MustCompile(`(?i)\b(https?://)[^/\s@'"]+@`)
	privateKey   = regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)`)
	blanks       = regexp.MustCompile(`\s+`)
	substitution = []struct {
		pattern *regexp.Regexp
		with    string
	}{
		{temporaryDirectory, ""}, {ephemeralAddress, "$1 $2 "}, {duration, ""}, {blanks, " "},
	}
)

// redact takes what could be a secret out of a sentence.
func redact(sentence string) string {
	sentence = privateKey.ReplaceAllString(sentence, "***")
	return httpUsers.ReplaceAllString(passwords.ReplaceAllString(sentence, "$1***@"), "$1***@")
}

// Normalise makes one line of an error without what differs from try to try.
func Normalise(message string) string {
	message = redact(message)
	for _, s := range substitution {
		message = s.pattern.ReplaceAllString(message, s.with)
	}
	return Shorten(strings.TrimSpace(message), maxWords)
}

// Shorten cuts a sentence that has more than the given number of bytes, and shows that it did.
func Shorten(sentence string, limit int) string {
	const cut = "…"
	if len(sentence) <= limit {
		return sentence
	}
	end := limit - len(cut)
	for end > 0 && !utf8.RuneStart(sentence[end]) {
		end--
	}
	return sentence[:end] + cut
}
