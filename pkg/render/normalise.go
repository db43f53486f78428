// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package render

import (
	"fmt"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// normalise sets what the API server would set, for CustomResourceDefinitions, which are nine tenths of a release. For other
// kinds there is no library that knows the defaults.
func normalise(object *unstructured.Unstructured) error {
	defer dropServerFields(object)
	if object.GroupVersionKind().GroupKind() != crdGroupKind {
		return nil
	}

	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object.Object, crd, true); err != nil {
		return fmt.Errorf("not a valid %s: %w", object.GetKind(), err)
	}
	apiextensionsv1.SetDefaults_CustomResourceDefinitionSpec(&crd.Spec)
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(crd)
	if err != nil {
		return err
	}
	object.Object = content
	return nil
}

// dropServerFields removes what only the API server writes.
func dropServerFields(object *unstructured.Unstructured) {
	delete(object.Object, "status")
	unstructured.RemoveNestedField(object.Object, "metadata", "creationTimestamp")
}
