// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package migration

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/shoot"
)

// named is how many objects an error names.
const named = 3

// LossError says which objects of the shoot would go with their CustomResourceDefinition.
type LossError struct {
	Kind string
	// Objects has some of the objects.
	Objects []string
}

// Error implements error.
func (l *LossError) Error() string {
	return fmt.Sprintf("it has no kind %s, and the shoot has objects of this kind, which would be deleted (%s)", l.Kind, strings.Join(l.Objects, ", "))
}

// CheckLoss returns a LossError that names objects of the shoot that would go with their CustomResourceDefinition, because it is
// among the installed ones (by name) but not among the wanted ones.
func CheckLoss(ctx context.Context, reader client.Reader, installed []string, wanted []*apiextensionsv1.CustomResourceDefinition) error {
	for _, name := range installed {
		if slices.ContainsFunc(wanted, func(definition *apiextensionsv1.CustomResourceDefinition) bool { return definition.Name == name }) {
			continue
		}
		definition := &apiextensionsv1.CustomResourceDefinition{}
		if err := reader.Get(ctx, client.ObjectKey{Name: name}, definition); apierrors.IsNotFound(err) {
			continue
		} else if err != nil {
			return fmt.Errorf("failed to read CustomResourceDefinition %s of the shoot: %w", name, err)
		}
		if err := checkEmpty(ctx, reader, definition); err != nil {
			return err
		}
	}
	return nil
}

func checkEmpty(ctx context.Context, reader client.Reader, definition *apiextensionsv1.CustomResourceDefinition) error {
	gvk := shoot.KindOf(definition).GroupVersionKind
	objects := &metav1.PartialObjectMetadataList{}
	objects.SetGroupVersionKind(gvk)
	if err := reader.List(ctx, objects, client.Limit(named)); err != nil {
		return fmt.Errorf("failed to list the objects of kind %s of the shoot: %w", gvk.Kind, err)
	}
	if len(objects.Items) == 0 {
		return nil
	}
	var names []string
	for i := range objects.Items {
		names = append(names, client.ObjectKeyFromObject(&objects.Items[i]).String())
	}
	if objects.Continue != "" {
		names = append(names, "…")
	}
	return &LossError{Kind: gvk.Kind, Objects: names}
}
