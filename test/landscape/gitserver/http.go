// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package gitserver

import (
	"log/slog"
	"net/http"
	"net/http/cgi"
	"time"
)

// gitBackend is Git's own program that serves repositories over HTTP.
func (s *Server) gitBackend(path string) http.Handler {
	logger := slog.NewLogLogger(s.log.Handler(), slog.LevelWarn)
	return &cgi.Handler{
		Path:   path,
		Dir:    s.path("repositories"),
		Env:    append(s.gitEnv(), "GIT_PROJECT_ROOT="+s.path("repositories"), "GIT_HTTP_EXPORT_ALL=1"),
		Logger: logger,
		Stderr: logger.Writer(),
	}
}

// httpHandler serves the two requests of Git's smart protocol that read a repository (gitprotocol-http(5)) from the backend.
func (s *Server) httpHandler(protocol Protocol, backend http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{owner}/{name}/info/refs", func(w http.ResponseWriter, r *http.Request) {
		// Without this query, git-http-backend would speak the old "dumb" protocol; with another, offer to receive a push.
		if r.URL.RawQuery != "service=git-upload-pack" {
			s.refuse(w, newAccess(protocol, r), http.StatusForbidden, "only git-upload-pack is served: this server is read-only over HTTP")
			return
		}
		s.serveHTTP(backend, w, r, newAccess(protocol, r), "/info/refs")
	})
	mux.HandleFunc("POST /{owner}/{name}/git-upload-pack", func(w http.ResponseWriter, r *http.Request) {
		s.serveHTTP(backend, w, r, newAccess(protocol, r), "/git-upload-pack")
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.refuse(w, newAccess(protocol, r), http.StatusNotFound, "not a request of a Git client that reads")
	})
	return mux
}

func newAccess(protocol Protocol, r *http.Request) Access {
	access := Access{Protocol: protocol, Request: r.Method + " " + r.URL.RequestURI()}
	if name, err := parseName(r.PathValue("owner") + "/" + r.PathValue("name")); err == nil {
		access.Repository = name
	}
	return access
}

// serveHTTP hands a request on that may read the repository, with the suffix .git that the repository has on disk and a URL may lack.
func (s *Server) serveHTTP(backend http.Handler, w http.ResponseWriter, r *http.Request, access Access, service string) {
	repository, err := s.Repository(access.Repository)
	if err != nil {
		repository = nil
	}
	status, reason := s.authorizeHTTP(&access, repository, r)
	if reason != "" {
		s.refuse(w, access, status, reason)
		return
	}
	access.Accepted = true
	s.record(access)
	r = r.Clone(r.Context())
	// The backend would give both to Git's environment.
	r.Header.Del("Authorization")
	r.URL.Path, r.URL.RawPath = "/"+repository.name+".git"+service, ""
	backend.ServeHTTP(w, r)
}

// authorizeHTTP returns status and reason of a refusal. An empty reason lets the client in. As on forges, wrong credentials are refused where
// none are needed, and whether a repository exists is nothing that a stranger learns.
func (s *Server) authorizeHTTP(access *Access, repository *Repository, r *http.Request) (int, string) {
	if access.Protocol == HTTP { // nobody shall send a password there
		if repository == nil || !repository.Public() {
			return http.StatusNotFound, "there is no such public repository"
		}
		return 0, ""
	}
	proof, now := proofOf(r), time.Now()
	if repository != nil {
		name, stored, err := repository.findCredential(proof, now)
		switch {
		case err != nil:
			return http.StatusInternalServerError, err.Error()
		case stored.Forbidden:
			access.Credential = name
			return http.StatusForbidden, "the credential does not allow to read the repository"
		case name != "":
			access.Credential = name
			return 0, ""
		}
	}
	known, err := s.knowsCredential(proof, now)
	switch {
	case err != nil:
		return http.StatusInternalServerError, err.Error()
	case repository != nil && repository.Public() && (known || r.Header.Get("Authorization") == ""):
		return 0, ""
	case known:
		return http.StatusNotFound, "there is no such repository, or the credential is for others"
	case proof == "":
		return http.StatusUnauthorized, "credentials are needed"
	}
	return http.StatusUnauthorized, "the credentials are wrong, or have expired"
}

func (s *Server) refuse(w http.ResponseWriter, access Access, status int, reason string) {
	access.Reason = reason
	s.record(access)
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", basicScheme+` realm="Git"`)
	}
	http.Error(w, reason, status)
}
