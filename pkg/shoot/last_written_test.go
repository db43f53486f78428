// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package shoot

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestLastWritten(t *testing.T) {
	at := func(minute int) metav1.Time { return metav1.Date(2026, 1, 2, 3, minute, 0, 0, time.UTC) }
	object := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: at(1)}}
	g := NewWithT(t)
	g.Expect(LastWritten(object)).To(Equal(at(1).Time))
	object.ManagedFields = []metav1.ManagedFieldsEntry{{}, {Time: new(at(5)), Subresource: "status"}, {Time: new(at(3))}, {Time: new(at(2))}}
	g.Expect(LastWritten(object)).To(Equal(at(3).Time))
}
