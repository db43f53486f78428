// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package gitserver

import (
	"log/slog"
	"net/http"
	"net/http/cgi"
)

// httpHandler serves the two requests of Git's smart protocol that read a repository (gitprotocol-http(5)) with git-http-backend.
func (s *Server) httpHandler(backend string) http.Handler {
	logger := slog.NewLogLogger(s.log.Handler(), slog.LevelWarn)
	git := &cgi.Handler{
		Path:   backend,
		Dir:    s.path("repositories"),
		Env:    append(s.gitEnv(), "GIT_PROJECT_ROOT="+s.path("repositories")),
		Logger: logger,
		Stderr: logger.Writer(),
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{owner}/{name}/info/refs", func(w http.ResponseWriter, r *http.Request) {
		// Without this query, git-http-backend would speak the old "dumb" protocol; with another, offer to receive a push.
		if r.URL.RawQuery != "service=git-upload-pack" {
			s.refuse(w, r, http.StatusForbidden, "only git-upload-pack is served: this server is read-only over HTTP")
			return
		}
		s.serveHTTP(git, w, r, "/info/refs")
	})
	mux.HandleFunc("POST /{owner}/{name}/git-upload-pack", func(w http.ResponseWriter, r *http.Request) {
		s.serveHTTP(git, w, r, "/git-upload-pack")
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.refuse(w, r, http.StatusNotFound, "not a request of a Git client that reads")
	})
	return mux
}

// serveHTTP hands a request for a public repository on, with the suffix .git that the repository has on disk and a URL may lack.
func (s *Server) serveHTTP(git http.Handler, w http.ResponseWriter, r *http.Request, service string) {
	repository, err := s.Repository(r.PathValue("owner") + "/" + r.PathValue("name"))
	if err != nil || !repository.Public() {
		s.refuse(w, r, http.StatusNotFound, "there is no such public repository")
		return
	}
	s.record(Access{Protocol: HTTP, Repository: repository.name, Request: r.Method + " " + r.URL.RequestURI(), Accepted: true})
	r = r.Clone(r.Context())
	r.URL.Path, r.URL.RawPath = "/"+repository.name+".git"+service, ""
	git.ServeHTTP(w, r)
}

func (s *Server) refuse(w http.ResponseWriter, r *http.Request, status int, reason string) {
	access := Access{Protocol: HTTP, Request: r.Method + " " + r.URL.RequestURI(), Reason: reason}
	if name, err := parseName(r.PathValue("owner") + "/" + r.PathValue("name")); err == nil {
		access.Repository = name
	}
	s.record(access)
	http.Error(w, reason, status)
}
