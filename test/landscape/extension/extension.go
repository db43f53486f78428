// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package extension installs the extension in a seed from its registration in the garden, as gardenlet does: by Gardener's
// own chart renderer, with the values that gardenlet passes. The chart's Deployment then runs as a process of this machine,
// with the identity of the chart's ServiceAccount and the chart's arguments.
package extension

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	gardencorev1 "github.com/gardener/gardener/pkg/apis/core/v1"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
	"github.com/gardener/gardener/pkg/chartrenderer"
	"github.com/gardener/gardener/pkg/client/kubernetes"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/cluster"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
)

const (
	// Program is the name of the extension's program, of its Deployment and of its ServiceAccount.
	Program = "gardener-extension-shoot-flux"
	// Registration is the name of the extension's ControllerRegistration and ControllerDeployment.
	Registration = "shoot-flux"

	namespace = "extension-" + Registration
)

// Options say what to install, and where.
type Options struct {
	// Seed is the cluster to install the extension in.
	Seed *cluster.Cluster
	// SeedObject is the Seed in the garden.
	SeedObject *gardencorev1beta1.Seed
	// Deployment is the ControllerDeployment in the garden.
	Deployment *gardencorev1.ControllerDeployment
	// GardenerVersion is what gardenlet says its version is.
	GardenerVersion string
	// Bin has the extension's program.
	Bin process.Binaries
	// Dir is the directory of the landscape's state.
	Dir string
	// OnExit is called when the program ends though nobody stopped it.
	OnExit func(error)
}

// Install applies the chart to the seed and starts the program. It returns when the program is ready.
func Install(ctx context.Context, options Options) (*process.Process, error) {
	if err := deploy(ctx, options); err != nil {
		return nil, fmt.Errorf("failed to install the extension in the seed: %w", err)
	}
	program, err := newProgram(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("failed to prepare the extension's program: %w", err)
	}
	return process.Start(ctx, program)
}

func deploy(ctx context.Context, options Options) error {
	if options.Deployment.Helm == nil {
		return fmt.Errorf("ControllerDeployment %s has no Helm chart", options.Deployment.Name)
	}
	values, err := values(options)
	if err != nil {
		return err
	}
	renderer, err := chartrenderer.NewForConfig(options.Seed.AdminConfig)
	if err != nil {
		return err
	}
	chart, err := renderer.RenderArchive(options.Deployment.Helm.RawChart, Registration, namespace, values)
	if err != nil {
		return err
	}

	seed, err := client.New(options.Seed.AdminConfig, client.Options{})
	if err != nil {
		return err
	}
	if err := client.IgnoreAlreadyExists(seed.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace, Labels: map[string]string{
		v1beta1constants.GardenRole: v1beta1constants.GardenRoleExtension,
	}}})); err != nil {
		return err
	}
	return options.Seed.ApplyYAML(ctx, chart.Manifest())
}

// values are those of the registration and the ones that gardenlet adds
// (pkg/gardenlet/controller/controllerinstallation/controllerinstallation/reconciler.go of Gardener).
func values(options Options) (map[string]any, error) {
	values := map[string]any{}
	if raw := options.Deployment.Helm.Values; raw != nil {
		if err := json.Unmarshal(raw.Raw, &values); err != nil {
			return nil, fmt.Errorf("the values of ControllerDeployment %s cannot be read: %w", options.Deployment.Name, err)
		}
	}
	values["gardener"] = map[string]any{
		"version": options.GardenerVersion,
		"garden":  map[string]any{"clusterIdentity": "landscape"},
		"seed": map[string]any{
			"name":     options.SeedObject.Name,
			"provider": options.SeedObject.Spec.Provider.Type,
			"region":   options.SeedObject.Spec.Provider.Region,
		},
	}
	return values, nil
}

// newProgram is what the Deployment's pod runs, except for what a process outside of the cluster needs: a kubeconfig, and
// addresses on the loopback interface, the webhook's among them.
func newProgram(ctx context.Context, options Options) (process.Program, error) {
	seed, err := client.New(options.Seed.AdminConfig, client.Options{Scheme: kubernetes.SeedScheme})
	if err != nil {
		return process.Program{}, err
	}
	deployment := &appsv1.Deployment{}
	if err := seed.Get(ctx, client.ObjectKey{Namespace: namespace, Name: Program}, deployment); err != nil {
		return process.Program{}, err
	}
	kubeconfig, err := options.Seed.ServiceAccountKubeconfig(ctx, namespace, deployment.Spec.Template.Spec.ServiceAccountName)
	if err != nil {
		return process.Program{}, err
	}
	dir := filepath.Join(options.Dir, "extension")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return process.Program{}, err
	}
	kubeconfigFile := filepath.Join(dir, "kubeconfig.yaml")
	if err := os.WriteFile(kubeconfigFile, kubeconfig, 0o600); err != nil {
		return process.Program{}, err
	}
	path, err := options.Bin.Path(Program)
	if err != nil {
		return process.Program{}, err
	}

	var ports [3]string
	for i := range ports {
		port, portErr := process.FreePort()
		err = errors.Join(err, portErr)
		ports[i] = strconv.Itoa(port)
	}
	health := "127.0.0.1:" + ports[1]
	// The last of several flags of the same name counts.
	args := slices.Concat(deployment.Spec.Template.Spec.Containers[0].Args, []string{
		"--kubeconfig=" + kubeconfigFile,
		"--webhook-config-mode=url",
		"--webhook-config-url=127.0.0.1:" + ports[0],
		"--webhook-config-server-host=127.0.0.1",
		"--webhook-config-server-port=" + ports[0],
		"--webhook-config-cert-dir=" + filepath.Join(dir, "webhook"),
		"--health-bind-address=" + health,
		"--metrics-bind-address=127.0.0.1:" + ports[2],
	})
	return process.Program{
		Name:   Program,
		Path:   path,
		Args:   args,
		Env:    []string{"TMPDIR=" + dir},
		Dir:    options.Dir,
		Ready:  process.AnswersOK("http://" + health + "/readyz"),
		OnExit: options.OnExit,
	}, err
}
