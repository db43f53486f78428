// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package failure has errors that are a sentence for people and have a kind for programs, and the kinds of what sources of
// releases answer.
package failure

import "errors"

// The kinds of what a source of releases answers, to be told apart with errors.Is. Any other error means that the source
// can't be asked.
var (
	// ErrNotFound means that the source does not have what it was asked for.
	ErrNotFound = errors.New("the source does not have it")
	// ErrRefused means that the answer is complete, but not acceptable.
	ErrRefused = errors.New("the answer is not acceptable")
	// ErrLocal means that this machine is the reason, such as a directory that can't be written.
	ErrLocal = errors.New("this machine is the reason")
	// ErrTransient means that it can pass by itself within seconds.
	ErrTransient = errors.New("the failure can pass by itself")
)

// failure is an error whose text is a whole sentence, and whose kind and causes errors.Is and errors.As find.
type failure struct {
	kind     error
	sentence string
	causes   []error
}

func (f *failure) Error() string {
	return f.sentence
}

func (f *failure) Unwrap() []error {
	return append([]error{f.kind}, f.causes...)
}

// New returns an error with a sentence of its own, and a kind and causes that are not in its text.
func New(kind error, sentence string, causes ...error) error {
	return &failure{kind: kind, sentence: sentence, causes: causes}
}

// Mark gives an error a kind, and leaves its text as it is.
func Mark(kind, err error) error {
	return New(kind, err.Error(), err)
}
