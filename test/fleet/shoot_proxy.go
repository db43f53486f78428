// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/certificates"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/workload"
)

// shootDomain is the domain of the names by which the shoots' API servers are told apart.
const shootDomain = "shoots.internal"

// fault is in which way the API server of a shoot is dead.
type fault int

const (
	// none: it lives.
	none fault = iota
	// refuses: connections end at once.
	refuses
	// hangs: there is no answer until the client gives up.
	hangs
)

// shootProxy is the API servers of all shoots. The TLS server name of a connection tells which shoot it is for, so that a client needs a
// connection of its own for each shoot, as in production. Behind it are two real API servers: one without Flux, for each shoot until its
// resource manager has applied Flux, and one with Flux. What differs from project to project, the proxy answers with what the latter has answered.
type shootProxy struct {
	listener      net.Listener
	server        *http.Server
	ca            []byte
	without, with http.Handler

	mutex    sync.Mutex
	shoots   map[string]*proxiedShoot
	requests requests
}

// proxiedShoot is one shoot of the proxy, which guards it.
type proxiedShoot struct {
	hasFlux bool
	// answers are what it answers, by the path of the request, in place of the API server that it shares.
	answers     map[string][]byte
	fault       fault
	everDead    bool
	requests    int
	connections map[net.Conn]struct{}
}

var errRefused = errors.New("the API server of the shoot is dead")

func newShootProxy(without, with *rest.Config) (*shootProxy, error) {
	authority, err := certificates.NewAuthority("shoots")
	if err != nil {
		return nil, fmt.Errorf("failed to make the certificate authority of the shoots: %w", err)
	}
	p := &shootProxy{shoots: map[string]*proxiedShoot{}, requests: requests{}}
	if p.ca, err = authority.PEM(); err != nil {
		return nil, fmt.Errorf("failed to encode the certificate authority of the shoots: %w", err)
	}
	certificate, key, err := authority.IssueServer("shoots", []string{"*." + shootDomain}, nil)
	if err != nil {
		return nil, fmt.Errorf("failed to issue the certificate of the shoots: %w", err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return nil, fmt.Errorf("failed to read the certificate of the shoots: %w", err)
	}
	if p.without, err = reverseProxy(without); err != nil {
		return nil, err
	}
	if p.with, err = reverseProxy(with); err != nil {
		return nil, err
	}
	if p.listener, err = net.Listen("tcp", net.JoinHostPort(workload.Loopback, "0")); err != nil {
		return nil, fmt.Errorf("failed to listen for requests to the shoots: %w", err)
	}
	p.server = &http.Server{
		Handler:           p,
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{pair}, GetConfigForClient: p.accept, MinVersion: tls.VersionTLS12},
		ConnState:         p.forgetClosed,
		ErrorLog:          log.New(io.Discard, "", 0), // refused handshakes are wanted
		ReadHeaderTimeout: time.Minute,
	}
	return p, nil
}

func reverseProxy(config *rest.Config) (http.Handler, error) {
	transport, err := rest.TransportFor(config)
	if err != nil {
		return nil, fmt.Errorf("failed to make a client of an API server: %w", err)
	}
	server, err := url.Parse(config.Host)
	if err != nil {
		return nil, fmt.Errorf("failed to read the address of an API server: %w", err)
	}
	return &httputil.ReverseProxy{
		Transport:     transport,
		FlushInterval: -1, // watches
		ErrorLog:      log.New(io.Discard, "", 0),
		Rewrite: func(request *httputil.ProxyRequest) {
			request.SetURL(server)
			request.Out.Header.Del("Authorization")
		},
	}, nil
}

// serve answers until the context ends.
func (p *shootProxy) serve(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = p.server.Close() })
	defer stop()
	if err := p.server.ServeTLS(p.listener, "", ""); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("failed to serve the shoots: %w", err)
	}
	return nil
}

// kubeconfig is how to reach the API server of a shoot.
func (p *shootProxy) kubeconfig(shoot string) ([]byte, error) {
	config := clientcmdapi.NewConfig()
	config.Clusters[shoot] = &clientcmdapi.Cluster{
		Server: "https://" + p.listener.Addr().String(), TLSServerName: shoot + "." + shootDomain, CertificateAuthorityData: p.ca,
	}
	config.AuthInfos[shoot] = &clientcmdapi.AuthInfo{Token: "token-of-" + shoot}
	config.Contexts[shoot] = &clientcmdapi.Context{Cluster: shoot, AuthInfo: shoot}
	config.CurrentContext = shoot
	kubeconfig, err := clientcmd.Write(*config)
	if err != nil {
		return nil, fmt.Errorf("failed to encode the kubeconfig of shoot %s: %w", shoot, err)
	}
	return kubeconfig, nil
}

// change calls a function with a shoot, and guards it meanwhile.
func (p *shootProxy) change(shoot string, change func(*proxiedShoot)) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.shoots[shoot] == nil {
		p.shoots[shoot] = &proxiedShoot{connections: map[net.Conn]struct{}{}}
	}
	change(p.shoots[shoot])
}

// accept refuses connections to shoots that do so, and keeps the others.
func (p *shootProxy) accept(hello *tls.ClientHelloInfo) (_ *tls.Config, err error) {
	p.change(nameOf(hello.ServerName), func(shoot *proxiedShoot) {
		if shoot.fault == refuses {
			err = errRefused
			return
		}
		shoot.connections[hello.Conn] = struct{}{}
	})
	return nil, err
}

func (p *shootProxy) forgetClosed(connection net.Conn, state http.ConnState) {
	secured, ok := connection.(*tls.Conn)
	if !ok || state != http.StateClosed {
		return
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if shoot := p.shoots[nameOf(secured.ConnectionState().ServerName)]; shoot != nil {
		delete(shoot.connections, secured.NetConn())
	}
}

func nameOf(server string) string { return strings.TrimSuffix(server, "."+shootDomain) }

// ServeHTTP implements http.Handler.
func (p *shootProxy) ServeHTTP(response http.ResponseWriter, request *http.Request) {
	handler, dead, answer := p.without, none, []byte(nil)
	p.change(nameOf(request.TLS.ServerName), func(shoot *proxiedShoot) {
		shoot.requests++
		p.requests[kindOf(request)]++
		dead = shoot.fault
		if shoot.hasFlux {
			handler = p.with
		}
		if request.Method == http.MethodGet {
			answer = shoot.answers[request.URL.Path]
		}
	})
	switch dead {
	case hangs:
		<-request.Context().Done()
	case refuses:
		panic(http.ErrAbortHandler)
	case none:
		if answer == nil {
			handler.ServeHTTP(response, request)
			return
		}
		response.Header().Set("Content-Type", "application/json")
		_, _ = response.Write(answer)
	}
}

// kindOf says of a request what an audit log would say.
func kindOf(request *http.Request) requestKind {
	verb := map[string]string{
		http.MethodGet: "get", http.MethodPost: "create", http.MethodPut: "update", http.MethodPatch: "patch", http.MethodDelete: "delete",
	}[request.Method]
	if request.URL.Query().Get("watch") == "true" || request.URL.Query().Get("watch") == "1" {
		verb = "watch"
	}
	return requestKind{verb: verb, resource: request.URL.Path}
}

// bringFlux says that a shoot has Flux from now on, and of its objects those that are its project's.
func (p *shootProxy) bringFlux(shoot string, answers map[string][]byte) {
	p.change(shoot, func(shoot *proxiedShoot) { shoot.hasFlux, shoot.answers = true, answers })
}

// setFault makes the API server of a shoot die, or live again. A dead one loses its connections, unless it hangs.
func (p *shootProxy) setFault(shoot string, fault fault) {
	p.change(shoot, func(shoot *proxiedShoot) {
		shoot.fault = fault
		shoot.everDead = shoot.everDead || fault != none
		if fault == refuses {
			for connection := range shoot.connections {
				_ = connection.Close()
			}
		}
	})
}

// wasDead tells whether a shoot has been dead at any time.
func (p *shootProxy) wasDead(shoot string) (dead bool) {
	p.change(shoot, func(shoot *proxiedShoot) { dead = shoot.everDead })
	return dead
}

// take returns the requests to all shoots since the last call.
func (p *shootProxy) take() requests {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	taken := p.requests
	p.requests = requests{}
	return taken
}

// counts returns how many requests each shoot has got so far.
func (p *shootProxy) counts() map[string]int {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	counts := make(map[string]int, len(p.shoots))
	for name := range maps.Keys(p.shoots) {
		counts[name] = p.shoots[name].requests
	}
	return counts
}

// count returns how many requests a shoot has got so far.
func (p *shootProxy) count(shoot string) (count int) {
	p.change(shoot, func(shoot *proxiedShoot) { count = shoot.requests })
	return count
}
