// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package sourcesecret

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	kubernetesauth "github.com/google/go-containerregistry/pkg/authn/kubernetes"
	"github.com/google/go-containerregistry/pkg/name"
	corev1 "k8s.io/api/core/v1"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
)

// readRegistry takes the credentials for an OCI repository from a Secret. Flux reads the registry's user from a Secret of type
// kubernetes.io/dockerconfigjson only, and certificates from one that is of another type.
func readRegistry(secret *corev1.Secret, url string) (*Credentials, error) {
	data, err := choose(secret.Data, registryKeys)
	if err != nil {
		return nil, err
	}
	repository, err := parseRepository(url)
	if err != nil {
		return nil, errors.New(`repositoryUrl is not the address of an OCI repository: write it as "oci://registry.example.com/path/of/repository"`)
	}
	credentials := &Credentials{Kind: KindCertificates}
	switch {
	case data.has(KeyDockerConfig):
		err = checkDockerConfig(data[KeyDockerConfig], repository)
	case data.hasAny(basicAuthKeys...):
		if err = data.checkBasicAuth(); err == nil {
			data[KeyDockerConfig], err = newDockerConfig(data, repository)
		}
	case !data.hasAny(certificateKeys...):
		err = errNothing
	}
	if err != nil {
		return nil, err
	}
	if data.has(KeyDockerConfig) {
		credentials.Kind = KindRegistry
		credentials.SecretRef = &ShootSecret{Name: registrySecretName, Type: corev1.SecretTypeDockerConfigJson, Data: data.only(KeyDockerConfig)}
	}
	if certificates := data.only(certificateKeys...); len(certificates) > 0 {
		credentials.CertSecretRef = &ShootSecret{Name: SecretName, Type: corev1.SecretTypeOpaque, Data: certificates}
	}
	return credentials, data.checkCertificates()
}

// parseRepository reads an address as Flux does (parseRepository in ocirepository_controller.go of source-controller).
func parseRepository(url string) (name.Repository, error) {
	return name.NewRepository(strings.TrimPrefix(url, sourcev1.OCIRepositoryPrefix))
}

// registryOf gives the name under which credentials for a URL are looked for. That of Docker Hub is another one than in the URL.
func registryOf(url string) string {
	repository, err := parseRepository(url)
	if err != nil {
		return "REGISTRY"
	}
	return repository.RegistryStr()
}

// checkDockerConfig looks for the registry as Flux does. No error repeats what the key holds.
func checkDockerConfig(config []byte, repository name.Repository) error {
	secret := corev1.Secret{Type: corev1.SecretTypeDockerConfigJson, Data: map[string][]byte{KeyDockerConfig: config}}
	keychain, err := kubernetesauth.NewFromPullSecrets(context.Background(), []corev1.Secret{secret})
	if err != nil {
		return fmt.Errorf("key %s is not what docker login writes: make it with kubectl create secret docker-registry", KeyDockerConfig)
	}
	found, err := keychain.Resolve(repository)
	if err != nil || found == authn.Anonymous {
		return fmt.Errorf("key %s has nothing for %s: add it to its auths, by this name", KeyDockerConfig, repository.RegistryStr())
	}
	user, err := found.Authorization()
	if err == nil && (user.Username != "" && user.Password != "" || user.IdentityToken != "" || user.RegistryToken != "") {
		return nil
	}
	return fmt.Errorf("key %s has no username and password for %s: docker login has put them into a store of its own, so make it with kubectl create secret docker-registry",
		KeyDockerConfig, repository.RegistryStr())
}

// newDockerConfig writes what kubectl create secret docker-registry writes.
func newDockerConfig(data Data, repository name.Repository) ([]byte, error) {
	type auths map[string]authn.AuthConfig
	user := authn.AuthConfig{Username: string(data[KeyUsername]), Password: string(data[KeyPassword])}
	config, err := json.Marshal(map[string]auths{"auths": {repository.RegistryStr(): user}})
	if err != nil {
		return nil, fmt.Errorf("could not encode the credentials for %s: %w", repository.RegistryStr(), err)
	}
	return config, nil
}
