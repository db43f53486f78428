// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"math"
	"os"
	"syscall"
)

// attributes put the program into a process group of its own, so that it is ended with its children and a ^C of the terminal does not
// reach it, let the kernel kill it when this process ends in whatever way, and put it into its container, if it has one.
func attributes(container *Container) (*syscall.SysProcAttr, error) {
	attributes := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if container == nil {
		return attributes, nil
	}
	if err := container.check(); err != nil {
		return nil, err
	}
	attributes.Chroot = container.Root
	if os.Geteuid() == 0 {
		attributes.Credential = &syscall.Credential{Uid: uint32(container.UID), Gid: uint32(container.GID)} // #nosec G115 -- checked
		return attributes, nil
	}
	// Any user may call itself as it likes in a user namespace of its own, and change the root of what runs there.
	attributes.Cloneflags = syscall.CLONE_NEWUSER
	attributes.UidMappings = []syscall.SysProcIDMap{{ContainerID: container.UID, HostID: os.Geteuid(), Size: 1}}
	attributes.GidMappings = []syscall.SysProcIDMap{{ContainerID: container.GID, HostID: os.Getegid(), Size: 1}}
	return attributes, nil
}

func (c *Container) check() error {
	for _, id := range []int{c.UID, c.GID} {
		if id < 0 || id > math.MaxInt32 {
			return syscall.EINVAL
		}
	}
	return nil
}
