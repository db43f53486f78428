// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package render

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/distribution/reference"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// PullSecretName is the name of the Secret in the namespace of Flux with which the shoot's nodes pull Flux's images.
const PullSecretName = "flux-image-pull-secret"

// Images says where shoots get Flux's images from. The zero value leaves them as they were released.
type Images struct {
	// Registry is a registry with an optional path, such as registry.example.org/mirror/fluxcd. It replaces what comes
	// before the last segment of each image's name, as flux install --registry does. Empty: as released.
	Registry string
	// PullSecret is the content of a .dockerconfigjson that opens the registry, or nil. It is secret.
	PullSecret []byte
}

// Validate tells what is wrong with the registry or with the pull secret. The error does not hold the pull secret.
func (i Images) Validate() error {
	if i.Registry != "" {
		if err := validateRegistry(i.Registry); err != nil {
			return err
		}
	}
	if i.PullSecret != nil {
		return validatePullSecret(i.PullSecret)
	}
	return nil
}

func validateRegistry(registry string) error {
	if strings.Contains(registry, "@") {
		return errors.New("the image registry must not hold credentials: they belong in the pull secret")
	}
	// A name without a host would mean Docker Hub.
	if _, err := reference.ParseNamed(registry + "/source-controller"); err != nil {
		return fmt.Errorf("the image registry %q is not one: write its host and path, such as registry.example.org/mirror/fluxcd, without scheme, tag and trailing slash", registry)
	}
	return nil
}

// validatePullSecret asks for more than the API server does, which takes any JSON object. An error of the JSON decoder
// would quote what it stumbled over.
func validatePullSecret(content []byte) error {
	var config struct {
		Auths map[string]json.RawMessage `json:"auths"`
	}
	if err := json.Unmarshal(content, &config); err != nil || len(config.Auths) == 0 {
		return errors.New(`the pull secret is not the content of a .dockerconfigjson: write {"auths": {"registry.example.org": {"auth": …}}}, ` +
			"as kubectl create secret docker-registry does")
	}
	return nil
}

// Digest identifies the images among others, without telling the pull secret: 64 hexadecimal digits.
func (i Images) Digest() string {
	digest := sha256.New()
	digest.Write([]byte(i.Registry + "\x00"))
	digest.Write(i.PullSecret)
	return hex.EncodeToString(digest.Sum(nil))
}

// upstreamRegistry is where Flux's releases take their images from.
const upstreamRegistry = "ghcr.io/fluxcd"

// From returns the images for a shoot that wants them from a registry of its own. To want them from where Flux's releases take them is to want
// nothing: the landscape's registry counts.
func (i Images) From(registry string) Images {
	if registry != "" && registry != upstreamRegistry {
		i.Registry = registry
	}
	return i
}

// secret is what the pods' imagePullSecrets in a namespace refer to.
func (i Images) secret(namespace string) *corev1.Secret {
	return newSecret(namespace, PullSecretName, corev1.SecretTypeDockerConfigJson, map[string][]byte{corev1.DockerConfigJsonKey: i.PullSecret})
}

// podSpecs tells where a workload has the specification of its pods.
var podSpecs = map[schema.GroupKind][]string{
	{Group: appsv1.GroupName, Kind: "Deployment"}:  {"spec", "template", "spec"},
	{Group: appsv1.GroupName, Kind: "StatefulSet"}: {"spec", "template", "spec"},
	{Group: appsv1.GroupName, Kind: "DaemonSet"}:   {"spec", "template", "spec"},
	{Group: batchv1.GroupName, Kind: "Job"}:        {"spec", "template", "spec"},
	{Group: batchv1.GroupName, Kind: "CronJob"}:    {"spec", "jobTemplate", "spec", "template", "spec"},
}

// apply makes the pods of a workload take their images from the registry, with the pull secret. Other objects stay as they are.
func (i Images) apply(object *unstructured.Unstructured) error {
	fields, ok := podSpecs[object.GroupVersionKind().GroupKind()]
	if !ok {
		return nil
	}
	value, _, err := unstructured.NestedFieldNoCopy(object.Object, fields...)
	if err != nil {
		return err
	}
	spec, ok := value.(map[string]any)
	if !ok {
		return fmt.Errorf("%s is missing", strings.Join(fields, "."))
	}
	if i.Registry != "" {
		for _, field := range []string{"initContainers", "containers"} {
			if err := i.mirrorAll(spec, field); err != nil {
				return err
			}
		}
	}
	if i.PullSecret == nil {
		return nil
	}
	secrets, _, err := unstructured.NestedSlice(spec, "imagePullSecrets")
	if err != nil {
		return err
	}
	return unstructured.SetNestedSlice(spec, append(secrets, map[string]any{"name": PullSecretName}), "imagePullSecrets")
}

func (i Images) mirrorAll(spec map[string]any, field string) error {
	containers, found, err := unstructured.NestedSlice(spec, field)
	if err != nil || !found {
		return err
	}
	for _, container := range containers {
		content, ok := container.(map[string]any)
		if !ok {
			return fmt.Errorf("one of its %s is not an object", field)
		}
		image, _, err := unstructured.NestedString(content, "image")
		if err != nil {
			return err
		}
		if content["image"], err = i.mirror(image); err != nil {
			return err
		}
	}
	return unstructured.SetNestedSlice(spec, containers, field)
}

// mirror keeps the last segment of the image's name, the tag and the digest.
func (i Images) mirror(image string) (string, error) {
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return "", fmt.Errorf("image %q: %w", image, err)
	}
	tagAndDigest := strings.TrimPrefix(named.String(), named.Name())
	return i.Registry + "/" + path.Base(named.Name()) + tagAndDigest, nil
}
