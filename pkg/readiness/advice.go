// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package readiness

import (
	"fmt"
	"slices"
	"strings"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	fluxmeta "github.com/fluxcd/pkg/apis/meta"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/sourcesecret"
)

// What a fault of reading a source means, and what to do about it.

// hasOwnKey tells whether Flux gets in with the key pair that the extension has made.
func hasOwnKey(o Observation) bool {
	return o.FluxStatus.PublicKey != "" || o.Source.HasCredentials && strings.HasPrefix(o.Source.URL, "ssh://") && !o.fromTemplate()
}

// credentialsOf names what Flux gets in with.
func credentialsOf(o Observation) string {
	if hasOwnKey(o) {
		return "the key or the trusted host keys"
	}
	return "the credentials"
}

func adviseCredentials(o Observation) string {
	switch {
	case hasOwnKey(o):
		return withKey(o, func(url, key string) string {
			return fmt.Sprintf("the Git server does not accept the project's key for %s: register this public key there as a read-only deploy key: %s", url, key)
		})
	case o.Source.HasCredentials:
		return fmt.Sprintf("the %s does not accept the credentials for %s: correct %s", o.SourceKind.Server, o.Source.URL, o.secret())
	}
	return fmt.Sprintf("the %s wants credentials for %s: %s", o.SourceKind.Server, o.Source.URL, adviseNewCredentials(o))
}

// adviseNewCredentials says how Flux gets credentials that has none.
func adviseNewCredentials(o Observation) string {
	if o.fromTemplate() {
		return "put them into a Secret that the Shoot names in spec.resources, and name it in source.secretResourceName of " + o.placeOf(project.FieldSourceTemplate)
	}
	key, place := o.field("type")
	return fmt.Sprintf("for a private repository, set %s to private in %s, and put them into %s", key, place, o.secret())
}

// adviseSecret is for a Secret that Flux can't use.
func adviseSecret(o Observation) string {
	return fmt.Sprintf("Flux can't use the credentials for %s: correct %s", o.Source.URL, o.secret())
}

// adviseClientCertificate is for a server that wants to know who is there before anything is said.
func adviseClientCertificate(o Observation) string {
	return fmt.Sprintf("the %s wants a client certificate for %s, or another one: correct tls.crt and tls.key of %s", o.SourceKind.Server, o.Source.URL, o.secret())
}

func adviseCertificate(o Observation) string {
	return fmt.Sprintf("the shoot does not trust the certificate that the %s of %s presents: put the certificate of the CA that has signed it into ca.crt of %s, or correct %s",
		o.SourceKind.Server, o.Source.URL, o.secret(), o.where("url"))
}

// adviseSignature is for what is not signed by whom it is to be signed.
func adviseSignature(o Observation, message string) string {
	if message = strings.ToLower(message); strings.Contains(message, "secret error") || strings.Contains(message, "failed to get secret") || strings.Contains(message, "found in secret") {
		return fmt.Sprintf("Flux has not got the keys by which it is to verify what it reads of %s: correct %s", o.Source.URL, o.where("verify"))
	}
	what := o.Source.Reference.String()
	if what == "" {
		what = "what it holds"
	}
	return fmt.Sprintf("%s of %s is not signed as it has to be, so Flux does not take it: sign it, or correct %s", what, o.Source.URL, o.where("verify"))
}

// withKey makes a sentence with the repository's URL and the whole public key, for which a long URL is shortened. If even so
// there is no room for the key, or if the extension has not told it yet, it says where the key is.
func withKey(o Observation, sentence func(url, key string) string) string {
	const shortURL = 80
	url, key := o.Source.URL, o.FluxStatus.PublicKey
	for _, url := range []string{url, Shorten(url, shortURL)} {
		if text := sentence(url, key); key != "" && len(text) <= MaxMessage {
			return text
		}
	}
	return sentence(url, fmt.Sprintf("key %s of Secret %s/%s of the garden", sourcesecret.KeyIdentityPub, o.Project, sourcesecret.SecretName))
}

func adviseRepository(o Observation) string {
	switch {
	case hasOwnKey(o):
		return withKey(o, func(url, key string) string {
			return fmt.Sprintf("the Git server does not show %s to the project's key: correct %s, or register this public key there as a read-only deploy key: %s", url, o.where("url"), key)
		})
	case o.Source.HasCredentials:
		return fmt.Sprintf("the %s does not show %s to these credentials: correct %s, or %s", o.SourceKind.Server, o.Source.URL, o.where("url"), o.secret())
	}
	return fmt.Sprintf("the %s does not show %s without credentials: correct %s, or, %s", o.SourceKind.Server, o.Source.URL, o.where("url"), ifPrivate(adviseNewCredentials(o)))
}

// ifPrivate makes advice of private repositories a part of a sentence.
func ifPrivate(advice string) string {
	const private = "for a private repository, "
	return "if the repository is private, " + strings.TrimPrefix(advice, private)
}

func adviseBucket(o Observation) string {
	return fmt.Sprintf("the object storage has no bucket %s: make it, or correct %s", o.Source.URL, o.where("url"))
}

// adviseReference is for a repository that has not what is to be read there.
func adviseReference(o Observation) string {
	push := "push it"
	if o.Source.Reference.Kind == flux.SemVer {
		push = "push one"
	}
	return fmt.Sprintf("the repository %s has no %s: %s, or correct %s", o.Source.URL, o.Source.Reference, push, o.where("reference"))
}

func adviseRange(o Observation) string {
	return fmt.Sprintf("%q is no range of versions: correct %s", o.Source.Reference.Value, o.where("reference"))
}

func adviseEmpty(o Observation) string {
	reference := o.Source.Reference.String()
	if o.Source.Reference.Kind == flux.SemVer {
		reference = "a " + reference
	}
	return fmt.Sprintf("the repository %s is empty: push %s, or correct %s", o.Source.URL, reference, o.where("url"))
}

func adviseSHA256(o Observation) string {
	return fmt.Sprintf("the repository %s was made with SHA-256, which Flux can't read: put its content into one that was made with SHA-1, which is Git's default", o.Source.URL)
}

// adviseLayer is for an artifact of a registry that holds something else than Flux expects.
func adviseLayer(o Observation) string {
	return fmt.Sprintf("%s of %s holds nothing that Flux can unpack: push it with flux push artifact, or choose another layer in layerSelector of a source.template", o.Source.Reference, o.Source.URL)
}

func adviseHostKey(o Observation) string {
	trusted := "none"
	if len(o.FluxStatus.HostKeys) > 0 {
		trusted = word(strings.Join(o.FluxStatus.HostKeys, ", "), maxURL)
	}
	presented := ""
	switch key := word(o.PresentedHostKey, maxPath); {
	case key == "":
	case slices.Contains(o.FluxStatus.HostKeys, key):
		presented = "; to the seed the server by now presents " + key + ", which is trusted: if the shoot still sees another one after a minute, something between the shoot and the server answers in its place"
	default:
		presented = "; to the seed the server presents " + key
	}
	if o.fromTemplate() {
		return fmt.Sprintf("the Git server of %s does not present a host key that is trusted: find out why, then correct known_hosts of %s%s", o.Source.URL, o.secret(), presented)
	}
	return fmt.Sprintf("the Git server of %s does not present the host key that is trusted (%s): find out why, then correct %s, or remove the server's lines from key %s of Secret %s/%s%s",
		o.Source.URL, trusted, o.where("knownHosts"), sourcesecret.KeyKnownHosts, o.Project, sourcesecret.SecretName, presented)
}

// adviseDependency is for a Kustomization that waits for others.
func adviseDependency(o Observation) string {
	const name = "dependsOn"
	if !o.isMeant(name) {
		return "the Kustomization " + nameOf(o.KustomizationKey) + " of the shoot waits for what somebody wrote into its dependsOn: Gardener takes that back within an hour"
	}
	return fmt.Sprintf("Flux applies the %s when that is ready which %s names: look at it in the shoot, or correct the field", o.SourceKind.Content, o.where(name))
}

// fieldsOfReason are what of a Kustomization kustomize-controller speaks of by a reason for which it gives up, and whether there is something.
var fieldsOfReason = map[string][]struct {
	name string
	has  func(*kustomizev1.KustomizationSpec) bool
}{
	fluxmeta.InvalidCELExpressionReason: {
		{"healthCheckExprs", func(s *kustomizev1.KustomizationSpec) bool { return len(s.HealthCheckExprs) > 0 }},
		{"dependsOn", func(s *kustomizev1.KustomizationSpec) bool {
			return slices.ContainsFunc(s.DependsOn, func(d kustomizev1.DependencyReference) bool { return d.ReadyExpr != "" })
		}},
	},
	fluxmeta.FeatureGateDisabledReason: {{"decryption", func(s *kustomizev1.KustomizationSpec) bool { return s.Decryption != nil }}},
	accessDenied:                       {{"sourceRef", func(*kustomizev1.KustomizationSpec) bool { return true }}},
}

// adviseKustomization is for a Kustomization that says what Flux can't do.
func adviseKustomization(o Observation, reason string) string {
	var meant []string
	for _, field := range fieldsOfReason[reason] {
		if field.has(&o.Kustomization.Spec) && o.isMeant(field.name) {
			meant = append(meant, o.where(field.name))
		}
	}
	switch {
	case len(meant) > 0:
		return fmt.Sprintf("Flux can't do what %s says: correct it", strings.Join(meant, " or "))
	case o.OwnedByUsers:
		return fmt.Sprintf("Flux can't do what %s says: correct it", o.objectOf(project.FieldKustomizationTemplate))
	}
	return "somebody changed the Kustomization " + nameOf(o.KustomizationKey) + " of the shoot to what Flux can't do: Gardener takes that back within an hour"
}

func adviseHost(o Observation) string {
	return fmt.Sprintf("the shoot's DNS does not know the %s: correct %s, or make the name known there", o.SourceKind.Server, o.where("url"))
}

func adviseTimeout(o Observation) string {
	large := "it"
	if reference := o.Source.Reference; reference.Kind != "" {
		large = reference.String()
	}
	return fmt.Sprintf("Flux could not read %s within %s: it is too large for the connection, or the %s is too slow: take large files out of %s, or use a smaller %s",
		o.content(), o.Source.Timeout, o.SourceKind.Server, large, o.SourceKind.Content)
}

func adviseConnection(o Observation) string {
	return fmt.Sprintf("the shoot gets no good connection to the %s: correct %s, or let the shoot's nodes reach it (firewall, proxy, certificate)", o.SourceKind.Server, o.where("url"))
}

func adviseServer(o Observation) string {
	return fmt.Sprintf("the %s can't serve %s now: ask who operates it", o.SourceKind.Server, o.content())
}
