// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"net"
	"strconv"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
)

// Ready is for [process.Program]: it is satisfied once the controller's /readyz on this port answers 200.
func Ready(port int) func(context.Context) error {
	return process.AnswersOK("http://" + Address(port) + "/readyz")
}

// Loopback is where all servers listen.
const Loopback = "127.0.0.1"

// Address returns 127.0.0.1:port.
func Address(port int) string {
	return net.JoinHostPort(Loopback, strconv.Itoa(port))
}
