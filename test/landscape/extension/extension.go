// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package extension runs the extension that Gardener has installed in a seed: the Deployment that is there runs as a process of this machine,
// with the arguments, environment, volumes and identities of its pods.
package extension

import (
	"errors"
	"net/url"
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
	// Images, if set, are where the Deployment's image is, whose program then runs in place of that of Bin.
	Images *workload.Images
	// Dir is the directory of the landscape's state.
	Dir string
	// Log gets what is started and what crashes.
	Log logr.Logger
}

// New returns a controller that runs the extension whenever it is installed in the seed.
func New(options Options) *workload.Deployments {
	d := &workload.Deployments{
		Program: Program,
		Client:  options.Seed,
		Config:  options.Config,
		Bin:     options.Bin,
		Images:  options.Images,
		Dir:     options.Dir,
		Log:     options.Log,
	}
	d.Adapt = func(namespace string, mounted *workload.Mounted, program *process.Program) error {
		webhook, err := d.Service(namespace, webhookPort)
		if err != nil {
			return err
		}
		return errors.Join(adaptPorts(mounted, program, webhook), adaptAccess(options.Config, mounted, program))
	}
	return d
}

// The container's ports.
const (
	webhookPort = "webhook"
	healthPort  = "health"
	metricsPort = "metrics"
)

// adaptPorts gives the program addresses on the loopback interface. The seed reaches the webhooks of all replicas at one address.
func adaptPorts(mounted *workload.Mounted, program *process.Program, webhooks *workload.Service) error {
	webhook, webhookErr := mounted.Port(webhookPort)
	health, healthErr := mounted.Port(healthPort)
	metrics, metricsErr := mounted.Port(metricsPort)
	program.Ready = workload.Ready(health)
	program.Args = append(program.Args, // the last of several flags of the same name counts
		"--webhook-config-mode=url",
		"--webhook-config-url="+webhooks.Address(),
		"--webhook-config-server-host="+workload.Loopback,
		"--webhook-config-server-port="+strconv.Itoa(webhook),
		"--health-bind-address="+workload.Address(health),
		"--metrics-bind-address="+workload.Address(metrics),
	)
	return errors.Join(webhookErr, healthErr, metricsErr)
}

// adaptAccess leads the program to the seed, with the identity of its pod. In a container it finds that where a pod finds it.
func adaptAccess(seed *rest.Config, mounted *workload.Mounted, program *process.Program) error {
	if program.Container != nil {
		address, err := url.Parse(seed.Host)
		if err != nil {
			return err
		}
		program.Env = append(program.Env, "KUBERNETES_SERVICE_HOST="+address.Hostname(), "KUBERNETES_SERVICE_PORT="+address.Port())
		return nil
	}
	kubeconfig, err := mounted.Kubeconfig()
	if err != nil {
		return err
	}
	temporary := filepath.Join(mounted.Dir(), "tmp")
	program.Env = append(program.Env, "TMPDIR="+temporary)
	program.Args = append(program.Args, "--kubeconfig="+kubeconfig, "--webhook-config-cert-dir="+filepath.Join(temporary, "webhook"))
	return nil
}
