// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package garden

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
	securityv1alpha1 "github.com/gardener/gardener/pkg/apis/security/v1alpha1"
)

const (
	// CredentialsBindingName is the CredentialsBinding for the Shoots of each project.
	CredentialsBindingName = "local"

	projectTimeout  = 5 * time.Minute
	projectInterval = 200 * time.Millisecond
)

// CreateProject creates a Project, waits until gardener-controller-manager has made its namespace garden-<name> and its roles, and creates
// the credentials that Shoots of the project use. It returns the namespace and may be called again.
func (g *Garden) CreateProject(ctx context.Context, name string, members ...gardencorev1beta1.ProjectMember) (string, error) {
	namespace := "garden-" + name
	project := &gardencorev1beta1.Project{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       gardencorev1beta1.ProjectSpec{Namespace: &namespace, Members: members},
	}
	if err := g.ensure(ctx, project); err != nil {
		return "", err
	}
	if err := g.waitForProject(ctx, project); err != nil {
		return "", err
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: CredentialsBindingName}}
	binding := &securityv1alpha1.CredentialsBinding{
		ObjectMeta:     metav1.ObjectMeta{Namespace: namespace, Name: CredentialsBindingName},
		Provider:       securityv1alpha1.CredentialsBindingProvider{Type: ProviderType},
		CredentialsRef: corev1.ObjectReference{APIVersion: "v1", Kind: "Secret", Namespace: namespace, Name: secret.Name},
	}
	return namespace, errors.Join(g.ensure(ctx, secret), g.ensure(ctx, binding))
}

func (g *Garden) waitForProject(ctx context.Context, project *gardencorev1beta1.Project) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, projectInterval, projectTimeout, true, func(ctx context.Context) (bool, error) {
		last = g.client.Get(ctx, client.ObjectKeyFromObject(project), project)
		return last == nil && project.Status.Phase == gardencorev1beta1.ProjectReady, nil
	})
	if err != nil {
		return fmt.Errorf("Project %s is not ready, its phase is %q: %w", project.Name, project.Status.Phase, errors.Join(err, last))
	}
	return nil
}

// DeleteShoot asks for the deletion of a Shoot as users have to: with a confirmation.
func (g *Garden) DeleteShoot(ctx context.Context, namespace, name string) error {
	shoot := &gardencorev1beta1.Shoot{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	confirm := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"annotations":{"`+v1beta1constants.ConfirmationDeletion+`":"true"}}}`))
	if err := g.client.Patch(ctx, shoot, confirm); err != nil {
		return fmt.Errorf("failed to confirm the deletion of Shoot %s/%s: %w", namespace, name, err)
	}
	if err := g.client.Delete(ctx, shoot); err != nil {
		return fmt.Errorf("failed to delete Shoot %s/%s: %w", namespace, name, err)
	}
	return nil
}
