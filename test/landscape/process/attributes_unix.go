// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

//go:build unix && !linux

package process

import (
	"errors"
	"syscall"
)

// attributes put the program into a process group of its own, so that it is ended with its children and a ^C of the terminal does not
// reach it. Only Linux can end it when this process dies without stopping it, and has what the images are built for.
func attributes(container *Container) (*syscall.SysProcAttr, error) {
	if container != nil {
		return nil, errors.New("what is in an image runs on Linux only")
	}
	return &syscall.SysProcAttr{Setpgid: true}, nil
}
