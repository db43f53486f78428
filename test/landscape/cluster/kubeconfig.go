// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// tokenLifetime of ServiceAccount kubeconfigs: longer than tests and demonstrations take.
const tokenLifetime = 24 * time.Hour

// ClientCertKubeconfig is a kubeconfig for any user and groups, with a client certificate that the cluster accepts for the lifetime.
func (c *Cluster) ClientCertKubeconfig(user string, groups []string, lifetime time.Duration) ([]byte, error) {
	return c.clientCertKubeconfig(c.AdminConfig.Host, user, groups, lifetime)
}

func (c *Cluster) clientCertKubeconfig(server, user string, groups []string, lifetime time.Duration) ([]byte, error) {
	certificate, key, err := c.pki.ca.IssueClient(user, groups, lifetime)
	if err != nil {
		return nil, fmt.Errorf("failed to issue a certificate of cluster %s for user %s: %w", c.Name, user, err)
	}
	return c.kubeconfig(server, &clientcmdapi.AuthInfo{ClientCertificateData: certificate, ClientKeyData: key})
}

// ServiceAccountKubeconfig is a kubeconfig with a token of the ServiceAccount, valid for a day. The ServiceAccount must exist.
func (c *Cluster) ServiceAccountKubeconfig(ctx context.Context, namespace, name string) ([]byte, error) {
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	seconds := int64(tokenLifetime.Seconds())
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}
	if err := c.admin.SubResource("token").Create(ctx, account, request); err != nil {
		return nil, fmt.Errorf("failed to request a token of ServiceAccount %s/%s of cluster %s: %w", namespace, name, c.Name, err)
	}
	return c.kubeconfig(c.AdminConfig.Host, &clientcmdapi.AuthInfo{Token: request.Status.Token})
}

// kubeconfig is a kubeconfig with one context, that bears the name of the cluster.
func (c *Cluster) kubeconfig(server string, access *clientcmdapi.AuthInfo) ([]byte, error) {
	config := clientcmdapi.NewConfig()
	config.Clusters[c.Name] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: c.CA}
	config.AuthInfos[c.Name] = access
	config.Contexts[c.Name] = &clientcmdapi.Context{Cluster: c.Name, AuthInfo: c.Name}
	config.CurrentContext = c.Name
	kubeconfig, err := clientcmd.Write(*config)
	if err != nil {
		return nil, fmt.Errorf("failed to encode a kubeconfig of cluster %s: %w", c.Name, err)
	}
	return kubeconfig, nil
}
