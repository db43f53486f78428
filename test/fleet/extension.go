// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/workload"
)

const (
	extensionProgram   = "gardener-extension-shoot-flux"
	extensionNamespace = "extension-shoot-flux"
	leaderElectionID   = "shoot-flux-leader-election"

	// extensionUser is who the extension is in garden and seed, and nobody else.
	extensionUser = "gardener-extension-shoot-flux"
	// serviceAccounts is its group there. Requests of this group are those whose reads are in the audit logs.
	serviceAccounts = "system:serviceaccounts"

	// extensionStart is long enough for the extension to read a thousand Clusters on a busy machine.
	extensionStart = 10 * time.Minute
)

// replica is a running process of the extension.
type replica struct {
	*process.Process
	metrics string
	// profiles is where its profiles are, or nowhere.
	profiles string
}

// startExtension runs a replica, and waits until it is ready. It has the arguments that the chart gives it by default, except for what a
// process outside of a cluster needs, and logs errors only: the log of a busy process would be measured too.
func (l *landscape) startExtension(ctx context.Context, name string, args ...string) (*replica, error) {
	path, err := l.bin.Path(extensionProgram)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(l.dir, name)
	if err := os.MkdirAll(filepath.Join(dir, "tmp"), 0o700); err != nil {
		return nil, fmt.Errorf("failed to make the directory of the extension: %w", err)
	}
	seed, err := l.writeKubeconfig(dir, "seed", l.seed.Kubeconfig)
	if err != nil {
		return nil, err
	}
	garden, err := l.writeKubeconfig(dir, "garden", l.garden.Kubeconfig)
	if err != nil {
		return nil, err
	}
	var ports [4]int
	for i := range ports {
		if ports[i], err = process.FreePort(); err != nil {
			return nil, err
		}
	}
	webhook, health, metrics := ports[0], ports[1], ports[2]
	extension := &replica{metrics: "http://" + workload.Address(metrics) + "/metrics"}
	if l.profiled {
		args = append(args, "--pprof-bind-address="+workload.Address(ports[3]))
		extension.profiles = "http://" + workload.Address(ports[3]) + "/debug/pprof/"
	}
	extension.Process, err = process.Start(ctx, process.Program{
		Name: name, Path: path, Dir: l.dir, Ready: workload.Ready(health), ReadyTimeout: extensionStart, OnExit: l.fail,
		Env: []string{"TMPDIR=" + filepath.Join(dir, "tmp"), v1beta1constants.EnvGenericGardenKubeconfig + "=" + garden},
		Args: append(append(extensionArgs(),
			"--kubeconfig="+seed,
			"--webhook-config-mode=url",
			"--webhook-config-url="+workload.Address(webhook),
			"--webhook-config-server-host="+workload.Loopback,
			"--webhook-config-server-port="+strconv.Itoa(webhook),
			"--webhook-config-cert-dir="+filepath.Join(dir, "tmp", "webhook"),
			"--health-bind-address="+workload.Address(health),
			"--metrics-bind-address="+workload.Address(metrics),
		), args...),
	})
	return extension, err
}

// extensionArgs are arguments that the chart gives by default. What tunes the extension is left to the defaults of the program, which are those
// of the chart.
func extensionArgs() []string {
	return []string{
		"--leader-election=true",
		"--leader-election-id=" + leaderElectionID,
		"--leader-election-namespace=" + extensionNamespace,
		"--heartbeat-namespace=" + extensionNamespace,
		"--heartbeat-renew-interval-seconds=30",
		"--webhook-config-namespace=" + extensionNamespace,
		"--gardener-version=" + gardenerVersion,
		"--flux-releases-oci-repository=", // the one release that is wanted is built in
		"--host-key-scan=true",
		"--log-level=error",
		"--log-format=json",
	}
}

func (l *landscape) writeKubeconfig(dir, name string, kubeconfig func(user string, groups ...string) ([]byte, error)) (string, error) {
	content, err := kubeconfig(extensionUser, serviceAccounts)
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, name+".yaml")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		return "", fmt.Errorf("failed to write a kubeconfig of the extension: %w", err)
	}
	return file, nil
}

// leader returns the identity of the replica that leads.
func (l *landscape) leader(ctx context.Context) (string, error) {
	lease := &coordinationv1.Lease{}
	key := client.ObjectKey{Namespace: extensionNamespace, Name: leaderElectionID}
	if err := l.seed.Client.Get(ctx, key, lease); err != nil {
		return "", fmt.Errorf("failed to read the Lease of the leader: %w", err)
	}
	if lease.Spec.HolderIdentity == nil {
		return "", nil
	}
	return *lease.Spec.HolderIdentity, nil
}

// extensionNamespaceObject is the namespace that gardenlet makes for the extension.
func extensionNamespaceObject() *corev1.Namespace {
	namespace := &corev1.Namespace{}
	namespace.Name = extensionNamespace
	return namespace
}
