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

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/certificates"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/workload"
)

// ResourceManager is a gardener-resource-manager that applies ManagedResources of one class. Its webhooks are off, as those of the shoots'
// resource managers are: nothing could call them.
type ResourceManager struct {
	// Name names its process.
	Name string
	// Class is that of the ManagedResources, and Source the cluster that has them, in one namespace if that is not empty.
	Class     string
	Source    *rest.Config
	Namespace string
	// Target is where they are applied.
	Target *rest.Config
	// CollectsGarbage tells that it deletes ConfigMaps and Secrets in the target that nobody uses any more.
	CollectsGarbage bool
	// Bin has the program, and Dir is the directory of the landscape's state.
	Bin process.Binaries
	Dir string
	// OnExit is called if it ends by itself.
	OnExit func(error)
}

// startSeedResourceManager runs the gardener-resource-manager that applies ManagedResources of class "seed", those of extensions among them,
// and collects garbage in the seed.
func startSeedResourceManager(ctx context.Context, options Options) (*process.Process, error) {
	return ResourceManager{
		Name:            "seed-" + options.SeedName + "-" + resourceManagerName,
		Class:           v1beta1constants.SeedResourceManagerClass,
		Source:          options.Seed,
		Target:          options.Seed,
		CollectsGarbage: true,
		Bin:             options.Bin,
		Dir:             options.Dir,
		OnExit:          func(err error) { options.Log.Error(err, "The seed's gardener-resource-manager crashed") },
	}.Start(ctx)
}

// Start runs it, and returns when it is ready.
func (r ResourceManager) Start(ctx context.Context) (*process.Process, error) {
	path, err := r.Bin.Path(resourceManagerName)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(r.Dir, r.Name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("failed to create the directory of %s: %w", r.Name, err)
	}
	var p ports
	for _, port := range []*int{&p.health, &p.metrics, &p.webhooks} {
		if *port, err = process.FreePort(); err != nil {
			return nil, err
		}
	}
	if err := r.writeFiles(dir, p); err != nil {
		return nil, fmt.Errorf("failed to write the files of %s: %w", r.Name, err)
	}
	return process.Start(ctx, process.Program{
		Name:   r.Name,
		Path:   path,
		Args:   []string{configFlag + filepath.Join(dir, "config.yaml")},
		Dir:    r.Dir,
		Ready:  workload.Ready(p.health),
		OnExit: r.OnExit,
	})
}

const (
	sourceKubeconfig = "kubeconfig.yaml"
	targetKubeconfig = "target.yaml"
)

func (r ResourceManager) writeFiles(dir string, p ports) error {
	authority, err := certificates.NewAuthority(resourceManagerName)
	if err != nil {
		return err
	}
	certificate, key, err := authority.IssueServer(resourceManagerName, nil, []net.IP{net.ParseIP(workload.Loopback)})
	if err != nil {
		return err
	}
	source, err := kubeconfigOf(r.Source)
	if err != nil {
		return err
	}
	target, err := kubeconfigOf(r.Target)
	if err != nil {
		return err
	}
	config, err := yaml.Marshal(r.config(dir, p))
	if err != nil {
		return err
	}
	for file, content := range map[string][]byte{
		corev1.TLSCertKey: certificate, corev1.TLSPrivateKeyKey: key, sourceKubeconfig: source, targetKubeconfig: target, "config.yaml": config,
	} {
		if err := os.WriteFile(filepath.Join(dir, file), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (r ResourceManager) config(dir string, p ports) *resourcemanagerconfigv1alpha1.ResourceManagerConfiguration {
	server := func(port int) *resourcemanagerconfigv1alpha1.Server {
		return &resourcemanagerconfigv1alpha1.Server{BindAddress: workload.Loopback, Port: port}
	}
	config := &resourcemanagerconfigv1alpha1.ResourceManagerConfiguration{
		TypeMeta:       metav1.TypeMeta{APIVersion: resourcemanagerconfigv1alpha1.SchemeGroupVersion.String(), Kind: "ResourceManagerConfiguration"},
		LeaderElection: componentbaseconfigv1alpha1.LeaderElectionConfiguration{LeaderElect: new(false)},
		LogLevel:       logger.InfoLevel,
		LogFormat:      logger.FormatText,
	}
	config.SourceClientConnection.Kubeconfig = filepath.Join(dir, sourceKubeconfig)
	if r.Namespace != "" {
		config.SourceClientConnection.Namespaces = []string{r.Namespace}
	}
	config.TargetClientConnection = &resourcemanagerconfigv1alpha1.ClientConnection{
		ClientConnectionConfiguration: componentbaseconfigv1alpha1.ClientConnectionConfiguration{Kubeconfig: filepath.Join(dir, targetKubeconfig)},
	}
	config.Server.Webhooks.Server = *server(p.webhooks)
	config.Server.Webhooks.TLS.ServerCertDir = dir
	config.Server.HealthProbes, config.Server.Metrics = server(p.health), server(p.metrics)
	config.Controllers.ResourceClass = &r.Class
	config.Controllers.GarbageCollector.Enabled = r.CollectsGarbage
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
