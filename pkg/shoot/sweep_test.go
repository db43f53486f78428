// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Sweeps through a real API server are in test/integration/migration.
package shoot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

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
		kinds = append(kinds, KindOf(w.definitions[name], annotation))
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

func (v *visits) count() int {
	v.mutex.Lock()
	defer v.mutex.Unlock()
	return len(v.seen)
}

func TestSweepInSlices(t *testing.T) {
	g := NewWithT(t)
	w, v := newWorld(map[string]int64{"A": 106, "B": 12, "C": 0}), &visits{}
	run := func() error {
		// Nothing is remembered but what is in the shoot. The slice has ended before it begins.
		return (&Sweep{Annotation: annotation, Visit: v.visit}).Run(t.Context(), w, Slice{end: time.Now()}, w.kinds("A", "B", "C")...)
	}
	g.Expect(run()).To(Equal(&Unfinished{Kind: "A", Visited: 8, Remaining: 98}))
	g.Expect(w.notes()).To(Equal(map[string]string{"A": `{"uid":"A","generation":1,"continue":"","last":"/thing-0007","visited":8}`}))
	g.Expect(run()).To(MatchError("16 of about 106 objects of kind A are done, and it goes on by itself"))
	for range 11 {
		g.Expect(run()).To(HaveOccurred())
	}
	g.Expect(w.notes()).To(Equal(map[string]string{"A": `{"uid":"A","generation":1,"continue":"100","visited":100}`}), "a whole page")
	g.Expect(run()).To(Equal(&Unfinished{Kind: "A", Visited: 106}))
	g.Expect(w.notes()).To(Equal(map[string]string{"B": `{"uid":"B","generation":1,"continue":"","visited":0}`}))
	g.Expect(run()).To(Equal(&Unfinished{Kind: "B", Visited: 8, Remaining: 4}))
	g.Expect(run()).To(Equal(&Unfinished{Kind: "B", Visited: 12}))
	g.Expect(run()).To(Succeed())
	g.Expect(w.notes()).To(BeEmpty())
	g.Expect(v.seen).To(HaveLen(118))
	g.Expect(v.seen).To(HaveEach(1))
}

// TestSlowSweep has a shoot whose API server waits for a webhook that does not answer at each write: from the begin, or once it has been fast.
// However slow it is, no slice holds a worker for much longer than one write takes, and each gets on.
func TestSlowSweep(t *testing.T) {
	for name, fast := range map[string]int{"from the begin": 0, "later": 110} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := NewWithT(t)
				w, v := newWorld(map[string]int64{"A": 140, "B": 6, "C": 6, "D": 6}), &visits{}
				sweep := &Sweep{Annotation: annotation, Visit: func(ctx context.Context, object *metav1.PartialObjectMetadata) error {
					if v.count() >= fast {
						<-time.After(9 * time.Second)
					}
					return v.visit(ctx, object)
				}}
				for err := errors.New("not yet"); err != nil; {
					begin, before := time.Now(), v.count()
					err = sweep.Run(t.Context(), w, NewSlice(), w.kinds("A", "B", "C", "D")...)
					g.Expect(time.Since(begin)).To(BeNumerically("<=", 12*time.Second))
					g.Expect(v.count()).To(BeNumerically(">", before))
					if err != nil {
						g.Expect(err).To(BeAssignableToTypeOf(&Unfinished{}))
					}
				}
				g.Expect(v.seen).To(HaveLen(158))
				g.Expect(v.seen).To(HaveEach(1))
			})
		})
	}
}

func TestSweepThatNeedsOneSliceLeavesNoNote(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // however busy the machine is, this takes no time of a slice
		g := NewWithT(t)
		w, v := newWorld(map[string]int64{"A": 240, "B": 120}), &visits{}
		g.Expect((&Sweep{Annotation: annotation, Visit: v.visit}).Run(t.Context(), w, NewSlice(), w.kinds("A", "B")...)).To(Succeed())
		g.Expect(v.seen).To(HaveLen(360))
		g.Expect(w.patches).To(BeZero())
	})
}

// An object that can't be written is no reason to begin anew once it can.
func TestSweepGoesOnAfterAnError(t *testing.T) {
	g := NewWithT(t)
	w, v := newWorld(map[string]int64{"A": 240, "B": 240}), &visits{fail: "B thing-0110"}
	sweep := &Sweep{Annotation: annotation, Visit: v.visit}
	for range 2 {
		g.Expect(sweep.Run(t.Context(), w, Slice{}, w.kinds("A", "B")...)).To(MatchError("no"))
		g.Expect(w.notes()).To(Equal(map[string]string{"B": `{"uid":"B","generation":1,"continue":"100","last":"/thing-0109","visited":110}`}))
	}
	v.fail = ""
	g.Expect(sweep.Run(t.Context(), w, Slice{}, w.kinds("A", "B")...)).To(Succeed())
	g.Expect(w.notes()).To(BeEmpty())
	g.Expect(v.seen).To(HaveLen(480))
	g.Expect(v.seen["A thing-0000"]).To(Equal(1))
	g.Expect(v.seen["B thing-0109"]).To(Equal(1))
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
			g.Expect((&Sweep{Annotation: annotation, Visit: v.visit}).Run(t.Context(), w, Slice{}, w.kinds("A")...)).To(Succeed())
			g.Expect(v.seen).To(HaveLen(240))
			g.Expect(w.notes()).To(BeEmpty())
		})
	}
}

func TestSweepReset(t *testing.T) {
	g := NewWithT(t)
	w, v := newWorld(map[string]int64{"A": 240}), &visits{}
	sweep, kinds := &Sweep{Annotation: annotation, Visit: v.visit}, w.kinds("A")
	g.Expect(sweep.Begun(kinds...)).To(BeFalse())
	g.Expect(sweep.Run(t.Context(), w, Slice{end: time.Now()}, kinds...)).To(HaveOccurred())
	g.Expect(w.notes()).NotTo(BeEmpty())
	g.Expect(sweep.Begun(w.kinds("A")...)).To(BeTrue())
	g.Expect(sweep.Reset(t.Context(), w, kinds...)).To(Succeed())
	g.Expect(w.notes()).To(BeEmpty())
	g.Expect(sweep.Begun(w.kinds("A")...)).To(BeFalse())
}

// TestKindOf shows that nothing is kept of a definition that its owner can make large.
func TestKindOf(t *testing.T) {
	g := NewWithT(t)
	definition := newWorld(map[string]int64{"A": 0}).definitions["A"]
	definition.Annotations = map[string]string{"example.org/large": strings.Repeat("x", 200<<10), annotation: strings.Repeat("x", 200<<10)}
	definition.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "somebody"}}
	kind := KindOf(definition, annotation)
	g.Expect(kind.GroupVersionKind.String()).To(Equal("example.org/v1, Kind=A"))
	g.Expect(len(fmt.Sprintf("%#v", kind))).To(BeNumerically("<", 2*maxNoteBytes))
}

func TestSliceDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // however busy the machine is, this takes no time of a slice
		g := NewWithT(t)
		broken := errors.New("broken")
		do := func(slice Slice, fail int) (int, error) {
			return slice.Do(t.Context(), 30, func(_ context.Context, i int) error {
				if i == fail {
					return broken
				}
				return nil
			})
		}
		done, err := do(NewSlice(), -1)
		g.Expect(done, err).To(Equal(30))
		done, err = do(Slice{}, -1)
		g.Expect(done, err).To(Equal(30), "it has no end")
		done, err = do(Slice{end: time.Now()}, -1)
		g.Expect(done, err).To(Equal(8), "it has ended")
		done, err = do(NewSlice(), 20)
		g.Expect(err).To(MatchError(broken))
		g.Expect(done).To(Equal(20))

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = NewSlice().Do(ctx, 30, func(context.Context, int) error { return nil })
		g.Expect(err).To(MatchError(context.Canceled))
	})
}
