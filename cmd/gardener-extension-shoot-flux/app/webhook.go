// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/manager"

	extensionswebhook "github.com/gardener/gardener/extensions/pkg/webhook"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/controller/lifecycle"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/webhook/controlplane"
)

func (o *options) newWebhook(mgr manager.Manager) (*extensionswebhook.Webhook, error) {
	return controlplane.New(mgr, lifecycle.Type, o.general.Completed().GardenerVersion, o.configured)
}

func addWebhook(ctx context.Context, mgr manager.Manager, options *options, actuator *lifecycle.Actuator) error {
	if !options.servesWebhook() {
		mgr.GetLogger().Info("The webhook is not served, because neither --webhook-config-namespace nor --webhook-config-mode=url is set: " +
			"the gardener-resource-manager of shoots does not learn about the namespace of Flux from this process")
		return nil
	}
	options.configured = actuator.Configured
	if _, err := options.webhook.Completed().AddToManager(ctx, mgr, nil); err != nil {
		return fmt.Errorf("failed to add the webhook: %w", err)
	}
	if err := mgr.AddReadyzCheck("webhook-server", mgr.GetWebhookServer().StartedChecker()); err != nil {
		return fmt.Errorf("failed to add the readiness check of the webhook: %w", err)
	}
	return nil
}

// servesWebhook tells whether the seed could reach the webhook: as a service of the given namespace, or under a URL.
// On a developer's machine it is neither, unless the developer asks for it.
func (o *options) servesWebhook() bool {
	return o.webhook.Server.Namespace != "" || o.webhook.Server.Mode == extensionswebhook.ModeURL
}
