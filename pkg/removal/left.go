// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package removal

import (
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// named is how many objects are named.
	named = 3
	// maxDescription bounds how much of one object's name is repeated. Kubernetes allows more.
	maxDescription = 160
)

// Left are objects that a step still waits for. There are never more than one above those that are named.
type Left []Waiting

// Waiting is an object that a step still waits for.
type Waiting struct {
	// Object is kind and name.
	Object string
	// Since is when the deletion of the object began, or else when it was created.
	Since time.Time
}

// String names some of the objects.
func (l Left) String() string {
	var objects []string
	for _, waiting := range l {
		objects = append(objects, waiting.Object)
	}
	return nameSome(objects)
}

// Since is the time from which on nothing has happened: the latest Since of the objects.
func (l Left) Since() time.Time {
	var since time.Time
	for _, waiting := range l {
		if waiting.Since.After(since) {
			since = waiting.Since
		}
	}
	return since
}

// add adds an object, and tells whether there is place for another one.
func (l *Left) add(object *metav1.PartialObjectMetadata) bool {
	description := describe(object)
	known := slices.ContainsFunc(*l, func(waiting Waiting) bool { return waiting.Object == description })
	if len(*l) <= named && !known {
		since := object.CreationTimestamp
		if object.DeletionTimestamp != nil {
			since = *object.DeletionTimestamp
		}
		*l = append(*l, Waiting{Object: description, Since: since.Time})
	}
	return len(*l) <= named
}

func nameSome(objects []string) string {
	if len(objects) > named {
		return strings.Join(objects[:named], ", ") + ", …"
	}
	return strings.Join(objects, ", ")
}

// describe returns kind and name of an object.
func describe(object *metav1.PartialObjectMetadata) string {
	description := object.Kind + " " + object.Name
	if object.Namespace != "" {
		description = object.Kind + " " + object.Namespace + "/" + object.Name
	}
	if len(description) > maxDescription {
		description = description[:maxDescription] + "…"
	}
	return description
}
