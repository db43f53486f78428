// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package process

import "syscall"

// attributes put the program into a process group of its own, so that it is ended with its children and a ^C of the terminal does not
// reach it, and let the kernel kill it when this process ends in whatever way.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
