// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package extension runs the extension that Gardener has installed in a seed: the Deployment that is there runs as a process of this machine,
// with the arguments, environment, volumes and identities of its pods.
package extension

import (
	"errors"
	"path/filepath"
	"strconv"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/workload"
)

const (
	// Program is the name of the extension's program, of its Deployment and of its container.
	Program = "gardener-extension-shoot-flux"
	// Registration is the name of the extension's ControllerRegistration.
	Registration = "shoot-flux"
)

// Options say where the extension is installed.
type Options struct {
	// Seed is a client with all rights, and Config says where the seed is.
	Seed   client.Client
	Config *rest.Config
	// Bin has the extension's program.
	Bin process.Binaries
	// Dir is the directory of the landscape's state.
	Dir string
	// Log gets what is started and what crashes.
	Log logr.Logger
}

// New returns a controller that runs the extension whenever it is installed in the seed.
func New(options Options) *workload.Deployments {
	return &workload.Deployments{
		Program: Program,
		Adapt:   adapt,
		Client:  options.Seed,
		Config:  options.Config,
		Bin:     options.Bin,
		Dir:     options.Dir,
		Log:     options.Log,
	}
}

// adapt gives the program what a process outside of the cluster needs: a kubeconfig for the identity that its pod has in the seed, and
// addresses on the loopback interface, the webhook's among them.
func adapt(_ string, mounted *workload.Mounted, program *process.Program) error {
	kubeconfig, err := mounted.Kubeconfig()
	if err != nil {
		return err
	}
	var ports [3]int
	for i := range ports {
		port, portErr := process.FreePort()
		ports[i], err = port, errors.Join(err, portErr)
	}
	webhook, health, metrics := ports[0], ports[1], ports[2]
	temporary := filepath.Join(mounted.Dir(), "tmp")
	program.Env = append(program.Env, "TMPDIR="+temporary)
	program.Ready = workload.Ready(health)
	program.Args = append(program.Args, // the last of several flags of the same name counts
		"--kubeconfig="+kubeconfig,
		"--webhook-config-mode=url",
		"--webhook-config-url="+workload.Address(webhook),
		"--webhook-config-server-host="+workload.Loopback,
		"--webhook-config-server-port="+strconv.Itoa(webhook),
		"--webhook-config-cert-dir="+filepath.Join(temporary, "webhook"),
		"--health-bind-address="+workload.Address(health),
		"--metrics-bind-address="+workload.Address(metrics),
	)
	return err
}
