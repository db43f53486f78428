// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package release

import "errors"

// The kinds of failure of a Catalogue, to be told apart with errors.Is. The error itself is a sentence for the user.
var (
	// ErrInvalidVersion means that what was asked for is neither the version of a release, such as v2.9.4, nor, where
	// that is allowed, a range of versions or Latest.
	ErrInvalidVersion = errors.New("invalid Flux version")
	// ErrVersionNotFound means that every source answered and none has the version, or that no known release
	// satisfies the range. The user must choose another one.
	ErrVersionNotFound = errors.New("Flux version not found")
	// ErrServerUnreachable means that no source has the version and at least one gave no complete answer, or refused
	// to give one. It can pass by itself, or needs the operator.
	ErrServerUnreachable = errors.New("Flux release server unreachable")
	// ErrReleaseRefused means that what a source gave is not used: it has no or another checksum, is too big, or does
	// not hold what a Flux release holds.
	ErrReleaseRefused = errors.New("Flux release refused")
	// ErrPending means that the answer needs more time than the caller has patience. It is still being worked on, and
	// will be there for a later caller.
	ErrPending = errors.New("Flux release pending")
	// ErrDowngrade means that what was asked for is older than what is installed, and that this is not allowed.
	ErrDowngrade = errors.New("Flux downgrade not allowed")

	// errLocal means that this machine is the reason.
	errLocal = errors.New("Flux release not rendered")
)

// failure is an error whose text is a whole sentence, and whose kind and causes errors.Is and errors.As find.
type failure struct {
	kind     error
	causes   []error
	sentence string
}

func (f *failure) Error() string {
	return f.sentence
}

func (f *failure) Unwrap() []error {
	return append([]error{f.kind}, f.causes...)
}

// notFoundError marks the answer of a source that does not have what it was asked for.
type notFoundError struct{ error }

// localError marks a failure of this machine, such as a directory that can't be written.
type localError struct{ error }

// refusedError marks an answer of a source that is complete, but not acceptable.
type refusedError struct{ error }

func (n *notFoundError) Unwrap() error { return n.error }
func (l *localError) Unwrap() error    { return l.error }
func (r *refusedError) Unwrap() error  { return r.error }
