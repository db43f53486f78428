// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package garden_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
	"github.com/gardener/gardener/pkg/client/kubernetes"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/garden"
)

// shootOwner writes Shoots of a project, as its admin.
type shootOwner struct {
	client.Client
	namespace string
}

func newShootOwner(t *testing.T, running *garden.Garden) shootOwner {
	t.Helper()
	g := NewWithT(t)
	namespace := prepareProject(t, running)
	operator, err := client.New(running.AdminConfig, client.Options{Scheme: kubernetes.GardenScheme})
	g.Expect(err).NotTo(HaveOccurred())
	for _, name := range []string{"a", "age"} {
		g.Expect(operator.Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}})).To(Succeed())
	}
	g.Expect(operator.Create(t.Context(), &gardencorev1beta1.ControllerRegistration{
		ObjectMeta: metav1.ObjectMeta{Name: "shoot-flux"},
		Spec: gardencorev1beta1.ControllerRegistrationSpec{Resources: []gardencorev1beta1.ControllerResource{
			{Kind: extensionsv1alpha1.ExtensionResource, Type: "shoot-flux"},
		}},
	})).To(Succeed())
	config, err := running.UserConfig("alice")
	g.Expect(err).NotTo(HaveOccurred())
	config.QPS = -1
	owner, err := client.New(config, client.Options{Scheme: kubernetes.GardenScheme})
	g.Expect(err).NotTo(HaveOccurred())
	return shootOwner{owner, namespace}
}

// shoot is a Shoot with a providerConfig, which refers to Secrets.
func (o shootOwner) shoot(name, providerConfig string, secrets ...string) *gardencorev1beta1.Shoot {
	shoot := &gardencorev1beta1.Shoot{
		ObjectMeta: metav1.ObjectMeta{Namespace: o.namespace, Name: name},
		Spec: gardencorev1beta1.ShootSpec{
			CloudProfile:           &gardencorev1beta1.CloudProfileReference{Kind: "CloudProfile", Name: garden.CloudProfileName},
			CredentialsBindingName: new(garden.CredentialsBindingName),
			Region:                 garden.ProviderType,
			Networking:             &gardencorev1beta1.Networking{Type: new(garden.ProviderType), Nodes: new("10.0.0.0/16")},
			Provider: gardencorev1beta1.Provider{Type: garden.ProviderType, Workers: []gardencorev1beta1.Worker{{
				Name: "worker", Machine: gardencorev1beta1.Machine{Type: garden.ProviderType}, Minimum: 1, Maximum: 1,
			}}},
			Extensions: []gardencorev1beta1.Extension{{Type: "shoot-flux", ProviderConfig: &runtime.RawExtension{Raw: []byte(providerConfig)}}},
		},
	}
	for _, secret := range secrets {
		shoot.Spec.Resources = append(shoot.Spec.Resources, gardencorev1beta1.NamedResourceReference{
			Name: secret, ResourceRef: autoscalingv1.CrossVersionObjectReference{APIVersion: "v1", Kind: "Secret", Name: "a"},
		})
	}
	return shoot
}

func (o shootOwner) try(ctx context.Context, providerConfig string, secrets ...string) error {
	return o.Create(ctx, o.shoot("try", providerConfig, secrets...), client.DryRunAll)
}

// denial is what a policy has said, without what the API server says around it.
func denial(g *WithT, err error) (field, words string) {
	g.THelper()
	g.Expect(err).To(HaveOccurred())
	_, message, found := strings.Cut(err.Error(), "denied request: ")
	g.Expect(found).To(BeTrue(), err.Error())
	field, words, _ = strings.Cut(message, ": ")
	return field, words
}

func applyFile(t *testing.T, running *garden.Garden, file string) {
	t.Helper()
	g := NewWithT(t)
	content, err := os.ReadFile(file)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(running.ApplyYAML(t.Context(), content)).To(Succeed())
}

// TestShootPolicy asks a real gardener-apiserver, which reads the policies from the garden's kube-apiserver.
func TestShootPolicy(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	running := start(t, garden.Options{})
	owner := newShootOwner(t, running)

	t.Run("CEL sees the raw providerConfig", func(t *testing.T) { testRawProviderConfig(t, running, owner) })

	old := owner.shoot("old", `{"typo": "x", "source": {"secretResourceName": "gone"}}`, "a")
	g.Expect(owner.Create(t.Context(), old)).To(Succeed())
	applyFile(t, running, "../../../example/garden/shoot-policy.yaml")
	g.Eventually(func() error { return owner.try(t.Context(), `{"typo": "x"}`) }, timeout).Should(MatchError(ContainSubstring("typo: unknown field")))

	t.Run("cases", func(t *testing.T) { testCases(t, owner) })
	t.Run("huge", func(t *testing.T) { testHuge(t, owner) })
	t.Run("references", func(t *testing.T) { testReferences(t, owner) })
	t.Run("an old Shoot", func(t *testing.T) { testOldShoot(t, owner, old) })
	t.Run("other Shoots", func(t *testing.T) { testOtherShoots(t, owner) })
	t.Run("Shoots that must not differ", func(t *testing.T) { testForbiddenOverrides(t, running, owner) })
}

// probe refuses each Shoot, and says what it has seen of its providerConfig.
const probe = `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: probe}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules: [{apiGroups: [core.gardener.cloud], apiVersions: [v1beta1], resources: [shoots], operations: [CREATE]}]
  variables: [{name: raw, expression: "object.spec.extensions[0].providerConfig"}]
  validations:
    - expression: "false"
      messageExpression: >-
        object.apiVersion + (type(variables.raw) == map ? ' object' : '') + (type(variables.raw.yes) == bool ? ' bool' : '') + (type(variables.raw.number) == int ? ' int' : '')
        + (type(variables.raw.list) == list ? ' list' : '') + ' ' + variables.raw.deep.er[0].text
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: probe}
spec: {policyName: probe, validationActions: [Deny]}
`

// testRawProviderConfig: gardener-apiserver evaluates policies, and CEL sees all of a field that has no schema.
func testRawProviderConfig(t *testing.T, running *garden.Garden, owner shootOwner) {
	g := NewWithT(t)
	g.Expect(running.ApplyYAML(t.Context(), []byte(probe))).To(Succeed())
	try := func() error {
		return owner.try(t.Context(), `{"yes": true, "number": 3, "list": [], "deep": {"er": [{"text": "whatever"}]}}`)
	}
	g.Eventually(try, timeout).Should(MatchError(HaveSuffix("denied request: core.gardener.cloud/v1beta1 object bool int list whatever")))
	operator, err := client.New(running.AdminConfig, client.Options{Scheme: kubernetes.GardenScheme})
	g.Expect(err).NotTo(HaveOccurred())
	for document := range strings.SplitSeq(probe, "---\n") {
		object := &metav1.PartialObjectMetadata{}
		g.Expect(yaml.Unmarshal([]byte(document), object)).To(Succeed())
		g.Expect(operator.Delete(t.Context(), object)).To(Succeed())
	}
	g.Eventually(try, timeout).Should(Succeed())
}

// beyondPolicy are mistakes that only the extension finds, because CEL can't.
var beyondPolicy = []string{
	"IPv6 zone", "control character", "cut key", "encoded control character", "host as an option", "invisible blank", "key that can't be read", "known hosts of another host",
	"known hosts of another port", "many lines that can't be used", "no expression", "no host", "no path", "no range", "odd user", "only a revoked key",
	"password behind an encoded colon", "password with slash", "port out of range", "public key without host", "second key of one type", "several keys on a line",
	"the same key is revoked", "unknown hash", "unknown marker", "wildcards that take long to match",
}

// maybeElsewhere are mistakes only if neither the project nor the landscape says the rest, which the policy can't know.
var maybeElsewhere = []string{
	"SSH without type", "a URL of the same server does", "a reference replaces another one",
	"another way to the same server takes no host keys along, but the credentials", "artifacts without reference", "branch by the project, artifacts by the shoot",
	"half of an identity", "kustomization without source", "no URL", "no URL in any layer", "no source-controller", "path above a template", "source without kustomization",
	"tag above a template", "the path stays beside a source", "type above a template of the landscape",
}

// The policy refuses nothing that the extension accepts, and says the same as the extension.
func testCases(t *testing.T, owner shootOwner) {
	g := NewWithT(t)
	file, err := os.ReadFile("../../../pkg/project/testdata/shoot_cases.golden.json")
	g.Expect(err).NotTo(HaveOccurred())
	cases := map[string]struct {
		ProviderConfig json.RawMessage
		Error          string
	}{}
	g.Expect(json.Unmarshal(file, &cases)).To(Succeed())
	g.Expect(len(cases)).To(BeNumerically(">", 200))
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			var secrets []string
			if strings.Contains(string(test.ProviderConfig), "ecretResource") { // Gardener takes its time for each of them
				secrets = []string{"a", "b", "c", "x"}
			}
			err := owner.try(t.Context(), string(test.ProviderConfig), secrets...)
			_, short, _ := strings.Cut(name, ": ")
			if test.Error == "" || slices.Contains(beyondPolicy, short) || slices.Contains(maybeElsewhere, short) {
				g.Expect(err).NotTo(HaveOccurred())
				return
			}
			field, words := denial(g, err)
			// Only the extension finds the nearest field when letters are wrong.
			if strings.HasSuffix(name, "with wrong letters") {
				words, _, _ = strings.Cut(words, ", the known ones here are")
			}
			g.Expect(test.Error).To(ContainSubstring(field + ": "))
			g.Expect(test.Error).To(ContainSubstring(words))
		})
	}
}

// The policy has a budget. A Shoot that takes more would be let through, so that whatever an API server takes has to be within it.
func testHuge(t *testing.T, owner shootOwner) {
	fields := func(count int, prefix string) string {
		var names []string
		for i := range count {
			names = append(names, fmt.Sprintf(`"%s%05d":""`, prefix, i))
		}
		return strings.Join(names, ",")
	}
	long := strings.Repeat("x ", 500_000)
	for name, providerConfig := range map[string]string{
		"many wrong fields":       "{" + fields(40_000, "wrong") + "}",
		"as many as not too long": "{" + fields(2_000, "") + "}",
		"in the repository":       `{"repository":{` + fields(40_000, "wrong") + "}}",
		"long URL":                `{"repository":{"url":"` + long + `"}}`,
		"long version":            `{"flux":{"version":"` + strings.Repeat("2||", 330_000) + `"}}`,
		"longest version":         `{"flux":{"version":"` + strings.Repeat("2||", 680) + `x y"}}`,
		"long path":               `{"repository":{"url":"https://example.org/x","path":"` + strings.Repeat("x/", 500_000) + `"}}`,
		"longest path":            `{"repository":{"url":"https://example.org/x","path":"` + strings.Repeat("x/", 1000) + `.."}}`,
		"long known hosts":        `{"repository":{"url":"https://example.org/x","knownHosts":"` + strings.Repeat(`x\n`, 500_000) + `"}}`,
		"longest known hosts":     `{"repository":{"url":"https://example.org/x","knownHosts":"` + strings.Repeat(`x\n`, 8_000) + `"}}`,
		"long URL of a template":  `{"source":{"template":{"spec":{"url":"` + long + `"}}}}`,
		"long name of a template": `{"source":{"template":{"metadata":{"name":"` + long + `"}}}}`,
		"long namespace":          `{"flux":{"namespace":"` + long + `"}}`,
		"long registry":           `{"flux":{"registry":"` + long + `"}}`,
		"many components":         `{"flux":{"components":[` + strings.Repeat(`"x",`, 200_000) + `"x"]}}`,
		"many Secrets":            `{"additionalSecretResources":[` + strings.Repeat(`{"name":"a"},`, 100_000) + `{"name":"a"}]}`,
		"many labels":             `{"additionalSecretResources":[{"name":"a","labels":{` + fields(50_000, "wrong/") + `}}]}`,
		"as many labels as not":   `{"additionalSecretResources":[{"name":"a","labels":{` + fields(2_000, "") + `,"A/b/c":""}}]}`,
		"long label":              `{"additionalSecretResources":[{"name":"a","labels":{"x":"` + long + `"}}]}`,
		"long targets":            `{"additionalSecretResources":[` + strings.Repeat(`{"name":"a","targetName":"`+strings.Repeat("x", 10_000)+`"},`, 31) + `{"name":"a"}]}`,
		"long names":              `{"additionalSecretResources":[` + strings.Repeat(`{"name":"`+strings.Repeat("x", 30_000)+`"},`, 31) + `{"name":"a"}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			_, problem := project.Read(nil, &corev1.ConfigMap{}).Effective(project.Shoot{ProviderConfig: []byte(providerConfig)})
			g.Expect(problem).To(HaveOccurred())
			field, words := denial(g, owner.try(t.Context(), providerConfig, "a"))
			if strings.Contains(problem.Error(), "providerConfig: Too long") {
				return
			}
			g.Expect(problem.Error()).To(ContainSubstring(words))
			if !strings.HasPrefix(words, "unknown field") { // of many, each tells another one
				g.Expect(problem.Error()).To(ContainSubstring(field))
			}
		})
	}
}

// A Secret that is referred to is one of the Shoot's.
func testReferences(t *testing.T, owner shootOwner) {
	const template = `"template":{"spec":{"url":"https://example.org/x","ref":{"branch":"main"}}}`
	g := NewWithT(t)
	source := `{"source":{` + template + `,"secretResourceName":"git"}}`
	g.Expect(owner.try(t.Context(), source, "git")).To(Succeed())
	g.Expect(owner.try(t.Context(), source)).To(MatchError(HaveSuffix(`source.secretResourceName: spec.resources of the Shoot has no entry "git" that refers to a Secret`)))
	g.Expect(owner.try(t.Context(), `{"additionalSecretResources":[{"name":"a"},{"name":"b"}]}`, "a")).
		To(MatchError(HaveSuffix(`additionalSecretResources[1].name: spec.resources of the Shoot has no entry "b" that refers to a Secret`)))

	shoot := owner.shoot("try", source, "git")
	shoot.Spec.Resources[0].ResourceRef = autoscalingv1.CrossVersionObjectReference{APIVersion: "v1", Kind: "ConfigMap", Name: "flux-config"}
	g.Expect(owner.Create(t.Context(), shoot, client.DryRunAll)).To(MatchError(ContainSubstring(`no entry "git" that refers to a Secret`)))

	shoot = owner.shoot("references", source, "git")
	g.Expect(owner.Create(t.Context(), shoot)).To(Succeed())
	patch := client.MergeFrom(shoot.DeepCopy())
	shoot.Spec.Resources = nil
	g.Expect(owner.Patch(t.Context(), shoot, patch)).To(MatchError(ContainSubstring(`no entry "git" that refers to a Secret`)), "the Secret of a reference goes")
}

// A Shoot that was there before the policy can be edited, but not be made wrong in another way.
func testOldShoot(t *testing.T, owner shootOwner, old *gardencorev1beta1.Shoot) {
	g := NewWithT(t)
	edit := func(change func(*gardencorev1beta1.Shoot), options ...client.PatchOption) error {
		shoot := &gardencorev1beta1.Shoot{}
		g.Expect(owner.Get(t.Context(), client.ObjectKeyFromObject(old), shoot)).To(Succeed())
		patch := client.MergeFrom(shoot.DeepCopy())
		change(shoot)
		return owner.Patch(t.Context(), shoot, patch, options...)
	}
	write := func(providerConfig string) func(*gardencorev1beta1.Shoot) {
		return func(shoot *gardencorev1beta1.Shoot) {
			shoot.Spec.Extensions[0].ProviderConfig = &runtime.RawExtension{Raw: []byte(providerConfig)}
		}
	}
	g.Expect(edit(func(shoot *gardencorev1beta1.Shoot) { shoot.Labels = map[string]string{"a": "b"} })).To(Succeed())
	g.Expect(edit(func(shoot *gardencorev1beta1.Shoot) { shoot.Spec.Resources = nil })).To(Succeed(), "what is missing was missing")
	g.Expect(edit(write(`{"typo": "y"}`))).To(MatchError(ContainSubstring("typo: unknown field")))
	g.Expect(edit(func(shoot *gardencorev1beta1.Shoot) { shoot.Spec.Extensions[0].Disabled = new(true) })).To(Succeed(), "switched off")
	g.Expect(edit(write(`{"typo": "y"}`))).To(Succeed(), "nobody reads it while it is switched off")
	g.Expect(edit(func(shoot *gardencorev1beta1.Shoot) { shoot.Spec.Extensions[0].Disabled = nil })).To(MatchError(ContainSubstring("typo: unknown field")), "switched on")
	g.Expect(edit(write(`{"suspend": true}`))).To(Succeed())
}

// The ConfigMap of the Shoot's own project is what counts.
func testForbiddenOverrides(t *testing.T, running *garden.Garden, owner shootOwner) {
	g := NewWithT(t)
	const providerConfig = `{"repository": {"path": "own"}}`
	old := owner.shoot("differs", providerConfig)
	g.Expect(owner.Create(t.Context(), old)).To(Succeed())
	applyFile(t, running, "../../../example/garden/optional/shoot-overrides-policy.yaml")
	configMap := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: owner.namespace, Name: project.ConfigMapName}, Data: map[string]string{"shootOverrides": "deny"}}
	g.Expect(owner.Update(t.Context(), configMap)).To(Succeed())
	try := func() error { return owner.try(t.Context(), providerConfig) }
	// Before, it may say that it does not know the ConfigMaps yet.
	g.Eventually(try, timeout).Should(MatchError(ContainSubstring("key shootOverrides of ConfigMap flux-config")))
	field, words := denial(g, try())
	_, problem := project.Read(nil, configMap).Effective(project.Shoot{ProviderConfig: []byte(providerConfig)})
	g.Expect(problem).To(MatchError(And(ContainSubstring(field+": "), ContainSubstring(words))), "the extension says the same")

	for _, nothing := range []string{"{}", `{"apiVersion": "flux.extensions.gardener.cloud/v1alpha1", "kind": "FluxConfig"}`} {
		g.Expect(owner.try(t.Context(), nothing)).To(Succeed())
		_, problem := project.Read(nil, configMap).Effective(project.Shoot{ProviderConfig: []byte(nothing)})
		g.Expect(problem).NotTo(HaveOccurred(), "the extension takes it")
	}
	g.Expect(owner.try(t.Context(), `{"flux": {}}`)).To(MatchError(ContainSubstring(words)), "it can have a meaning")
	patch := client.MergeFrom(old.DeepCopy())
	old.Labels = map[string]string{"a": "b"}
	g.Expect(owner.Patch(t.Context(), old, patch)).To(Succeed(), "it was there before")
	patch = client.MergeFrom(old.DeepCopy())
	old.Spec.Extensions[0].ProviderConfig.Raw = []byte(`{"repository": {"path": "other"}}`)
	g.Expect(owner.Patch(t.Context(), old, patch)).To(MatchError(ContainSubstring(words)))

	g.Expect(owner.Delete(t.Context(), configMap)).To(Succeed())
	g.Eventually(try, timeout).Should(Succeed(), "nobody forbids it")
}

// What is not about the extension is no concern of the policy.
func testOtherShoots(t *testing.T, owner shootOwner) {
	g := NewWithT(t)
	shoot := owner.shoot("try", "{}")
	shoot.Spec.Extensions[0].ProviderConfig = nil
	g.Expect(owner.Create(t.Context(), shoot, client.DryRunAll)).To(Succeed())
	shoot = owner.shoot("try", "{}")
	shoot.Spec.Extensions = nil
	g.Expect(owner.Create(t.Context(), shoot, client.DryRunAll)).To(Succeed())
	g.Expect(owner.try(t.Context(), "null")).To(Succeed())
	g.Expect(owner.try(t.Context(), `"text"`)).To(MatchError(HaveSuffix("providerConfig: it is text: write fields of a FluxConfig, such as repository")))
}
