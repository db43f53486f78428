// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package sourcesecret

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
)

// Request differs whenever what the shoot gets does, and is the same on all seeds: the value of the annotation by which Flux looks at
// once with the new credentials. It tells nothing of them to somebody who may not read the Secret.
func (c *Credentials) Request() string {
	var sum hash.Hash
	if c.Kind == KindSSH {
		// The private key belongs to the public one, and its digest is nobody's business.
		sum = sha256.New()
		for _, key := range []string{KeyIdentityPub, KeyKnownHosts} {
			writePart(sum, c.SecretRef.Data[key])
		}
	} else {
		// A password can be guessed, and a digest would tell whether the guess is right: so it is one with a salt that nobody sees
		// in the shoot.
		sum = hmac.New(sha256.New, []byte(c.salt))
		for _, secret := range c.Secrets() {
			writePart(sum, []byte(secret.Name))
			for _, key := range secret.Data.Keys() {
				writePart(sum, []byte(key))
				writePart(sum, secret.Data[key])
			}
		}
	}
	return fmt.Sprintf("credentials-%x", sum.Sum(nil)[:8])
}

// writePart separates the parts of a digest.
func writePart(sum io.Writer, part []byte) {
	_, _ = fmt.Fprintf(sum, "%d\n%s\n", len(part), part)
}
