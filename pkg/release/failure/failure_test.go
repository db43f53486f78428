// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package failure_test

import (
	"fmt"
	"io/fs"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/failure"
)

// The text is that of the sentence alone, also when the error is wrapped, and the kind and causes are found.
func TestFailure(t *testing.T) {
	g := NewWithT(t)
	cause := &fs.PathError{Op: "open", Path: "/tmp", Err: fs.ErrPermission}
	err := fmt.Errorf("v2.9.4: %w", failure.New(failure.ErrLocal, "it can't be rendered", cause))
	g.Expect(err).To(MatchError("v2.9.4: it can't be rendered"))
	g.Expect(err).To(And(MatchError(failure.ErrLocal), MatchError(fs.ErrPermission), Not(MatchError(failure.ErrRefused))))

	marked := failure.Mark(failure.ErrTransient, cause)
	g.Expect(marked).To(MatchError(cause.Error()))
	g.Expect(marked).To(And(MatchError(failure.ErrTransient), MatchError(fs.ErrPermission)))
}
