// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package sourcesecret

import (
	"bytes"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// keyPairMade is the annotation in which NoteKeyPairMade notes that. The Secret in the garden has none.
const keyPairMade = "key-pair-made"

// VersionOf tells apart the versions of all Secrets flux-source that a project has ever had: "<UID>.<resource version>". It can be the
// value of a label.
func VersionOf(uid types.UID, resourceVersion string) string {
	return string(uid) + "." + resourceVersion
}

// IsOlder tells whether two different versions are of the same Secret. Of a Secret that was made anew, none is.
func IsOlder(version, current string) bool {
	uid, _, _ := strings.Cut(version, ".")
	return version != current && strings.HasPrefix(current, uid+".")
}

// NoteKeyPairMade notes in what is kept of a Secret whether its key pair is one that was made here. That follows from who manages the
// field.
func NoteKeyPairMade(kept, whole *metav1.PartialObjectMetadata) {
	if slices.ContainsFunc(whole.ManagedFields, func(entry metav1.ManagedFieldsEntry) bool {
		return strings.HasPrefix(entry.Manager, fieldManager) && entry.FieldsV1 != nil && bytes.Contains(entry.FieldsV1.GetRawBytes(), []byte(`"f:`+KeyIdentity+`":`))
	}) {
		metav1.SetMetaDataAnnotation(&kept.ObjectMeta, keyPairMade, "")
	}
}

// IsKeyPairMade tells what NoteKeyPairMade has noted: nobody may have registered the public key yet.
func IsKeyPairMade(kept *metav1.PartialObjectMetadata) bool {
	_, made := kept.Annotations[keyPairMade]
	return made
}
