// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package registry runs a private OCI registry: with a certificate of an authority of its own, and for those alone who have its password. It
// pushes Flux's artifacts there, and signs them.
package registry

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"golang.org/x/crypto/bcrypt"
	"sigs.k8s.io/yaml"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/certificates"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/workload"
)

const (
	program  = "registry"
	userName = "operator"
)

// Options configure a registry.
type Options struct {
	// Bin has the program.
	Bin process.Binaries
	// Dir is the directory of the landscape's state.
	Dir string
	// Address is where it listens: empty is 127.0.0.1, for which clients make an exception: they try HTTP too. They make none for the other
	// addresses of the loopback interface, all of which Linux has.
	Address string
	// Authority signs its certificate; nil makes one.
	Authority *certificates.Authority
	// OnExit is called if the registry ends by itself.
	OnExit func(error)
}

// Registry is a running registry.
type Registry struct {
	*process.Process
	// Host is how references to it begin.
	Host string
	// CA is the certificate of its authority.
	CA []byte
	// CAFile is the file with it.
	CAFile string
	// DockerConfig is a directory with the credentials, as environment variable DOCKER_CONFIG takes it.
	DockerConfig string

	address  string
	dir      string
	password string
}

// Start starts an empty registry, and returns when it lets those in who have the password.
func Start(ctx context.Context, options Options) (*Registry, error) {
	port, err := process.FreePort()
	if err != nil {
		return nil, err
	}
	address := cmp.Or(options.Address, workload.Loopback)
	dir := filepath.Join(options.Dir, program)
	r := &Registry{
		Host:         net.JoinHostPort(address, strconv.Itoa(port)),
		CAFile:       filepath.Join(dir, "ca.crt"),
		DockerConfig: filepath.Join(dir, "client"),
		address:      address,
		dir:          dir,
		password:     rand.Text(),
	}
	authority := options.Authority
	if authority == nil {
		if authority, err = certificates.NewAuthority("ca-" + program); err != nil {
			return nil, err
		}
	}
	if err := r.writeFiles(authority); err != nil {
		return nil, fmt.Errorf("failed to write the files of the registry: %w", err)
	}
	path, err := options.Bin.Path(program)
	if err != nil {
		return nil, err
	}
	r.Process, err = process.Start(ctx, process.Program{
		Name:   program,
		Path:   path,
		Args:   []string{"serve", filepath.Join(dir, configFile)},
		Env:    []string{"OTEL_TRACES_EXPORTER=none"}, // nobody collects them
		Dir:    options.Dir,
		Ready:  r.answers,
		OnExit: options.OnExit,
	})
	return r, err
}

// Transport trusts the registry.
func (r *Registry) Transport() http.RoundTripper {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(r.CA)
	transport := remote.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	return transport
}

// Resolve implements [authn.Keychain].
func (r *Registry) Resolve(resource authn.Resource) (authn.Authenticator, error) {
	if resource.RegistryStr() != r.Host {
		return authn.Anonymous, nil
	}
	return &authn.Basic{Username: userName, Password: r.password}, nil
}

// Images are the registry as nodes use it that are configured for it.
func (r *Registry) Images() *workload.Images {
	return &workload.Images{Transport: r.Transport(), Keychain: r}
}

// User is who may read and write everything.
func (r *Registry) User() (username, password string) { return userName, r.password }

// PullSecret is what a Secret of type kubernetes.io/dockerconfigjson has for the registry.
func (r *Registry) PullSecret() ([]byte, error) {
	return json.Marshal(map[string]any{"auths": map[string]any{r.Host: map[string]string{"username": userName, "password": r.password}}})
}

// ChangePassword makes what was given out until now worthless: credentials expire. What asks this Registry for credentials has the new ones.
func (r *Registry) ChangePassword() error {
	r.password = rand.Text()
	return r.writeCredentials()
}

// answers is satisfied when the registry lets its user in.
func (r *Registry) answers(ctx context.Context) error {
	host, err := name.NewRegistry(r.Host)
	if err != nil {
		return err
	}
	_, err = remote.Catalog(ctx, host, remote.WithTransport(r.Transport()), remote.WithAuthFromKeychain(r))
	return err
}

const (
	configFile      = "config.yaml"
	passwordFile    = "htpasswd"
	certificateFile = "tls.crt"
	keyFile         = "tls.key"
)

func (r *Registry) writeFiles(authority *certificates.Authority) (err error) {
	if r.CA, err = authority.PEM(); err != nil {
		return err
	}
	certificate, key, err := authority.IssueServer(program, nil, []net.IP{net.ParseIP(r.address)})
	if err != nil {
		return err
	}
	config, err := r.config(r.dir)
	if err != nil {
		return err
	}
	if err := writeAll(map[string][]byte{
		r.CAFile:                              r.CA,
		filepath.Join(r.dir, certificateFile): certificate,
		filepath.Join(r.dir, keyFile):         key,
		filepath.Join(r.dir, configFile):      config,
	}); err != nil {
		return err
	}
	return r.writeCredentials()
}

// writeCredentials writes the password for the registry, which looks into its file when that changes, and for its clients.
func (r *Registry) writeCredentials() error {
	hash, err := bcrypt.GenerateFromPassword([]byte(r.password), bcrypt.MinCost)
	if err != nil {
		return err
	}
	pullSecret, err := r.PullSecret()
	if err != nil {
		return err
	}
	return writeAll(map[string][]byte{
		filepath.Join(r.dir, passwordFile):           fmt.Appendf(nil, "%s:%s\n", userName, hash),
		filepath.Join(r.DockerConfig, "config.json"): pullSecret,
	})
}

func writeAll(files map[string][]byte) error {
	for file, content := range files {
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return err
		}
		// In one step: the registry may read it now.
		if err := errors.Join(os.WriteFile(file+".unfinished", content, 0o600), os.Rename(file+".unfinished", file)); err != nil {
			return err
		}
	}
	return nil
}

func (r *Registry) config(dir string) ([]byte, error) {
	return yaml.Marshal(map[string]any{
		"version": 0.1,
		"log":     map[string]any{"level": "info"},
		"storage": map[string]any{"filesystem": map[string]any{"rootdirectory": filepath.Join(dir, "data")}},
		"http": map[string]any{
			"addr": r.Host,
			"tls":  map[string]any{"certificate": filepath.Join(dir, certificateFile), "key": filepath.Join(dir, keyFile)},
		},
		"auth": map[string]any{"htpasswd": map[string]any{"realm": "landscape", "path": filepath.Join(dir, passwordFile)}},
	})
}
