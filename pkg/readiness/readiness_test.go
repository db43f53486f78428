// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package readiness

import (
	"errors"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
)

const (
	sshURL    = "ssh://git@git.example.com:2222/fleet/shoots.git"
	publicKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
	revision  = "main@sha1:5f0c1a"
)

// root is what flux bootstrap calls its objects.
var root = client.ObjectKey{Namespace: "flux-system", Name: "flux-system"}

var noon = metav1.Date(2026, time.March, 4, 12, 0, 0, 0, time.UTC)

// state is what Flux said at noon. It is looked at a minute later.
type state struct {
	url        string
	told       fluxv1alpha1.FluxStatus
	repository *metav1.Condition
	root       *metav1.Condition
	change     func(*Observation)
}

func (s state) observe() Observation {
	if s.url == "" {
		s.url = sshURL
		s.told = fluxv1alpha1.FluxStatus{PublicKey: publicKey, HostKeys: []string{"ssh-ed25519 SHA256:trusted"}}
	}
	o := Observation{
		Now: noon.Add(time.Minute), Project: "garden-shop", FluxStatus: s.told, Namespace: "flux-system", SourceKind: flux.GitRepository, SourceKey: root, KustomizationKey: root,
		Source: &flux.Source{Spec: &sourcev1.GitRepositorySpec{}}, Kustomization: &kustomizev1.Kustomization{},
	}
	o.Source.Generation, o.Kustomization.Generation = 2, 2
	o.Source.URL, o.Source.Reference, o.Source.Timeout = s.url, flux.Reference{Kind: flux.Branch, Value: "main"}, time.Minute
	o.Kustomization.Spec.Path = "./clusters"
	if s.repository != nil {
		o.Source.Conditions = []metav1.Condition{*s.repository}
		if s.repository.Status == metav1.ConditionTrue {
			o.Source.Artifact = &fluxmeta.Artifact{Revision: revision, LastUpdateTime: noon}
		}
	}
	if s.root != nil {
		o.Kustomization.Status.Conditions = []metav1.Condition{*s.root}
		if s.root.Status == metav1.ConditionTrue {
			o.Kustomization.Status.LastAppliedRevision = revision
		}
	}
	if s.change != nil {
		s.change(&o)
	}
	return o
}

func ready(status metav1.ConditionStatus, reason, message string) *metav1.Condition {
	return &metav1.Condition{Type: "Ready", Status: status, Reason: reason, Message: message, ObservedGeneration: 2, LastTransitionTime: noon}
}

// refused is a GitRepository that go-git or the Git server refuses.
func refused(message string) *metav1.Condition {
	return ready(metav1.ConditionFalse, sourcev1.GitOperationFailedReason, "failed to checkout and determine revision: "+message)
}

var (
	fetched = ready(metav1.ConditionTrue, "Succeeded", "stored artifact for revision '"+revision+"'")
	applied = ready(metav1.ConditionTrue, "ReconciliationSucceeded", "Applied revision: "+revision)
)

func broken(reason, message string) state {
	return state{repository: fetched, root: ready(metav1.ConditionFalse, reason, message)}
}

func TestAssess(t *testing.T) {
	inConfig := " in ConfigMap garden-shop/flux-config of the garden"
	for name, test := range map[string]struct {
		state  state
		status gardencorev1beta1.ConditionStatus
		reason string
		// words are all in the message.
		words []string
	}{
		"follows": {state{repository: fetched, root: applied}, "True", Applied, []string{"Flux has applied revision " + revision + " of " + sshURL}},
		"not in the shoot yet": {state{change: func(o *Observation) { o.Source = nil }}, "Progressing", NotApplied,
			[]string{"the GitRepository flux-system does not exist in the shoot yet"}},
		"half in the shoot": {state{change: func(o *Observation) { o.Kustomization = nil }}, "Progressing", NotApplied,
			[]string{"the Kustomization flux-system does not exist in the shoot yet"}},
		"not looked at": {state{}, "Progressing", NotObserved, []string{"Flux has not looked at the repository " + sshURL + " yet"}},
		"error of an older generation": {
			state{repository: refused("ssh: unable to authenticate"), change: func(o *Observation) { o.Source.Generation = 3 }},
			"Progressing", NotObserved, []string{"Flux has not looked at the repository"}},
		"error of the current generation, which Flux has not finished": {
			state{repository: refused("ssh: unable to authenticate"), change: func(o *Observation) { o.Source.ObservedGeneration = -1 }},
			"False", AuthenticationFailed, nil},
		"condition without generation, as Flux v0 writes it": {
			state{repository: fetched, root: &metav1.Condition{Type: "Ready", Status: "False", Reason: "BuildFailed", Message: "x"},
				change: func(o *Observation) { o.Kustomization.Status.ObservedGeneration = 1 }},
			"Progressing", NotObserved, []string{"Flux has not looked at the Kustomization flux-system yet"}},
		"fetching": {state{repository: ready(metav1.ConditionUnknown, "Progressing", "building artifact")}, "Progressing", Fetching,
			[]string{"Flux is reading the repository " + sshURL}},
		"applying": {state{repository: fetched, root: ready(metav1.ConditionUnknown, "Progressing", "Reconciliation in progress")}, "Progressing", Applying,
			[]string{"Flux is applying revision " + revision + " of " + sshURL}},
		"has just been fetched": {broken("ArtifactFailed", "Source artifact not found, retrying in 30s"), "Progressing", Applying, nil},
		"suspended source": {state{repository: fetched, root: applied, change: func(o *Observation) { o.Source.Suspended = true }}, "False", Suspended,
			[]string{"somebody suspended the GitRepository flux-system", "flux resume source git flux-system"}},
		"suspended Kustomization": {state{repository: fetched, root: applied, change: func(o *Observation) { o.Kustomization.Spec.Suspend = true }}, "False", Suspended,
			[]string{"flux resume kustomization flux-system"}},
		"deleted with its namespace": {state{repository: fetched, root: applied, change: func(o *Observation) { o.Source.DeletionTimestamp = new(metav1.Now()) }}, "False", BeingDeleted,
			[]string{"somebody deletes the GitRepository flux-system", "kubectl -n flux-system patch gitrepositories.source.toolkit.fluxcd.io flux-system"}},
		"only the Kustomization is deleted": {state{repository: fetched, root: applied, change: func(o *Observation) { o.Kustomization.DeletionTimestamp = new(metav1.Now()) }}, "False", BeingDeleted,
			[]string{"patch kustomizations.kustomize.toolkit.fluxcd.io flux-system"}},

		"unregistered key": {
			state{repository: refused("unable to list remote for '" + sshURL + "': ssh: handshake failed: ssh: unable to authenticate, attempted methods [none publickey], no supported methods remain")},
			"False", AuthenticationFailed,
			[]string{"register this public key there as a read-only deploy key: " + publicKey, sshURL, "Flux says: failed to checkout and determine revision: ", "unable to authenticate"}},
		"unregistered key that the extension has not told yet": {
			state{repository: refused("ssh: unable to authenticate"), change: func(o *Observation) {
				o.FluxStatus, o.Source.HasCredentials = fluxv1alpha1.FluxStatus{}, true
			}}, "False", AuthenticationFailed, []string{"deploy key: key identity.pub of Secret garden-shop/flux-source of the garden"}},
		"key registered elsewhere, GitHub": {state{repository: refused("unable to list remote for '" + sshURL + "': unknown error: ERROR: Repository not found.")},
			"False", RepositoryNotFound, []string{"correct repositoryUrl" + inConfig, publicKey}},
		"key registered elsewhere, GitLab": {
			state{repository: refused("unknown error: remote: ERROR: The project you were looking for could not be found or you don't have permission to view it.")},
			"False", RepositoryNotFound, []string{publicKey}},
		"public repository that is private or not there": {
			state{url: "https://git.example.com/a/b", repository: refused("unable to list remote for 'https://git.example.com/a/b': authentication required: Repository not found.")},
			"False", RepositoryNotFound, []string{"does not show https://git.example.com/a/b without credentials", "set repositoryType to private"}},
		"public repository that wants credentials": {
			state{url: "https://git.example.com/a/b", repository: refused("unable to list remote for 'https://git.example.com/a/b': authentication required")},
			"False", AuthenticationFailed, []string{"the Git server wants credentials", "set repositoryType to private" + inConfig + ", and put them into Secret garden-shop/flux-source of the garden"}},
		"unknown branch": {state{repository: refused(`unable to clone '` + sshURL + `': couldn't find remote ref "refs/heads/main"`)},
			"False", BranchNotFound, []string{`has no branch "main"`, "correct repositoryBranch" + inConfig}},
		"other host key": {state{repository: refused("unable to list remote for '" + sshURL + "': ssh: handshake failed: knownhosts: key mismatch")},
			"False", HostKeyMismatch, []string{"(ssh-ed25519 SHA256:trusted)", "correct knownHosts" + inConfig, "key known_hosts of Secret garden-shop/flux-source"}},
		"unknown host": {state{repository: refused("unable to list remote for '" + sshURL + "': dial tcp: lookup git.example.com on 100.64.0.10:53: no such host")},
			"False", HostNotFound, []string{"the shoot's DNS does not know the Git server", "correct repositoryUrl" + inConfig}},
		"no connection": {state{repository: refused("unable to list remote for '" + sshURL + "': dial tcp 192.0.2.1:2222: connect: connection refused")},
			"False", HostUnreachable, []string{"let the shoot's nodes reach it"}},
		"connection that breaks": {state{repository: refused("read tcp 10.0.0.7:43211->192.0.2.1:2222: read: connection reset by peer")},
			"False", HostUnreachable, []string{"Flux says: failed to checkout and determine revision: read tcp 192.0.2.1:2222: read: connection reset by peer"}},
		"unknown fault of the source": {state{repository: ready(metav1.ConditionFalse, "AuthenticationFailed", "failed to get secret 'flux-system/flux-source': not found")},
			"False", FetchFailed, []string{"Flux can't read the repository " + sshURL, "failed to get secret"}},

		"no such directory": {
			broken("ArtifactFailed", "kustomization path not found: stat /tmp/kustomization-1234/clusters: no such file or directory"),
			"False", PathNotFound, []string{`has no directory "./clusters"`, "correct repositoryPath" + inConfig, "Flux says: kustomization path not found: stat clusters: no such"}},
		"kustomize build": {
			broken("BuildFailed", "kustomize build failed: accumulating resources: accumulation err='accumulating resources from 'missing.yaml': open "+
				"/var/folders/x/kustomization-998877/clusters/missing.yaml: no such file or directory'"),
			"False", BuildFailed, []string{`can't build directory "./clusters"`, "'missing.yaml': open clusters/missing.yaml: no such file"}},
		"unhealthy": {broken("HealthCheckFailed", "health check failed after 30.0192s: timeout waiting for: [Deployment/shop/shop status: 'InProgress']"),
			"False", HealthCheckFailed, []string{"does not become healthy", "health check failed: timeout waiting for: [Deployment/shop/shop status: 'InProgress']"}},
		"refused by the shoot": {broken("ReconciliationFailed", "Deployment/shop/shop dry-run failed (Invalid):\n spec.replicas: Invalid value"),
			"False", ApplyFailed, []string{"does not take the repository's content", "dry-run failed (Invalid): spec.replicas"}},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			got := Assess(test.state.observe())
			g.Expect(got.Status).To(Equal(test.status), got.Message)
			g.Expect(got.Reason).To(Equal(test.reason), got.Message)
			for _, words := range test.words {
				g.Expect(got.Message).To(ContainSubstring(words))
			}
			g.Expect(got.Message).NotTo(ContainSubstring("\n"))
		})
	}
}

func TestRevisionStaysKnown(t *testing.T) {
	g := NewWithT(t)
	o := state{repository: refused("ssh: unable to authenticate"), root: applied}.observe()
	g.Expect(Assess(o)).To(And(HaveField("Reason", AuthenticationFailed), HaveField("Revision", revision)))
}

func TestSecretsAreNotRepeated(t *testing.T) {
	for name, message := range map[string]string{
		"password":    "unable to clone 'https://user:hunter2@git.example.com/a'",
		"token":       "accumulating resources from 'https://hunter2@git.example.com/a'",
		"ssh":         "unable to clone 'ssh://git:hunter2@git.example.com/a'",
		"private key": "ssh: cannot parse -----BEGIN OPENSSH PRIVATE KEY-----\nhunter2\n-----END OPENSSH PRIVATE KEY-----",
		"cut key":     "ssh: cannot parse -----BEGIN RSA PRIVATE KEY-----\nhunter2",
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			g.Expect(Assess(state{repository: refused(message)}.observe()).Message).NotTo(ContainSubstring("hunter2"))
			g.Expect(Unreachable(errors.New(message)).Message).NotTo(ContainSubstring("hunter2"))
		})
	}
}

func TestSettles(t *testing.T) {
	for _, test := range []struct {
		before, now string
		settles     bool
	}{
		{Applied, Fetching, false},
		{Applied, Applying, false},
		{Applied, NotObserved, true},
		{AuthenticationFailed, Fetching, false},
		{AuthenticationFailed, Applying, true},
		{BuildFailed, Applying, false},
		{BuildFailed, AuthenticationFailed, true},
		{NotObserved, Applying, true},
		{NoRepository, Fetching, true},
		{Applied, NoProgress, true},
		{ArtifactFailed, Fetching, false},
		{ArtifactFailed, Applying, false},
		{NoProgress, Applying, true},
		{ControllersUnavailable, Applying, true},
		{Applied, Applied, true},
	} {
		t.Run(test.before+" "+test.now, func(t *testing.T) {
			g := NewWithT(t)
			g.Expect(Readiness{Reason: test.now}.Replaces(&gardencorev1beta1.Condition{Reason: test.before})).To(Equal(test.settles))
			g.Expect(Readiness{Reason: test.now}.Replaces(nil)).To(BeTrue())
		})
	}
}
