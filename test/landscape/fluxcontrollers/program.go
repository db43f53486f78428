// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package fluxcontrollers

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/workload"
)

// program is the pod's container as a program.
func (c *Controllers) program(name string, mounted *workload.Mounted) (process.Program, error) {
	path, err := c.options.Bin.Path(name)
	if err != nil {
		return process.Program{}, err
	}
	args, err := mounted.Args()
	if err != nil {
		return process.Program{}, err
	}
	env, err := mounted.Env()
	if err != nil {
		return process.Program{}, err
	}
	// In a pod it would find the shoot by itself.
	kubeconfig, err := mounted.Kubeconfig()
	if err != nil {
		return process.Program{}, err
	}
	home := filepath.Join(mounted.Dir(), "tmp")
	if err := os.MkdirAll(home, 0o700); err != nil {
		return process.Program{}, err
	}
	return process.Program{
		Name:  c.options.Name + "-" + name,
		Path:  path,
		Args:  c.adapt(name, args),
		Env:   append(env, "KUBECONFIG="+kubeconfig, "HOME="+home, "TMPDIR="+home),
		Dir:   c.options.Dir,
		Ready: workload.Ready(c.ports[name].health),
	}, nil
}

// dropped are flags that make no sense outside of a pod: there is no notification-controller to send events to, and leader election finds its
// namespace only in a file of the pod.
var dropped = []string{"--events-addr", "--enable-leader-election"}

// adapt changes only the arguments that cannot be the same outside of a pod.
func (c *Controllers) adapt(name string, args []string) []string {
	ports := c.ports[name]
	flags := map[string]string{
		"--metrics-addr": workload.Address(ports.metrics),
		"--health-addr":  workload.Address(ports.health),
	}
	if name == SourceController {
		flags["--storage-addr"] = workload.Address(ports.storage)
		flags["--storage-adv-addr"] = workload.Address(ports.storage)
	}
	adapted := slices.DeleteFunc(slices.Clone(args), func(arg string) bool {
		flag, _, _ := strings.Cut(arg, "=")
		_, ours := flags[flag]
		return ours || slices.Contains(dropped, flag)
	})
	for flag, value := range flags {
		adapted = append(adapted, flag+"="+value)
	}
	slices.Sort(adapted)
	return adapted
}
