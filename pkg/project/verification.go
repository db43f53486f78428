// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package project

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"regexp"
	"strings"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
)

const (
	maxVerifyKeysLength = 64 << 10
	maxVerifyKeys       = 32
	maxIdentityLength   = 512

	pgpBegin = "-----BEGIN PGP PUBLIC KEY BLOCK-----"
	pgpEnd   = "-----END PGP PUBLIC KEY BLOCK-----"
)

func validateExpression(text string) detail {
	if _, err := regexp.Compile(text); err != nil {
		return invalid(echo(text), `it is not a regular expression, such as "^https://token\.actions\.githubusercontent\.com$"`)
	}
	return nil
}

// validateVerifyKeys never repeats what is written: it could be a private key.
func validateVerifyKeys(c *fluxv1alpha1.FluxConfig, name naming) detail {
	v := c.Repository.Verify
	switch {
	case v == nil || v.Keys == "":
		return nil
	case strings.Contains(v.Keys, "PRIVATE KEY"):
		return invalidHidden("it is a private key, which many people can read here: it can't be trusted any more; write the public key of another pair")
	case c.Repository.IsOCI():
		return checkCosignKeys(v.Keys)
	case !strings.HasPrefix(v.Keys, pgpBegin) || !strings.HasSuffix(v.Keys, pgpEnd):
		return invalidHidden(fmt.Sprintf("%s is one of Git: write armoured PGP keys, as gpg --armor --export prints them", name(fieldURL)))
	case strings.Count(v.Keys, pgpBegin) > maxVerifyKeys:
		return invalidHidden(fmt.Sprintf("write at most %d keys", maxVerifyKeys))
	}
	return nil
}

func checkCosignKeys(text string) detail {
	rest, count := []byte(text), 0
	for {
		block, after := pem.Decode(rest)
		if block == nil {
			break
		}
		if _, err := x509.ParsePKIXPublicKey(block.Bytes); err != nil {
			return invalidHidden(fmt.Sprintf("key %d can't be read: write it as cosign.pub has it", count+1))
		}
		rest, count = after, count+1
	}
	switch {
	case count == 0 || strings.TrimSpace(string(rest)) != "":
		return invalidHidden(`write keys of cosign as cosign.pub has them: from "-----BEGIN PUBLIC KEY-----" to "-----END PUBLIC KEY-----"`)
	case count > maxVerifyKeys:
		return invalidHidden(fmt.Sprintf("write at most %d keys", maxVerifyKeys))
	}
	return nil
}

// validateIdentity wants both parts of an identity, and artifacts.
func validateIdentity(other string) func(*fluxv1alpha1.FluxConfig, naming) detail {
	return func(c *fluxv1alpha1.FluxConfig, name naming) detail {
		v := c.Repository.Verify
		if v == nil {
			return nil
		}
		this, that := v.Issuer, v.Subject
		if other == fieldVerifyIssuer {
			this, that = that, this
		}
		switch {
		case this == "" && that != "" && v.Keys == "" && c.Repository.IsOCI():
			return required(fmt.Sprintf("%s is written: an identity has an issuer and a subject", name(other)))
		case this == "":
			return nil
		case !c.Repository.IsOCI():
			return forbidden(fmt.Sprintf("it is for artifacts, and %s does not start with oci://: write %s for Git", name(fieldURL), name(fieldVerifyKeys)))
		case v.Keys != "":
			return forbidden(fmt.Sprintf("%s says already by which keys artifacts are signed: remove one of them", name(fieldVerifyKeys)))
		}
		return nil
	}
}

// validateSyncMode refuses what contradicts itself.
func validateSyncMode(c *fluxv1alpha1.FluxConfig, name naming) detail {
	if c.SyncMode == fluxv1alpha1.SyncManifestsOnly && c.Installation == fluxv1alpha1.InstallationManaged {
		return invalid(string(c.SyncMode), fmt.Sprintf("it leaves Flux to the shoot's users, and %s says %s: write %s", name(fieldInstallation), c.Installation, fluxv1alpha1.SyncManaged))
	}
	return nil
}
