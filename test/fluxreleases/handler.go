// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package fluxreleases

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
)

// Handler serves the releases with the layout of Flux's releases at GitHub, so that its address can stand in for
// https://github.com/fluxcd/flux2/releases:
//
//	/latest                                                redirects to /tag/<newest version>
//	/download/<version>/manifests.tar.gz
//	/download/<version>/flux_<version without v>_checksums.txt
//
// To serve it below a path, wrap it in http.StripPrefix: the redirect is relative.
func Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /latest", func(w http.ResponseWriter, _ *http.Request) {
		versions := Versions()
		// Not http.Redirect, which makes the target absolute.
		w.Header().Set("Location", "tag/"+versions[len(versions)-1])
		w.WriteHeader(http.StatusFound)
	})
	mux.HandleFunc("GET /download/{version}/{file}", serveFile)
	return mux
}

func serveFile(w http.ResponseWriter, request *http.Request) {
	version, file := request.PathValue("version"), request.PathValue("file")
	tarball, err := Tarball(version)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	var content []byte
	switch file {
	case "manifests.tar.gz":
		content = tarball
		w.Header().Set("Content-Type", "application/gzip")
	case "flux_" + strings.TrimPrefix(version, "v") + "_checksums.txt":
		content = fmt.Appendf(nil, "%x  manifests.tar.gz\n", sha256.Sum256(tarball))
		w.Header().Set("Content-Type", "text/plain")
	default:
		http.NotFound(w, request)
		return
	}
	// If the client is gone, nobody is left to hear of it.
	_, _ = w.Write(content)
}
