// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package gardenlet

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/Masterminds/semver/v3"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
	"github.com/gardener/gardener/pkg/component/gardener/resourcemanager"
	"github.com/gardener/gardener/pkg/logger"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/workload"
)

const (
	resourceManagerName = v1beta1constants.DeploymentNameGardenerResourceManager
	// resourceManagerImage is where Gardener publishes the image. Only its tag matters here: it tells webhooks the version.
	resourceManagerImage = "europe-docker.pkg.dev/gardener-project/releases/gardener/resource-manager"
	configFlag           = "--config="
)

// resourceManagerValues are those of botanist's DefaultResourceManager for a hosted shoot. The differences: a tag for the image, and
// IsWorkerless, which turns off webhooks and what works on nodes.
func (o *operation) resourceManagerValues(seedVersion *semver.Version) resourcemanager.Values {
	return resourcemanager.Values{
		ClusterIdentity:          o.Seed.GetInfo().Status.ClusterIdentity,
		Image:                    resourceManagerImage + ":" + o.options.GardenerVersion,
		IsWorkerless:             true,
		LogLevel:                 logger.InfoLevel,
		LogFormat:                logger.FormatJSON,
		PriorityClassName:        v1beta1constants.PriorityClassNameShootControlPlane400,
		RuntimeKubernetesVersion: seedVersion,
		SecretNameServerCA:       v1beta1constants.SecretNameCACluster,
		TargetNamespaces:         []string{metav1.NamespaceSystem, v1beta1constants.KubernetesDashboardNamespace, corev1.NamespaceNodeLease},
	}
}

// resourceManagers are the addresses of the resource managers.
type resourceManagers struct {
	mutex sync.Mutex
	ports map[string]ports // by namespace
}

// ports of a resource manager stay the same as long as the landscape lives.
type ports struct{ health, metrics, webhooks int }

// newResourceManagers runs each shoot's Deployment of gardener-resource-manager as a process.
func newResourceManagers(options Options, seed client.Client) *workload.Deployments {
	r := &resourceManagers{ports: map[string]ports{}}
	return &workload.Deployments{
		Program:  resourceManagerName,
		Adapt:    r.adapt,
		Recreate: true,
		Client:   seed,
		Config:   options.Seed,
		Bin:      options.Bin,
		Dir:      filepath.Join(options.Dir, "seed-"+options.SeedName), // a shoot that moves has one on each seed for a moment
		Log:      options.Log,
	}
}

func (r *resourceManagers) adapt(namespace string, mounted *workload.Mounted, program *process.Program) error {
	// In a pod it would find the seed by itself.
	kubeconfig, err := mounted.Kubeconfig()
	if err != nil {
		return err
	}
	ports, err := r.portsOf(namespace)
	if err != nil {
		return err
	}
	program.Env = append(program.Env, "KUBECONFIG="+kubeconfig)
	program.Ready = workload.Ready(ports.health)
	return useOwnPorts(program.Args, filepath.Join(mounted.Dir(), "config.yaml"), ports)
}

// useOwnPorts replaces the configuration file in the arguments by a copy in which only the servers' addresses are different.
func useOwnPorts(args []string, copyPath string, p ports) error {
	for i, arg := range args {
		path, ok := strings.CutPrefix(arg, configFlag)
		if !ok {
			continue
		}
		original, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		config := map[string]any{}
		if err := yaml.Unmarshal(original, &config); err != nil {
			return fmt.Errorf("failed to parse %s: %w", path, err)
		}
		servers, ok := config["server"].(map[string]any)
		if !ok {
			return fmt.Errorf("%s configures no server", path)
		}
		for name, port := range map[string]int{"healthProbes": p.health, "metrics": p.metrics, "webhooks": p.webhooks} {
			server, ok := servers[name].(map[string]any)
			if !ok {
				return fmt.Errorf("%s configures no server.%s", path, name)
			}
			server["bindAddress"], server["port"] = workload.Loopback, port
		}
		adapted, err := yaml.Marshal(config)
		if err != nil {
			return err
		}
		args[i] = configFlag + copyPath
		return os.WriteFile(copyPath, adapted, 0o600)
	}
	return fmt.Errorf("there is no argument %s", configFlag)
}

func (r *resourceManagers) portsOf(namespace string) (ports, error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if p, ok := r.ports[namespace]; ok {
		return p, nil
	}
	var p ports
	for _, port := range []*int{&p.health, &p.metrics, &p.webhooks} {
		free, err := process.FreePort()
		if err != nil {
			return ports{}, err
		}
		*port = free
	}
	r.ports[namespace] = p
	return p, nil
}
