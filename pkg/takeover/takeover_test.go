// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package takeover_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/yaml"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/controller/report"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/readiness"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/takeover"
)

const control = "shoot--local--one"

var (
	gitRepositories = schema.GroupVersionKind{Group: "source.toolkit.fluxcd.io", Version: "v1", Kind: "GitRepository"}
	kustomizations  = schema.GroupVersionKind{Group: "kustomize.toolkit.fluxcd.io", Version: "v1", Kind: "Kustomization"}
)

// newShoot returns a shoot with Flux's kinds.
func newShoot(objects ...client.Object) client.WithWatch {
	mapper := meta.NewDefaultRESTMapper([]schema.GroupVersion{gitRepositories.GroupVersion(), kustomizations.GroupVersion()})
	for _, gvk := range []schema.GroupVersionKind{gitRepositories, kustomizations, corev1.SchemeGroupVersion.WithKind("Secret"), appsv1.SchemeGroupVersion.WithKind("Deployment")} {
		mapper.Add(gvk, meta.RESTScopeNamespace)
	}
	return fake.NewClientBuilder().WithScheme(scheme.Scheme).WithRESTMapper(mapper).WithObjects(objects...).Build()
}

// object reads a manifest. Without a namespace, it is in flux-system.
func object(manifest string) *unstructured.Unstructured {
	object := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(manifest), &object.Object); err != nil {
		panic(err)
	}
	if object.GetNamespace() == "" {
		object.SetNamespace("flux-system")
	}
	return object
}

func gitRepository(spec string) *unstructured.Unstructured {
	return object("apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {name: flux-system}\nspec: " + spec)
}

func kustomization(name, spec string, inventory ...string) *unstructured.Unstructured {
	namespace, name, found := strings.Cut(name, "/")
	if !found {
		namespace, name = "flux-system", namespace
	}
	kustomization := object("apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {namespace: " + namespace + ", name: " + name + "}\nspec: " + spec)
	var entries []any
	for _, id := range inventory {
		entries = append(entries, map[string]any{"id": id, "v": "v1"})
	}
	if len(entries) > 0 {
		kustomization.Object["status"] = map[string]any{"inventory": map[string]any{"entries": entries}}
	}
	return kustomization
}

func secret(value string) *corev1.Secret {
	return &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Namespace: "flux-system", Name: "flux-source"},
		Type:       corev1.SecretTypeOpaque,
		Data:       map[string][]byte{"identity": []byte(value)},
	}
}

func deployment(labels map[string]string) *appsv1.Deployment {
	return &appsv1.Deployment{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"},
		ObjectMeta: metav1.ObjectMeta{Namespace: "flux-system", Name: "source-controller", Labels: labels},
	}
}

// from says of an object from which ManagedResource it came.
func from[T client.Object](object T, origin string) T {
	annotations := maps.Clone(object.GetAnnotations())
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations["resources.gardener.cloud/origin"] = origin
	object.SetAnnotations(annotations)
	return object
}

func protected[T client.Object](object T) T {
	render.Protect(object)
	return object
}

func labelled(object *unstructured.Unstructured, labels ...string) *unstructured.Unstructured {
	all := maps.Clone(object.GetLabels())
	if all == nil {
		all = map[string]string{}
	}
	for pair := range slices.Chunk(labels, 2) {
		all[pair[0]] = pair[1]
	}
	object.SetLabels(all)
	return object
}

func labelledSecret(secret *corev1.Secret, key, value string) *corev1.Secret {
	secret.Labels = map[string]string{key: value}
	return secret
}

func in[T client.Object](namespace string, object T) T {
	object.SetNamespace(namespace)
	return object
}

func named[T client.Object](name string, object T) T {
	object.SetName(name)
	return object
}

// definition is a CustomResourceDefinition of Flux in a namespace.
func definition(namespace string) *unstructured.Unstructured {
	object := object("apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: gitrepositories.source.toolkit.fluxcd.io}")
	object.SetNamespace("")
	return labelled(object, "app.kubernetes.io/instance", namespace)
}

func terminating(object *unstructured.Unstructured) *unstructured.Unstructured {
	object.SetDeletionTimestamp(&metav1.Time{Time: time.Now()})
	object.SetFinalizers([]string{"finalizers.fluxcd.io"})
	return object
}

const (
	source       = "{url: 'https://git.example.org/fleet', ref: {branch: main}, interval: 1m0s, timeout: 60s}"
	root         = "{path: ./clusters/one, prune: true, force: false, interval: 10m0s, retryInterval: 1m0s, deletionPolicy: Orphan, sourceRef: {kind: GitRepository, name: flux-system}}"
	otherSource  = "{url: 'https://user:password@git.example.org/theirs', ref: {branch: main}, interval: 1m0s}"
	seed         = "seed-two:"
	ours         = seed + control + "/extension-shoot-flux-configuration"
	predecessors = seed + control + "/extension-shoot-flux-flux-config"
)

// wanted is what the extension writes.
func wanted() []client.Object {
	return []client.Object{gitRepository(source), kustomization("flux-system", root), secret("ours"), deployment(nil)}
}

func TestCheckOfNothing(t *testing.T) {
	g := NewWithT(t)
	without := fake.NewClientBuilder().WithScheme(scheme.Scheme).WithRESTMapper(meta.NewDefaultRESTMapper(nil)).Build()
	g.Expect(takeover.Check(t.Context(), without, takeover.Request{Namespace: control, Objects: wanted()})).To(BeFalse(), "a shoot without Flux")
	g.Expect(takeover.Check(t.Context(), newShoot(), takeover.Request{Namespace: control, Objects: wanted()})).To(BeFalse(), "a shoot with nothing but its kinds")
}

func TestCheck(t *testing.T) {
	bootstrapped := "{path: clusters/one/, prune: true, interval: 5m, sourceRef: {apiVersion: source.toolkit.fluxcd.io/v1, kind: GitRepository, name: flux-system, namespace: flux-system}}"
	for name, test := range map[string]struct {
		shoot     []client.Object
		restoring bool
		// conflict has the sentences in their order. Without one, the shoot may be written.
		conflict  []string
		takesOver bool
	}{
		"the same repository and directory": {shoot: []client.Object{
			gitRepository("{url: 'https://git.example.org/fleet/', ref: {branch: main}, interval: 5m, secretRef: {name: flux-system}}"),
			kustomization("flux-system", bootstrapped, "default_a__ConfigMap"),
			kustomization("apps", "{prune: true, sourceRef: {kind: GitRepository, name: flux-system}}", "default_b__ConfigMap"),
		}},
		"another repository": {
			shoot: []client.Object{gitRepository(otherSource), kustomization("flux-system", root, "default_a__ConfigMap", "default_b__ConfigMap")},
			conflict: []string{
				"Kustomization flux-system/flux-system would follow another repository, and Flux would delete what it has deployed (objects: 2)",
				"GitRepository flux-system/flux-system is another one, and spec.url would go or change",
			},
		},
		"as flux bootstrap leaves it": {
			shoot: []client.Object{
				gitRepository(otherSource), kustomization("flux-system", strings.Replace(root, "clusters/one", "clusters/two, decryption: {provider: sops}", 1), "default_a__ConfigMap"), secret("theirs"),
				deployment(map[string]string{"kustomize.toolkit.fluxcd.io/name": "flux-system", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}),
			},
			conflict: []string{
				"it is left alone: GitRepository, Kustomization, Secret, Flux itself. To keep it, ", "set installation to once. ",
				// A Kustomization that is there could bring the GitRepository back.
				"patch kustomizations.kustomize.toolkit.fluxcd.io flux-system ", "delete gitrepositories.source.toolkit.fluxcd.io flux-system. Found: Kustomization flux-system/flux-system is another one, spec.decryption, spec.path would go or change",
				"; and 3 more. More may be found",
			},
		},
		"their repository is gone, but not what it deployed": {
			shoot:    []client.Object{kustomization("flux-system", strings.Replace(root, "prune: true", "prune: false", 1), "default_a__ConfigMap")},
			conflict: []string{"Found: Kustomization flux-system/flux-system would follow another repository, and Flux would delete what it has deployed (objects: 1)"},
		},
		"nothing was deployed": {shoot: []client.Object{kustomization("flux-system", root)}},
		"being deleted": {
			shoot:    []client.Object{terminating(kustomization("flux-system", strings.Replace(root, "prune: true", "prune: true, suspend: true", 1), "default_a__ConfigMap"))},
			conflict: []string{"it is left alone: Kustomization. To keep it, remove extension shoot-flux from the Shoot. To remove Flux", "flux uninstall. Found: Kustomization flux-system/flux-system is still being deleted. More may be found after that"},
		},
		"another branch, by default": {
			shoot:    []client.Object{gitRepository("{url: 'https://git.example.org/fleet'}")},
			conflict: []string{"GitRepository flux-system/flux-system is another one, and spec.ref would go"},
		},
		"another directory of the same repository": {
			shoot: []client.Object{gitRepository(source), kustomization("flux-system", strings.Replace(root, "clusters/one", "clusters/two", 1), "default_a__ConfigMap")},
			conflict: []string{
				"To keep it, remove extension shoot-flux from the Shoot. To remove Flux before, but nothing that it has deployed: flux uninstall. ",
				`To hand it over without deleting what Flux has deployed, run in the shoot: kubectl -n flux-system patch kustomizations.kustomize.toolkit.fluxcd.io flux-system ` +
					`--type=merge -p '{"spec":{"suspend":true}}' -o name | xargs kubectl -n flux-system delete. Found: `,
				"Kustomization flux-system/flux-system is another one, spec.path would go or change, and Flux would delete what it has deployed (objects: 1)",
			},
		},
		"the root directory, by default": {
			shoot:    []client.Object{gitRepository(source), kustomization("flux-system", "{prune: true, sourceRef: {kind: GitRepository, name: flux-system}}", "default_a__ConfigMap")},
			conflict: []string{"spec.path would go"},
		},
		"their own fields": {
			shoot: []client.Object{gitRepository(source), kustomization("flux-system", "{path: ./clusters/one, sourceRef: {kind: GitRepository, name: flux-system}, decryption: {provider: sops}, "+
				"postBuild: {substitute: {a: b}}, targetNamespace: apps, serviceAccountName: deployer, patches: [{patch: x}], suspend: true, wait: false, components: []}")},
			conflict: []string{"is another one, spec.decryption, spec.patches, spec.postBuild, spec.serviceAccountName, spec.suspend, spec.targetNamespace would go"},
		},
		"another kind of source": {
			shoot:    []client.Object{kustomization("flux-system", strings.Replace(root, "kind: GitRepository", "kind: OCIRepository", 1), "default_a__ConfigMap")},
			conflict: []string{"is another one, spec.sourceRef would go"},
		},
		"ours": {shoot: []client.Object{
			protected(from(gitRepository(otherSource), ours)), protected(from(kustomization("flux-system", root), ours)), protected(from(secret("old"), ours)),
			protected(from(deployment(map[string]string{"kustomize.toolkit.fluxcd.io/name": "flux-system"}), seed+control+"/extension-shoot-flux-installation")),
			kustomization("apps", "{prune: true, sourceRef: {kind: GitRepository, name: flux-system}}", "default_b__ConfigMap"),
		}},
		"left to the shoot's users":                   {shoot: []client.Object{from(gitRepository(otherSource), ours)}, conflict: []string{"GitRepository flux-system/flux-system is another one"}},
		"ours, of an older extension on another seed": {shoot: []client.Object{from(gitRepository(otherSource), ours), from(secret("old"), ours)}, restoring: true},
		"not ours, from another seed":                 {shoot: []client.Object{gitRepository(otherSource)}, restoring: true, conflict: []string{"GitRepository flux-system/flux-system is another one"}},
		"of another shoot": {
			shoot:    []client.Object{protected(from(gitRepository(otherSource), seed+"shoot--local--two/extension-shoot-flux-configuration"))},
			conflict: []string{"GitRepository flux-system/flux-system is another one"},
		},
		"their Secret": {
			shoot: []client.Object{secret("theirs")},
			conflict: []string{"kubectl -n flux-system get secret flux-source -o yaml > flux-source.yaml && kubectl delete -f flux-source.yaml",
				"Secret flux-system/flux-source has another content"},
		},
		"a Secret of the listed extension":   {shoot: []client.Object{labelledSecret(secret("theirs"), "app.kubernetes.io/managed-by", "gardener-extension-shoot-flux")}},
		"their Secret with the same content": {shoot: []client.Object{secret("ours")}},
		"the first version's": {
			shoot: []client.Object{
				from(secret("old"), predecessors), from(kustomization("main-ks", "{path: ./, prune: true, interval: 5m, targetNamespace: default, sourceRef: {kind: GitRepository, name: main-gitrepo}}",
					"default_a__ConfigMap"), predecessors),
			},
			conflict: []string{"patch kustomizations.kustomize.toolkit.fluxcd.io main-ks ",
				"Found: Kustomization flux-system/main-ks of the extension's first version deploys the repository too, with spec.path, spec.targetNamespace that would go"},
		},
		"the first version's, which deploys the same": {
			shoot: []client.Object{from(kustomization("main-ks", "{path: clusters/one/, prune: true, interval: 5m, sourceRef: {kind: GitRepository, name: main-gitrepo}}", "default_a__ConfigMap"), predecessors)},
		},
		"the first version's, which the extension has suspended": {
			shoot: []client.Object{from(kustomization("main-ks", "{path: clusters/one, prune: false, suspend: true, sourceRef: {kind: GitRepository, name: main-gitrepo}}"), predecessors)},
		},
		"the first version's, which somebody has suspended": {
			shoot:    []client.Object{from(kustomization("main-ks", "{path: clusters/one, prune: true, suspend: true, sourceRef: {kind: GitRepository, name: main-gitrepo}}"), predecessors)},
			conflict: []string{"Kustomization flux-system/main-ks of the extension's first version deploys the repository too, with spec.suspend that would go"},
		},
		"the first version's, which is being deleted": {
			shoot:    []client.Object{terminating(from(kustomization("main-ks", "{path: clusters/one, prune: true}"), predecessors))},
			conflict: []string{"Kustomization flux-system/main-ks of the extension's first version is still being deleted"},
		},
		"somebody's of the same name": {shoot: []client.Object{kustomization("main-ks", "{path: ./, prune: true, postBuild: {}}")}},
		"followers": {
			shoot: []client.Object{
				kustomization("apps", "{prune: true, sourceRef: {kind: GitRepository, name: flux-system}}", "default_a__ConfigMap"),
				kustomization("team/apps", "{prune: true, sourceRef: {kind: GitRepository, name: flux-system, namespace: flux-system}}", "default_b__ConfigMap"),
				kustomization("team/own", "{prune: true, sourceRef: {kind: GitRepository, name: flux-system}}", "default_c__ConfigMap"),
				kustomization("keeps", "{prune: false, sourceRef: {kind: GitRepository, name: flux-system}}", "default_d__ConfigMap"),
				kustomization("bucket", "{prune: true, sourceRef: {kind: Bucket, name: flux-system}}", "default_e__ConfigMap"),
				kustomization("empty", "{prune: true, sourceRef: {kind: GitRepository, name: flux-system}}"),
			},
			conflict: []string{
				"fluxcd.io apps --type", "| xargs kubectl -n flux-system delete; kubectl -n team patch",
				"Kustomization flux-system/apps, team/apps would delete what it has deployed, because it follows GitRepository flux-system/flux-system",
			},
		},
		"Flux of the repository": {
			shoot: []client.Object{
				gitRepository(source), kustomization("flux-system", bootstrapped, "default_a__ConfigMap"),
				deployment(map[string]string{"kustomize.toolkit.fluxcd.io/name": "flux-system", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}),
			},
			conflict: []string{"set installation to once", "patch kustomizations.kustomize.toolkit.fluxcd.io flux-system ",
				"Flux itself (Deployment flux-system/source-controller) belongs to Kustomization flux-system/flux-system"},
		},
		"Flux of a repository that is no longer followed": {
			shoot:     []client.Object{deployment(map[string]string{"kustomize.toolkit.fluxcd.io/name": "flux-system", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"})},
			takesOver: true,
		},
		"Flux of flux-operator": {
			shoot:    []client.Object{deployment(map[string]string{"fluxcd.controlplane.io/name": "flux", "app.kubernetes.io/managed-by": "flux-operator"})},
			conflict: []string{"set installation to once", "belongs to flux-operator"},
		},
		"Flux of Helm": {
			shoot:    []client.Object{deployment(map[string]string{"app.kubernetes.io/managed-by": "Helm"})},
			conflict: []string{"belongs to Helm"},
		},
		"a source of flux-operator": {
			shoot: []client.Object{labelled(gitRepository(source), "fluxcd.controlplane.io/name", "flux"), labelled(kustomization("flux-system", root), "app.kubernetes.io/managed-by", "Helm")},
			conflict: []string{"it is left alone: GitRepository, Kustomization. To keep it, remove extension shoot-flux from the Shoot. To remove Flux",
				"Found: Kustomization flux-system/flux-system belongs to Helm; GitRepository flux-system/flux-system belongs to flux-operator"},
		},
		"another Flux": {
			shoot:    []client.Object{in("gitops", deployment(map[string]string{"app.kubernetes.io/part-of": "flux"})), definition("gitops")},
			conflict: []string{"flux uninstall --namespace=gitops. Found: Flux is installed in namespace gitops (Deployment gitops/source-controller), and a second one would work on the same objects"},
		},
		"another Flux of a chart that gives other names": {
			shoot:    []client.Object{in("gitops", named("my-flux-src", deployment(map[string]string{"app.kubernetes.io/part-of": "flux", "app.kubernetes.io/component": "source-controller"})))},
			conflict: []string{"Found: Flux is installed in namespace gitops (Deployment gitops/my-flux-src)"},
		},
		"another Flux without labels": {
			shoot:    []client.Object{in("gitops", deployment(nil)), definition("gitops")},
			conflict: []string{"Found: Flux is installed in namespace gitops (Deployment gitops/source-controller)"},
		},
		"another Flux that is gone":             {shoot: []client.Object{in("gitops", named("podinfo", deployment(nil))), definition("gitops")}},
		"definitions that Argo CD has labelled": {shoot: []client.Object{definition("my-app")}},
		"something for Flux":                    {shoot: []client.Object{in("ui", named("flux-ui", deployment(map[string]string{"app.kubernetes.io/part-of": "flux"})))}},
		"another Flux that would come back": {
			shoot: []client.Object{
				kustomization("gitops/flux-system", "{prune: true}"),
				labelled(definition("gitops"), "kustomize.toolkit.fluxcd.io/name", "flux-system", "kustomize.toolkit.fluxcd.io/namespace", "gitops"),
			},
			conflict: []string{"kubectl -n gitops patch", "Found: Flux itself (CustomResourceDefinition gitrepositories.source.toolkit.fluxcd.io) belongs to Kustomization gitops/flux-system"},
		},
		"Flux of somebody": {shoot: []client.Object{deployment(nil)}, takesOver: true},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			takesOver, err := takeover.Check(t.Context(), newShoot(test.shoot...), takeover.Request{Namespace: control, Restoring: test.restoring, Objects: wanted()})
			if test.conflict == nil {
				g.Expect(err).NotTo(HaveOccurred())
				g.Expect(takesOver).To(Equal(test.takesOver))
				return
			}
			var conflict *takeover.Conflict
			g.Expect(errors.As(err, &conflict)).To(BeTrue())
			rest := err.Error()
			for _, sentence := range test.conflict {
				g.Expect(rest).To(ContainSubstring(sentence))
				_, rest, _ = strings.Cut(rest, sentence)
			}
			g.Expect(err.Error()).NotTo(Or(ContainSubstring("password"), ContainSubstring("theirs,"), ContainSubstring("git.example.org")))
		})
	}
}

// TestFluxThatDeploysItself has a Flux that is deployed by the Kustomization that becomes the extension's. That is nobody else's only if Flux was left to the
// shoot's users before, who have chosen otherwise.
func TestFluxThatDeploysItself(t *testing.T) {
	byRoot := []string{"kustomize.toolkit.fluxcd.io/name", "flux-system", "kustomize.toolkit.fluxcd.io/namespace", "flux-system"}
	shoot := func(root string) []client.Object {
		return []client.Object{gitRepository(source), kustomization("flux-system", root, "default_a__ConfigMap"), deployment(map[string]string{byRoot[0]: byRoot[1], byRoot[2]: byRoot[3]})}
	}
	g := NewWithT(t)
	request := takeover.Request{Namespace: control, Objects: wanted()}
	_, err := takeover.Check(t.Context(), newShoot(shoot(root)...), request)
	g.Expect(err).To(MatchError(ContainSubstring("Flux itself (Deployment flux-system/source-controller) belongs to Kustomization flux-system/flux-system")))
	request.WasOfUsers = true
	g.Expect(takeover.Check(t.Context(), newShoot(shoot(root)...), request)).To(BeTrue())
	_, err = takeover.Check(t.Context(), newShoot(shoot(strings.Replace(root, "clusters/one", "clusters/two", 1))...), request)
	g.Expect(err).To(MatchError(ContainSubstring("Kustomization flux-system/flux-system is another one, spec.path would go or change")))
	other := append(shoot(root), kustomization("gitops/flux", "{prune: true}"))
	other[2].SetLabels(map[string]string{byRoot[0]: "flux", byRoot[2]: "gitops"})
	_, err = takeover.Check(t.Context(), newShoot(other...), request)
	g.Expect(err).To(MatchError(ContainSubstring("belongs to Kustomization gitops/flux")))
}

// TestConflictIsBounded has a shoot whose owner has changed Flux's kinds.
func TestConflictIsBounded(t *testing.T) {
	g := NewWithT(t)
	theirs := gitRepository("{}")
	spec := map[string]any{}
	for i := range 10_000 {
		spec[fmt.Sprint(strings.Repeat("x", 1000), i)] = "y"
	}
	theirs.Object["spec"] = spec
	shoot := []client.Object{theirs, secret("theirs"), deployment(map[string]string{"app.kubernetes.io/managed-by": "Helm"})}
	root := kustomization("flux-system", "{}", "a")
	root.Object["spec"] = maps.Clone(spec)
	_, err := takeover.Check(t.Context(), newShoot(append(shoot, root)...), takeover.Request{Namespace: control, Objects: wanted()})
	g.Expect(err).To(MatchError(And(ContainSubstring(", …"), ContainSubstring("flux uninstall"), ContainSubstring("see https://"), ContainSubstring("; and 3 more. More may be found after that"))))
	expectWhole(g, err)
}

// expectWhole checks that nothing of a conflict is cut wherever people read it, and that no command deletes without suspending before, even
// if somebody cuts it.
func expectWhole(g Gomega, err error) {
	g.Expect(len(err.Error())).To(BeNumerically("<=", readiness.MaxMessage-40))
	ex := &extensionsv1alpha1.Extension{}
	ex.Status.LastError = &gardencorev1beta1.LastError{Description: "Unable to restore Extension resource: " + err.Error()}
	line := report.ShootStatusOf(ex).Message
	g.Expect(line).To(And(HaveSuffix(err.Error()), ContainSubstring("remove extension shoot-flux from the Shoot. "), ContainSubstring("flux uninstall. ")))
	for _, command := range strings.Split(line, "xargs ")[1:] {
		g.Expect(command).To(MatchRegexp(`^kubectl -n \S+ delete[.;] `), "what it deletes is only said where it is suspended")
	}
	g.Expect(strings.Count(line, `'{"spec":{"suspend":true}}' -o name |`)).To(Equal(strings.Count(line, "xargs ")))
}

func TestConflictWithFollowers(t *testing.T) {
	for _, name := range []string{"apps", strings.Repeat("long-", 12), strings.Repeat("x", 252)} {
		for count := range 5 {
			t.Run(fmt.Sprint(len(name), " ", count), func(t *testing.T) {
				g := NewWithT(t)
				// An ordinary bootstrap, whose GitRepository has been handed over.
				shoot := []client.Object{deployment(map[string]string{"kustomize.toolkit.fluxcd.io/name": "flux-system", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"})}
				root := kustomization("flux-system", "{prune: true, sourceRef: {kind: GitRepository, name: flux-system}}", "default_a__ConfigMap")
				if count == 0 {
					shoot = append(shoot, root, gitRepository(otherSource))
				}
				for i := range count {
					shoot = append(shoot, kustomization(fmt.Sprint(strings.Repeat("n", 63), "/", name, i), "{prune: true, sourceRef: {kind: GitRepository, name: flux-system, namespace: flux-system}}", "a"))
				}
				_, err := takeover.Check(t.Context(), newShoot(shoot...), takeover.Request{Namespace: control, Objects: wanted()})
				g.Expect(err).To(MatchError(ContainSubstring("Found: ")))
				expectWhole(g, err)
				if count == 0 {
					g.Expect(err).To(MatchError(ContainSubstring("set installation to once")))
				}
			})
		}
	}
}

// Nobody searches through all Kustomizations as long as something else is to be settled.
func TestFollowersAreSearchedLast(t *testing.T) {
	g := NewWithT(t)
	lists := 0
	shoot := interceptor.NewClient(newShoot(secret("theirs")), interceptor.Funcs{List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
		if _, ok := list.(*unstructured.UnstructuredList); ok {
			lists++
		}
		return c.List(ctx, list, options...)
	}})
	_, err := takeover.Check(t.Context(), shoot, takeover.Request{Namespace: control, Objects: wanted()})
	g.Expect(err).To(MatchError(HaveSuffix("Secret flux-system/flux-source has another content. More may be found after that")))
	g.Expect(lists).To(BeZero())
}

// endless is a shoot with more Kustomizations than anybody has, which answers in a time.
func endless(answer time.Duration, pages *int) client.Client {
	return interceptor.NewClient(newShoot(), interceptor.Funcs{List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
		found, ok := list.(*unstructured.UnstructuredList)
		if !ok {
			return c.List(ctx, list, options...)
		}
		<-time.After(answer)
		*pages++
		found.SetContinue("more")
		for i := range 100 {
			found.Items = append(found.Items, *kustomization(fmt.Sprint("k", *pages, "-", i), "{}"))
		}
		return nil
	}})
}

func TestTooManyKustomizations(t *testing.T) {
	for answer, seen := range map[time.Duration]int{0: 5000, 3 * time.Second: 300} {
		t.Run(answer.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := NewWithT(t)
				pages, begin := 0, time.Now()
				_, err := takeover.Check(t.Context(), endless(answer, &pages), takeover.Request{Namespace: control, Objects: wanted()})
				g.Expect(err).To(MatchError(ContainSubstring(fmt.Sprintf("there are more than %d Kustomizations, which are too many to look at all of them, and each that follows "+
					"GitRepository flux-system/flux-system would delete what it has deployed", seen))))
				g.Expect(time.Since(begin)).To(BeNumerically("<", 15*time.Second))
			})
		})
	}
}

func TestCheckSaysWhatCouldNotBeRead(t *testing.T) {
	for kind, sentence := range map[string]string{
		"GitRepository": "failed to read GitRepository flux-system/flux-system of the shoot: out of order",
		"Kustomization": "failed to read Kustomization flux-system/flux-system of the shoot: out of order",
		"Secret":        "failed to read Secret flux-system/flux-source of the shoot: out of order",
		"Deployment":    "failed to read Deployment flux-system/source-controller of the shoot: out of order",
		"List":          "failed to list the objects of kind Kustomization of the shoot: out of order",
	} {
		t.Run(kind, func(t *testing.T) {
			shoot := newShoot()
			broken := interceptor.NewClient(shoot, interceptor.Funcs{
				Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
					if gvk, _ := c.GroupVersionKindFor(object); gvk.Kind == kind {
						return errors.New("out of order")
					}
					return c.Get(ctx, key, object, options...)
				},
				List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
					if _, whole := list.(*unstructured.UnstructuredList); whole && kind == "List" {
						return errors.New("out of order")
					}
					return c.List(ctx, list, options...)
				},
			})
			_, err := takeover.Check(t.Context(), broken, takeover.Request{Namespace: control, Objects: wanted()})
			NewWithT(t).Expect(err).To(MatchError(sentence))
		})
	}
}
