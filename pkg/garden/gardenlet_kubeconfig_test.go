// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package garden_test

import (
	"net/http"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/garden"
)

const kubeconfig = `apiVersion: v1
kind: Config
clusters: [{name: garden, cluster: {server: https://garden.example.org}}]
users: [{name: gardenlet, user: {token: one}}]
contexts: [{name: garden, context: {cluster: garden, user: gardenlet}}]
current-context: garden
`

func secret(data map[string]string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "garden", Name: "gardenlet-kubeconfig"}, Data: bytes(data)}
}

func bytes(data map[string]string) map[string][]byte {
	converted := map[string][]byte{}
	for key, value := range data {
		converted[key] = []byte(value)
	}
	return converted
}

func TestClientFollowsTheSecret(t *testing.T) {
	g := NewWithT(t)
	seed := fake.NewFakeClient(secret(map[string]string{"kubeconfig": kubeconfig}))
	access := garden.GardenletKubeconfig(seed)

	first, err := access.Client(t.Context())
	g.Expect(err).NotTo(HaveOccurred())
	again, err := access.Client(t.Context())
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(again).To(BeIdenticalTo(first), "a client is built once")

	g.Expect(seed.Update(t.Context(), secret(map[string]string{"kubeconfig": kubeconfig + "preferences: {}\n"}))).To(Succeed())
	rotated, err := access.Client(t.Context())
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(rotated).NotTo(BeIdenticalTo(first))
}

func TestUnusableSecret(t *testing.T) {
	for name, test := range map[string]struct {
		data     map[string]string
		sentence string
	}{
		"no key":        {map[string]string{"config": kubeconfig}, "no access to the garden: Secret garden/gardenlet-kubeconfig of the seed has no key kubeconfig"},
		"no kubeconfig": {map[string]string{"kubeconfig": "secret: hunter2: {"}, "no access to the garden: key kubeconfig of Secret garden/gardenlet-kubeconfig of the seed is not usable: "},
		"runs a program": {map[string]string{"kubeconfig": `apiVersion: v1
kind: Config
clusters: [{name: garden, cluster: {server: https://garden.example.org}}]
users: [{name: gardenlet, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: hunter2, interactiveMode: Never}}}]
contexts: [{name: garden, context: {cluster: garden, user: gardenlet}}]
current-context: garden
`}, "is not usable: "},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			_, err := garden.GardenletKubeconfig(fake.NewFakeClient(secret(test.data))).Client(t.Context())
			g.Expect(err).To(MatchError(ContainSubstring(test.sentence)))
			g.Expect(err).NotTo(MatchError(ContainSubstring("hunter2")))
		})
	}
}

func TestMissingSecret(t *testing.T) {
	_, err := garden.GardenletKubeconfig(fake.NewFakeClient()).Client(t.Context())
	NewWithT(t).Expect(err).To(MatchError(ContainSubstring("no access to the garden: Secret garden/gardenlet-kubeconfig does not exist in the seed, is gardenlet running there?")))
}

func TestARefusalOfGardenletSaysWhatTheOperatorCanDo(t *testing.T) {
	g := NewWithT(t)
	server := answers(t, http.StatusForbidden, "Forbidden")
	content := strings.ReplaceAll(kubeconfig, "https://garden.example.org", `"`+server+`"`)
	client, err := garden.GardenletKubeconfig(fake.NewFakeClient(secret(map[string]string{"kubeconfig": content}))).Client(t.Context())
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(client.Get(t.Context(), types.NamespacedName{Namespace: "garden-one", Name: "flux-config"}, &corev1.ConfigMap{})).To(MatchError(
		"what the garden says; a current Gardener refuses this to gardenlet, whose kubeconfig the extension uses here: set injectGardenKubeconfig: true " +
			"in the extension's ControllerDeployment, which gives it a ServiceAccount of its own, and apply garden/rights.yaml of the extension's release to the garden"))
}
