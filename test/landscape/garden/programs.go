// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package garden

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	componentbaseconfigv1alpha1 "k8s.io/component-base/config/v1alpha1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	admissioncontrollerconfigv1alpha1 "github.com/gardener/gardener/pkg/apis/config/admissioncontroller/v1alpha1"
	controllermanagerconfigv1alpha1 "github.com/gardener/gardener/pkg/apis/config/controllermanager/v1alpha1"
	schedulerconfigv1alpha1 "github.com/gardener/gardener/pkg/apis/config/scheduler/v1alpha1"
	"github.com/gardener/gardener/pkg/component/gardener/admissioncontroller"
	gardenerapiserver "github.com/gardener/gardener/pkg/component/gardener/apiserver"
	"github.com/gardener/gardener/pkg/component/gardener/controllermanager"
	"github.com/gardener/gardener/pkg/component/gardener/scheduler"
	"github.com/gardener/gardener/pkg/logger"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
)

const loopback = "127.0.0.1"

// endpoint is where a program listens.
type endpoint struct{ port int }

func newEndpoint() (endpoint, error) {
	port, err := process.FreePort()
	return endpoint{port: port}, err
}

func (e endpoint) address() string { return net.JoinHostPort(loopback, strconv.Itoa(e.port)) }

// startAPIServer runs gardener-apiserver. What it stores is in the garden's etcd, under a prefix of its own.
func (g *Garden) startAPIServer(ctx context.Context) error {
	const name = gardenerapiserver.DeploymentName
	kubeconfig, err := g.writeKubeconfig(ctx, name)
	if err != nil {
		return err
	}
	certificate, key, err := g.writeServingCertificate(name, name+"."+metav1.NamespaceSystem+".svc")
	if err != nil {
		return err
	}
	const health = "/healthz"
	g.GardenerAPIServer, err = g.etcd.StartProgram(ctx, name, name, g.answersOK("https://"+g.apiServerEndpoint.address()+health),
		"--etcd-servers="+g.etcd.URL(),
		"--etcd-prefix=/"+name,
		"--bind-address="+loopback,
		"--secure-port="+strconv.Itoa(g.apiServerEndpoint.port),
		"--tls-cert-file="+certificate,
		"--tls-private-key-file="+key,
		"--authentication-kubeconfig="+kubeconfig,
		"--authorization-kubeconfig="+kubeconfig,
		"--kubeconfig="+kubeconfig,
		"--authorization-always-allow-paths="+health,
		"--cluster-identity="+ClusterIdentity,
		"--log-level="+logger.InfoLevel,
		"--log-format="+logger.FormatText,
		"--profiling=false",
	)
	return err
}

// startAdmissionController runs gardener-admission-controller. It needs Gardener's API.
func (g *Garden) startAdmissionController(ctx context.Context) (err error) {
	const name = admissioncontroller.DeploymentName
	kubeconfig, err := g.writeKubeconfig(ctx, name)
	if err != nil {
		return err
	}
	certificate, _, err := g.writeServingCertificate(name)
	if err != nil {
		return err
	}
	health, metrics, err := healthAndMetrics()
	if err != nil {
		return err
	}
	server := func(e endpoint) *admissioncontrollerconfigv1alpha1.Server {
		return &admissioncontrollerconfigv1alpha1.Server{BindAddress: loopback, Port: e.port}
	}
	g.AdmissionController, err = g.startConfigured(ctx, name, health, &admissioncontrollerconfigv1alpha1.AdmissionControllerConfiguration{
		TypeMeta:               metav1.TypeMeta{APIVersion: admissioncontrollerconfigv1alpha1.SchemeGroupVersion.String(), Kind: "AdmissionControllerConfiguration"},
		GardenClientConnection: connection(kubeconfig),
		LogLevel:               logger.InfoLevel,
		LogFormat:              logger.FormatText,
		Server: admissioncontrollerconfigv1alpha1.ServerConfiguration{
			Webhooks: admissioncontrollerconfigv1alpha1.HTTPSServer{
				Server: *server(g.admissionEndpoint),
				TLS:    admissioncontrollerconfigv1alpha1.TLSServer{ServerCertDir: filepath.Dir(certificate)},
			},
			HealthProbes: server(health),
			Metrics:      server(metrics),
		},
	})
	return err
}

// startControllerManager runs gardener-controller-manager with all its controllers.
func (g *Garden) startControllerManager(ctx context.Context) error {
	const name = controllermanager.DeploymentName
	kubeconfig, err := g.writeKubeconfig(ctx, name)
	if err != nil {
		return err
	}
	health, metrics, err := healthAndMetrics()
	if err != nil {
		return err
	}
	server := func(e endpoint) *controllermanagerconfigv1alpha1.Server {
		return &controllermanagerconfigv1alpha1.Server{BindAddress: loopback, Port: e.port}
	}
	g.GardenerControllerManager, err = g.startConfigured(ctx, name, health, &controllermanagerconfigv1alpha1.ControllerManagerConfiguration{
		TypeMeta:               metav1.TypeMeta{APIVersion: controllermanagerconfigv1alpha1.SchemeGroupVersion.String(), Kind: "ControllerManagerConfiguration"},
		GardenClientConnection: connection(kubeconfig),
		LeaderElection:         alone(),
		LogLevel:               logger.InfoLevel,
		LogFormat:              logger.FormatText,
		Server:                 controllermanagerconfigv1alpha1.ServerConfiguration{HealthProbes: server(health), Metrics: server(metrics)},
	})
	return err
}

// startScheduler runs gardener-scheduler.
func (g *Garden) startScheduler(ctx context.Context) error {
	const name = scheduler.DeploymentName
	kubeconfig, err := g.writeKubeconfig(ctx, name)
	if err != nil {
		return err
	}
	health, metrics, err := healthAndMetrics()
	if err != nil {
		return err
	}
	server := func(e endpoint) *schedulerconfigv1alpha1.Server {
		return &schedulerconfigv1alpha1.Server{BindAddress: loopback, Port: e.port}
	}
	g.GardenerScheduler, err = g.startConfigured(ctx, name, health, &schedulerconfigv1alpha1.SchedulerConfiguration{
		TypeMeta:         metav1.TypeMeta{APIVersion: schedulerconfigv1alpha1.SchemeGroupVersion.String(), Kind: "SchedulerConfiguration"},
		ClientConnection: connection(kubeconfig),
		LeaderElection:   alone(),
		LogLevel:         logger.InfoLevel,
		LogFormat:        logger.FormatText,
		Server:           schedulerconfigv1alpha1.ServerConfiguration{HealthProbes: server(health), Metrics: server(metrics)},
	})
	return err
}

// startConfigured runs a program that has a configuration file.
func (g *Garden) startConfigured(ctx context.Context, name string, health endpoint, config any) (*process.Process, error) {
	content, err := yaml.Marshal(config)
	if err != nil {
		return nil, fmt.Errorf("failed to encode the configuration of %s: %w", name, err)
	}
	file, err := g.writeFile(name, "config.yaml", content)
	if err != nil {
		return nil, err
	}
	return g.etcd.StartProgram(ctx, name, name, process.AnswersOK("http://"+health.address()+"/readyz"), "--config="+file)
}

func connection(kubeconfig string) componentbaseconfigv1alpha1.ClientConnectionConfiguration {
	return componentbaseconfigv1alpha1.ClientConnectionConfiguration{Kubeconfig: kubeconfig, QPS: 100, Burst: 130}
}

// alone says that there is one replica.
func alone() *componentbaseconfigv1alpha1.LeaderElectionConfiguration {
	return &componentbaseconfigv1alpha1.LeaderElectionConfiguration{LeaderElect: new(false)}
}

func healthAndMetrics() (health, metrics endpoint, err error) {
	health, err = newEndpoint()
	if err != nil {
		return health, metrics, err
	}
	metrics, err = newEndpoint()
	return health, metrics, err
}

// writeKubeconfig makes the program's ServiceAccount and a kubeconfig with its token.
func (g *Garden) writeKubeconfig(ctx context.Context, program string) (string, error) {
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: program}}
	if err := client.IgnoreAlreadyExists(g.client.Create(ctx, account)); err != nil {
		return "", fmt.Errorf("failed to create ServiceAccount %s: %w", client.ObjectKeyFromObject(account), err)
	}
	kubeconfig, err := g.ServiceAccountKubeconfig(ctx, account.Namespace, account.Name)
	if err != nil {
		return "", err
	}
	return g.writeFile(program, "kubeconfig.yaml", kubeconfig)
}

// writeServingCertificate gives the program a certificate for the loopback interface and the names.
func (g *Garden) writeServingCertificate(program string, names ...string) (certificateFile, keyFile string, err error) {
	certificate, key, err := g.authority.IssueServer(program, append(names, "localhost"), []net.IP{net.ParseIP(loopback)})
	if err != nil {
		return "", "", fmt.Errorf("failed to issue the serving certificate of %s: %w", program, err)
	}
	if certificateFile, err = g.writeFile(program, corev1.TLSCertKey, certificate); err != nil {
		return "", "", err
	}
	keyFile, err = g.writeFile(program, corev1.TLSPrivateKeyKey, key)
	return certificateFile, keyFile, err
}

// writeFile writes a file of a program.
func (g *Garden) writeFile(program, name string, content []byte) (string, error) {
	file := filepath.Join(g.etcd.Dir(), clusterName, program, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return "", fmt.Errorf("failed to create the directory of %s: %w", program, err)
	}
	if err := os.WriteFile(file, content, 0o600); err != nil {
		return "", fmt.Errorf("failed to write a file of %s: %w", program, err)
	}
	return file, nil
}

// answersOK is like [process.AnswersOK] for a server with a certificate of Gardener's authority.
func (g *Garden) answersOK(url string) func(context.Context) error {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(g.authorityPEM)
	httpClient := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}}
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		response, err := httpClient.Do(request)
		if err != nil {
			return err
		}
		if response.StatusCode != http.StatusOK {
			err = fmt.Errorf("%s answers %s", url, response.Status)
		}
		return errors.Join(err, response.Body.Close())
	}
}
