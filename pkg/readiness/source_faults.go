// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package readiness

import (
	"strings"
)

// fault is a kind of error of reading a repository.
type fault struct {
	// words are those of Flux, go-git, golang.org/x/crypto/ssh, libgit2 (in Flux before v2.0.0) or Git servers, in small letters.
	// One of them is enough. "…" stands for anything. The repository's address does not count: it may hold any word.
	words  []string
	reason string
	// advice is what it means, and what to do about it. It has no dot.
	advice func(Observation) string
}

// sourceFaultTable is in the order in which to look. Over HTTPS, forges want credentials for a repository that does not exist, and
// go-git repeats the whole page that a server answers with: what is unmistakable comes before what may mean anything.
var sourceFaultTable = []fault{
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
		reason: BranchNotFound,
		advice: adviseEmpty,
	},
	{
		words:  []string{"couldn't find remote ref", "reference not found", "reference 'refs/", "cannot locate remote-tracking branch", "unable to resolve ref '"},
		reason: BranchNotFound,
		advice: adviseBranch,
	},
	{
		words: []string{
			"unable to authenticate", "permission denied (publickey", "public key authentication failed", "failed to authenticate ssh session",
			"unable to send userauth-publickey", "unsupported credentials type", "authentication required but no callback set", "key you are authenticating with has been marked as read",
			"using ssh-rsa that is about to be deprecated",
		},
		reason: AuthenticationFailed,
		advice: adviseKey,
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
		advice: adviseKey,
	},
	{
		words: []string{
			"no such host", "server misbehaving", "temporary failure in name resolution", "name or service not known", "could not resolve host",
			"failed to resolve address", "lookup …i/o timeout",
		},
		reason: HostNotFound,
		advice: adviseHost,
	},
	{
		words: []string{
			"unable to clone '': context deadline exceeded", "unable to clone: context deadline exceeded", "upload-pack response…context deadline exceeded",
			"packfile…context deadline exceeded",
		},
		reason: FetchTimeout,
		advice: adviseTimeout,
	},
	{
		words: []string{
			"connection refused", "i/o timeout", "no route to host", "network is unreachable", "connection reset", "context deadline exceeded",
			"connection timed out", "tls handshake timeout", "x509:", "tls: ", "server gave http response to https client", "handshake failed: eof",
			"failed to connect to", "failed getting banner", "ssl error", "broken pipe", "proxyconnect", "socks connect",
		},
		reason: HostUnreachable,
		advice: adviseConnection,
	},
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
	for i := range sourceFaultTable {
		for _, words := range sourceFaultTable[i].words {
			if containsInOrder(message, words) {
				return &sourceFaultTable[i]
			}
		}
	}
	return nil
}

// withoutAddress takes the repository's URL and path out of a message: Git servers repeat them, and they may hold any word.
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
	return message
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
