// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package readiness

import (
	"regexp"
	"strings"
	"unicode"
)

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
	substitution = []struct {
		pattern *regexp.Regexp
		with    string
	}{
		{temporaryDirectory, ""}, {ephemeralAddress, "$1 $2 "}, {duration, ""},
	}
)

// redact takes what could be a secret out of a sentence.
func redact(sentence string) string {
	sentence = privateKey.ReplaceAllString(sentence, "***")
	return httpUsers.ReplaceAllString(passwords.ReplaceAllString(sentence, "$1***@"), "$1***@")
}

// Normalise makes one line of an error without what differs from try to try, and without what could be a secret or is no text.
// It looks at the first 32 KiB only, which is as long as Flux's messages can be, and does not shorten them.
func Normalise(message string) string {
	message = redact(strings.Map(printable, bound(message, maxRead)))
	for _, s := range substitution {
		message = s.pattern.ReplaceAllString(message, s.with)
	}
	return strings.Join(strings.Fields(message), " ")
}

// word makes one short line of a name or an address that somebody wrote in a shoot.
func word(text string, limit int) string {
	return Shorten(redact(strings.TrimSpace(strings.Map(printable, bound(text, maxWord)))), limit)
}

// printable lets text and blanks pass, and nothing that steers a terminal or changes the direction of writing.
func printable(r rune) rune {
	switch {
	case unicode.IsSpace(r), unicode.IsControl(r):
		return ' '
	case unicode.Is(unicode.Cf, r), r == unicode.ReplacementChar:
		return -1
	}
	return r
}
