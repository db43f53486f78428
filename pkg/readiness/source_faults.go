// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package readiness

import (
	"cmp"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
)

// fault is a kind of error of reading a source.
type fault struct {
	// words are those of Flux, of the libraries it reads sources with, or of servers, in small letters: go-git, golang.org/x/crypto/ssh and
	// libgit2 (in Flux before v2.0.0), go-containerregistry, minio-go. One of them is enough. "…" stands for anything. The source's address
	// does not count: it may hold any word.
	words []string
	// reason is missing if it says of what kind the reference is that was not found.
	reason string
	// advice is what it means, and what to do about it. It has no dot.
	advice func(Observation) string
}

// notFound are the reasons of references that a source does not have.
var notFound = map[flux.ReferenceKind]string{
	flux.Branch: BranchNotFound, flux.Tag: TagNotFound, flux.SemVer: VersionNotFound, flux.Commit: CommitNotFound, flux.RefName: ReferenceNotFound, flux.Digest: DigestNotFound,
}

func (f *fault) reasonFor(o Observation) string {
	return cmp.Or(f.reason, notFound[o.Source.Reference.Kind], FetchFailed)
}

// messagesOfServers are the reasons of source-controller with which it repeats what a server, or the network, says.
var messagesOfServers = map[schema.GroupKind][]string{
	flux.GitRepository.GroupKind: {sourcev1.GitOperationFailedReason, emptyGitRepository},
	flux.OCIRepository.GroupKind: {sourcev1.OCIPullFailedReason, sourcev1.ReadOperationFailedReason, sourcev1.OCILayerOperationFailedReason},
	flux.Bucket.GroupKind:        {sourcev1.BucketOperationFailedReason},
}

// faultsOf are the faults of a kind of source, in the order in which to look.
var faultsOf = map[schema.GroupKind][]fault{
	flux.GitRepository.GroupKind: gitFaults,
	flux.OCIRepository.GroupKind: registryFaults,
	flux.Bucket.GroupKind:        bucketFaults,
}

var (
	hostNotFound = fault{
		words: []string{
			"no such host", "server misbehaving", "temporary failure in name resolution", "name or service not known", "could not resolve host",
			"failed to resolve address", "lookup …i/o timeout",
		},
		reason: HostNotFound,
		advice: adviseHost,
	}
	clientCertificateWanted = fault{
		words:  []string{"tls: certificate required", "tls: bad certificate", "tls: unknown certificate authority"},
		reason: AuthenticationFailed,
		advice: adviseClientCertificate,
	}
	certificateUntrusted = fault{
		words:  []string{"x509: ", "ssl error: certificate", "certificate is not trusted"},
		reason: CertificateUntrusted,
		advice: adviseCertificate,
	}
	hostUnreachable = fault{
		words: []string{
			"connection refused", "i/o timeout", "no route to host", "network is unreachable", "connection reset", "context deadline exceeded",
			"connection timed out", "tls handshake timeout", "tls: ", "server gave http response to https client", "handshake failed: eof",
			"failed to connect to", "failed getting banner", "ssl error", "broken pipe", "proxyconnect", "socks connect",
		},
		reason: HostUnreachable,
		advice: adviseConnection,
	}
)

// registryFaults are of registries, by the codes of the distribution specification, which go-containerregistry puts before a registry's
// words (pkg/v1/remote/transport/error.go). Registries want credentials for a repository that does not exist.
var registryFaults = []fault{
	{
		words:  []string{"semver '…parse error"},
		reason: FetchFailed,
		advice: adviseRange,
	},
	{
		words:  []string{"manifest_unknown", "manifest unknown", "no match found for semver", "manifest not found", "tag_invalid"},
		advice: adviseReference,
	},
	{
		words:  []string{"name_unknown", "name_invalid", "repository name not known", "repository not found", "project not found", "unexpected status code 404"},
		reason: RepositoryNotFound,
		advice: adviseRepository,
	},
	{
		words:  []string{"unauthorized", "denied", "unexpected status code 401", "unexpected status code 403", "authentication required", "no token in bearer response"},
		reason: AuthenticationFailed,
		advice: adviseCredentials,
	},
	{
		words: []string{
			"toomanyrequests", "too many requests", "unavailable", "unexpected status code 5", "unexpected status code 429", "unexpected eof", "challenge scheme",
			"www-authenticate",
		},
		reason: FetchFailed,
		advice: adviseServer,
	},
	hostNotFound,
	clientCertificateWanted,
	certificateUntrusted,
	{
		words:  []string{"failed to extract layer contents…context deadline exceeded", "failed to copy layer…context deadline exceeded"},
		reason: FetchTimeout,
		advice: adviseTimeout,
	},
	hostUnreachable,
	{
		words:  []string{"layer", "failed to parse artifact manifest"},
		reason: FetchFailed,
		advice: adviseLayer,
	},
}

// bucketFaults are of object storages with the API of S3, and of Azure's and Google's.
var bucketFaults = []fault{
	{
		words: []string{
			"access denied", "accessdenied", "access key id you provided does not exist", "signature we calculated does not match", "invalidaccesskeyid", "403 forbidden",
			"authentication failed", "authenticationfailed", "authorizationfailure", "permission", "forbidden", "unauthorized", "401",
		},
		reason: AuthenticationFailed,
		advice: adviseCredentials,
	},
	{
		words:  []string{"bucket '…not found", "bucket does not exist", "nosuchbucket", "containernotfound", "bucket doesn't exist", "nonexistent"},
		reason: BucketNotFound,
		advice: adviseBucket,
	},
	hostNotFound,
	clientCertificateWanted,
	certificateUntrusted,
	{
		words:  []string{"fetch from bucket…context deadline exceeded", "indexation of objects…context deadline exceeded"},
		reason: FetchTimeout,
		advice: adviseTimeout,
	},
	hostUnreachable,
	{
		words:  []string{"slow down", "service unavailable", "internal error", "500 ", "502 ", "503 ", "504 "},
		reason: FetchFailed,
		advice: adviseServer,
	},
}

// gitFaults are of Git servers. Over HTTPS, forges want credentials for a repository that does not exist, and go-git repeats the whole page
// that a server answers with: what is unmistakable comes before what may mean anything.
var gitFaults = []fault{
	{
		words: []string{
			"knownhosts: key mismatch", "knownhosts: key is unknown", "knownhosts: key is revoked", "hostkey could not be verified", "hostkey cannot be verified",
			"no common algorithm for host key", "invalid or unknown remote ssh hostkey", "host key verification failed",
		},
		reason: HostKeyMismatch,
		advice: adviseHostKey,
	},
	{
		words:  []string{"object-format=sha256", "no space after hash", "not compiled with sha256 support"},
		reason: FetchFailed,
		advice: adviseSHA256,
	},
	{
		words:  []string{"git repository is empty", "remote repository is empty"},
		advice: adviseEmpty,
	},
	{
		words:  []string{"semver parse error"},
		reason: FetchFailed,
		advice: adviseRange,
	},
	{
		words: []string{
			"couldn't find remote ref", "reference not found", "reference 'refs/", "cannot locate remote-tracking branch", "unable to resolve ref '",
			"no match found for semver", "unable to resolve commit object for '…object not found", "unable to find reference for tag",
		},
		advice: adviseReference,
	},
	{
		words: []string{
			"unable to authenticate", "permission denied (publickey", "public key authentication failed", "failed to authenticate ssh session",
			"unable to send userauth-publickey", "unsupported credentials type", "authentication required but no callback set", "key you are authenticating with has been marked as read",
			"using ssh-rsa that is about to be deprecated",
		},
		reason: AuthenticationFailed,
		advice: adviseCredentials,
	},
	{
		words: []string{
			"repository not found", "repository '…not found", "project not found", "project you were looking for", "cannot find repository", "no such repository", "git repository not found",
			"requested repository", "requested project", "does not appear to be a git repository", "not a git repository", "could not read from remote repository",
			"does not exist, or the key is not registered", "could not be found or you don't have permission", "tf401019", "tf200016", "repositorydoesnotexistexception",
			"invalid repository syntax", "mis-spelled the reponame", "status code: 404", "unexpected format", "invalid pkt-len found", "unexpected content-type", "http redirect: target",
		},
		reason: RepositoryNotFound,
		advice: adviseRepository,
	},
	{
		words:  []string{"authentication required", "authorization failed", "status code: 401", "status code: 403", "authentication failed"},
		reason: AuthenticationFailed,
		advice: adviseCredentials,
	},
	hostNotFound,
	clientCertificateWanted,
	certificateUntrusted,
	{
		words: []string{
			"unable to clone '': context deadline exceeded", "unable to clone: context deadline exceeded", "upload-pack response…context deadline exceeded",
			"packfile…context deadline exceeded",
		},
		reason: FetchTimeout,
		advice: adviseTimeout,
	},
	hostUnreachable,
	{
		words: []string{
			"internal server error", "api is not accessible", "internal api", "status code: 5", "status code: 429", "too many requests", "rate limit", "service unavailable",
			"command not found", "dubious ownership", "unrecognized command", "disallowed command", "account is currently not available", "interactive git shell is not enabled",
			"account is suspended", "account has been blocked", "timeout exceeded", "unexpected eof",
		},
		reason: FetchFailed,
		advice: adviseServer,
	},
	{
		words: []string{
			"denied", "not permitted", "permission", "unauthorized", "unauthorised", "not authorized", "not allowed to", "forbidden", "do not have access", "don't have access",
			"not accessible", "does not exist", "doesn't exist", "could not be found", "couldn't be found", "invalid repo", "unknown repo", "saml sso",
		},
		reason: RepositoryNotFound,
		advice: adviseRepository,
	},
}

// faultOf finds the fault that a message speaks of, or nil.
func faultOf(o Observation, message string) *fault {
	message = strings.ToLower(withoutAddress(o, message))
	faults := faultsOf[o.SourceKind.GroupKind]
	for i := range faults {
		for _, words := range faults[i].words {
			if containsInOrder(message, words) {
				return &faults[i]
			}
		}
	}
	return nil
}

// withoutAddress takes the source's URL and path out of a message: servers repeat them, and they may hold any word.
func withoutAddress(o Observation, message string) string {
	url := o.Source.URL
	message = strings.ReplaceAll(message, url, "")
	_, path, _ := strings.Cut(url, "://")
	if _, after, found := strings.Cut(path, "/"); found {
		path = after
	}
	for _, path := range []string{path, strings.TrimSuffix(path, ".git")} {
		if len(path) > 3 {
			message = strings.ReplaceAll(message, path, "")
		}
	}
	// Registries are asked for a tag by its name.
	return strings.ReplaceAll(message, "/manifests/"+o.Source.Reference.Value, "")
}

func containsInOrder(text, words string) bool {
	for part := range strings.SplitSeq(words, "…") {
		at := strings.Index(text, part)
		if at < 0 {
			return false
		}
		text = text[at+len(part):]
	}
	return true
}
