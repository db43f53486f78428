// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package readiness

import (
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/kustomize"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
)

const (
	httpsURL  = "https://git.example.com/fleet/shoots"
	ociURL    = "oci://registry.example.com/fleet/shoots"
	bucketURL = "minio.example.com/fleet"

	// What source-controller says before the words of go-containerregistry.
	digest = "failed to determine artifact digest: "
	tags   = "failed to determine the artifact tag for '" + ociURL + "': "
	exists = "failed to confirm existence of 'fleet' bucket: "
)

var (
	main    = flux.Reference{Kind: flux.Branch, Value: "main"}
	v1      = flux.Reference{Kind: flux.Tag, Value: "v1.0.0"}
	newest  = flux.Reference{Kind: flux.SemVer, Value: ">=1.0.0"}
	commit  = flux.Reference{Kind: flux.Commit, Value: "5f0c1a"}
	pull    = flux.Reference{Kind: flux.RefName, Value: "refs/pull/1/head"}
	sha     = flux.Reference{Kind: flux.Digest, Value: "sha256:5f0c1a"}
	nothing = flux.Reference{}
)

// kindCase is what source-controller says of a source of some kind.
type kindCase struct {
	kind      flux.SourceKind
	url       string
	reference flux.Reference
	// secret tells that it has credentials.
	secret        bool
	reason, words string
	want          string
	// advice is in what is said.
	advice string
}

// The words are those of source-controller v1.9.3, of fluxcd/pkg and of the libraries that they use.
var kindCases = []kindCase{
	// References of Git.
	{flux.GitRepository, httpsURL, v1, false, sourcev1.GitOperationFailedReason,
		failedTo + "unable to clone: couldn't find remote ref \"refs/tags/v1.0.0\": git repository: '" + httpsURL + "'", TagNotFound,
		`has no tag "v1.0.0": push it, or correct repositoryTag in ConfigMap garden-shop/flux-config of the garden`},
	{flux.GitRepository, httpsURL, newest, false, sourcev1.GitOperationFailedReason, failedTo + "no match found for semver: >=1.0.0", VersionNotFound,
		`has no tag in the range ">=1.0.0": push one, or correct repositorySemver in ConfigMap`},
	{flux.GitRepository, httpsURL, newest, false, sourcev1.GitOperationFailedReason, failedTo + "semver parse error: improper constraint: x", FetchFailed,
		`">=1.0.0" is no range of versions: correct repositorySemver`},
	{flux.GitRepository, httpsURL, commit, false, sourcev1.GitOperationFailedReason, failedTo + "unable to resolve commit object for '5f0c1a': object not found", CommitNotFound,
		`has no commit "5f0c1a": push it, or correct repositoryCommit`},
	{flux.GitRepository, httpsURL, pull, false, sourcev1.GitOperationFailedReason, failedTo + "unable to resolve ref 'refs/pull/1/head' to a specific commit", ReferenceNotFound,
		`has no reference "refs/pull/1/head": push it, or correct repositoryRefName`},
	{flux.GitRepository, httpsURL, v1, false, sourcev1.GitOperationFailedReason, failedTo + "unable to clone: remote repository is empty: git repository: '" + httpsURL + "'", TagNotFound,
		`is empty: push tag "v1.0.0", or correct repositoryUrl`},
	{flux.GitRepository, httpsURL, newest, false, sourcev1.GitOperationFailedReason, failedTo + "unable to clone: remote repository is empty: git repository: '" + httpsURL + "'", VersionNotFound,
		`is empty: push a tag in the range`},
	{flux.GitRepository, httpsURL, commit, false, sourcev1.GitOperationFailedReason, failedTo + "unable to clone '" + httpsURL + "': context deadline exceeded", FetchTimeout,
		`take large files out of commit "5f0c1a"`},

	// Credentials of Git over HTTPS.
	{flux.GitRepository, httpsURL, main, true, sourcev1.GitOperationFailedReason, failedTo + "unable to list remote for '" + httpsURL + "': authentication required: Unauthorized", AuthenticationFailed,
		"the Git server does not accept the credentials for " + httpsURL + ": correct Secret garden-shop/flux-source of the garden"},
	{flux.GitRepository, httpsURL, main, true, sourcev1.GitOperationFailedReason, failedTo + "unable to list remote for '" + httpsURL + "': authorization failed", AuthenticationFailed, "does not accept the credentials"},
	{flux.GitRepository, httpsURL, main, true, sourcev1.GitOperationFailedReason, failedTo + "unable to list remote for '" + httpsURL + "': repository not found: Not Found", RepositoryNotFound,
		"does not show " + httpsURL + " to these credentials: correct repositoryUrl"},
	{flux.GitRepository, httpsURL, main, true, sourcev1.GitOperationFailedReason, failedTo + "unable to list remote for '" + httpsURL + `': Get "` + httpsURL + `/info/refs?service=git-upload-pack": remote error: tls: certificate required`,
		AuthenticationFailed, "wants a client certificate for " + httpsURL + ", or another one: correct tls.crt and tls.key of Secret garden-shop/flux-source"},
	{flux.GitRepository, httpsURL, main, true, sourcev1.GitOperationFailedReason, failedTo + "unable to list remote for '" + httpsURL + `': Get "` + httpsURL + `/info/refs?service=git-upload-pack": tls: failed to verify certificate: x509: certificate signed by unknown authority`,
		CertificateUntrusted, "put the certificate of the CA that has signed it into ca.crt of Secret garden-shop/flux-source of the garden"},
	{flux.GitRepository, httpsURL, main, true, sourcev1.AuthenticationFailedReason, "failed to configure authentication options: failed to parse CA certificate", AuthenticationFailed,
		"Flux can't use the credentials for " + httpsURL + ": correct Secret garden-shop/flux-source of the garden"},
	{flux.GitRepository, httpsURL, main, true, sourcev1.AuthenticationFailedReason, "failed to configure authentication options: could not parse private key: invalid key: Key must be a PEM encoded PKCS1 or PKCS8 key", AuthenticationFailed, "can't use the credentials"},
	{flux.GitRepository, httpsURL, main, true, sourcev1.AuthenticationFailedReason,
		"failed to configure authentication options: POST https://api.github.com/app/installations/1/access_tokens: 401 A JSON web token could not be decoded []", AuthenticationFailed, "can't use the credentials"},
	{flux.GitRepository, httpsURL, main, true, sourcev1.InvalidProviderConfigurationReason, "secretRef 'flux-system/flux-source' has github app data but provider is not set to github", AuthenticationFailed, "can't use the credentials"},
	{flux.GitRepository, httpsURL, main, true, sourcev1.URLInvalidReason, "failed to parse url 'x': y", FetchFailed, "Flux can't do anything with the address " + httpsURL + ": correct repositoryUrl"},

	// Signatures of Git.
	{flux.GitRepository, httpsURL, main, true, "InvalidCommitSignature",
		"signature verification of commit '5f0c1a' failed: unable to verify Git commit: unable to verify payload with any of the given key rings: no matching key", VerificationFailed,
		`branch "main" of ` + httpsURL + " is not signed as it has to be, so Flux does not take it: sign it, or correct verifyKeys, verifyIssuer and verifySubject in ConfigMap"},
	{flux.GitRepository, httpsURL, v1, true, "InvalidTagSignature", "signature verification of tag 'v1.0.0@5f' failed: unable to verify Git tag: signature is empty", VerificationFailed, `tag "v1.0.0" of`},
	{flux.GitRepository, httpsURL, v1, true, "InvalidGitObject", "cannot verify signature of tag 'v1.0.0@5f' since it is not signed", VerificationFailed, "is not signed as it has to be"},
	{flux.GitRepository, httpsURL, main, true, "InvalidVerificationMode", "cannot verify tag object's signature if a tag reference is not specified", VerificationFailed, "or correct verify"},
	{flux.GitRepository, httpsURL, main, true, "VerificationError", `public keys secret error: secrets "keys" not found`, VerificationFailed, "has not got the keys by which it is to verify what it reads of " + httpsURL},
	{flux.GitRepository, httpsURL, main, true, "InvalidCommitSignature", "signature verification of commit 'x' failed: PGP signature detected but no PGP public keys found in secret (keys with .asc suffix)", VerificationFailed, "has not got the keys"},

	// Registries.
	{flux.OCIRepository, ociURL, v1, false, sourcev1.OCIPullFailedReason, digest + "GET https://registry.example.com/v2/fleet/shoots/manifests/v1.0.0: MANIFEST_UNKNOWN: manifest unknown; map[Tag:v1.0.0]", TagNotFound,
		"the repository " + ociURL + ` has no tag "v1.0.0": push it, or correct repositoryTag in ConfigMap`},
	{flux.OCIRepository, ociURL, flux.Reference{Kind: flux.Tag, Value: "latest"}, false, sourcev1.OCIPullFailedReason, digest + "GET https://registry.example.com/v2/fleet/shoots/manifests/latest: MANIFEST_UNKNOWN: manifest unknown", TagNotFound, `has no tag "latest"`},
	{flux.OCIRepository, ociURL, sha, false, sourcev1.OCIPullFailedReason, "failed to pull artifact from '" + ociURL + "': GET https://registry.example.com/v2/fleet/shoots/manifests/sha256:5f0c1a: MANIFEST_UNKNOWN: manifest unknown", DigestNotFound,
		`has no artifact with digest "sha256:5f0c1a": push it, or correct repositoryDigest`},
	{flux.OCIRepository, ociURL, newest, false, sourcev1.ReadOperationFailedReason, tags + "no match found for semver: >=1.0.0", VersionNotFound, `has no tag in the range ">=1.0.0": push one, or correct repositorySemver`},
	{flux.OCIRepository, ociURL, newest, false, sourcev1.ReadOperationFailedReason, tags + "semver '>=1.0.0' parse error: improper constraint: >=1.0.0", FetchFailed, "is no range of versions"},
	{flux.OCIRepository, ociURL, newest, false, sourcev1.ReadOperationFailedReason, tags + "GET https://registry.example.com/v2/fleet/shoots/tags/list?n=1000: NAME_UNKNOWN: repository name not known to registry; map[name:fleet/shoots]", RepositoryNotFound,
		"the registry does not show " + ociURL + " without credentials: correct repositoryUrl"},
	{flux.OCIRepository, ociURL, v1, true, sourcev1.OCIPullFailedReason, digest + "GET https://registry.example.com/v2/fleet/shoots/manifests/v1.0.0: NAME_UNKNOWN: repository name not known to registry", RepositoryNotFound, "to these credentials"},
	{flux.OCIRepository, ociURL, v1, false, sourcev1.OCIPullFailedReason, digest + "GET https://registry.example.com/v2/fleet/shoots/manifests/v1.0.0: UNAUTHORIZED: authentication required; [map[Action:pull Class: Name:fleet/shoots Type:repository]]", AuthenticationFailed,
		"the registry wants credentials for " + ociURL + ": for a private repository, set repositoryType to private in ConfigMap garden-shop/flux-config of the garden, and put them into Secret garden-shop/flux-source"},
	{flux.OCIRepository, ociURL, v1, true, sourcev1.OCIPullFailedReason, digest + "GET https://registry.example.com/v2/fleet/shoots/manifests/v1.0.0: UNAUTHORIZED: authentication required", AuthenticationFailed,
		"the registry does not accept the credentials for " + ociURL + ": correct Secret garden-shop/flux-source of the garden"},
	{flux.OCIRepository, ociURL, v1, true, sourcev1.OCIPullFailedReason, digest + "GET https://registry.example.com/token?scope=repository%3Afleet%2Fshoots%3Apull&service=registry.example.com: DENIED: denied", AuthenticationFailed, "does not accept the credentials"},
	{flux.OCIRepository, ociURL, v1, true, sourcev1.OCIPullFailedReason, digest + "GET https://registry.example.com/v2/: unexpected status code 401 Unauthorized", AuthenticationFailed, "does not accept the credentials"},
	{flux.OCIRepository, ociURL, v1, true, sourcev1.OCIPullFailedReason, digest + "HEAD https://registry.example.com/v2/fleet/shoots/manifests/v1.0.0: unexpected status code 403 Forbidden (HEAD responses have no body, use GET for details)", AuthenticationFailed, "does not accept"},
	{flux.OCIRepository, ociURL, v1, false, sourcev1.OCIPullFailedReason, digest + `Get "https://registry.example.com/v2/": dial tcp: lookup registry.example.com on 100.64.0.10:53: no such host`, HostNotFound, "the shoot's DNS does not know the registry"},
	{flux.OCIRepository, ociURL, v1, false, sourcev1.OCIPullFailedReason, digest + `Get "https://registry.example.com/v2/": dial tcp 192.0.2.1:443: connect: connection refused`, HostUnreachable, "no good connection to the registry"},
	{flux.OCIRepository, ociURL, v1, false, sourcev1.OCIPullFailedReason, digest + `Get "https://registry.example.com/v2/": http: server gave HTTP response to HTTPS client`, HostUnreachable, "no good connection to the registry"},
	{flux.OCIRepository, ociURL, v1, false, sourcev1.OCIPullFailedReason, digest + `Get "https://registry.example.com/v2/": tls: failed to verify certificate: x509: certificate signed by unknown authority`, CertificateUntrusted, "into ca.crt of Secret garden-shop/flux-source"},
	{flux.OCIRepository, ociURL, v1, false, sourcev1.OCIPullFailedReason, digest + "GET https://registry.example.com/v2/fleet/shoots/manifests/v1.0.0: TOOMANYREQUESTS: You have reached your pull rate limit", FetchFailed, "the registry can't serve the repository " + ociURL + " now"},
	{flux.OCIRepository, ociURL, v1, false, sourcev1.OCIPullFailedReason, digest + "GET https://registry.example.com/v2/: unexpected status code 502 Bad Gateway", FetchFailed, "ask who operates it"},
	{flux.OCIRepository, ociURL, v1, false, sourcev1.OCILayerOperationFailedReason, "failed to find layer with media type 'x' in artifact", FetchFailed, `tag "v1.0.0" of ` + ociURL + " holds nothing that Flux can unpack"},
	{flux.OCIRepository, ociURL, v1, false, sourcev1.OCILayerOperationFailedReason, "failed to extract layer contents from artifact: requires gzip-compressed body: gzip: invalid header", FetchFailed, "holds nothing that Flux can unpack"},
	{flux.OCIRepository, ociURL, v1, false, sourcev1.OCILayerOperationFailedReason, "failed to extract layer contents from artifact: context deadline exceeded", FetchTimeout, "could not read the repository " + ociURL},
	{flux.OCIRepository, ociURL, v1, true, sourcev1.AuthenticationFailedReason, `failed to get credential: failed to get secret 'flux-system/flux-source': secrets "flux-source" not found`, AuthenticationFailed, "can't use the credentials for " + ociURL},
	{flux.OCIRepository, ociURL, v1, false, sourcev1.URLInvalidReason, "URL validation failed for '" + ociURL + "': URL must not contain a tag; remove ':v1'", FetchFailed, "Flux can't do anything with the address"},
	{flux.OCIRepository, ociURL, v1, false, sourcev1.VerificationError, "failed to verify the signature using provider 'cosign': no matching signatures were found for 'registry.example.com/fleet/shoots@sha256:5f'", VerificationFailed, `tag "v1.0.0" of ` + ociURL + " is not signed as it has to be"},
	{flux.OCIRepository, ociURL, newest, false, sourcev1.VerificationError, "failed to verify the signature using provider 'cosign keyless': no signatures found", VerificationFailed, `tag in the range ">=1.0.0" of`},
	{flux.OCIRepository, ociURL, v1, false, sourcev1.VerificationError, `failed to verify the signature using provider 'cosign': failed to get secret 'flux-system/keys': secrets "keys" not found`, VerificationFailed, "has not got the keys"},

	// Object storages.
	{flux.Bucket, bucketURL, nothing, true, sourcev1.BucketOperationFailedReason, exists + "Access Denied.", AuthenticationFailed, "the object storage does not accept the credentials for " + bucketURL},
	{flux.Bucket, bucketURL, nothing, true, sourcev1.BucketOperationFailedReason, exists + "The Access Key Id you provided does not exist in our records.", AuthenticationFailed, "does not accept the credentials"},
	{flux.Bucket, bucketURL, nothing, false, sourcev1.BucketOperationFailedReason, "bucket 'fleet' not found", BucketNotFound, "the object storage has no bucket " + bucketURL},
	{flux.Bucket, bucketURL, nothing, false, sourcev1.BucketOperationFailedReason, "indexation of objects from bucket 'fleet' failed: listing objects from bucket 'fleet' failed: The specified bucket does not exist", BucketNotFound, "make it, or correct"},
	{flux.Bucket, bucketURL, nothing, false, sourcev1.BucketOperationFailedReason, exists + `Get "https://minio.example.com/fleet/?location=": dial tcp 192.0.2.1:9000: connect: connection refused`, HostUnreachable, "no good connection to the object storage"},
	{flux.Bucket, bucketURL, nothing, false, sourcev1.BucketOperationFailedReason, exists + `Get "https://minio.example.com/fleet/?location=": dial tcp: lookup minio.example.com: no such host`, HostNotFound, "the shoot's DNS does not know the object storage"},
	{flux.Bucket, bucketURL, nothing, false, sourcev1.BucketOperationFailedReason, "fetch from bucket 'fleet' failed: failed to get 'a' object: context deadline exceeded", FetchTimeout,
		"could not read the bucket " + bucketURL + " within 1m0s: it is too large for the connection, or the object storage is too slow: take large files out of it, or use a smaller bucket"},
	{flux.Bucket, bucketURL, nothing, true, sourcev1.AuthenticationFailedReason, "invalid 'keys' secret data: required fields 'accesskey' and 'secretkey'", AuthenticationFailed, "can't use the credentials"},
	{flux.Bucket, bucketURL, nothing, false, sourcev1.BucketOperationFailedReason, "something else", FetchFailed, "Flux can't read the bucket " + bucketURL},
}

func (c kindCase) observe() Observation {
	return state{url: c.url, repository: ready("False", c.reason, c.words), change: func(o *Observation) {
		o.SourceKind, o.Source.Reference, o.Source.HasCredentials = c.kind, c.reference, c.secret
	}}.observe()
}

func TestWhatIsSaidOfEachKind(t *testing.T) {
	for _, test := range kindCases {
		t.Run(test.kind.Kind+" "+test.words, func(t *testing.T) {
			g := NewWithT(t)
			got := Assess(test.observe())
			g.Expect(got.Status).To(Equal(gardencorev1beta1.ConditionFalse))
			g.Expect(got.Reason).To(Equal(test.want), got.Message)
			advice, words, found := strings.Cut(got.Message, "; Flux says: ")
			g.Expect(found).To(BeTrue())
			g.Expect(words).NotTo(BeEmpty())
			g.Expect(advice).To(ContainSubstring(test.advice))
			if test.reference.Kind != flux.Branch {
				g.Expect(advice).NotTo(ContainSubstring("branch"))
			}
			if test.kind.GroupKind != flux.GitRepository.GroupKind {
				g.Expect(advice).NotTo(ContainSubstring("Git"))
			}
			g.Expect(got.Replaces(&gardencorev1beta1.Condition{Reason: Applied})).To(BeTrue())
			g.Expect(Readiness{Reason: Fetching}.Replaces(&gardencorev1beta1.Condition{Reason: got.Reason})).To(BeFalse(), "it holds until the next try has ended")
		})
	}
}

// What a registry is asked for is no answer of it.
func TestAReferenceIsNoAnswer(t *testing.T) {
	for _, name := range []string{"denied", "unavailable", "manifest_unknown"} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			o := kindCase{kind: flux.OCIRepository, url: ociURL, reference: flux.Reference{Kind: flux.Tag, Value: name}, reason: sourcev1.OCIPullFailedReason,
				words: digest + "GET https://registry.example.com/v2/fleet/shoots/manifests/" + name + ": something else"}.observe()
			g.Expect(Assess(o).Reason).To(Equal(FetchFailed))
		})
	}
}

// Advice says where the configuration is that has to be corrected.
func TestAdviceNamesWhereItWasWritten(t *testing.T) {
	missing := kindCase{flux.OCIRepository, ociURL, v1, true, sourcev1.OCIPullFailedReason, digest + "MANIFEST_UNKNOWN: manifest unknown", "", ""}
	refusedBy := kindCase{flux.OCIRepository, ociURL, v1, true, sourcev1.OCIPullFailedReason, digest + "UNAUTHORIZED: x", "", ""}
	anonymous := kindCase{flux.OCIRepository, ociURL, v1, false, sourcev1.OCIPullFailedReason, digest + "UNAUTHORIZED: x", "", ""}
	untrusted := kindCase{flux.OCIRepository, ociURL, v1, false, sourcev1.OCIPullFailedReason, digest + "tls: failed to verify certificate: x509: certificate signed by unknown authority", "", ""}
	notSigned := kindCase{flux.OCIRepository, ociURL, v1, true, sourcev1.VerificationError, "no matching signatures were found", "", ""}
	bucket := kindCase{flux.Bucket, bucketURL, nothing, false, sourcev1.BucketOperationFailedReason, "bucket 'fleet' not found", "", ""}
	for name, test := range map[string]struct {
		of      kindCase
		origins project.Origins
		want    string
	}{
		"unknown":                           {missing, nil, "correct repositoryTag in ConfigMap garden-shop/flux-config of the garden;"},
		"project":                           {missing, map[string]string{"repository.tag": project.OriginProject}, "correct repositoryTag in ConfigMap garden-shop/flux-config of the garden;"},
		"key config":                        {missing, project.Origins{"repository.tag": project.OriginConfig}, "correct repository.tag in key config of ConfigMap garden-shop/flux-config of the garden;"},
		"default of a providerConfig":       {missing, project.Origins{"repository.tag": project.OriginForm}, "correct repository.tag in the providerConfig of the shoot;"},
		"nobody, beside the URL":            {missing, project.Origins{"repository.url": project.OriginShoot}, "correct repository.tag in the providerConfig of the shoot;"},
		"override":                          {missing, map[string]string{"repository.tag": "overrides[1]"}, "correct repository.tag in overrides[1] of ConfigMap garden-shop/flux-config of the garden;"},
		"shoot":                             {missing, map[string]string{"repository.tag": project.OriginShoot}, "correct repository.tag in the providerConfig of the shoot;"},
		"landscape":                         {missing, map[string]string{"repository.tag": project.OriginLandscape}, "correct repository.tag in the defaults of the landscape (value defaults of the chart);"},
		"keys of signers":                   {notSigned, map[string]string{"repository.verify.keys": project.OriginShoot}, "correct repository.verify in the providerConfig of the shoot;"},
		"keys of signers in an override":    {notSigned, map[string]string{"repository.verify.keys": "overrides[0]"}, "correct repository.verify in overrides[0] of ConfigMap garden-shop/flux-config of the garden;"},
		"template":                          {missing, map[string]string{"source.template": project.OriginShoot}, "correct source.template.spec.ref in the providerConfig of the shoot;"},
		"Secret of the shoot's users":       {refusedBy, map[string]string{"source.template": project.OriginShoot}, "correct the Secret of the shoot that source.template.spec.secretRef names in the providerConfig of the shoot;"},
		"no CA of a template":               {untrusted, map[string]string{"source.template": project.OriginShoot}, "into ca.crt of a Secret that source.secretResourceName names in the providerConfig of the shoot,"},
		"Secret of a template":              {refusedBy, map[string]string{"source.template": project.OriginShoot, "source.secretResourceName": project.OriginShoot}, "correct the Secret that source.secretResourceName names in the providerConfig of the shoot;"},
		"no Secret of a template":           {anonymous, map[string]string{"source.template": project.OriginShoot}, "put them into a Secret that the Shoot names in spec.resources, and name it in source.secretResourceName of the providerConfig of the shoot;"},
		"address of a bucket":               {bucket, map[string]string{"source.template": project.OriginShoot}, "correct source.template.spec.endpoint or source.template.spec.bucketName in the providerConfig of the shoot;"},
		"template in an override of labels": {missing, map[string]string{"source.template": "overrides[0]"}, "correct source.template.spec.ref in overrides[0] of ConfigMap garden-shop/flux-config of the garden;"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			o := test.of.observe()
			o.Origins = test.origins
			g.Expect(Assess(o).Message).To(ContainSubstring(test.want))
		})
	}
}

// What the Kustomization says is corrected where it was written. Only what nobody wrote there for good is taken back.
func TestWhatTheKustomizationSays(t *testing.T) {
	const (
		takenBack = "Gardener takes that back within an hour; Flux says: "
		inShoot   = " in the providerConfig of the shoot"
		inObject  = " in the Kustomization flux-system of the shoot"
	)
	spec := kustomizev1.KustomizationSpec{
		DependsOn: []kustomizev1.DependencyReference{{Name: "infra"}}, HealthCheckExprs: []kustomize.CustomHealthCheck{{Kind: "Thing"}}, Decryption: &kustomizev1.Decryption{Provider: "sops"},
	}
	ready := spec
	ready.HealthCheckExprs, ready.DependsOn = nil, []kustomizev1.DependencyReference{{Name: "infra", ReadyExpr: "x"}}
	template := map[string]string{"source.template": project.OriginShoot, "kustomization.template": project.OriginShoot}
	for name, test := range map[string]struct {
		reason  string
		spec    kustomizev1.KustomizationSpec
		origins map[string]string
		fields  []string
		users   bool
		want    string
	}{
		"dependency of the template": {"DependencyNotReady", spec, template, []string{"dependsOn"}, false,
			"Flux applies the repository when that is ready which kustomization.template.spec.dependsOn" + inShoot + " names: look at it in the shoot, or correct the field; Flux says: "},
		"dependency of the template of an override": {"DependencyNotReady", spec, map[string]string{"kustomization.template": "overrides[1]"}, []string{"dependsOn"}, false,
			"kustomization.template.spec.dependsOn in overrides[1] of ConfigMap garden-shop/flux-config of the garden names"},
		"dependency, and it is not known what was rendered": {"DependencyNotReady", spec, template, nil, false, "which kustomization.template.spec.dependsOn" + inShoot + " names"},
		"dependency of the users":                           {"DependencyNotReady", spec, nil, nil, true, "Flux applies the repository when that is ready which spec.dependsOn" + inObject + " names: look at it"},
		"dependency that is not in the template":            {"DependencyNotReady", spec, template, []string{"path"}, false, "waits for what somebody wrote into its dependsOn: " + takenBack},
		"dependency, and there is no template":              {"DependencyNotReady", spec, nil, []string{"path"}, false, "waits for what somebody wrote into its dependsOn: " + takenBack},
		"expression of the template":                        {"InvalidCELExpression", spec, template, []string{"dependsOn", "healthCheckExprs"}, false, "Flux can't do what kustomization.template.spec.healthCheckExprs" + inShoot + " says: correct it; Flux says: "},
		"expression of a dependency":                        {"InvalidCELExpression", ready, template, []string{"dependsOn"}, false, "Flux can't do what kustomization.template.spec.dependsOn" + inShoot + " says: correct it"},
		"expression of the users":                           {"InvalidCELExpression", spec, template, nil, true, "Flux can't do what spec.healthCheckExprs" + inObject + " says: correct it"},
		"expression that is not in the template":            {"InvalidCELExpression", spec, template, []string{"path"}, false, "somebody changed the Kustomization flux-system of the shoot to what Flux can't do: " + takenBack},
		"expression, and nobody knows which":                {"InvalidCELExpression", kustomizev1.KustomizationSpec{}, nil, nil, true, "Flux can't do what the Kustomization flux-system of the shoot says: correct it"},
		"feature of the template":                           {"FeatureGateDisabled", spec, template, []string{"decryption"}, false, "Flux can't do what kustomization.template.spec.decryption" + inShoot + " says: correct it"},
		"source of the template":                            {"AccessDenied", spec, template, []string{"sourceRef"}, false, "Flux can't do what kustomization.template.spec.sourceRef" + inShoot + " says: correct it"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			o := broken(test.reason, "x is not ready").observe()
			o.Kustomization.Spec, o.Origins, o.OwnedByUsers = test.spec, test.origins, test.users
			o.FluxStatus.Fields = renderedFields(g, o.Kustomization.Spec, test.fields)
			got := Assess(o)
			g.Expect(got.Reason).To(Equal(ApplyFailed), got.Message)
			g.Expect(got.Message).To(ContainSubstring(test.want))
		})
	}
}

// renderedFields are digests of fields of a Kustomization that was rendered so.
func renderedFields(g Gomega, spec kustomizev1.KustomizationSpec, names []string) map[string]string {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&spec)
	g.Expect(err).NotTo(HaveOccurred())
	rendered := map[string]any{}
	for _, name := range names {
		rendered[name] = content[name]
	}
	digests, err := render.FieldDigests([]client.Object{&unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization", "spec": rendered,
	}}})
	g.Expect(err).NotTo(HaveOccurred())
	return digests
}

// That somebody wants Flux to stand still is no fault.
func TestSuspendedByConfiguration(t *testing.T) {
	g := NewWithT(t)
	o := state{repository: fetched, root: applied, change: func(o *Observation) { o.Source.Suspended = true }}.observe()
	g.Expect(Assess(o).Status).To(Equal(gardencorev1beta1.ConditionFalse), "somebody did it in the shoot")
	o.FluxStatus.Fields = suspendedFields(g, "GitRepository")
	o.Origins = map[string]string{"suspend": project.OriginShoot}
	g.Expect(Assess(o)).To(And(HaveField("Status", gardencorev1beta1.ConditionTrue), HaveField("Reason", Suspended), HaveField("Revision", revision),
		HaveField("Message", "Flux does not follow the repository, and what it has deployed stays as it is: suspend in the providerConfig of the shoot says so")))
}

// suspendedFields are those of an object that was rendered suspended.
func suspendedFields(g Gomega, kind string) map[string]string {
	group := map[string]string{"GitRepository": "source.toolkit.fluxcd.io", "Kustomization": "kustomize.toolkit.fluxcd.io"}[kind]
	object := &unstructured.Unstructured{Object: map[string]any{"apiVersion": group + "/v1", "kind": kind, "spec": map[string]any{"suspend": true}}}
	fields, err := render.FieldDigests([]client.Object{object})
	g.Expect(err).NotTo(HaveOccurred())
	return fields
}

// A template can say it, too. One that says that Flux is not suspended does not.
func TestSuspendedByTemplate(t *testing.T) {
	g := NewWithT(t)
	o := state{repository: fetched, root: applied, change: func(o *Observation) { o.Kustomization.Spec.Suspend = true }}.observe()
	o.Origins = map[string]string{"source.template": project.OriginShoot, "kustomization.template": "overrides[1]"}
	o.FluxStatus.Fields = suspendedFields(g, "Kustomization")
	g.Expect(Assess(o).Message).To(Equal("Flux does not follow the repository, and what it has deployed stays as it is: " +
		"kustomization.template.spec.suspend in overrides[1] of ConfigMap garden-shop/flux-config of the garden says so"))
	for field := range o.FluxStatus.Fields {
		o.FluxStatus.Fields[field] = "another"
	}
	g.Expect(Assess(o).Message).To(HavePrefix("somebody suspended the Kustomization flux-system of the shoot"))
}

// What belongs to the shoot's users is neither compared with what is configured, nor put back.
func TestOwnedByUsers(t *testing.T) {
	for name, test := range map[string]struct {
		state  state
		status gardencorev1beta1.ConditionStatus
		reason string
		words  string
	}{
		"another repository": {state{repository: fetched, root: applied, change: func(o *Observation) { o.Source.URL = "https://git.example.org/theirs" }}, "True", Applied, "of https://git.example.org/theirs"},
		"no source": {state{change: func(o *Observation) { o.Source = nil }}, "True", NoRepository,
			"nothing is followed: the shoot has no GitRepository flux-system, which belongs to its users (syncMode: Once); set syncMode in ConfigMap garden-shop/flux-config of the garden to Managed, and the extension makes it"},
		"no Kustomization": {state{repository: fetched, change: func(o *Observation) { o.Kustomization = nil }}, "True", NoRepository, "the shoot has no Kustomization flux-system"},
		"suspended":        {state{repository: fetched, root: applied, change: func(o *Observation) { o.Source.Suspended = true }}, "False", Suspended, "somebody suspended the GitRepository"},
		"being deleted":    {state{repository: fetched, root: applied, change: func(o *Observation) { o.Source.DeletionTimestamp = &noon }}, "False", BeingDeleted, "so Flux does not follow the repository; if it stays"},
		"no branch":        {state{repository: refused("couldn't find remote ref \"refs/heads/main\"")}, "False", BranchNotFound, "or correct spec.ref in the GitRepository flux-system of the shoot"},
		"no directory":     {broken("ArtifactFailed", "kustomization path not found: stat /tmp/kustomization-3243543/clusters: no such file or directory"), "False", PathNotFound, "correct spec.path in the Kustomization flux-system of the shoot"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			o := test.state.observe()
			o.OwnedByUsers, o.FluxStatus.RepositoryURL = true, "https://git.example.org/configured"
			o.FluxStatus.Fields = suspendedFields(g, "GitRepository")
			g.Expect(Assess(o)).To(And(HaveField("Status", test.status), HaveField("Reason", test.reason), HaveField("Message", ContainSubstring(test.words))))
		})
	}
}

// Objects of other names, in other namespaces, are named by them.
func TestOtherNames(t *testing.T) {
	for name, test := range map[string]struct {
		state state
		words []string
	}{
		"missing": {state{change: func(o *Observation) { o.Source = nil }}, []string{"the GitRepository other/base does not exist in the shoot yet"}},
		"suspended": {state{repository: fetched, root: applied, change: func(o *Observation) { o.Source.Suspended = true }},
			[]string{"suspended the GitRepository other/base", "flux resume source git base -n other lets"}},
		"being deleted": {state{repository: fetched, root: applied, change: func(o *Observation) { o.Kustomization.DeletionTimestamp = &noon }},
			[]string{"the Kustomization gitops/base", "kubectl -n gitops patch kustomizations.kustomize.toolkit.fluxcd.io base "}},
		"not looked at": {state{repository: fetched}, []string{"Flux has not looked at the Kustomization gitops/base yet"}},
		"no progress": {state{repository: ready("Unknown", "Progressing", ""), change: func(o *Observation) { o.Now = noon.Add(1e13) }},
			[]string{"kubectl -n gitops get pods, and kubectl -n gitops logs deployment/source-controller"}},
		"artifact": {broken("ArtifactFailed", "failed to download"), []string{"NetworkPolicies in namespace gitops,"}},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			o := test.state.observe()
			o.Namespace = "gitops"
			o.SourceKey.Namespace, o.SourceKey.Name = "other", "base"
			o.KustomizationKey.Namespace, o.KustomizationKey.Name = "gitops", "base"
			o.FluxStatus = fluxv1alpha1.FluxStatus{}
			got := Assess(o).Message
			for _, words := range test.words {
				g.Expect(got).To(ContainSubstring(words))
			}
			g.Expect(got).NotTo(ContainSubstring("flux-system"))
		})
	}
}
