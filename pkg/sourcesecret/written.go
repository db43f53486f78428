// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package sourcesecret

import (
	"context"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
)

const schemeSSH, schemeHTTPS = "ssh://", "https://"

// read takes the credentials for a URL from the Secret that the project's admin has written. Nothing is written or asked for.
func read(ctx context.Context, garden client.Client, namespace, url string, origins project.Origins) (*Credentials, error) {
	secret, err := get(ctx, garden, namespace)
	if err != nil {
		return nil, err
	}
	if secret.DeletionTimestamp != nil {
		return nil, errors.New("it is being deleted: make it again once it is gone")
	}
	credentials, err := readFor(secret, url, origins)
	if errors.Is(err, errNothing) {
		return nil, explainMissing(secret, namespace, url)
	} else if err != nil {
		return nil, err
	}
	credentials.Version, credentials.salt = VersionOf(secret.UID, secret.ResourceVersion), string(secret.UID)
	return credentials, nil
}

// readFor looks for what the scheme of a URL can use.
func readFor(secret *corev1.Secret, url string, origins project.Origins) (*Credentials, error) {
	switch {
	case strings.HasPrefix(url, schemeHTTPS):
		return readGit(secret)
	case strings.HasPrefix(url, sourcev1.OCIRepositoryPrefix):
		return readRegistry(secret, url)
	}
	return nil, fmt.Errorf("its credentials would be sent in the clear: write %s in place of http:// in %s", schemeHTTPS, origins.Of(project.FieldURL))
}

// explainMissing says how to make the Secret, or what to add to it.
func explainMissing(secret *corev1.Secret, namespace, url string) error {
	keys := strings.Join([]string{KeyUsername + " and " + KeyPassword, KeyBearerToken, "those of a GitHub App", KeyCACert, KeyTLSCert + " and " + KeyTLSKey}, "; ")
	command := fmt.Sprintf("kubectl -n %s create secret generic %s --from-literal=%s=NAME --from-literal=%s=TOKEN", namespace, SecretName, KeyUsername, KeyPassword)
	if strings.HasPrefix(url, sourcev1.OCIRepositoryPrefix) {
		keys = strings.Join([]string{KeyDockerConfig, KeyUsername + " and " + KeyPassword, KeyCACert, KeyTLSCert + " and " + KeyTLSKey}, "; ")
		command = fmt.Sprintf("kubectl -n %s create secret docker-registry %s --docker-server=%s --docker-username=NAME --docker-password=TOKEN", namespace, SecretName, registryOf(url))
	}
	if secret.Name == "" {
		return fmt.Errorf("it does not exist, and a private repository is read with it: make it, for example by %q (keys that can be used: %s)", command, keys)
	}
	if hint := hintAt(secret.Data); hint != "" {
		return fmt.Errorf("it has none of the keys that can be used here (%s): %s", keys, hint)
	}
	return fmt.Errorf("it has none of the keys that can be used here (%s): add what the repository needs", keys)
}
