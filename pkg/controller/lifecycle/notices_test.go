// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/sourcesecret"
)

func TestNoticesOf(t *testing.T) {
	g := NewWithT(t)
	g.Expect(noticesOf("garden-shop", "", nil)).To(BeEmpty())
	g.Expect(noticesOf("garden-shop", "", &sourcesecret.Credentials{HostKeys: []sourcesecret.HostKey{{Type: "ssh-ed25519", Origin: sourcesecret.OriginSecret}}})).To(BeEmpty())
	notices := noticesOf("garden-shop", "could not ask:\n again", &sourcesecret.Credentials{
		Created: true, SecretRef: &sourcesecret.ShootSecret{Data: sourcesecret.Data{sourcesecret.KeyIdentityPub: []byte("ssh-ed25519 AAAA\n")}},
		HostKeys: []sourcesecret.HostKey{{Type: "ssh-ed25519", Fingerprint: "SHA256:x", Origin: sourcesecret.OriginScanned}},
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
			g.Expect(nextStatus(before, fluxv1alpha1.FluxStatus{Notices: test.holding}).Notices).To(ConsistOf(test.want))
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
func TestCheckReported(t *testing.T) {
	g := NewWithT(t)
	at := func(ago time.Duration, reported bool) fluxv1alpha1.Notice {
		return fluxv1alpha1.Notice{Message: "Flux stays", Since: metav1.NewTime(time.Now().Add(-ago)), Reported: reported}
	}
	check := func(ex *extensionsv1alpha1.Extension) error {
		return (&reconciliation{extension: ex}).checkReported(t.Context())
	}
	g.Expect(check(&extensionsv1alpha1.Extension{})).To(Succeed())
	g.Expect(check(extensionWith(g, at(time.Second, true)))).To(Succeed())
	g.Expect(check(extensionWith(g, at(time.Second, false)))).To(MatchError(ContainSubstring("people are still to be told: Flux stays")))
	g.Expect(check(extensionWith(g, at(2*time.Minute, false)))).To(Succeed())
}
