// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package render

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
)

// VerifySecretName is the name of the Secret in the shoot with the keys by which Flux verifies a repository.
const VerifySecretName = "flux-verify"

// Resource is a Secret that a Shoot refers to in spec.resources.
type Resource struct {
	// Name is its name in the garden.
	Name string
	Type corev1.SecretType
	Data map[string][]byte
}

// secretsOf returns the Secrets that a source, a Kustomization and the shoot need.
func secretsOf(wanted Wanted, followed []*unstructured.Unstructured) ([]client.Object, error) {
	var secrets []client.Object
	if len(followed) > 0 {
		ofSource, err := secretsOfSource(wanted, followed[0])
		if err != nil {
			return nil, err
		}
		secrets = append(secrets, ofSource...)
	}
	for n, additional := range wanted.Config.AdditionalSecretResources {
		resource, err := wanted.resource(fmt.Sprintf("additionalSecretResources[%d].name", n), additional.Name)
		if err != nil {
			return nil, err
		}
		name := cmp.Or(additional.TargetName, resource.Name)
		for _, namespace := range namespacesOf(name, wanted.namespace(), followed) {
			secret := resource.secret(namespace, name)
			maps.Copy(secret.Labels, additional.Labels)
			secret.Labels[ManagedByLabel] = ManagedBy
			secrets = append(secrets, secret)
		}
	}
	return secrets, nil
}

// secretsOfSource are in the namespace of the source, where Flux looks for them.
func secretsOfSource(wanted Wanted, origin *unstructured.Unstructured) ([]client.Object, error) {
	config, namespace := wanted.Config, origin.GetNamespace()
	if config.Source != nil {
		if config.Source.SecretResourceName == "" {
			return nil, nil
		}
		resource, err := wanted.resource("source.secretResourceName", config.Source.SecretResourceName)
		if err != nil {
			return nil, err
		}
		name, _, _ := unstructured.NestedString(origin.Object, "spec", "secretRef", "name")
		return []client.Object{resource.secret(namespace, name)}, nil
	}
	var secrets []client.Object
	if wanted.Credentials != nil {
		for _, secret := range wanted.Credentials.Secrets() {
			secrets = append(secrets, newSecret(namespace, secret.Name, secret.Type, secret.Data))
		}
	}
	if verify := config.Repository.Verify; verify != nil && verify.Keys != "" {
		secrets = append(secrets, newSecret(namespace, VerifySecretName, corev1.SecretTypeOpaque, verificationKeys(config.Repository)))
	}
	return secrets, nil
}

// resource returns a Secret that the Shoot refers to. The error says which field names it.
func (w Wanted) resource(field, name string) (Resource, error) {
	resource, ok := w.Resources[name]
	if !ok {
		return Resource{}, fmt.Errorf("%s: spec.resources of the Shoot has no entry %q that refers to a Secret", field, name)
	}
	return resource, nil
}

// secret is the Secret of the shoot, with the label by which a removal finds it.
func (r Resource) secret(namespace, name string) *corev1.Secret {
	secret := newSecret(namespace, name, r.Type, r.Data)
	secret.Labels = map[string]string{ManagedByLabel: ManagedBy}
	return secret
}

func newSecret(namespace, name string, kind corev1.SecretType, data map[string][]byte) *corev1.Secret {
	return &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: corev1.SchemeGroupVersion.String(), Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Type:       cmp.Or(kind, corev1.SecretTypeOpaque),
		Data:       data,
	}
}

// armour matches one key among several: of PEM, or of PGP.
var armour = regexp.MustCompile(`(?s)-----BEGIN [A-Z ]+-----.*?-----END [A-Z ]+-----`)

// verificationKeys gives each key a name by which source-controller knows its kind: it reads one of each.
func verificationKeys(repository *fluxv1alpha1.Repository) map[string][]byte {
	suffix := ".asc"
	if repository.IsOCI() {
		suffix = ".pub"
	}
	data := map[string][]byte{}
	for n, key := range armour.FindAllString(repository.Verify.Keys, -1) {
		data[fmt.Sprintf("key-%d%s", n, suffix)] = []byte(key + "\n")
	}
	return data
}

// namespacesOf are the namespaces of a shoot in which a Secret is needed: that of Flux, and those of objects that refer to it.
func namespacesOf(secret, namespace string, followed []*unstructured.Unstructured) []string {
	namespaces := []string{namespace}
	for _, object := range followed {
		known := false
		for _, other := range namespaces {
			known = known || other == object.GetNamespace()
		}
		if !known && RefersTo(object.Object["spec"], secret) {
			namespaces = append(namespaces, object.GetNamespace())
		}
	}
	return namespaces
}

// RefersTo tells whether a part of an object names a Secret: in a field such as secretRef or certSecretRef, or among others as its kind.
func RefersTo(part any, secret string) bool {
	switch v := part.(type) {
	case map[string]any:
		if v["kind"] == "Secret" && v["name"] == secret {
			return true
		}
		for field, value := range v {
			reference, ok := value.(map[string]any)
			if ok && strings.HasSuffix(strings.ToLower(field), "secretref") && reference["name"] == secret || RefersTo(value, secret) {
				return true
			}
		}
	case []any:
		for _, value := range v {
			if RefersTo(value, secret) {
				return true
			}
		}
	}
	return false
}
