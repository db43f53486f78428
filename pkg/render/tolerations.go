// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package render

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Tolerate adds tolerations to the pods of the installation's workloads, as flux install --toleration-keys does for keys.
func (i *Installation) Tolerate(tolerations []corev1.Toleration) error {
	for _, object := range i.Objects {
		workload, ok := object.(*unstructured.Unstructured)
		if !ok {
			continue
		}
		fields, ok := podSpecs[workload.GroupVersionKind().GroupKind()]
		if !ok {
			continue
		}
		if err := tolerate(workload, tolerations, append(fields[:len(fields):len(fields)], "tolerations")...); err != nil {
			return fmt.Errorf("failed to set the tolerations of %s %s of the Flux manifests: %w", workload.GetKind(), client.ObjectKeyFromObject(workload), err)
		}
	}
	return nil
}

func tolerate(workload *unstructured.Unstructured, tolerations []corev1.Toleration, fields ...string) error {
	all, _, err := unstructured.NestedSlice(workload.Object, fields...)
	if err != nil {
		return err
	}
	for _, toleration := range tolerations {
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&toleration)
		if err != nil {
			return err
		}
		all = append(all, content)
	}
	return unstructured.SetNestedSlice(workload.Object, all, fields...)
}
