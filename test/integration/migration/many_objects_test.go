// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package migration_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/migration"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/removal"
	access "github.com/23technologies/gardener-extension-shoot-flux/pkg/shoot"
)

// manyObjects is small so that the test is quick: its API server answers so slowly that these take several slices. With more, it
// answers as fast as it can.
var manyObjects = flag.Int("many-objects", fewObjects, "number of objects of a kind")

const (
	fewObjects = 2000
	finalizer  = "finalizers.fluxcd.io"
	// longestTry is well above a slice of three seconds, because this machine may be busy, and well below what a reconciliation may take.
	longestTry = time.Minute
)

// slow delays writes.
func slow(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(request *http.Request) (*http.Response, error) {
		if request.Method == http.MethodPatch {
			<-time.After(20 * time.Millisecond)
		}
		return next.RoundTrip(request)
	})
}

// client returns a client as the extension has it, which knows nothing of what was before.
func (s *shoot) client() client.Client {
	kubeconfig, err := apiServer.AdminKubeconfig()
	s.Expect(err).NotTo(HaveOccurred())
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "shoot--p--s", Name: "gardener"}, Data: map[string][]byte{"kubeconfig": kubeconfig}}
	c, err := access.NewClient(s.ctx, fake.NewFakeClient(secret), secret.Namespace)
	s.Expect(err).NotTo(HaveOccurred())
	return c
}

// fill creates many objects.
func (s *shoot) fill(version string, count int, annotations map[string]string) {
	c := s.client()
	group, ctx := errgroup.WithContext(s.ctx)
	group.SetLimit(16)
	for i := range count {
		object := s.object(version, fmt.Sprintf("object-%05d", i))
		object.SetFinalizers([]string{finalizer, "example.org/other"})
		object.SetAnnotations(annotations)
		object.Object["spec"] = map[string]any{"common": "kept"}
		group.Go(func() error { return c.Create(ctx, object) })
	}
	s.Expect(group.Wait()).To(Succeed())
}

// tries calls what does a part of the work until all is done. Each try must get on, and hold up nobody.
func (s *shoot) tries(t *testing.T, count int, what string, work func() error) int {
	var done int64
	begin := time.Now()
	for tries := 1; ; tries++ {
		try := time.Now()
		err := work()
		t.Logf("%s: try %d took %s: %v", what, tries, time.Since(try).Round(time.Millisecond), err)
		s.Expect(time.Since(try)).To(BeNumerically("<", longestTry))
		if err == nil {
			t.Logf("%s took %d tries and %s", what, tries, time.Since(begin).Round(time.Millisecond))
			return tries
		}
		unfinished, ok := errors.AsType[*access.Unfinished](err)
		s.Expect(ok).To(BeTrue(), "%v", err)
		s.Expect(unfinished.Visited).To(BeNumerically(">", done), "it got on")
		s.Expect(unfinished.Visited+unfinished.Remaining).To(BeEquivalentTo(count), "it knows how many there are")
		s.Expect(err).To(MatchError(ContainSubstring("%d of about %d objects of kind Source are done, and it goes on by itself", unfinished.Visited, count)))
		done = unfinished.Visited
		s.compact()
	}
}

// compact makes etcd forget the past, as an API server does every five minutes: the state in which a list began is gone.
func (s *shoot) compact() {
	ask := func(path, body string) (answer struct{ Header struct{ Revision string } }) {
		response, err := http.Post(apiServer.EtcdURL+"/"+path, "application/json", bytes.NewBufferString(body))
		s.Expect(err).NotTo(HaveOccurred())
		defer response.Body.Close()
		s.Expect(response.StatusCode).To(Equal(http.StatusOK))
		s.Expect(json.NewDecoder(response.Body).Decode(&answer)).To(Succeed())
		return answer
	}
	revision := ask("v3/kv/range", `{"key":"AA=="}`).Header.Revision
	ask("v3/kv/compaction", fmt.Sprintf(`{"revision":%q,"physical":true}`, revision))
}

func (s *shoot) annotations() map[string]string {
	live := &apiextensionsv1.CustomResourceDefinition{}
	s.Expect(s.Get(s.ctx, client.ObjectKey{Name: "sources." + s.group}, live)).To(Succeed())
	return live.Annotations
}

// TestManyObjects stores more objects anew than can be done in a moment, and then removes their finalizers.
func TestManyObjects(t *testing.T) {
	wrap := slow
	if *manyObjects > fewObjects {
		wrap = nil
	}
	s := newShoot(t, wrap)
	connection := func() client.Client {
		if wrap == nil {
			return s.client()
		}
		return newShoot(t, wrap).Client
	}
	s.give(s.definition("v1beta1"))
	s.fill("v1beta1", *manyObjects, nil)
	s.giveMany(s.definition("v1beta1", "v1"))
	wanted := []*apiextensionsv1.CustomResourceDefinition{s.definition("v1")}

	settling := time.Duration(0)
	s.Expect(s.tries(t, *manyObjects, "storing the objects anew", func() error {
		_, err := migration.Prepare(s.ctx, connection(), settling, wanted)
		settling = time.Hour // what has begun goes on
		return err
	})).To(BeNumerically(">", 1))
	s.Expect(s.storedVersions()).To(ConsistOf("v1"))
	s.Expect(s.annotations()).To(BeEmpty())
	s.giveMany(wanted[0])

	count, finalizers := s.count("v1")
	s.Expect(count).To(Equal(*manyObjects))
	s.Expect(finalizers).To(Equal(*manyObjects))
	left, err := removal.Removal{Shoot: connection(), Namespace: flux.Namespace}.Terminating(s.ctx, nil)
	s.Expect(err).NotTo(HaveOccurred())
	s.Expect(left).To(BeEmpty())

	s.Expect(s.tries(t, *manyObjects, "removing the finalizers", func() error {
		return removal.Removal{Shoot: connection(), Namespace: flux.Namespace}.DropFinalizers(s.ctx, reference(wanted[0]))
	})).To(BeNumerically(">", 1))
	count, finalizers = s.count("v1")
	s.Expect(count).To(Equal(*manyObjects))
	s.Expect(finalizers).To(BeZero())
	s.Expect(s.annotations()).To(BeEmpty())
}

// giveMany gives the shoot a definition of which there are many objects: the API server reads all of them before it serves them.
func (s *shoot) giveMany(definition *apiextensionsv1.CustomResourceDefinition) {
	s.Expect(s.tryGive(definition)).To(Succeed())
	s.Eventually(func() error { return s.List(s.ctx, s.list("v1"), client.Limit(1)) }, "2m", "1s").Should(Succeed())
}

// count checks the objects, and returns how many there are, and how many have the finalizer.
func (s *shoot) count(version string) (count, finalizers int) {
	list := s.list(version)
	s.Expect(s.List(s.ctx, list)).To(Succeed())
	for i := range list.Items {
		s.Expect(list.Items[i].Object["spec"]).To(HaveKeyWithValue("common", "kept"))
		for _, entry := range list.Items[i].GetManagedFields() {
			s.Expect(entry.APIVersion).To(Equal(s.group + "/" + version))
		}
		if has := list.Items[i].GetFinalizers(); len(has) == 2 && has[0] == finalizer {
			finalizers++
		}
	}
	return len(list.Items), finalizers
}

// TestObjectsThatAreLarge has more bytes in one page than the extension reads at once.
func TestObjectsThatAreLarge(t *testing.T) {
	s := newShoot(t, nil)
	s.give(s.definition("v1beta1"))
	const count = 60
	s.fill("v1beta1", count, map[string]string{"example.org/large": strings.Repeat("x", 200<<10)})
	s.give(s.definition("v1beta1", "v1"))
	wanted := []*apiextensionsv1.CustomResourceDefinition{s.definition("v1")}
	s.tries(t, count, "storing large objects anew", func() error {
		_, err := migration.Prepare(s.ctx, s.client(), 0, wanted)
		return err
	})
	s.Expect(s.storedVersions()).To(ConsistOf("v1"))
	s.give(wanted[0])
	found, _ := s.count("v1")
	s.Expect(found).To(Equal(count))
}

// TestNoteOfAnotherDefinition has a note of a time when objects were stored in another version: it doesn't count, because objects
// before it would never be stored anew.
func TestNoteOfAnotherDefinition(t *testing.T) {
	const (
		noted = 297
		// killedAt is more than is written after the place of the note: three objects and twice the definition. A slice writes so many objects however
		// busy the machine is.
		killedAt = 8
	)
	s := newShoot(t, nil)
	s.give(s.definition("v1beta1"))
	s.fill("v1beta1", 300, nil)
	s.give(s.definition("v1beta1", "v1"))
	page := s.list("v1")
	s.Expect(s.List(s.ctx, page, client.Limit(noted))).To(Succeed())
	live := &apiextensionsv1.CustomResourceDefinition{}
	s.Expect(s.Get(s.ctx, client.ObjectKey{Name: "sources." + s.group}, live)).To(Succeed())

	for name, note := range map[string]string{
		"of an earlier specification": fmt.Sprintf(`{"uid":%q,"generation":%d,"continue":%q,"visited":%d}`, live.UID, live.Generation-1, page.GetContinue(), noted),
		"of a definition that's gone": fmt.Sprintf(`{"uid":"gone","generation":%d,"continue":%q,"visited":%d}`, live.Generation, page.GetContinue(), noted),
		"by somebody else":            `all is done`,
		"too long":                    fmt.Sprintf(`{"uid":%q,"generation":%d,"continue":%q,"visited":%d,"more":%q}`, live.UID, live.Generation, page.GetContinue(), noted, strings.Repeat("x", 8000)),
	} {
		patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{"flux.extensions.gardener.cloud/storage-migration": note}}})
		s.Expect(err).NotTo(HaveOccurred())
		s.Expect(s.Patch(s.ctx, live, client.RawPatch("application/merge-patch+json", patch))).To(Succeed())
		writes := &failing{}
		recorded := newShoot(t, writes.wrap)
		writes.failAt(killedAt)
		_, err = migration.Prepare(s.ctx, recorded.Client, 0, []*apiextensionsv1.CustomResourceDefinition{s.definition("v1")})
		s.Expect(err).To(MatchError(ContainSubstring("killed at write %d", killedAt)), name)
	}

	// What can't be understood of a note is no reason to stop.
	note := fmt.Sprintf(`{"uid":%q,"generation":%d,"continue":"nonsense","visited":%d}`, live.UID, live.Generation, noted)
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{"flux.extensions.gardener.cloud/storage-migration": note}}})
	s.Expect(err).NotTo(HaveOccurred())
	s.Expect(s.Patch(s.ctx, live, client.RawPatch("application/merge-patch+json", patch))).To(Succeed())
	s.tries(t, 300, "storing them anew nonetheless", func() error {
		_, err := migration.Prepare(s.ctx, s.client(), 0, []*apiextensionsv1.CustomResourceDefinition{s.definition("v1")})
		return err
	})
	s.Expect(s.storedVersions()).To(ConsistOf("v1"))
	s.give(s.definition("v1"))
	found, _ := s.count("v1")
	s.Expect(found).To(Equal(300))
}

// reference is what the extension knows of a definition that it has applied.
func reference(definition *apiextensionsv1.CustomResourceDefinition) []corev1.ObjectReference {
	return []corev1.ObjectReference{{APIVersion: apiextensionsv1.SchemeGroupVersion.String(), Kind: "CustomResourceDefinition", Name: definition.Name}}
}

// TestTerminating is about objects on several pages.
func TestTerminating(t *testing.T) {
	t.Parallel()
	s := newShoot(t, nil)
	definition := s.definition("v1")
	definition.Spec.Group = "image.toolkit.fluxcd.io"
	definition.Name = "sources.image.toolkit.fluxcd.io"
	definition.Labels = map[string]string{"app.kubernetes.io/part-of": "flux", "app.kubernetes.io/instance": "flux-system"}
	s.group = definition.Spec.Group
	s.give(definition)
	s.fill("v1", 300, nil)
	c, applied := s.client(), reference(definition)
	left, err := removal.Removal{Shoot: c, Namespace: flux.Namespace}.Terminating(s.ctx, applied)
	s.Expect(err).NotTo(HaveOccurred())
	s.Expect(left).To(BeEmpty())

	s.Expect(s.Delete(s.ctx, s.object("v1", "object-00290"))).To(Succeed())
	left, err = removal.Removal{Shoot: c, Namespace: flux.Namespace}.Terminating(s.ctx, applied)
	s.Expect(err).NotTo(HaveOccurred())
	s.Expect(left.String()).To(Equal("Source default/object-00290"))
	s.Expect(left.Since()).To(BeTemporally("~", time.Now(), timeout))

	s.Expect(s.DeleteAllOf(s.ctx, &unstructured.Unstructured{Object: s.object("v1", "").Object}, client.InNamespace("default"))).To(Succeed())
	left, err = removal.Removal{Shoot: c, Namespace: flux.Namespace}.Terminating(s.ctx, applied)
	s.Expect(err).NotTo(HaveOccurred())
	s.Expect(left).To(HaveLen(4), "more are not counted")
	s.Expect(left.String()).To(HaveSuffix(", …"))
	s.tries(t, 300, "removing the finalizers", func() error {
		return removal.Removal{Shoot: c, Namespace: flux.Namespace}.DropFinalizers(s.ctx, applied)
	})
	left, err = removal.Removal{Shoot: c, Namespace: flux.Namespace}.Terminating(s.ctx, applied)
	s.Expect(err).NotTo(HaveOccurred())
	s.Expect(left).To(BeEmpty())
}
