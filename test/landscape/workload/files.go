// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

const (
	// What this process's user alone may read.
	privateDir  os.FileMode = 0o700
	privateFile os.FileMode = 0o600
	// What a container's user may read by the pod's fsGroup.
	groupDir  os.FileMode = os.ModeSetgid | 0o770
	groupFile os.FileMode = 0o640
	// Directories on the way to a volume.
	publicDir os.FileMode = 0o755
)

// makeDir makes the directory of a volume.
func (m *Mounted) makeDir(dir string) error {
	if !m.contained {
		return os.MkdirAll(dir, privateDir)
	}
	if err := os.MkdirAll(dir, publicDir); err != nil {
		return err
	}
	return m.share(dir, groupDir)
}

// replaceFile writes the file in one step and only if its content changes.
func (m *Mounted) replaceFile(path string, content []byte) error {
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, content) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), privateDir); err != nil {
		return err
	}
	unfinished := path + ".new"
	if err := os.WriteFile(unfinished, content, privateFile); err != nil {
		return err
	}
	if m.contained {
		if err := m.share(unfinished, groupFile); err != nil {
			return err
		}
	}
	return os.Rename(unfinished, path)
}

// share lets the pod's fsGroup have the file, as a kubelet does. A process without root can't give files away, and need not: in its user
// namespace they are the container's.
func (m *Mounted) share(path string, mode os.FileMode) error {
	if os.Geteuid() != 0 {
		return nil
	}
	security := m.pod.Spec.SecurityContext
	if security == nil || security.FSGroup == nil {
		return fmt.Errorf("pod %s/%s has no fsGroup, by which its program could read its volumes", m.pod.Namespace, m.pod.Name)
	}
	return errors.Join(os.Chown(path, 0, int(*security.FSGroup)), os.Chmod(path, mode))
}
