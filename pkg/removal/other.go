// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package removal

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/shoot"
)

// maxDeployments bounds how many Deployments are looked through.
const maxDeployments = 1000

// OtherController returns the metadata of a Deployment by which another Flux than that in the namespace runs in the shoot, or nil.
// Its controllers work on the objects of all namespaces too, because that is what `flux install` makes them do wherever it is told to
// install them. All ways to install Flux give them the label. In a namespace that is named they are found by their names alone.
func (r Removal) OtherController(ctx context.Context, namespace string) (*metav1.PartialObjectMetadata, error) {
	var (
		found   *metav1.PartialObjectMetadata
		seen    = 0
		options = []client.ListOption{client.MatchingLabels{flux.LabelPartOf: flux.PartOf}}
	)
	if namespace != "" {
		options = []client.ListOption{client.InNamespace(namespace)}
	}
	err := shoot.List(ctx, r.Shoot, deploymentKind, func(deployment *metav1.PartialObjectMetadata) (bool, error) {
		seen++
		if deployment.Namespace != r.Namespace && flux.IsController(deployment.Name, deployment.Labels) {
			found = deployment.DeepCopy()
		}
		return found == nil && seen < maxDeployments, nil
	}, options...)
	return found, err
}

// OtherFluxError is the error of a removal in a shoot that has another Flux, which would answer the deletion of its objects by deleting what
// it has deployed.
type OtherFluxError struct {
	namespace, deployment string
}

// Error says what to do.
func (e *OtherFluxError) Error() string {
	return fmt.Sprintf("another Flux runs in namespace %[1]s of the shoot (%[2]s). It would delete what it has deployed when Flux's CustomResourceDefinitions go, so nothing is removed. "+
		"To let the removal go on, stop it, and what it has deployed stays: kubectl -n %[1]s delete deployments -l %[3]s=flux. Its objects go with the CustomResourceDefinitions: keep a copy "+
		"of what is to be used again", e.namespace, e.deployment, flux.LabelPartOf)
}

// CheckOnlyFlux returns an *OtherFluxError if another Flux runs in the shoot. It comes before DropFinalizers and DeleteInstallation.
func (r Removal) CheckOnlyFlux(ctx context.Context) error {
	other, err := r.OtherController(ctx, "")
	if err != nil || other == nil {
		return err
	}
	return &OtherFluxError{namespace: other.Namespace, deployment: describe(other)}
}
