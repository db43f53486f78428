// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package readiness

import (
	"errors"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
)

func TestShorten(t *testing.T) {
	for _, test := range []struct {
		sentence string
		limit    int
		want     string
	}{
		{"abc", 3, "abc"},
		{"abcdefghij", 9, "abc…hij"},
		{"ääää", 6, "ä…"},
		{"ääää", 7, "ä…ä"},
		{"abc", 2, ""},
		{"abc", 0, ""},
	} {
		NewWithT(t).Expect(Shorten(test.sentence, test.limit)).To(Equal(test.want), "%s %d", test.sentence, test.limit)
	}
}

// What an admin of a shoot, or a Git server, can write has any size. What is made of it has not.
func TestWhatShootsSayIsBounded(t *testing.T) {
	for unit, text := range map[string]string{"letters": "ä", "words": "a b ", "directories": "/kustomization-1", "addresses": "https://a:b@", "steering": "\x1b[2J\u202e"} {
		long := strings.Repeat(text, 1<<20/len(text))
		t.Run(unit, func(t *testing.T) {
			g := NewWithT(t)
			for name, s := range longMessages(long) {
				expectBounded(g, name, s.observe())
			}
			for name, change := range longFields(long) {
				for _, s := range []state{{repository: fetched, root: applied}, {repository: refused("knownhosts: key mismatch")}, {repository: refused("ssh: unable to authenticate")}, broken("BuildFailed", "x")} {
					o := s.observe()
					change(&o)
					expectBounded(g, name, o)
				}
			}
			g.Expect(len(Unreachable(errors.New(long)).Message)).To(BeNumerically("<=", MaxMessage))
		})
	}
}

func expectBounded(g Gomega, name string, o Observation) {
	got := Assess(o)
	g.Expect(len(got.Message)).To(BeNumerically("<=", MaxMessage), name)
	g.Expect(len(got.Revision)).To(BeNumerically("<=", maxRevision), name)
	g.Expect(got.Message+got.Revision).NotTo(ContainSubstring("\x1b"), name)
}

func longMessages(long string) map[string]state {
	return map[string]state{
		"refused":           {repository: refused(long)},
		"refused host key":  {repository: refused("knownhosts: key mismatch " + long)},
		"refused key":       {repository: refused("ssh: unable to authenticate " + long)},
		"no branch":         {repository: refused("couldn't find remote ref " + long)},
		"not built":         broken("BuildFailed", long),
		"unknown reason":    broken(long, long),
		"no such directory": broken("ArtifactFailed", pathNotFound+long),
		"applying":          {repository: fetched, root: ready("Unknown", "Progressing", long)},
	}
}

func longFields(long string) map[string]func(*Observation) {
	return map[string]func(*Observation){
		"URL":       func(o *Observation) { o.Source.URL = long },
		"reference": func(o *Observation) { o.Source.Reference.Value = long },
		"path":      func(o *Observation) { o.Kustomization.Spec.Path = long },
		"artifact":  func(o *Observation) { o.Source.Artifact = &fluxmeta.Artifact{Revision: long} },
		"revision":  func(o *Observation) { o.Kustomization.Status.LastAppliedRevision = long },
		"request": func(o *Observation) {
			o.Source.Annotations = map[string]string{fluxmeta.ReconcileRequestAnnotation: long}
		},
		"told": func(o *Observation) {
			o.FluxStatus = fluxv1alpha1.FluxStatus{PublicKey: long, HostKeys: []string{long, long}, RepositoryURL: long}
		},
		"presented": func(o *Observation) { o.PresentedHostKey = long },
		"pods": func(o *Observation) {
			unscheduled := corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled, Status: "False", Message: long}}}
			o.Controllers = []Controller{{
				Name:       "source-controller",
				Deployment: &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(noon.Add(-time.Hour))}},
				Pods:       []corev1.Pod{{Status: unscheduled}},
			}}
		},
	}
}

// What people need is whole, and in front of what Flux says.
func TestWhatMattersIsWhole(t *testing.T) {
	rsa := "ssh-rsa " + strings.Repeat("A", 716)
	huge := "ssh-rsa " + strings.Repeat("A", 1400)
	fingerprint := "ecdsa-sha2-nistp256 SHA256:" + strings.Repeat("f", 43)
	longURL := "ssh://git@git.example.com:2222/" + strings.Repeat("group/", 30) + "fleet.git"
	handshake := "unable to clone '" + sshURL + "': ssh: handshake failed: "
	told := func(key string) func(*Observation) {
		return func(o *Observation) { o.FluxStatus.PublicKey = key }
	}
	nested := "kustomize build failed: accumulating resources: " + strings.Repeat("accumulation err='accumulating resources from '../base': ", 40) + "open /tmp/kustomization-1/apps/missing.yaml: no such file or directory"
	for name, test := range map[string]struct {
		state state
		words []string
	}{
		"RSA key":               {state{repository: refused(handshake + "ssh: unable to authenticate"), change: told(rsa)}, []string{"deploy key: " + rsa, sshURL}},
		"RSA key of a long URL": {state{url: longURL, repository: refused("ERROR: Repository not found."), change: told(rsa)}, []string{"deploy key: " + rsa, "correct repositoryUrl"}},
		"a key for which there is no room": {state{repository: refused("ssh: unable to authenticate"), change: told(huge)},
			[]string{"deploy key: key identity.pub of Secret garden-shop/flux-source of the garden", sshURL}},
		"presented host key": {state{repository: refused(handshake + strings.Repeat("x", 2000) + "knownhosts: key mismatch"), change: func(o *Observation) {
			o.PresentedHostKey, o.FluxStatus.HostKeys = fingerprint, []string{fingerprint + "1", fingerprint + "2", fingerprint + "3"}
		}}, []string{"presents " + fingerprint + "; Flux says: ", fingerprint + "1", fingerprint + "3", "knownhosts: key mismatch"}},
		"file at the end": {broken("BuildFailed", nested), []string{"Flux says: kustomize build failed: accumulating", "…", "open apps/missing.yaml: no such file or directory"}},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			got := Assess(test.state.observe()).Message
			g.Expect(len(got)).To(BeNumerically("<=", MaxMessage))
			for _, words := range test.words {
				g.Expect(got).To(ContainSubstring(words))
			}
		})
	}
}
