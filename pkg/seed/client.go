// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package seed

import (
	"context"
	"fmt"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// NewClient returns what makes the client of an extension that is installed in the namespace. MutatingWebhookConfigurations that the client creates
// are owned by the namespace, and go with it when the extension is uninstalled. If the namespace can't be read, Create returns an error.
//
// The library of Gardener registers a webhook in two places at the same time. The one that manages its certificates names no owner
// (extensions/pkg/webhook/certificates/reconciler.go, reconcileSourceWebhookConfig), the other adds it. Uninstalled in between, the extension would
// leave a registration that nobody deletes.
//
// The namespace is empty where the extension is not installed, as on a developer's machine. Then nothing gets an owner.
func NewClient(namespace string) client.NewClientFunc {
	return func(config *rest.Config, options client.Options) (client.Client, error) {
		cached, err := client.New(config, options)
		if err != nil || namespace == "" {
			return cached, err
		}
		options.Cache = nil
		uncached, err := client.New(config, options)
		if err != nil {
			return nil, err
		}
		return &owningClient{Client: cached, reader: uncached, namespace: namespace}, nil
	}
}

// owningClient sets the owner of MutatingWebhookConfigurations that it creates.
type owningClient struct {
	client.Client
	reader    client.Reader // asks the API server: a read from the cache waits without end if namespaces may no longer be listed
	namespace string
}

func (c *owningClient) Create(ctx context.Context, object client.Object, options ...client.CreateOption) error {
	configuration, ok := object.(*admissionregistrationv1.MutatingWebhookConfiguration)
	if ok && metav1.GetControllerOf(configuration) == nil {
		owner := &corev1.Namespace{}
		if err := c.reader.Get(ctx, client.ObjectKey{Name: c.namespace}, owner); err != nil {
			return fmt.Errorf("failed to read namespace %s, which must own MutatingWebhookConfiguration %s: %w", c.namespace, configuration.Name, err)
		}
		reference := metav1.NewControllerRef(owner, corev1.SchemeGroupVersion.WithKind("Namespace"))
		reference.BlockOwnerDeletion = new(false)
		configuration.OwnerReferences = append(configuration.OwnerReferences, *reference)
	}
	return c.Client.Create(ctx, object, options...)
}
