// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package release

import "errors"

// The kinds of failure of Catalogue.Get, to be told apart with errors.Is. The error itself is a sentence for the user.
var (
	// ErrInvalidVersion means that the requested version is neither a release's tag, such as v2.9.4, nor Latest.
	ErrInvalidVersion = errors.New("invalid Flux version")
	// ErrVersionNotFound means that the release server answered and does not have the requested version. The user
	// must choose another one.
	ErrVersionNotFound = errors.New("Flux version not found")
	// ErrServerUnreachable means that the release server gave no complete answer, or refused to give one. It can pass
	// by itself, or needs the operator.
	ErrServerUnreachable = errors.New("Flux release server unreachable")
	// ErrReleaseRefused means that what the release server gave is not used: it has no or another checksum, is too
	// big, or does not hold what a Flux release holds.
	ErrReleaseRefused = errors.New("Flux release refused")
)

// failure is an error whose text is a whole sentence, and whose kind and cause errors.Is and errors.As find.
type failure struct {
	kind     error
	cause    error
	sentence string
}

func (f *failure) Error() string {
	return f.sentence
}

func (f *failure) Unwrap() []error {
	if f.cause == nil {
		return []error{f.kind}
	}
	return []error{f.kind, f.cause}
}
