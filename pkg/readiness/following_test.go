// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package readiness

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
)

// unnamedReasons are those in the code of source-controller and kustomize-controller, v1.9 and before v1.0, for which their APIs
// have no constant.
var unnamedReasons = []string{
	"EmptyGitRepository", "SourceIgnoreError", "IllegalPath", "CopyFailure", "NotFound", "NoArtifact", "VerificationError", "VerificationFailed",
	"InvalidVerificationMode", "InvalidGitObject", "InvalidTagSignature", "InvalidCommitSignature", "GarbageCollectionFailed", "NewRevision",
	"IncludeChange", "ValidationFailed", "StorageOperationFailed", "AccessDenied", "SomethingNew",
}

// reasonsOf are the values of the constants that end in Reason of a package.
func reasonsOf(t *testing.T, path string) []string {
	t.Helper()
	g := NewWithT(t)
	list, err := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.Dir}}", path).Output()
	g.Expect(err).NotTo(HaveOccurred())
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(list)), "*.go"))
	g.Expect(err).NotTo(HaveOccurred())
	var reasons []string
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		g.Expect(err).NotTo(HaveOccurred())
		ast.Inspect(file, func(node ast.Node) bool {
			spec, ok := node.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 || !strings.HasSuffix(spec.Names[0].Name, "Reason") {
				return true
			}
			if literal, ok := spec.Values[0].(*ast.BasicLit); ok {
				reason, err := strconv.Unquote(literal.Value)
				g.Expect(err).NotTo(HaveOccurred())
				reasons = append(reasons, reason)
			}
			return true
		})
	}
	return reasons
}

// No state of Flux's objects leaves FluxReady True while Flux does not follow: whatever reason either controller has for not being
// ready, it is told at once or, if it may pass, as soon as it has had its time.
func TestEachReasonIsTold(t *testing.T) {
	reasons := append(reasonsOf(t, "github.com/fluxcd/pkg/apis/meta"), reasonsOf(t, "github.com/fluxcd/source-controller/api/v1")...)
	NewWithT(t).Expect(reasons).To(ContainElements("ArtifactFailed", "HealthCheckCanceled", "GitOperationFailed", "ProgressingWithRetry"))
	messages := []string{"", "Source artifact not found, retrying in 30s", "failed to download archive: connection refused", "New reconciliation triggered by GitRepository/flux-system/flux-system"}
	follows := &gardencorev1beta1.Condition{Status: "True", Reason: Applied}
	for _, reason := range append(reasons, unnamedReasons...) {
		for _, message := range messages {
			for _, status := range []metav1.ConditionStatus{metav1.ConditionFalse, metav1.ConditionUnknown} {
				condition := ready(status, reason, message)
				for object, s := range map[string]state{"GitRepository": {repository: condition, root: applied}, "Kustomization": {repository: fetched, root: condition}} {
					t.Run(object+" "+string(status)+" "+reason+" "+message, func(t *testing.T) {
						g := NewWithT(t)
						o := s.observe()
						now := Assess(o)
						g.Expect(now.Status).NotTo(Equal(gardencorev1beta1.ConditionTrue))
						g.Expect(now.Reason).To(Or(Not(Equal(Applying)), Not(Equal(Fetching))))

						o.Now = noon.Add(2 * time.Hour)
						late := Assess(o)
						g.Expect(late.Status).To(Equal(gardencorev1beta1.ConditionFalse), late.Message)
						g.Expect(late.Replaces(follows)).To(BeTrue())
					})
				}
			}
		}
	}
}

// What a Kustomization that is ready does not follow, and how long that may be so.
func TestReadyButNotFollowing(t *testing.T) {
	const other = "main@sha1:0b0b"
	later := metav1.NewTime(noon.Add(time.Hour))
	newer := func(o *Observation) {
		o.Source.Artifact = &fluxmeta.Artifact{Revision: other, LastUpdateTime: later}
	}
	asked := func(object metav1.Object, value string) {
		object.SetAnnotations(map[string]string{fluxmeta.ReconcileRequestAnnotation: value})
		object.SetManagedFields([]metav1.ManagedFieldsEntry{{Time: &later, FieldsV1: metav1.NewFieldsV1(`{"f:metadata":{"f:annotations":{"f:reconcile.fluxcd.io/requestedAt":{}}}}`)}})
	}
	for name, test := range map[string]struct {
		state state
		// soon is the reason a minute after the last thing happened, and late that ten minutes after it.
		soon, late string
		words      []string
	}{
		"follows": {state{repository: fetched, root: applied}, Applied, Applied, nil},
		"the artifact is newer": {state{repository: fetched, root: applied, change: newer}, Applying, NoProgress,
			[]string{"Flux is applying revision " + other, "since 2026-03-04T13:00:00Z", "look at the controllers of Flux"}},
		"the artifact is newer than a fault": {state{repository: fetched, root: ready("False", "BuildFailed", "x"), change: newer}, Applying, NoProgress, []string{other}},
		"a fault of the artifact, tried before it was written down": {state{repository: fetched, root: ready("False", "BuildFailed", "x"), change: func(o *Observation) {
			newer(o)
			o.Kustomization.Status.LastAttemptedRevision = other
		}}, BuildFailed, BuildFailed, nil},
		"what is hopeless is not tried for the newer artifact": {state{repository: fetched, root: ready("False", "InvalidCELExpression", "x"), change: func(o *Observation) {
			newer(o)
			o.Kustomization.Status.Conditions = append(o.Kustomization.Status.Conditions, metav1.Condition{Type: "Stalled", Status: "True"})
		}}, ApplyFailed, ApplyFailed, nil},
		"no artifact": {state{repository: fetched, root: applied, change: func(o *Observation) {
			o.Source.Artifact = nil
			o.Source.Conditions[0].LastTransitionTime = later
		}}, Fetching, NoProgress, nil},
		"somebody asked to look at the repository": {state{repository: fetched, root: applied, change: func(o *Observation) { asked(o.Source, later.Format(time.RFC3339Nano)) }}, Applied, NoProgress,
			[]string{"Flux was asked to look at the repository " + sshURL + " again at 2026-03-04T13:00:00Z"}},
		"the extension asked to look at the repository": {state{repository: fetched, root: applied, change: func(o *Observation) { asked(o.Source, "credentials-1") }}, Applied, NoProgress, nil},
		"Flux has looked since": {state{repository: fetched, root: applied, change: func(o *Observation) {
			asked(o.Source, "credentials-1")
			o.Source.LastHandledReconcileAt = "credentials-1"
		}}, Applied, Applied, nil},
		"somebody asked to apply": {state{repository: fetched, root: applied, change: func(o *Observation) {
			o.Kustomization.Spec.Timeout = &metav1.Duration{Duration: time.Minute}
			asked(o.Kustomization, later.Format(time.RFC3339Nano))
		}}, Applied, NoProgress, nil},
		"a long health check is no fault": {state{repository: fetched, root: ready("Unknown", "Progressing", "x"), change: func(o *Observation) {
			o.Kustomization.Status.Conditions[0].LastTransitionTime = later
			o.Kustomization.Spec.Timeout = &metav1.Duration{Duration: 20 * time.Minute}
		}}, Applying, Applying, nil},
		"another repository": {state{repository: fetched, root: applied, change: func(o *Observation) { o.FluxStatus.RepositoryURL = "ssh://git@git.example.com/theirs" }}, NotApplied, NotApplied,
			[]string{"names " + sshURL + " in place of ssh://git@git.example.com/theirs"}},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			o := test.state.observe()
			o.Now = later.Add(time.Minute)
			g.Expect(Assess(o).Reason).To(Equal(test.soon))
			o.Now = later.Add(10 * time.Minute)
			late := Assess(o)
			g.Expect(late.Reason).To(Equal(test.late))
			for _, words := range test.words {
				g.Expect(late.Message).To(ContainSubstring(words))
			}
		})
	}
}

// Whatever field somebody changes in the shoot, Flux follows something else than what is configured, or not as it should.
func TestChangedFieldsAreTold(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*sourcev1.GitRepositorySpec, *kustomizev1.KustomizationSpec)
		words  string
	}{
		"nothing": {func(*sourcev1.GitRepositorySpec, *kustomizev1.KustomizationSpec) {}, ""},
		"branch":  {func(s *sourcev1.GitRepositorySpec, _ *kustomizev1.KustomizationSpec) { s.Reference.Branch = "theirs" }, "spec.ref of the GitRepository flux-system is not as configured: if somebody"},
		"tag":     {func(s *sourcev1.GitRepositorySpec, _ *kustomizev1.KustomizationSpec) { s.Reference.Tag = "v1" }, "spec.ref of the GitRepository"},
		"interval": {func(s *sourcev1.GitRepositorySpec, _ *kustomizev1.KustomizationSpec) {
			s.Interval.Duration = 10000 * time.Hour
		},
			"spec.interval of the GitRepository"},
		"secret":   {func(s *sourcev1.GitRepositorySpec, _ *kustomizev1.KustomizationSpec) { s.SecretRef.Name = "theirs" }, "spec.secretRef of the GitRepository"},
		"long URL": {func(s *sourcev1.GitRepositorySpec, _ *kustomizev1.KustomizationSpec) { s.URL += "x" }, "names " + sshURL + "x in place of " + sshURL},
		"path":     {func(_ *sourcev1.GitRepositorySpec, k *kustomizev1.KustomizationSpec) { k.Path = "./theirs" }, "spec.path of the Kustomization flux-system is not as configured: if somebody"},
		"prune":    {func(_ *sourcev1.GitRepositorySpec, k *kustomizev1.KustomizationSpec) { k.Prune = false }, "spec.prune of the Kustomization"},
		"source":   {func(_ *sourcev1.GitRepositorySpec, k *kustomizev1.KustomizationSpec) { k.SourceRef.Name = "theirs" }, "spec.sourceRef of the Kustomization"},
		"another one": {func(_ *sourcev1.GitRepositorySpec, k *kustomizev1.KustomizationSpec) {
			k.KubeConfig = &fluxmeta.KubeConfigReference{ConfigMapRef: &fluxmeta.LocalObjectReference{}}
		}, "spec.kubeConfig of the Kustomization"},
		"several": {func(s *sourcev1.GitRepositorySpec, k *kustomizev1.KustomizationSpec) {
			s.Reference, s.Interval.Duration, k.Path = nil, time.Hour, ""
		}, "in the shoot, spec.interval, spec.ref of the GitRepository flux-system and spec.path of the Kustomization flux-system is not as configured: if somebody changed it there, " +
			"Gardener puts it back within an hour"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			o := state{repository: fetched, root: applied}.observe()
			repository := &sourcev1.GitRepository{ObjectMeta: o.Source.ObjectMeta, Spec: sourcev1.GitRepositorySpec{
				URL: sshURL, Reference: &sourcev1.GitRepositoryRef{Branch: "main"}, SecretRef: &fluxmeta.LocalObjectReference{Name: "flux-source"},
			}}
			repository.SetGroupVersionKind(sourcev1.GroupVersion.WithKind(sourcev1.GitRepositoryKind))
			repository.Status.Artifact, repository.Status.Conditions = o.Source.Artifact, o.Source.Conditions
			o.Kustomization.SetGroupVersionKind(kustomizev1.GroupVersion.WithKind(kustomizev1.KustomizationKind))
			o.Kustomization.Spec.Prune, o.Kustomization.Spec.SourceRef = true, kustomizev1.CrossNamespaceSourceReference{Kind: "GitRepository", Name: "flux-system"}
			digests, err := render.FieldDigests([]client.Object{repository, o.Kustomization})
			g.Expect(err).NotTo(HaveOccurred())
			o.FluxStatus.Fields, o.FluxStatus.RepositoryURL = digests, sshURL

			test.change(&repository.Spec, &o.Kustomization.Spec)
			content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(repository)
			g.Expect(err).NotTo(HaveOccurred())
			o.Source, err = flux.GitRepository.Read(&unstructured.Unstructured{Object: content})
			g.Expect(err).NotTo(HaveOccurred())
			now := Assess(o)
			if test.words == "" {
				g.Expect(now.Reason).To(Equal(Applied))
				return
			}
			g.Expect(now.Status).To(Equal(gardencorev1beta1.ConditionProgressing))
			g.Expect(now.Reason).To(Equal(NotApplied))
			g.Expect(now.Message).To(ContainSubstring(test.words))
			o.FluxStatus.Fields = nil
			if name != "long URL" {
				g.Expect(Assess(o).Reason).To(Equal(Applied), "of what an earlier release has applied nothing is known")
			}
		})
	}
}

// After the key or the trusted host keys have changed, what Flux says is about the ones before, until it has looked.
func TestAnOldFaultIsNotExplainedByNewFacts(t *testing.T) {
	const request = "credentials-2"
	for name, message := range map[string]string{"host key": "ssh: handshake failed: knownhosts: key mismatch", "key": "ssh: unable to authenticate", "repository": "ERROR: Repository not found."} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			o := state{repository: refused(message)}.observe()
			fault := Assess(o).Reason
			o.PresentedHostKey = "ssh-ed25519 SHA256:trusted"
			o.Source.Annotations = map[string]string{fluxmeta.ReconcileRequestAnnotation: request}
			o.Source.LastHandledReconcileAt = "credentials-1"
			g.Expect(Assess(o)).To(And(HaveField("Status", gardencorev1beta1.ConditionProgressing), HaveField("Reason", NotObserved),
				HaveField("Message", ContainSubstring("Flux has not looked at the repository "+sshURL+" yet since the key or the trusted host keys have changed"))))

			o.Source.LastHandledReconcileAt = request
			g.Expect(Assess(o).Reason).To(Equal(fault))

			// Somebody else wants Flux to look too.
			o.Source.Annotations[fluxmeta.ReconcileRequestAnnotation] = o.Now.Format(time.RFC3339Nano)
			g.Expect(Assess(o).Reason).To(Equal(fault))
		})
	}
}

// A server that presents a trusted key by now is not said to present another one.
func TestPresentedHostKeyIsTrusted(t *testing.T) {
	g := NewWithT(t)
	o := state{repository: refused("knownhosts: key mismatch")}.observe()
	o.PresentedHostKey = "ssh-ed25519 SHA256:trusted"
	g.Expect(Assess(o).Message).To(ContainSubstring("by now presents ssh-ed25519 SHA256:trusted, which is trusted: if the shoot still sees another one after a minute"))
	o.PresentedHostKey = "ssh-ed25519 SHA256:other"
	g.Expect(Assess(o).Message).To(ContainSubstring("to the seed the server presents ssh-ed25519 SHA256:other"))
}

func TestLasting(t *testing.T) {
	at := func(reason string) *gardencorev1beta1.Condition {
		return &gardencorev1beta1.Condition{Reason: reason, LastUpdateTime: noon}
	}
	for name, test := range map[string]struct {
		reason string
		before *gardencorev1beta1.Condition
		after  time.Duration
		want   string
	}{
		"the first time":     {NotObserved, nil, time.Hour, NotObserved},
		"a minute":           {NotObserved, at(NotObserved), time.Minute, NotObserved},
		"ten minutes":        {NotObserved, at(NotObserved), 10 * time.Minute, NoProgress},
		"it stays so":        {NotObserved, at(NoProgress), time.Second, NoProgress},
		"after another one":  {NotObserved, at(NotApplied), time.Hour, NotObserved},
		"what goes on is no": {Applied, at(NotObserved), time.Hour, Applied},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			o := Observation{Now: noon.Add(test.after), Namespace: "flux-system"}
			got := o.Lasting(Readiness{Reason: test.reason, Message: "Flux has not looked yet", Revision: revision}, test.before)
			g.Expect(got).To(And(HaveField("Reason", test.want), HaveField("Revision", revision), HaveField("Message", ContainSubstring("Flux has not looked yet"))))
		})
	}
}
