// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package project

import (
	"fmt"

	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// maxErrorLength in bytes is what the sentences about a ConfigMap may have together: they are repeated in the status of each shoot
// of the project, in events and in logs.
const maxErrorLength = 1024

// summarise is the error that says as many of the problems as have room, the first ones, and counts the others.
func summarise(problems field.ErrorList) error {
	var told []error
	length := 0
	for i, problem := range problems {
		length += len(problem.Error()) + len(", ")
		if i > 0 && length > maxErrorLength {
			told = append(told, fmt.Errorf("and %d more", len(problems)-i))
			break
		}
		told = append(told, problem)
	}
	return utilerrors.NewAggregate(told)
}
