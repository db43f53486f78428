// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package githubapi stands in for the part of GitHub's API with which a GitHub App gets tokens: an app proves with a signed token of its own
// who it is, finds its installation, and asks for a token that reads the repositories of the installation. The landscape's Git server takes
// such a token as GitHub does: as the password of a user named x-access-token. Answers and refusals are worded as GitHub's:
// https://docs.github.com/en/rest/apps.
package githubapi

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/gitserver"
)

const (
	// tokenUser is the user that GitHub expects with a token.
	tokenUser = "x-access-token"
	// defaultTokenLifetime is GitHub's.
	defaultTokenLifetime = time.Hour
	// keyBits are as many as GitHub's keys have.
	keyBits = 2048
)

// Options configure a server.
type Options struct {
	// Git is the Git server that takes the tokens. Its authority signs the certificate of the API.
	Git *gitserver.Store
	// TokenLifetime is how long tokens are good for; 0 is GitHub's hour.
	TokenLifetime time.Duration
	// Log gets what goes wrong with connections; nil discards it.
	Log *slog.Logger
}

// Server is a running API. What it knows is in memory.
type Server struct {
	options  Options
	http     *http.Server
	listener net.Listener
	done     chan struct{}

	mutex    sync.Mutex
	lastID   int64
	apps     map[int64]*App
	requests []Request
}

// Request is one that the API has answered.
type Request struct {
	// Method and Path are those of the API, without the prefix that it has on GitHub Enterprise Server.
	Method, Path string
	// App is the app that proved who it is, 0 if none did.
	App int64
	// Status is that of the answer.
	Status int
}

// App is a GitHub App.
type App struct {
	// ID is the number of the app, as key githubAppID of a Secret has it.
	ID int64
	// PrivateKey is in PEM, as key githubAppPrivateKey has it.
	PrivateKey []byte

	server        *Server
	slug          string
	key           *rsa.PublicKey
	installations map[int64]*Installation
}

// Installation is an app in an organisation, or with a user.
type Installation struct {
	// ID is the number of the installation, as key githubAppInstallationID has it.
	ID int64
	// Owner is the organisation, as key githubAppInstallationOwner has it.
	Owner string

	app          *App
	repositories []*gitserver.Repository
	suspended    bool
	tokens       int
}

// Start starts the API on a free port of 127.0.0.1. It runs until it is closed.
func Start(options Options) (*Server, error) {
	if options.TokenLifetime == 0 {
		options.TokenLifetime = defaultTokenLifetime
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	authority, err := options.Git.Authority()
	if err != nil {
		return nil, err
	}
	config, err := authority.ServerConfig("github-api", net.IPv4(127, 0, 0, 1))
	if err != nil {
		return nil, err
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		return nil, fmt.Errorf("no free port on 127.0.0.1 for the GitHub API: %w", err)
	}
	s := &Server{options: options, listener: listener, apps: map[int64]*App{}, done: make(chan struct{})}
	s.http = &http.Server{Handler: s.handler(), ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(options.Log.Handler(), slog.LevelWarn)}
	go func() {
		defer close(s.done)
		if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			options.Log.Error("GitHub API ended", "error", err)
		}
	}()
	return s, nil
}

// BaseURL is that of the API, as key githubAppBaseURL of a Secret has it.
func (s *Server) BaseURL() string { return "https://" + s.listener.Addr().String() }

// Close ends the server. Tokens that it has given out are good until they expire.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = nil // a client keeps its connection busy, which Close ends
	}
	err = errors.Join(err, s.http.Close())
	<-s.done
	return err
}

// Requests are those until now, oldest first.
func (s *Server) Requests() []Request {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return slices.Clone(s.requests)
}

// CreateApp registers an app, with a private key.
func (s *Server) CreateApp(slug string) (*App, error) {
	key, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return nil, err
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	a := &App{
		ID:            s.nextID(),
		PrivateKey:    pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}),
		server:        s,
		slug:          slug,
		key:           &key.PublicKey,
		installations: map[int64]*Installation{},
	}
	s.apps[a.ID] = a
	return a, nil
}

func (s *Server) nextID() int64 {
	s.lastID++
	return s.lastID
}

// Install lets the app read repositories of an owner.
func (a *App) Install(owner string, repositories ...*gitserver.Repository) *Installation {
	a.server.mutex.Lock()
	defer a.server.mutex.Unlock()
	i := &Installation{ID: a.server.nextID(), Owner: owner, app: a, repositories: repositories}
	a.installations[i.ID] = i
	return i
}

// Suspend has the installation get no tokens, or lets it get them again.
func (i *Installation) Suspend(suspended bool) {
	i.app.server.mutex.Lock()
	defer i.app.server.mutex.Unlock()
	i.suspended = suspended
}

// Uninstall takes the installation away.
func (i *Installation) Uninstall() {
	i.app.server.mutex.Lock()
	defer i.app.server.mutex.Unlock()
	delete(i.app.installations, i.ID)
}

// TokenName is how the Git server's access log calls a token of the installation. The first has number 1.
func (i *Installation) TokenName(number int) string {
	return fmt.Sprintf("installation-%d-%d", i.ID, number)
}

// newToken makes a token that the Git server takes for the installation's repositories, beside those that it takes already.
func (i *Installation) newToken() (token string, expires time.Time, err error) {
	i.tokens++
	token, expires = "ghs_"+rand.Text(), time.Now().Add(i.app.server.options.TokenLifetime)
	for _, repository := range i.repositories {
		credential := gitserver.Credential{Name: i.TokenName(i.tokens), Username: tokenUser, Password: token, Expires: expires}
		if err := repository.AddCredential(credential); err != nil {
			return "", time.Time{}, err
		}
	}
	return token, expires, nil
}
