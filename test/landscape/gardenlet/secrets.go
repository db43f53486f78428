// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package gardenlet

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/tools/clientcmd"

	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
	"github.com/gardener/gardener/pkg/component/gardener/resourcemanager"
	"github.com/gardener/gardener/pkg/controllerutils"
	"github.com/gardener/gardener/pkg/utils/gardener/tokenrequest"
	secretsutils "github.com/gardener/gardener/pkg/utils/secrets"
	secretsmanager "github.com/gardener/gardener/pkg/utils/secrets/manager"
)

const (
	// bootstrapUser is the user as which gardener-resource-manager starts in a new shoot, before it has a ServiceAccount there.
	bootstrapUser       = "gardener.cloud:system:gardener-resource-manager"
	bootstrapSecretName = resourcemanager.SecretNameShootAccess + "-bootstrap"
	bootstrapLifetime   = 30 * 24 * time.Hour
)

// initializeSecrets fills the shoot's namespace with the secrets that the components need.
func (o *operation) initializeSecrets(ctx context.Context) error {
	if o.Shoot.IsRestorePhase() {
		if err := o.restoreSecrets(ctx); err != nil {
			return err
		}
	}
	if err := o.adoptClusterCredentials(ctx); err != nil {
		return err
	}
	var err error
	if o.SecretsManager, err = o.newSecretsManager(ctx); err != nil {
		return err
	}
	for _, name := range []string{v1beta1constants.SecretNameCACluster, v1beta1constants.SecretNameCAClient} {
		config := &secretsutils.CertificateSecretConfig{Name: name, CommonName: name, CertType: secretsutils.CACert}
		options := []secretsmanager.GenerateOption{secretsmanager.Persist(), secretsmanager.Rotate(secretsmanager.KeepOld)}
		if name == v1beta1constants.SecretNameCACluster {
			options = append(options, secretsmanager.IgnoreConfigChecksumForCASecretName())
		}
		if _, err := o.SecretsManager.Generate(ctx, config, options...); err != nil {
			return fmt.Errorf("failed to generate the CA %s: %w", name, err)
		}
	}
	if err := o.deployGenericKubeconfig(ctx); err != nil {
		return err
	}
	return o.initializeComponents()
}

// deployGenericKubeconfig creates the kubeconfig that components of the control plane combine with their token, and names it in the Cluster.
func (o *operation) deployGenericKubeconfig(ctx context.Context) error {
	secret, err := tokenrequest.GenerateGenericTokenKubeconfig(ctx, o.SecretsManager, o.Shoot.ControlPlaneNamespace, o.cluster.AdminConfig.Host)
	if err != nil {
		return fmt.Errorf("failed to generate the generic kubeconfig: %w", err)
	}
	cluster := &extensionsv1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: o.Shoot.ControlPlaneNamespace}}
	_, err = controllerutils.GetAndCreateOrMergePatch(ctx, o.SeedClientSet.Client(), cluster, func() error {
		metav1.SetMetaDataAnnotation(&cluster.ObjectMeta, v1beta1constants.AnnotationKeyGenericTokenKubeconfigSecretName, secret.Name)
		return nil
	})
	return err
}

// adoptClusterCredentials makes the secrets manager use what belongs to the API server that is already there: its CA as the bundle of the
// cluster's CA, and a kubeconfig that it trusts for bootstrapping.
func (o *operation) adoptClusterCredentials(ctx context.Context) error {
	bootstrap, err := o.bootstrapCredentials()
	if err != nil {
		return fmt.Errorf("failed to make a kubeconfig for the start of gardener-resource-manager: %w", err)
	}
	for name, data := range map[string]map[string][]byte{
		v1beta1constants.SecretNameCACluster + "-bundle": {secretsutils.DataKeyCertificateBundle: o.cluster.CA},
		bootstrapSecretName: bootstrap,
	} {
		secret := &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{
				Name:      "landscape-" + strings.ToLower(name),
				Namespace: o.Shoot.ControlPlaneNamespace,
				Labels:    map[string]string{secretsmanager.LabelKeyUseDataForName: name},
			},
			Data: data,
		}
		if err := ensure(ctx, o.SeedClientSet.Client(), secret); err != nil {
			return err
		}
	}
	return nil
}

// bootstrapCredentials are what the secrets manager would generate if it had the CA's key.
func (o *operation) bootstrapCredentials() (map[string][]byte, error) {
	kubeconfig, err := o.cluster.ClientCertKubeconfig(bootstrapUser, []string{user.SystemPrivilegedGroup}, bootstrapLifetime)
	if err != nil {
		return nil, err
	}
	config, err := clientcmd.RESTConfigFromKubeConfig(kubeconfig)
	if err != nil {
		return nil, err
	}
	return map[string][]byte{
		secretsutils.DataKeyKubeconfig:                                            kubeconfig,
		secretsutils.ControlPlaneSecretDataKeyCertificatePEM(bootstrapSecretName): config.CertData,
		secretsutils.ControlPlaneSecretDataKeyPrivateKey(bootstrapSecretName):     config.KeyData,
	}, nil
}
