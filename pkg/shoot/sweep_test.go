// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Sweeps through a real API server are in test/integration/migration.
package shoot

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"

	. "github.com/onsi/gomega"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const annotation = "example.org/progress"

// world is a shoot with objects of some kinds, whose definitions keep what is patched.
type world struct {
	client.Client
	lists       map[string]*list
	definitions map[string]*apiextensionsv1.CustomResourceDefinition
	patches     int
}

func newWorld(counts map[string]int64) *world {
	w := &world{lists: map[string]*list{}, definitions: map[string]*apiextensionsv1.CustomResourceDefinition{}}
	for kind, count := range counts {
		w.lists[kind] = &list{count: count, huge: -1}
		definition := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: kind, UID: types.UID(kind), Generation: 1}}
		definition.Spec.Group, definition.Spec.Names.Kind = "example.org", kind
		definition.Spec.Versions = []apiextensionsv1.CustomResourceDefinitionVersion{{Name: "v1beta1", Served: true}, {Name: "v1", Storage: true}}
		w.definitions[kind] = definition
	}
	return w
}

func (w *world) kinds(names ...string) []Kind {
	var kinds []Kind
	for _, name := range names {
		kinds = append(kinds, KindOf(w.definitions[name]))
	}
	return kinds
}

func (w *world) List(ctx context.Context, objects client.ObjectList, options ...client.ListOption) error {
	kind := objects.GetObjectKind().GroupVersionKind().Kind
	return w.lists[kind[:len(kind)-len("List")]].List(ctx, objects, options...)
}

func (w *world) Patch(_ context.Context, object client.Object, patch client.Patch, _ ...client.PatchOption) error {
	w.patches++
	data, err := patch.Data(object)
	if err != nil {
		return err
	}
	change := struct {
		Metadata struct{ Annotations map[string]*string }
	}{}
	if err := json.Unmarshal(data, &change); err != nil {
		return err
	}
	definition := w.definitions[object.GetName()]
	for key, value := range change.Metadata.Annotations {
		delete(definition.Annotations, key)
		if value != nil {
			metav1.SetMetaDataAnnotation(&definition.ObjectMeta, key, *value)
		}
	}
	return nil
}

func (w *world) notes() map[string]string {
	notes := map[string]string{}
	for kind, definition := range w.definitions {
		if note, ok := definition.Annotations[annotation]; ok {
			notes[kind] = note
		}
	}
	return notes
}

// visits counts the visits of each object.
type visits struct {
	mutex sync.Mutex
	seen  map[string]int
	fail  string
}

func (v *visits) visit(_ context.Context, object *metav1.PartialObjectMetadata) error {
	v.mutex.Lock()
	defer v.mutex.Unlock()
	if v.seen == nil {
		v.seen = map[string]int{}
	}
	name := object.Kind + " " + object.Name
	if name == v.fail {
		return errors.New("no")
	}
	v.seen[name]++
	return nil
}

func TestSweepInSlices(t *testing.T) {
	g := NewWithT(t)
	w, v := newWorld(map[string]int64{"A": 240, "B": 120, "C": 0}), &visits{}
	run := func() error {
		// Nothing is remembered but what is in the shoot. The slice has ended before it begins.
		return (&Sweep{Annotation: annotation, Visit: v.visit}).Run(t.Context(), w, Slice{}, w.kinds("A", "B", "C")...)
	}
	g.Expect(run()).To(Equal(&Unfinished{Kind: "A", Visited: 100, Remaining: 140}))
	g.Expect(w.notes()).To(Equal(map[string]string{"A": `{"uid":"A","generation":1,"continue":"100","visited":100}`}))
	g.Expect(run()).To(MatchError("200 of about 240 objects of kind A are done, and it goes on by itself"))
	g.Expect(run()).To(Equal(&Unfinished{Kind: "B", Visited: 100, Remaining: 20}))
	g.Expect(w.notes()).To(Equal(map[string]string{"B": `{"uid":"B","generation":1,"continue":"100","visited":100}`}))
	g.Expect(run()).To(Succeed())
	g.Expect(w.notes()).To(BeEmpty())
	g.Expect(v.seen).To(HaveLen(360))
	g.Expect(v.seen).To(HaveEach(1))
}

func TestSweepThatNeedsOneSliceLeavesNoNote(t *testing.T) {
	g := NewWithT(t)
	w, v := newWorld(map[string]int64{"A": 240, "B": 120}), &visits{}
	g.Expect((&Sweep{Annotation: annotation, Visit: v.visit}).Run(t.Context(), w, NewSlice(), w.kinds("A", "B")...)).To(Succeed())
	g.Expect(v.seen).To(HaveLen(360))
	g.Expect(w.patches).To(BeZero())
}

// An object that can't be written is no reason to begin anew once it can.
func TestSweepGoesOnAfterAnError(t *testing.T) {
	g := NewWithT(t)
	w, v := newWorld(map[string]int64{"A": 240, "B": 240}), &visits{fail: "B thing-110"}
	sweep := &Sweep{Annotation: annotation, Visit: v.visit}
	for range 2 {
		g.Expect(sweep.Run(t.Context(), w, NewSlice(), w.kinds("A", "B")...)).To(MatchError("no"))
		g.Expect(w.notes()).To(Equal(map[string]string{"B": `{"uid":"B","generation":1,"continue":"100","visited":100}`}))
	}
	v.fail = ""
	g.Expect(sweep.Run(t.Context(), w, NewSlice(), w.kinds("A", "B")...)).To(Succeed())
	g.Expect(w.notes()).To(BeEmpty())
	g.Expect(v.seen).To(HaveLen(480))
	g.Expect(v.seen["A thing-0"]).To(Equal(1))
	g.Expect(v.seen["B thing-99"]).To(Equal(1))
}

func TestSweepOfAnotherDefinitionBeginsAnew(t *testing.T) {
	w := newWorld(map[string]int64{"A": 240})
	for name, note := range map[string]string{
		"another generation":      `{"uid":"A","generation":2,"continue":"100","visited":100}`,
		"another definition":      `{"uid":"B","generation":1,"continue":"100","visited":100}`,
		"less than nothing":       `{"uid":"A","generation":1,"continue":"100","visited":-1}`,
		"something else":          `100`,
		"more than is to be said": `{"uid":"A","generation":1,"continue":"100","visited":100,"more":"` + string(make([]byte, maxNoteBytes)) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			g, v := NewWithT(t), &visits{}
			w.definitions["A"].Annotations = map[string]string{annotation: note}
			g.Expect((&Sweep{Annotation: annotation, Visit: v.visit}).Run(t.Context(), w, NewSlice(), w.kinds("A")...)).To(Succeed())
			g.Expect(v.seen).To(HaveLen(240))
			g.Expect(w.notes()).To(BeEmpty())
		})
	}
}

func TestSweepReset(t *testing.T) {
	g := NewWithT(t)
	w, v := newWorld(map[string]int64{"A": 240}), &visits{}
	sweep, kinds := &Sweep{Annotation: annotation, Visit: v.visit}, w.kinds("A")
	g.Expect(sweep.Run(t.Context(), w, Slice{}, kinds...)).To(HaveOccurred())
	g.Expect(w.notes()).NotTo(BeEmpty())
	g.Expect(sweep.Reset(t.Context(), w, kinds...)).To(Succeed())
	g.Expect(w.notes()).To(BeEmpty())
}

func TestKindOf(t *testing.T) {
	w := newWorld(map[string]int64{"A": 0})
	NewWithT(t).Expect(KindOf(w.definitions["A"]).GroupVersionKind.String()).To(Equal("example.org/v1, Kind=A"))
}
