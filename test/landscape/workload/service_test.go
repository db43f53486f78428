// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package workload_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/workload"
)

// TestService takes connections to all endpoints, and to those alone that there are.
func TestService(t *testing.T) {
	g := NewWithT(t)
	endpoint := func(name string) *httptest.Server {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, name) }))
		t.Cleanup(server.Close)
		return server
	}
	one, two := endpoint("one"), endpoint("two")
	var mutex sync.Mutex
	endpoints := []string{one.Listener.Addr().String(), two.Listener.Addr().String()}
	service, err := workload.NewService(func() []string {
		mutex.Lock()
		defer mutex.Unlock()
		return append([]string{}, endpoints...)
	})
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { g.Expect(service.Close()).To(Succeed()) })
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	ask := func() (string, error) {
		response, err := client.Get("http://" + service.Address())
		if err != nil {
			return "", err
		}
		defer response.Body.Close()
		answer, err := io.ReadAll(response.Body)
		return string(answer), err
	}
	answers := func() map[string]int {
		counts := map[string]int{}
		for range 40 {
			answer, err := ask()
			g.Expect(err).NotTo(HaveOccurred())
			counts[answer]++
		}
		return counts
	}
	g.Expect(answers()).To(And(HaveKey("one"), HaveKey("two")))

	one.Close()
	g.Expect(answers()).To(Equal(map[string]int{"two": 40}), "one that does not take it is passed over")

	mutex.Lock()
	endpoints = nil
	mutex.Unlock()
	_, err = ask()
	g.Expect(err).To(HaveOccurred())
}
