// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
)

// Files as people have them for the extension of stackitcloud, written as providerConfig of a fresh shoot. The numbers are those of the files of
// pkg/render/testdata/acceptance, which say what a shoot gets of each.

const (
	minimalSource = "source: {template: {apiVersion: source.toolkit.fluxcd.io/v1, kind: GitRepository, spec: {url: https://git.example.org/platform/base.git, ref: {branch: main}}}}\n"
	minimalRoot   = "kustomization: {template: {spec: {path: clusters/dev}}}\n"
)

// reconcileFile reconciles a new shoot with a providerConfig in YAML, in a project without ConfigMap. The shoot has an API server that knows no Flux.
func reconcileFile(t *testing.T, providerConfig string) (*shoot, fluxv1alpha1.FluxStatus, error) {
	s := newShoot(t, targetNamespace)
	raw, err := yaml.YAMLToJSON([]byte(providerConfig))
	s.Expect(err).NotTo(HaveOccurred())
	s.extension.Spec.ProviderConfig = &runtime.RawExtension{Raw: raw}
	s.refer("reader", "Secret", "git-reader")
	s.bring("git-reader", corev1.SecretTypeOpaque, map[string]string{"username": "fleet", "password": "not a real one"})
	s.newUnwatched()
	_, err = s.reconcileWith("")
	s.Expect(shared.seedClient.Get(s.ctx, client.ObjectKeyFromObject(s.extension), s.extension)).To(Succeed())
	return s, fluxv1alpha1.StatusOf(s.extension), err
}

// TestAcceptedFiles compares what gardener-resource-manager is given with what is expected of the file.
func TestAcceptedFiles(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		reference, version string
		// secret is the name of the one that Flux reads the source with.
		secret  string
		notices []string
	}{
		"02-version":               {version: "v2.9.3"},
		"03-minimal":               {reference: `branch "stable"`},
		"04-secret":                {secret: "flux-system"},
		"05-named-secret":          {secret: "git-reader"},
		"09-bucket":                {},
		"11-tag":                   {reference: `tag "`},
		"11-semver":                {reference: `tag in the range "`},
		"11-name":                  {reference: `reference "`},
		"11-commit":                {reference: `commit "`},
		"12-no-kind":               {reference: `branch "`},
		"13-oci-v1beta2":           {reference: ""},
		"14-kustomization-v1beta2": {notices: []string{"kustomization.template.spec.validation"}},
		"16-name":                  {},
		"25-misspelt":              {notices: []string{"source.template.spec.recurseSubmodule"}},
		"26-no-top":                {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join("../../../pkg/render/testdata/acceptance", name)
			content, err := os.ReadFile(file + ".yaml")
			NewWithT(t).Expect(err).NotTo(HaveOccurred())
			s, status, err := reconcileFile(t, string(content))
			s.Expect(err).NotTo(HaveOccurred())
			s.Expect(status.Problem).To(And(HaveField("Reason", fluxv1alpha1.UnderWay), HaveField("Message", HavePrefix("the shoot gets Flux, which then belongs to its users (installation: once): "))))
			s.Expect(status.Reference).To(HavePrefix(test.reference))
			if test.version != "" {
				s.Expect(status.Version).To(Equal(test.version))
			}
			for _, notice := range test.notices {
				s.Expect(status.Notices).To(ContainElement(And(HaveField("Reason", fluxv1alpha1.NoticeFieldIgnored), HaveField("Message", ContainSubstring(notice)))))
			}
			s.Expect(s.followedObjects()).To(ConsistOf(followedIn(s, file+".golden.yaml")))
			if secret := s.objectOf(s, "Secret"); test.secret != "" {
				s.Expect(secret).To(HaveKeyWithValue("metadata", HaveKeyWithValue("name", test.secret)))
			} else {
				s.Expect(secret).To(BeNil())
			}
			s.Expect(s.state()).To(HaveField("RemovalPolicy", fluxv1alpha1.RemovalKeepFlux))
		})
	}
}

// followedObjects are the source and the Kustomization, and nothing of the extension's own in them.
func (s *shoot) followedObjects() []string {
	var followed []string
	for _, object := range s.configurationObjects(s) {
		followed = appendFollowed(s, followed, object)
	}
	return followed
}

func appendFollowed(g Gomega, all []string, object *unstructured.Unstructured) []string {
	if !strings.HasSuffix(object.GroupVersionKind().Group, ".toolkit.fluxcd.io") {
		return all
	}
	text, err := yaml.Marshal(object.Object)
	g.Expect(err).NotTo(HaveOccurred())
	return append(all, string(text))
}

func followedIn(g Gomega, file string) []string {
	content, err := os.ReadFile(file)
	g.Expect(err).NotTo(HaveOccurred())
	var followed []string
	for document := range strings.SplitSeq(string(content), "\n---\n") {
		object := &unstructured.Unstructured{}
		g.Expect(yaml.Unmarshal([]byte(document), &object.Object)).To(Succeed())
		if len(object.Object) > 0 {
			followed = appendFollowed(g, followed, object)
		}
	}
	return followed
}

// TestRefusedFiles has files that the other extension refuses too, or that fail there later. The sentence names the field, and the seed gets nothing.
func TestRefusedFiles(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ file, problem string }{
		"01 nothing written":               {"{}", "does not exist in the garden: create it"},
		"08 no Kustomization":              {minimalSource, "nothing follows it: write kustomization.template as well"},
		"08 no source":                     {minimalRoot, "there is nothing that it could follow: write source.template as well"},
		"09 HelmRepository":                {"source: {template: {apiVersion: source.toolkit.fluxcd.io/v1, kind: HelmRepository, spec: {url: https://h}}}\n" + minimalRoot, "source.template.kind: Unsupported value"},
		"10 empty ref":                     {"source: {template: {spec: {url: https://h/x, ref: {}}}}\n" + minimalRoot, "source.template.spec.ref: Required value: write branch, tag, semver, name or commit"},
		"10 no ref":                        {"source: {template: {spec: {url: https://h/x}}}\n" + minimalRoot, "source.template.spec.ref: Required value"},
		"10 OCI without tag":               {"source: {template: {kind: OCIRepository, spec: {url: oci://h/x}}}\n" + minimalRoot, "source.template.spec.ref: Required value: write tag, semver or digest"},
		"10 OCI by https":                  {"source: {template: {kind: OCIRepository, spec: {url: https://h/x, ref: {tag: a}}}}\n" + minimalRoot, "source.template.spec.url: Invalid value"},
		"15 no path":                       {minimalSource + "kustomization: {template: {spec: {prune: true}}}", "kustomization.template.spec.path: Required value"},
		"19 no source-controller":          {"flux: {components: [kustomize-controller]}", "source-controller is missing"},
		"20 unknown component":             {"flux: {components: [kustomize-controller, foo], componentsExtra: [source-controller]}", "flux.components: Unsupported value: \"foo\""},
		"21 name of a Secret that is none": {"additionalSecretResources: [{name: a, targetName: Not_Valid}]", "additionalSecretResources[0].targetName: Invalid value: \"Not_Valid\""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _, err := reconcileFile(t, test.file)
			s.Expect(err).To(MatchError(ContainSubstring(test.problem)))
			s.expectNothingInSeed()
		})
	}
}

// TestMisspeltField is case 25 of a field of the file itself: it has no effect, and the known one is named.
func TestMisspeltField(t *testing.T) {
	t.Parallel()
	s, status, _ := reconcileFile(t, strings.Replace(minimalSource, "source: {", "source: {secretResouceName: a, ", 1)+minimalRoot)
	s.Expect(status.Notices).To(ContainElement(And(HaveField("Reason", fluxv1alpha1.NoticeFieldIgnored), HaveField("Message", ContainSubstring("secretResourceName")))))
	s.Expect(s.followedObjects()).To(HaveLen(2))
}

// TestFilesChangedLater is case 24: neither the reference, nor the path, nor the version of a file has an effect later, and people are told. The one line
// that makes the shoot managed gives it an effect.
func TestFilesChangedLater(t *testing.T) {
	t.Parallel()
	l := newLiving(t)
	write := func(file string) {
		raw, err := yaml.YAMLToJSON([]byte(file))
		l.Expect(err).NotTo(HaveOccurred())
		l.setRawProviderConfig(&runtime.RawExtension{Raw: raw})
		l.operate("reconcile")
	}
	write("flux: {version: v2.6.4}\n" + minimalSource + minimalRoot)
	l.expectFollowedOnce(fluxv1alpha1.FollowedOnceMade)
	gitRepository, root := l.theirs()
	l.Eventually(func() error { return managedresource.CheckIgnored(l.installation()) }, timeout).Should(Succeed(), "gardener-resource-manager notes that in the status")
	installation := l.installation().ResourceVersion

	changed := "flux: {version: " + newest + "}\n" + strings.ReplaceAll(minimalSource+minimalRoot, "dev", "prod")
	write(changed)
	l.expectEvent(fluxv1alpha1.NoticeFieldIgnored, HavePrefix(`what is configured by now (branch "main" of https://git.example.org/platform/base.git, directory clusters/prod) has no effect`))
	l.expectEvent(fluxv1alpha1.NoticeFieldIgnored, HavePrefix("version "+newest+" of Flux has no effect: Flux belongs to the shoot's users, who can upgrade it"))
	l.expectUnchanged(gitRepository, root)
	l.Expect(l.installation().ResourceVersion).To(Equal(installation))
	l.Expect(l.versionOfFlux()).To(Equal("v2.6.4"))

	l.handOver(root) // what is configured has another path
	write(changed + "installation: managed\nsyncMode: Managed\n")
	l.expectVersion(newest)
	l.Eventually(func(g Gomega) {
		configuration, _ := l.managedResource(managedresource.Configuration)
		g.Expect(managedresource.CheckApplied(configuration)).To(Succeed())
		g.Expect(l.client.Get(l.ctx, client.ObjectKeyFromObject(root), root)).To(Succeed())
		g.Expect(root.Object["spec"]).To(HaveKeyWithValue("path", "clusters/prod"))
	}, timeout).Should(Succeed())
}
