// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"context"
	"errors"
	"testing"

	"github.com/go-logr/logr"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// What is refused for good is not tried for ever, and what only failed is tried again.
func TestWhichEventsAreTriedAgain(t *testing.T) {
	resource := schema.GroupResource{Group: "events.k8s.io", Resource: "events"}
	for name, test := range map[string]struct {
		answer error
		again  bool
	}{
		"created":             {nil, false},
		"there already":       {apierrors.NewAlreadyExists(resource, "one"), false},
		"a right is missing":  {apierrors.NewForbidden(resource, "one", nil), false},
		"not valid":           {apierrors.NewInvalid(schema.GroupKind{Kind: "Event"}, "one", nil), false},
		"no such namespace":   {apierrors.NewNotFound(resource, "garden-shop"), false},
		"too many requests":   {apierrors.NewTooManyRequestsError("later"), true},
		"the garden is down":  {apierrors.NewServiceUnavailable("down"), true},
		"the token is old":    {apierrors.NewUnauthorized("old"), true},
		"there is no network": {errors.New("connection refused"), true},
	} {
		t.Run(name, func(t *testing.T) {
			garden := fake.NewClientBuilder().WithInterceptorFuncs(interceptor.Funcs{
				Create: func(context.Context, client.WithWatch, client.Object, ...client.CreateOption) error {
					return test.answer
				},
			}).Build()
			reporter := &Reporter{log: logr.Discard()}
			err := reporter.create(t.Context(), garden, Event{Type: "Normal", Reason: "R", Note: "n"}, reference("1"))
			if test.again {
				NewWithT(t).Expect(err).To(MatchError(test.answer))
			} else {
				NewWithT(t).Expect(err).NotTo(HaveOccurred())
			}
		})
	}
}
