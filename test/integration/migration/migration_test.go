// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package migration_test moves objects between API versions on a real API server. It would refuse a
// CustomResourceDefinition, or not be able to read an object any more, if one were stored in a version that is gone.
package migration_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/migration"
	access "github.com/23technologies/gardener-extension-shoot-flux/pkg/shoot"
	"github.com/23technologies/gardener-extension-shoot-flux/test/integration"
)

// timeout is long enough for a machine that is busy with other tests.
const timeout = time.Minute

var apiServer *integration.Server

func TestMain(m *testing.M) {
	os.Exit(integration.Run(m, func(ctx context.Context, servers *integration.Servers) (_ func(), err error) {
		apiServer, err = servers.Start(ctx, "shoot")
		return nil, err
	}))
}

// shoot is the client of a test, with a group of kinds of its own.
type shoot struct {
	Gomega
	client.Client
	ctx   context.Context
	group string
	// given counts the definitions that it was given.
	given int
}

func newShoot(t *testing.T, wrap func(http.RoundTripper) http.RoundTripper) *shoot {
	g := NewWithT(t)
	scheme := runtime.NewScheme()
	g.Expect(apiextensionsv1.AddToScheme(scheme)).To(Succeed())
	config := rest.CopyConfig(apiServer.Config)
	if wrap != nil {
		config.Wrap(wrap)
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	g.Expect(err).NotTo(HaveOccurred())
	return &shoot{Gomega: g, Client: c, ctx: t.Context(), group: fmt.Sprintf("test%d.example.org", groups.Add(1))}
}

var groups atomic.Int32

// definition is of kind Source with the given versions, the last of which is the storage version. Each version knows the
// fields common and the one with its own name.
func (s *shoot) definition(versions ...string) *apiextensionsv1.CustomResourceDefinition {
	definition := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: "sources." + s.group}}
	definition.Spec = apiextensionsv1.CustomResourceDefinitionSpec{
		Group: s.group,
		Names: apiextensionsv1.CustomResourceDefinitionNames{Kind: "Source", ListKind: "SourceList", Plural: "sources", Singular: "source"},
		Scope: apiextensionsv1.NamespaceScoped,
	}
	text := apiextensionsv1.JSONSchemaProps{Type: "string"}
	for i, version := range versions {
		definition.Spec.Versions = append(definition.Spec.Versions, apiextensionsv1.CustomResourceDefinitionVersion{
			Name: version, Served: true, Storage: i == len(versions)-1,
			Subresources: &apiextensionsv1.CustomResourceSubresources{Status: &apiextensionsv1.CustomResourceSubresourceStatus{}},
			Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{
				Type: "object",
				Properties: map[string]apiextensionsv1.JSONSchemaProps{
					"spec":   {Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{"common": text, version: text}},
					"status": {Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{"revision": text}},
				},
			}},
		})
	}
	return definition
}

// give gives the shoot a definition, as gardener-resource-manager does, and waits until it is served. For a moment, the API server may go on with
// the one of before, and store objects in its storage version. So each has one more version, which no other has.
func (s *shoot) give(definition *apiextensionsv1.CustomResourceDefinition) {
	s.given++
	own := definition.Spec.Versions[0].DeepCopy()
	own.Name, own.Storage = fmt.Sprintf("given%d", s.given), false
	definition = definition.DeepCopy()
	definition.Spec.Versions = append(definition.Spec.Versions, *own)
	s.Expect(s.tryGive(definition)).To(Succeed())
	s.Eventually(func() error { return s.List(s.ctx, s.list(own.Name)) }, timeout).Should(Succeed())
}

func (s *shoot) tryGive(definition *apiextensionsv1.CustomResourceDefinition) error {
	live := &apiextensionsv1.CustomResourceDefinition{}
	err := s.Get(s.ctx, client.ObjectKeyFromObject(definition), live)
	if apierrors.IsNotFound(err) {
		return s.Create(s.ctx, definition.DeepCopy())
	}
	s.Expect(err).NotTo(HaveOccurred())
	live.Spec = definition.Spec
	return s.Update(s.ctx, live)
}

func (s *shoot) list(version string) *unstructured.UnstructuredList {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(schema.GroupVersionKind{Group: s.group, Version: version, Kind: "SourceList"})
	return list
}

func (s *shoot) object(version, name string) *unstructured.Unstructured {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(schema.GroupVersionKind{Group: s.group, Version: version, Kind: "Source"})
	object.SetNamespace("default")
	object.SetName(name)
	return object
}

// create makes a user apply an object, and a controller write its status.
func (s *shoot) create(version, name string) {
	object := s.object(version, name)
	s.Expect(unstructured.SetNestedField(object.Object, "kept", "spec", "common")).To(Succeed())
	s.Expect(s.Apply(s.ctx, client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("user"))).To(Succeed())
	s.Expect(unstructured.SetNestedField(object.Object, "main@sha1:1234", "status", "revision")).To(Succeed())
	object.SetManagedFields(nil)
	s.Expect(s.Status().Update(s.ctx, object, client.FieldOwner("controller"))).To(Succeed())
}

// expectAll checks that the objects are what they were before, and that who applied them still owns what it set.
func (s *shoot) expectAll(version string, count int) {
	list := s.list(version)
	s.Expect(s.List(s.ctx, list)).To(Succeed())
	s.Expect(list.Items).To(HaveLen(count))
	for _, object := range list.Items {
		s.Expect(object.Object["spec"]).To(HaveKeyWithValue("common", "kept"))
		s.Expect(object.Object["status"]).To(HaveKeyWithValue("revision", "main@sha1:1234"))
		for _, entry := range object.GetManagedFields() {
			s.Expect(entry.APIVersion).To(Equal(s.group + "/" + version))
		}
		owned := s.object(version, object.GetName())
		s.Expect(s.Apply(s.ctx, client.ApplyConfigurationFromUnstructured(owned), client.FieldOwner("user"))).To(Succeed())
		s.Expect(s.Get(s.ctx, client.ObjectKeyFromObject(owned), owned)).To(Succeed())
		s.Expect(owned.Object["spec"]).To(Or(BeNil(), Not(HaveKey("common"))), "the user no longer sets the field")
	}
}

func (s *shoot) storedVersions() []string {
	live := &apiextensionsv1.CustomResourceDefinition{}
	s.Expect(s.Get(s.ctx, client.ObjectKey{Name: "sources." + s.group}, live)).To(Succeed())
	return live.Status.StoredVersions
}

// upgrade does what the extension does, over and over, until the shoot has the definition. It returns the number of bridges.
func (s *shoot) upgrade(wanted *apiextensionsv1.CustomResourceDefinition) int {
	for bridged := 0; ; bridged++ {
		bridges, err := migration.Prepare(s.ctx, s, 0, []*apiextensionsv1.CustomResourceDefinition{wanted})
		s.Expect(err).NotTo(HaveOccurred())
		if len(bridges) == 0 {
			s.give(wanted)
			return bridged
		}
		s.Expect(bridges).To(HaveLen(1))
		s.Expect(bridged).To(BeZero(), "one bridge must do")
		s.give(bridges[0])
	}
}

func TestPrepare(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		history [][]string // the versions of each definition that the shoot had before
		wanted  []string
		bridges int
		stored  []string
	}{
		"nothing is dropped":                    {[][]string{{"v1beta1"}}, []string{"v1beta1", "v1"}, 0, []string{"v1beta1", "v1"}},
		"an old version is dropped":             {[][]string{{"v1beta1"}, {"v1beta1", "v1"}}, []string{"v1"}, 0, []string{"v1"}},
		"two old versions are dropped":          {[][]string{{"v1beta1"}, {"v1beta1", "v1beta2"}, {"v1beta1", "v1beta2", "v1"}}, []string{"v1"}, 0, []string{"v1"}},
		"the only version is replaced":          {[][]string{{"v1beta1"}}, []string{"v1"}, 1, []string{"v1"}},
		"two versions are replaced":             {[][]string{{"v1beta1"}, {"v1beta1", "v1beta2"}}, []string{"v1"}, 1, []string{"v1"}},
		"back to a version that was left":       {[][]string{{"v1beta2"}, {"v1beta2", "v1"}}, []string{"v1beta2"}, 1, []string{"v1beta2"}},
		"back to a version that is gone":        {[][]string{{"v1"}}, []string{"v1beta1", "v1beta2"}, 1, []string{"v1beta2"}},
		"another storage version, none dropped": {[][]string{{"v1beta1", "v1"}}, []string{"v1", "v1beta1"}, 0, []string{"v1", "v1beta1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShoot(t, nil)
			const each = 12
			for i, versions := range test.history {
				s.give(s.definition(versions...))
				for j := range each {
					s.create(versions[len(versions)-1], fmt.Sprintf("object-%d-%d", i, j))
				}
			}
			wanted := s.definition(test.wanted...)
			s.Expect(s.upgrade(wanted)).To(Equal(test.bridges))
			s.Expect(s.storedVersions()).To(ConsistOf(test.stored))
			if len(test.stored) == 1 {
				s.expectAll(test.stored[0], each*len(test.history))
			}
		})
	}
}

// Without Prepare, the API server refuses what users know as the failing upgrade of Flux.
func TestWithoutPrepare(t *testing.T) {
	t.Parallel()
	s := newShoot(t, nil)
	s.give(s.definition("v1beta1"))
	s.create("v1beta1", "object")
	s.give(s.definition("v1beta1", "v1"))
	s.Expect(s.tryGive(s.definition("v1"))).To(MatchError(ContainSubstring("status.storedVersions")))
}

func TestNothingIsWrittenWhereNothingIsDropped(t *testing.T) {
	t.Parallel()
	writes := &failing{}
	s := newShoot(t, writes.wrap)
	s.give(s.definition("v1beta1"))
	s.create("v1beta1", "object")
	s.give(s.definition("v1beta1", "v1"))
	before := writes.seen.Load()
	bridges, err := migration.Prepare(s.ctx, s, 0, []*apiextensionsv1.CustomResourceDefinition{s.definition("v1beta1", "v1")})
	s.Expect(err).NotTo(HaveOccurred())
	s.Expect(bridges).To(BeEmpty())
	s.Expect(writes.seen.Load()).To(Equal(before))
}

// TestADefinitionSettles: an API server that has not heard of the change yet would store objects in the version that is then forgotten.
func TestADefinitionSettles(t *testing.T) {
	t.Parallel()
	writes := &failing{}
	s := newShoot(t, writes.wrap)
	s.give(s.definition("v1beta1"))
	s.create("v1beta1", "object")
	s.give(s.definition("v1beta1", "v1"))
	wanted := []*apiextensionsv1.CustomResourceDefinition{s.definition("v1")}
	before := writes.seen.Load()
	_, err := migration.Prepare(s.ctx, s, time.Hour, wanted)
	s.Expect(err).To(MatchError("the objects of the shoot are about to be stored in version v1, before Flux can be upgraded: 0 objects of kind Source are done, and it goes on by itself"))
	_, unfinished := errors.AsType[*access.Unfinished](err)
	s.Expect(unfinished).To(BeTrue())
	s.Expect(writes.seen.Load()).To(Equal(before))
	s.Expect(s.storedVersions()).To(ConsistOf("v1beta1", "v1"))

	s.Eventually(func() error {
		_, err := migration.Prepare(s.ctx, s, migration.SettlingTime, wanted)
		return err
	}, timeout).Should(Succeed())
	s.Expect(s.storedVersions()).To(ConsistOf("v1"))
}

// TestInterrupted lets each write of a migration fail once, as if the extension were killed there.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	writes := &failing{}
	s := newShoot(t, writes.wrap)
	const count = 10
	for step := int64(1); ; step++ {
		s.give(s.definition("v1beta1"))
		for i := range count {
			s.create("v1beta1", fmt.Sprintf("object-%d", i))
		}
		s.give(s.definition("v1beta1", "v1"))
		wanted := []*apiextensionsv1.CustomResourceDefinition{s.definition("v1")}

		writes.failAt(step)
		_, err := migration.Prepare(s.ctx, s, 0, wanted)
		writes.failAt(0)
		s.Expect(s.upgrade(wanted[0])).To(BeZero())
		s.expectAll("v1", count)
		if err == nil {
			s.Expect(step).To(BeNumerically(">", count+1), "each object and the definition is written")
			return
		}
		s.Expect(err).To(MatchError(Or(
			ContainSubstring("failed to store Source default/object-"),
			ContainSubstring("failed to note in CustomResourceDefinition sources."+s.group),
		)))
		s.Expect(s.DeleteAllOf(s.ctx, s.object("v1", ""), client.InNamespace("default"))).To(Succeed())
		s.Expect(s.Delete(s.ctx, s.definition("v1"))).To(Succeed())
		s.Eventually(func() bool {
			return apierrors.IsNotFound(s.Get(s.ctx, client.ObjectKeyFromObject(wanted[0]), wanted[0].DeepCopy()))
		}, timeout).Should(BeTrue())
	}
}

// failing lets one write fail before it reaches the API server.
type failing struct {
	seen, at, since atomic.Int64
}

func (f *failing) failAt(step int64) {
	f.since.Store(0)
	f.at.Store(step)
}

func (f *failing) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(request *http.Request) (*http.Response, error) {
		if request.Method != http.MethodGet {
			f.seen.Add(1)
			if at := f.at.Load(); at != 0 && f.since.Add(1) == at {
				return nil, fmt.Errorf("killed at write %d", at)
			}
		}
		return next.RoundTrip(request)
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (r roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return r(request) }

func TestCheckLoss(t *testing.T) {
	t.Parallel()
	s := newShoot(t, nil)
	definition := s.definition("v1")
	installed := []string{definition.Name, "gone." + s.group}
	s.give(definition)
	s.Expect(migration.CheckLoss(s.ctx, s, installed, nil)).To(Succeed(), "there are no objects")

	for i := range 4 {
		s.create("v1", fmt.Sprintf("object-%d", i))
	}
	s.Expect(migration.CheckLoss(s.ctx, s, installed, []*apiextensionsv1.CustomResourceDefinition{definition})).To(Succeed(), "the release has the kind")
	s.Expect(migration.CheckLoss(s.ctx, s, installed, nil)).To(MatchError(
		"it has no kind Source, and the shoot has objects of this kind, which would be deleted (default/object-0, default/object-1, default/object-2, …)"))
}
