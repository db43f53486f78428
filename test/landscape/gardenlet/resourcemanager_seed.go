// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package gardenlet

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	componentbaseconfigv1alpha1 "k8s.io/component-base/config/v1alpha1"
	"sigs.k8s.io/yaml"

	resourcemanagerconfigv1alpha1 "github.com/gardener/gardener/pkg/apis/config/resourcemanager/v1alpha1"
	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
	"github.com/gardener/gardener/pkg/logger"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/cluster"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/workload"
)

// startSeedResourceManager runs the gardener-resource-manager that applies ManagedResources of class "seed", those of extensions among them,
// and collects garbage in the seed. Its webhooks are off, as those of the shoots' resource managers are: nothing could call them.
func startSeedResourceManager(ctx context.Context, options Options) (*process.Process, error) {
	path, err := options.Bin.Path(resourceManagerName)
	if err != nil {
		return nil, err
	}
	name := "seed-" + options.SeedName + "-" + resourceManagerName
	dir := filepath.Join(options.Dir, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("failed to create the directory of %s: %w", name, err)
	}
	var p ports
	for _, port := range []*int{&p.health, &p.metrics, &p.webhooks} {
		if *port, err = process.FreePort(); err != nil {
			return nil, err
		}
	}
	if err := writeSeedResourceManagerFiles(dir, options.Seed, p); err != nil {
		return nil, fmt.Errorf("failed to write the files of %s: %w", name, err)
	}
	return process.Start(ctx, process.Program{
		Name:   name,
		Path:   path,
		Args:   []string{configFlag + filepath.Join(dir, "config.yaml")},
		Dir:    options.Dir,
		Ready:  workload.Ready(p.health),
		OnExit: func(err error) { options.Log.Error(err, "The seed's gardener-resource-manager crashed") },
	})
}

func writeSeedResourceManagerFiles(dir string, seed *rest.Config, p ports) error {
	authority, err := cluster.NewAuthority(resourceManagerName)
	if err != nil {
		return err
	}
	certificate, key, err := authority.IssueServer(resourceManagerName, nil, []net.IP{net.ParseIP(workload.Loopback)})
	if err != nil {
		return err
	}
	kubeconfig, err := kubeconfigOf(seed)
	if err != nil {
		return err
	}
	config, err := yaml.Marshal(seedResourceManagerConfig(dir, p))
	if err != nil {
		return err
	}
	for file, content := range map[string][]byte{
		corev1.TLSCertKey: certificate, corev1.TLSPrivateKeyKey: key, "kubeconfig.yaml": kubeconfig, "config.yaml": config,
	} {
		if err := os.WriteFile(filepath.Join(dir, file), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func seedResourceManagerConfig(dir string, p ports) *resourcemanagerconfigv1alpha1.ResourceManagerConfiguration {
	server := func(port int) *resourcemanagerconfigv1alpha1.Server {
		return &resourcemanagerconfigv1alpha1.Server{BindAddress: workload.Loopback, Port: port}
	}
	config := &resourcemanagerconfigv1alpha1.ResourceManagerConfiguration{
		TypeMeta:       metav1.TypeMeta{APIVersion: resourcemanagerconfigv1alpha1.SchemeGroupVersion.String(), Kind: "ResourceManagerConfiguration"},
		LeaderElection: componentbaseconfigv1alpha1.LeaderElectionConfiguration{LeaderElect: new(false)},
		LogLevel:       logger.InfoLevel,
		LogFormat:      logger.FormatText,
	}
	config.SourceClientConnection.Kubeconfig = filepath.Join(dir, "kubeconfig.yaml")
	config.TargetClientConnection = config.SourceClientConnection.DeepCopy() // in a pod, both are its own cluster
	config.Server.Webhooks.Server = *server(p.webhooks)
	config.Server.Webhooks.TLS.ServerCertDir = dir
	config.Server.HealthProbes, config.Server.Metrics = server(p.health), server(p.metrics)
	config.Controllers.ResourceClass = new(v1beta1constants.SeedResourceManagerClass)
	config.Controllers.GarbageCollector.Enabled = true
	return config
}

// kubeconfigOf is a kubeconfig with the access of a configuration that has a client certificate.
func kubeconfigOf(config *rest.Config) ([]byte, error) {
	const name = "seed"
	kubeconfig := clientcmdapi.NewConfig()
	kubeconfig.Clusters[name] = &clientcmdapi.Cluster{Server: config.Host, CertificateAuthorityData: config.CAData}
	kubeconfig.AuthInfos[name] = &clientcmdapi.AuthInfo{ClientCertificateData: config.CertData, ClientKeyData: config.KeyData}
	kubeconfig.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	kubeconfig.CurrentContext = name
	return clientcmd.Write(*kubeconfig)
}
