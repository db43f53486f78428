// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package githubapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// maxAssertionLifetime is how far in the future an app's own token may expire.
const maxAssertionLifetime = 10 * time.Minute

// refusal is an answer that is none.
type refusal struct {
	status  int
	message string
}

func (r *refusal) Error() string { return r.message }

var notFound = &refusal{http.StatusNotFound, "Not Found"}

// handler serves the API at the root, as api.github.com does, and below /api/v3, as GitHub Enterprise Server does.
func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	for pattern, answer := range map[string]func(*App, *http.Request) (int, any, error){
		"GET /app":                                             (*App).describe,
		"GET /orgs/{owner}/installation":                       (*App).findInstallation,
		"GET /users/{owner}/installation":                      func(*App, *http.Request) (int, any, error) { return 0, nil, notFound }, // all owners are organisations
		"POST /app/installations/{installation}/access_tokens": (*App).createToken,
		"/": func(*App, *http.Request) (int, any, error) { return 0, nil, notFound },
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, answer) })
	}
	root := http.NewServeMux()
	root.Handle("/api/v3/", http.StripPrefix("/api/v3", mux))
	root.Handle("/", mux)
	return root
}

// serve answers as the app that the request is from.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, answer func(*App, *http.Request) (int, any, error)) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	request := Request{Method: r.Method, Path: r.URL.Path}
	var body any
	app, err := s.authenticate(r)
	if err == nil {
		request.App = app.ID
		request.Status, body, err = answer(app, r)
	}
	if err != nil {
		request.Status = http.StatusInternalServerError
		if refused := (*refusal)(nil); errors.As(err, &refused) {
			request.Status = refused.status
		}
		body = map[string]string{"message": err.Error(), "documentation_url": "https://docs.github.com/rest", "status": strconv.Itoa(request.Status)}
	}
	s.requests = append(s.requests, request)
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(request.Status)
	_ = json.NewEncoder(w).Encode(body) // fails only if the client has gone
}

// authenticate returns the app that has signed the request's token.
func (s *Server) authenticate(r *http.Request) (*App, error) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return nil, &refusal{http.StatusUnauthorized, "Requires authentication"}
	}
	var app *App
	claims := &jwt.RegisteredClaims{}
	_, err := jwt.ParseWithClaims(token, claims, func(*jwt.Token) (any, error) {
		id, err := strconv.ParseInt(claims.Issuer, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("issuer %q is no number: %w", claims.Issuer, err)
		}
		if app = s.apps[id]; app == nil {
			return nil, &refusal{http.StatusNotFound, "Integration not found"}
		}
		return app.key, nil
	}, jwt.WithValidMethods([]string{jwt.SigningMethodRS256.Alg()}), jwt.WithIssuedAt(), jwt.WithExpirationRequired())
	switch refused := (*refusal)(nil); {
	case errors.As(err, &refused):
		return nil, refused
	case errors.Is(err, jwt.ErrTokenExpired):
		return nil, &refusal{http.StatusUnauthorized, "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires"}
	case err != nil:
		return nil, &refusal{http.StatusUnauthorized, "A JSON web token could not be decoded"}
	case time.Until(claims.ExpiresAt.Time) > maxAssertionLifetime:
		return nil, &refusal{http.StatusUnauthorized, "'Expiration time' claim ('exp') is too far in the future"}
	}
	return app, nil
}

func (a *App) describe(*http.Request) (int, any, error) {
	return http.StatusOK, map[string]any{"id": a.ID, "slug": a.slug, "name": a.slug}, nil
}

func (a *App) findInstallation(r *http.Request) (int, any, error) {
	for _, i := range a.installations {
		if strings.EqualFold(i.Owner, r.PathValue("owner")) {
			return http.StatusOK, map[string]any{"id": i.ID, "app_id": a.ID, "app_slug": a.slug, "target_type": "Organization"}, nil
		}
	}
	return 0, nil, notFound
}

func (a *App) createToken(r *http.Request) (int, any, error) {
	id, err := strconv.ParseInt(r.PathValue("installation"), 10, 64)
	if err != nil {
		return 0, nil, notFound
	}
	i, ok := a.installations[id]
	switch {
	case !ok:
		return 0, nil, notFound
	case i.suspended:
		return 0, nil, &refusal{http.StatusForbidden, "This installation has been suspended"}
	}
	token, expires, err := i.newToken()
	if err != nil {
		return 0, nil, err
	}
	return http.StatusCreated, map[string]any{
		"token": token, "expires_at": expires.UTC().Format(time.RFC3339),
		"permissions": map[string]string{"contents": "read", "metadata": "read"}, "repository_selection": "selected",
	}, nil
}
