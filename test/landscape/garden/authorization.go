// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package garden

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiserverv1beta1 "k8s.io/apiserver/pkg/apis/apiserver/v1beta1"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/yaml"

	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
	gardenerutils "github.com/gardener/gardener/pkg/utils/gardener"
)

// webhookTimeout is how long a webhook may take: as long as Kubernetes allows, because the machine may be busy.
const webhookTimeout = 30 * time.Second

// The requests that each authorizer decides, as gardener-operator configures it (pkg/operator/controller/garden/garden/components.go of
// Gardener): those of gardenlets, and of extensions' ServiceAccounts in the namespaces of seeds, or of shoots that host themselves.
var matchConditions = map[string]string{
	"seed": fmt.Sprintf("'%s' in request.groups || request.groups.exists(e, e.startsWith('%s%s'))",
		v1beta1constants.SeedsGroup, serviceaccount.ServiceAccountGroupPrefix, gardenerutils.SeedNamespaceNamePrefix),
	"shoot": fmt.Sprintf("'%s' in request.groups || (request.groups.exists(e, e == '%s%s' || e.startsWith('%s%s')) && request.user.contains(':%s'))",
		v1beta1constants.ShootsGroup,
		serviceaccount.ServiceAccountGroupPrefix, v1beta1constants.GardenNamespace,
		serviceaccount.ServiceAccountGroupPrefix, gardenerutils.ProjectNamespacePrefix,
		v1beta1constants.ExtensionShootServiceAccountPrefix),
}

// writeAuthorizationConfig writes the AuthorizationConfiguration of a garden's kube-apiserver: RBAC first, then Gardener's authorizers.
func (g *Garden) writeAuthorizationConfig() (string, error) {
	config := &apiserverv1beta1.AuthorizationConfiguration{
		TypeMeta: metav1.TypeMeta{APIVersion: apiserverv1beta1.ConfigSchemeGroupVersion.String(), Kind: "AuthorizationConfiguration"},
		Authorizers: []apiserverv1beta1.AuthorizerConfiguration{
			{Type: "Node", Name: "node"},
			{Type: "RBAC", Name: "rbac"},
		},
	}
	for _, name := range []string{"seed", "shoot"} {
		kubeconfig, err := g.writeWebhookKubeconfig(name)
		if err != nil {
			return "", err
		}
		config.Authorizers = append(config.Authorizers, apiserverv1beta1.AuthorizerConfiguration{
			Type: string(apiserverv1beta1.TypeWebhook),
			Name: name + "-authorizer",
			Webhook: &apiserverv1beta1.WebhookConfiguration{
				AuthorizedTTL:                            metav1.Duration{Duration: time.Nanosecond}, // 0 would mean the default
				UnauthorizedTTL:                          metav1.Duration{Duration: time.Nanosecond},
				Timeout:                                  metav1.Duration{Duration: webhookTimeout},
				FailurePolicy:                            apiserverv1beta1.FailurePolicyDeny,
				SubjectAccessReviewVersion:               "v1",
				MatchConditionSubjectAccessReviewVersion: "v1",
				MatchConditions:                          []apiserverv1beta1.WebhookMatchCondition{{Expression: matchConditions[name]}},
				ConnectionInfo: apiserverv1beta1.WebhookConnectionInfo{
					Type:           apiserverv1beta1.AuthorizationWebhookConnectionInfoTypeKubeConfigFile,
					KubeConfigFile: &kubeconfig,
				},
			},
		})
	}
	content, err := yaml.Marshal(config)
	if err != nil {
		return "", fmt.Errorf("failed to encode the authorization configuration of the garden: %w", err)
	}
	return g.writeFile("authorization", "config.yaml", content)
}

// writeWebhookKubeconfig says where the authorizer is.
func (g *Garden) writeWebhookKubeconfig(authorizer string) (string, error) {
	name := authorizer + "-authorization-webhook"
	config := clientcmdapi.NewConfig()
	config.Clusters[name] = &clientcmdapi.Cluster{
		Server:                   "https://" + g.admissionEndpoint.address() + "/webhooks/auth/" + authorizer,
		CertificateAuthorityData: g.authorityPEM,
	}
	config.AuthInfos[name] = &clientcmdapi.AuthInfo{}
	config.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	config.CurrentContext = name
	kubeconfig, err := clientcmd.Write(*config)
	if err != nil {
		return "", fmt.Errorf("failed to encode the kubeconfig of %s: %w", name, err)
	}
	return g.writeFile("authorization", name+".yaml", kubeconfig)
}
