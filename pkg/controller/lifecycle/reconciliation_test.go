// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"errors"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	runtimemetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/metrics"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/shoot"
)

func TestStepsEndAtTheFirstError(t *testing.T) {
	g := NewWithT(t)
	var done []string
	do := func(name string, err error) func(context.Context) error {
		return func(context.Context) error {
			done = append(done, name)
			return err
		}
	}
	broken := errors.New("broken")
	before := phases(g)
	g.Expect((&reconciliation{}).run(t.Context(), []step{
		{metrics.PhaseProject, do("project", nil)}, {do: do("between", nil)}, {metrics.PhaseInventory, do("inventory", broken)}, {metrics.PhaseRelease, do("release", nil)},
	})).To(MatchError(broken))
	g.Expect(done).To(Equal([]string{"project", "between", "inventory"}))
	before[metrics.PhaseProject+" success"]++
	before[metrics.PhaseInventory+" error"]++
	g.Expect(phases(g)).To(Equal(before), "steps are measured that are a phase, and have been done")
}

func TestAllPhasesAreMeasured(t *testing.T) {
	g := NewWithT(t)
	var measured []metrics.Phase
	for _, step := range (&reconciliation{}).stepsToReconcile() {
		if step.phase != "" {
			measured = append(measured, step.phase)
		}
	}
	g.Expect(measured).To(HaveExactElements(metrics.PhaseProject, metrics.PhaseInventory, metrics.PhaseRelease, metrics.PhaseSource, metrics.PhaseInstall, metrics.PhaseConfigure))
	g.Expect(phases(g)).To(HaveLen(3*len(measured)), "with three results each")
}

// What is written in which order decides what a stop in between leaves. The comments at the steps say why.
func TestStepsAreInOrder(t *testing.T) {
	g := NewWithT(t)
	var names []string
	for _, step := range (&reconciliation{}).stepsToReconcile() {
		name := runtime.FuncForPC(reflect.ValueOf(step.do).Pointer()).Name()
		names = append(names, strings.TrimSuffix(name[strings.LastIndex(name, ".")+1:], "-fm"))
	}
	for _, order := range [][]string{
		{"observeShoot", "chooseRelease", "ensureCredentials", "renderConfiguration", "checkExisting", "preventPruning", "checkBeforeReplacing", "applyInstallation"},
		{"findFollowed", "checkRefused", "applyInstallation", "noteFound", "writeDesiredStatus"},
		{"applyInstallation", "writeDesiredStatus", "applyConfiguration", "checkResourceManager", "transferOwnership"},
	} {
		rest := names
		for _, name := range order {
			i := slices.Index(rest, name)
			g.Expect(i).To(BeNumerically(">=", 0), "%s is missing, or too early, in %v", name, names)
			rest = rest[i+1:]
		}
	}
}

// Who looks into a shoot next gets the credentials that a reconciliation has read, but nothing is kept for one that goes.
func TestConnectToShoot(t *testing.T) {
	now := metav1.Now()
	leaving := &gardencorev1beta1.Shoot{ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: &now}}
	for name, test := range map[string]struct {
		shoot     *gardencorev1beta1.Shoot
		extension metav1.ObjectMeta
		kept      bool
	}{
		"a shoot that stays":         {shoot: &gardencorev1beta1.Shoot{}, kept: true},
		"a shoot that is deleted":    {shoot: leaving},
		"an Extension that goes":     {shoot: &gardencorev1beta1.Shoot{}, extension: metav1.ObjectMeta{DeletionTimestamp: &now}},
		"a shoot that was not asked": {},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			ex := &extensionsv1alpha1.Extension{ObjectMeta: test.extension}
			ex.Namespace, ex.Name = "shoot--one--two", Type
			read := 0
			seed := fake.NewClientBuilder().WithObjects(&corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{Namespace: ex.Namespace, Name: "gardener"},
				Data:       map[string][]byte{"kubeconfig": []byte(kubeconfig)},
			}).WithInterceptorFuncs(interceptor.Funcs{
				Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
					read++
					return c.Get(ctx, key, object, options...)
				},
			}).Build()
			clients := shoot.NewClients(seed, meta.NewDefaultRESTMapper(nil))
			r := &reconciliation{Actuator: &Actuator{Seed: seed, Shoots: clients}, extension: ex, shoot: test.shoot}
			first, err := r.connectToShoot(t.Context())
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(r.connectToShoot(t.Context())).To(BeIdenticalTo(first))
			before := read
			_, err = clients.Get(t.Context(), ex.Namespace)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(read == before).To(Equal(test.kept), "whether the next one asks the seed again")
		})
	}
}

const kubeconfig = `apiVersion: v1
kind: Config
current-context: shoot
contexts: [{name: shoot, context: {cluster: shoot, user: shoot}}]
clusters: [{name: shoot, cluster: {server: "https://shoot.example.org"}}]
users: [{name: shoot, user: {token: abc}}]
`

// phases are how many phases have ended, by phase and result.
func phases(g Gomega) map[metrics.Phase]uint64 {
	families, err := runtimemetrics.Registry.Gather()
	g.Expect(err).NotTo(HaveOccurred())
	counts := map[metrics.Phase]uint64{}
	for _, family := range families {
		if family.GetName() != metrics.Namespace+"_reconciliation_phase_duration_seconds" {
			continue
		}
		for _, metric := range family.GetMetric() {
			counts[metrics.Phase(metric.GetLabel()[0].GetValue()+" "+metric.GetLabel()[1].GetValue())] = metric.GetHistogram().GetSampleCount()
		}
	}
	return counts
}
