// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package gitserver

import (
	"embed"
	"io/fs"
)

//go:embed all:content
var content embed.FS

// Content returns what a new repository holds: a GitOps repository as a team would keep it. Its root kustomization.yaml builds the
// production cluster, clusters/staging the staging one. Both have a namespace, a custom resource definition and a resource of it, and an
// application (Deployment, Service, ConfigMap, ServiceAccount) that an overlay patches.
func Content() fs.FS {
	sub, err := fs.Sub(content, "content")
	if err != nil {
		panic(err) // only an invalid path is an error, and it is constant
	}
	return sub
}

// contentFiles returns Content as Commit takes it.
func contentFiles() (map[string]string, error) {
	files := map[string]string{}
	err := fs.WalkDir(Content(), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(Content(), path)
		files[path] = string(text)
		return err
	})
	return files, err
}
