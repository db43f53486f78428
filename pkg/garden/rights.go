// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package garden

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// RightsManifest is what the operator applies to the garden to let the extension work for all projects.
	RightsManifest = "garden/rights.yaml"
	// ProjectRightsManifest is what the operator, or a project's admin, applies to let it work for one project.
	ProjectRightsManifest = "garden/per-project/rights.yaml"
)

// explain adds to an error of the garden what the operator can do about it. The garden's own words name the identity and
// the missing right.
func (a *Access) explain(err error) error {
	switch {
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return err // no right would help
	case apierrors.IsForbidden(err):
		return fmt.Errorf("%w; %s", err, a.advice)
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("the garden does not accept the credentials of %s, which gardenlet renews before they expire: is gardenlet running in the seed? %w", a.origin, err)
	}
	return err
}

// explainingClient explains the errors of the requests that the extension makes.
type explainingClient struct {
	client.Client
	explain func(error) error
}

// Get implements client.Reader.
func (c *explainingClient) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	return c.explain(c.Client.Get(ctx, key, object, options...))
}

// List implements client.Reader.
func (c *explainingClient) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	return c.explain(c.Client.List(ctx, list, options...))
}

// Apply implements client.Writer.
func (c *explainingClient) Apply(ctx context.Context, object runtime.ApplyConfiguration, options ...client.ApplyOption) error {
	return c.explain(c.Client.Apply(ctx, object, options...))
}

// Patch implements client.Writer.
func (c *explainingClient) Patch(ctx context.Context, object client.Object, patch client.Patch, options ...client.PatchOption) error {
	return c.explain(c.Client.Patch(ctx, object, patch, options...))
}

// Create implements client.Writer.
func (c *explainingClient) Create(ctx context.Context, object client.Object, options ...client.CreateOption) error {
	return c.explain(c.Client.Create(ctx, object, options...))
}
