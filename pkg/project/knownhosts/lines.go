// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package knownhosts

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh/knownhosts"
)

const (
	// MaxLength is how many bytes of known_hosts data are read. It is room for more than a hundred keys.
	MaxLength = 64 << 10
	// maxLines is how many lines of known_hosts data are read.
	maxLines = 1000
)

// LineError is a line that can't be used.
type LineError struct {
	// Number counts from 1.
	Number int
	// Err says what is wrong.
	Err error
}

// Error names the line by its number, because its content may be long.
func (e LineError) Error() string { return fmt.Sprintf("line %d: %v", e.Number, e.Err) }

// Unwrap gives the reason.
func (e LineError) Unwrap() error { return e.Err }

// Lines are the entries of known_hosts data, without comments and empty lines.
type Lines []Line

// Parse reads known_hosts data and gives all lines that can be used, and an error for each other one. Of more than MaxLength bytes or
// 1000 lines, it reads none, and gives one error.
func Parse(data string) (Lines, []LineError) {
	if tooLong := checkSize(data); tooLong != nil {
		return nil, []LineError{*tooLong}
	}
	var lines Lines
	var errs []LineError
	for i, text := range strings.Split(data, "\n") {
		text = strings.TrimSpace(text)
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		line, err := ParseLine(text)
		if err != nil {
			errs = append(errs, LineError{Number: i + 1, Err: err})
			continue
		}
		line.number = i + 1
		lines = append(lines, line)
	}
	return lines, errs
}

// IsReadable tells whether data is not too much for Parse.
func IsReadable(data string) bool { return checkSize(data) == nil }

func checkSize(data string) *LineError {
	switch {
	case len(data) > MaxLength:
		return &LineError{Number: strings.Count(data[:MaxLength], "\n") + 1, Err: fmt.Errorf(
			"more than %d bytes are not read: keep the lines of the Git server", MaxLength)}
	case strings.Count(data, "\n") > maxLines:
		return &LineError{Number: maxLines + 1, Err: fmt.Errorf("more than %d lines are not read: keep those of the Git server", maxLines)}
	}
	return nil
}

// String is the data as it is written into a file: one line per entry. It is empty if there is none.
func (l Lines) String() string {
	var text strings.Builder
	for _, line := range l {
		text.WriteString(line.text)
		text.WriteByte('\n')
	}
	return text.String()
}

// For gives the lines that fit the host at hostPort ("name:port").
//
// A line whose key is revoked by another line doesn't fit.
func (l Lines) For(hostPort string) Lines {
	revoked := map[string]bool{}
	for _, line := range l.Revoked() {
		revoked[string(line.key.Marshal())] = true
	}
	return l.filter(func(line Line) bool { return line.fits(hostPort) && !revoked[string(line.key.Marshal())] })
}

// Unused gives an error for each line that fits the host at hostPort ("name:port") and that Flux never uses all the same: of the
// lines for a host, it takes the first one for each type of key (checkAddr in github.com/fluxcd/pkg/ssh/knownhosts).
func (l Lines) Unused(hostPort string) []LineError {
	var errs []LineError
	first := map[string]Line{}
	for _, line := range l.For(hostPort) {
		used, found := first[line.KeyType()]
		switch {
		case !found:
			first[line.KeyType()] = line
		case !bytes.Equal(used.key.Marshal(), line.key.Marshal()):
			errs = append(errs, LineError{Number: line.number, Err: fmt.Errorf(
				"it is never used, because line %d has another key of type %s for %s, and Flux takes the first: keep only the one that the server has",
				used.number, line.KeyType(), hostPort)})
		}
	}
	return errs
}

// Revoked gives the lines that revoke a key. They hold for every host.
func (l Lines) Revoked() Lines {
	return l.filter(func(line Line) bool { return line.revoked })
}

// Without gives the lines that other doesn't hold.
func (l Lines) Without(other Lines) Lines {
	return l.filter(func(line Line) bool {
		return !slices.ContainsFunc(other, func(o Line) bool { return o.text == line.text })
	})
}

func (l Lines) filter(keep func(Line) bool) Lines {
	var kept Lines
	for _, line := range l {
		if keep(line) {
			kept = append(kept, line)
		}
	}
	return kept
}

// address is how known_hosts knows "name:port": "name" for port 22, else "[name]:port".
func address(hostPort string) string { return knownhosts.Normalize(hostPort) }
