// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package render

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
)

// maxRetryDelay bounds source-controller's back-off, 15 minutes by default, after which alone a repository whose deploy
// key has just been registered would be tried again.
const maxRetryDelay = "--max-retry-delay=1m"

// boundRetryDelay makes source-controller try a failed source again at least every minute. The flag is newer than the first
// releases; all that serve v1 of GitRepository (Flux 2.0) have it.
func (i *Installation) boundRetryDelay() error {
	if i.followed[flux.GitRepository.Definition()].gvk.Version != "v1" {
		return nil
	}
	for _, object := range i.Objects {
		deployment, ok := object.(*unstructured.Unstructured)
		if ok && deployment.GetKind() == "Deployment" && deployment.GetName() == flux.SourceController {
			return addArgument(deployment, "manager", maxRetryDelay)
		}
	}
	return fmt.Errorf("the Flux manifests hold no Deployment source-controller: they are not those of a Flux release")
}

func addArgument(deployment *unstructured.Unstructured, container, argument string) error {
	containers, _, err := unstructured.NestedSlice(deployment.Object, "spec", "template", "spec", "containers")
	if err != nil {
		return fmt.Errorf("failed to read the containers of Deployment %s of the Flux manifests: %w", deployment.GetName(), err)
	}
	for _, candidate := range containers {
		content, ok := candidate.(map[string]any)
		if !ok || content["name"] != container {
			continue
		}
		args, _, err := unstructured.NestedStringSlice(content, "args")
		if err != nil {
			return fmt.Errorf("failed to read the arguments of Deployment %s of the Flux manifests: %w", deployment.GetName(), err)
		}
		if err := unstructured.SetNestedStringSlice(content, append(args, argument), "args"); err != nil {
			return err
		}
		return unstructured.SetNestedSlice(deployment.Object, containers, "spec", "template", "spec", "containers")
	}
	return fmt.Errorf("the Deployment %s of the Flux manifests has no container %s", deployment.GetName(), container)
}
