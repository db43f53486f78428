// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package sourcesecret

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
)

// checkCertificates refuses certificates that Flux can't use, or would use only some of.
func (d Data) checkCertificates() error {
	if d.has(KeyCACert) {
		if err := checkPEM(KeyCACert, d[KeyCACert]); err != nil {
			return err
		}
	}
	for _, pair := range [][2]string{{KeyTLSCert, KeyTLSKey}, {KeyTLSKey, KeyTLSCert}} {
		if d.has(pair[0]) && !d.has(pair[1]) {
			return fmt.Errorf("key %s is there, but not %s: add it, or remove both if the server wants no certificate of the client", pair[0], pair[1])
		}
	}
	if !d.has(KeyTLSCert) {
		return nil
	}
	if err := checkPEM(KeyTLSCert, d[KeyTLSCert]); err != nil {
		return err
	}
	return d.checkClientKey()
}

// checkPEM refuses a key if a part of it is not a certificate. Flux would overlook that part, and the shoot would get it.
func checkPEM(key string, text []byte) error {
	number := 0
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		number++
		if strings.Contains(block.Type, "PRIVATE KEY") {
			return fmt.Errorf("key %s holds a private key: write nothing but certificates there", key)
		}
		if block.Type != "CERTIFICATE" {
			return fmt.Errorf("part %d of key %s is not a certificate: write nothing but certificates there", number, key)
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return fmt.Errorf("certificate %d of key %s can't be read: write it again", number, key)
		}
	}
	// What begins like a part and isn't one would be overlooked, too.
	if number == 0 || bytes.Count(text, []byte("-----BEGIN ")) != number {
		return fmt.Errorf("key %s is not a certificate in PEM form, or not whole: write it with its lines BEGIN CERTIFICATE and END CERTIFICATE", key)
	}
	return nil
}

func (d Data) checkClientKey() error {
	_, err := tls.X509KeyPair(d[KeyTLSCert], d[KeyTLSKey])
	if err == nil {
		return nil
	}
	switch block, _ := pem.Decode(d[KeyTLSKey]); {
	case block == nil:
		return fmt.Errorf("key %s is not a private key in PEM form: write it with its lines BEGIN and END", KeyTLSKey)
	case strings.Contains(block.Type, "ENCRYPTED") || block.Headers["DEK-Info"] != "":
		return fmt.Errorf("key %s is encrypted with a passphrase: write the private key without passphrase (openssl pkey removes it)", KeyTLSKey)
	case strings.Contains(err.Error(), "does not match"):
		return fmt.Errorf("key %s does not belong to key %s: write the two that belong together, the client's own certificate first", KeyTLSKey, KeyTLSCert)
	}
	return fmt.Errorf("key %s is not a private key that TLS can use: write the one of %s", KeyTLSKey, KeyTLSCert)
}
