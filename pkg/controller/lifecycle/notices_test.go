// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	runtimemetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/metrics"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/source"
)

func TestNoticesOf(t *testing.T) {
	g := NewWithT(t)
	g.Expect(noticesOf("garden-shop", "", nil)).To(BeEmpty())
	g.Expect(noticesOf("garden-shop", "", &source.Credentials{HostKeys: []source.HostKey{{Type: "ssh-ed25519", Origin: source.OriginSecret}}})).To(BeEmpty())
	notices := noticesOf("garden-shop", "could not ask:\n again", &source.Credentials{
		Created: true, SecretRef: &source.ShootSecret{Data: source.Data{source.KeyIdentityPub: []byte("ssh-ed25519 AAAA\n")}},
		HostKeys: []source.HostKey{{Type: "ssh-ed25519", Fingerprint: "SHA256:x", Origin: source.OriginScanned}},
	})
	var sentences []string
	for _, notice := range notices {
		sentences = append(sentences, notice.Type+" "+notice.Reason+" "+notice.Message)
	}
	g.Expect(sentences).To(Equal([]string{
		"Warning FluxVersion could not ask: again",
		"Normal KeyPairMade Made a key pair in Secret garden-shop/flux-source of the garden: register the public key at the Git server: ssh-ed25519 AAAA",
		"Normal HostKeyTrusted Asked the Git server for its host key and keep what it said in Secret garden-shop/flux-source of the garden: ssh-ed25519 SHA256:x",
	}))
}

// What is noted goes on until it has been reported, is reported once as long as it holds, and again if it comes again.
func TestWhichNoticesStay(t *testing.T) {
	notice := func(words string) fluxv1alpha1.Notice {
		message, mark, _ := strings.Cut(words, " ")
		reason := fluxv1alpha1.NoticeFluxVersion
		if message == "key" {
			reason = fluxv1alpha1.NoticeKeyPairMade
		}
		return fluxv1alpha1.Notice{Type: "Normal", Reason: reason, Message: message, Reported: mark == "reported"}
	}
	list := func(words ...string) (notices []fluxv1alpha1.Notice) {
		for _, word := range words {
			notices = append(notices, notice(word))
		}
		return notices
	}
	for name, test := range map[string]struct {
		before, holding, want []fluxv1alpha1.Notice
	}{
		"new":                              {nil, list("a"), list("a")},
		"goes on":                          {list("a reported"), list("a"), list("a reported")},
		"goes on, and nobody knows it yet": {list("a"), list("a"), list("a")},
		"is past, and nobody knows it yet": {list("a"), nil, list("a")},
		"is past":                          {list("a reported", "b reported"), list("b"), list("b reported")},
		"other words":                      {list("a reported"), list("b"), list("b")},
		"happens once":                     {list("key reported"), nil, list("key reported")},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			before := extensionWith(g, test.before...)
			g.Expect(updated(before, fluxv1alpha1.FluxStatus{Notices: test.holding}).Notices).To(ConsistOf(test.want))
		})
	}
}

func TestNoticesAreBounded(t *testing.T) {
	g := NewWithT(t)
	var notices []fluxv1alpha1.Notice
	for i := range 100 {
		notices = withNotices(notices, []fluxv1alpha1.Notice{newNotice("Normal", "R", fmt.Sprint(i, strings.Repeat("ä", 10_000)))})
	}
	g.Expect(notices).To(HaveLen(maxNotices))
	g.Expect(notices[maxNotices-1].Message).To(And(HavePrefix("99"), WithTransform(func(text string) int { return len(text) }, BeNumerically("<=", 1024))))
}

func extensionWith(g Gomega, notices ...fluxv1alpha1.Notice) *extensionsv1alpha1.Extension {
	raw, err := json.Marshal(fluxv1alpha1.FluxStatus{TypeMeta: metav1.TypeMeta{Kind: "FluxStatus"}, Notices: notices})
	g.Expect(err).NotTo(HaveOccurred())
	ex := &extensionsv1alpha1.Extension{}
	ex.Status.ProviderStatus = &runtime.RawExtension{Raw: raw}
	return ex
}

// A garden that can't be reached does not keep an Extension for long.
func TestUntilReported(t *testing.T) {
	g := NewWithT(t)
	at := func(ago time.Duration, reported bool) fluxv1alpha1.Notice {
		return fluxv1alpha1.Notice{Message: "Flux stays", Since: metav1.NewTime(time.Now().Add(-ago)), Reported: reported}
	}
	g.Expect(untilReported(&extensionsv1alpha1.Extension{})).To(Succeed())
	g.Expect(untilReported(extensionWith(g, at(time.Second, true)))).To(Succeed())
	g.Expect(untilReported(extensionWith(g, at(time.Second, false)))).To(MatchError(ContainSubstring("people are still to be told: Flux stays")))
	g.Expect(untilReported(extensionWith(g, at(2*time.Minute, false)))).To(Succeed())
}

func TestOperationsAreMeasured(t *testing.T) {
	broken := errors.New("broken")
	actuator := &Actuator{Seed: fake.NewClientBuilder().WithInterceptorFuncs(interceptor.Funcs{
		Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
			return broken
		},
		List:   func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error { return broken },
		Delete: func(context.Context, client.WithWatch, client.Object, ...client.DeleteOption) error { return broken },
	}).Build()}
	for operation, do := range map[metrics.Operation]func(context.Context, logr.Logger, *extensionsv1alpha1.Extension) error{
		metrics.OperationReconcile: actuator.Reconcile, metrics.OperationDelete: actuator.Delete, metrics.OperationForceDelete: actuator.ForceDelete,
		metrics.OperationMigrate: actuator.Migrate, metrics.OperationRestore: actuator.Restore,
	} {
		t.Run(string(operation), func(t *testing.T) {
			g := NewWithT(t)
			before := failed(g)
			g.Expect(do(t.Context(), logr.Discard(), &extensionsv1alpha1.Extension{})).To(MatchError(broken))
			after := failed(g)
			before[string(operation)]++
			g.Expect(after).To(Equal(before), "once, as this operation and no other")
		})
	}
}

// failed are how many operations have failed.
func failed(g Gomega) map[string]uint64 {
	families, err := runtimemetrics.Registry.Gather()
	g.Expect(err).NotTo(HaveOccurred())
	counts := map[string]uint64{}
	for _, family := range families {
		if family.GetName() != metrics.Namespace+"_operation_duration_seconds" {
			continue
		}
		for _, metric := range family.GetMetric() {
			if metric.GetLabel()[1].GetValue() == "error" {
				counts[metric.GetLabel()[0].GetValue()] = metric.GetHistogram().GetSampleCount()
			}
		}
	}
	g.Expect(counts).To(HaveLen(5))
	return counts
}
