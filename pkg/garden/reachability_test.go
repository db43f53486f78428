// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package garden_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/garden"
)

func TestReachability(t *testing.T) {
	for name, test := range map[string]struct {
		server string
		check  OmegaMatcher
	}{
		"answers":        {answers(t, http.StatusOK, ""), Succeed()},
		"wants no token": {answers(t, http.StatusUnauthorized, "Unauthorized"), MatchError(HavePrefix("the garden cannot be reached: the garden does not accept the credentials of file "))},
		"is down":        {"https://127.0.0.1:1", MatchError(And(HavePrefix("the garden cannot be reached: "), ContainSubstring("connection refused")))},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			directory := t.TempDir()
			g.Expect(os.WriteFile(filepath.Join(directory, "token"), []byte("one"), 0o600)).To(Succeed())
			reachability := garden.NewReachability(garden.KubeconfigFile(writeKubeconfig(t, directory, test.server)))
			g.Expect(reachability.NeedLeaderElection()).To(BeFalse())
			g.Expect(reachability.Check(nil)).To(MatchError("the garden has not been asked yet"))

			ctx, cancel := context.WithCancel(t.Context())
			stopped := make(chan error)
			go func() { stopped <- reachability.Start(ctx) }()
			g.Eventually(func() error { return reachability.Check(nil) }, time.Minute, 10*time.Millisecond).Should(test.check)
			cancel()
			g.Expect(<-stopped).To(Succeed())
		})
	}
}
