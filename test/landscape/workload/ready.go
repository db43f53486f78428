// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
)

// Ready is for [process.Program]: it is satisfied once the controller's /readyz on this port answers 200.
func Ready(port int) func(context.Context) error {
	url := "http://" + Address(port) + "/readyz"
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answers %s", url, response.Status)
		}
		return nil
	}
}

// Loopback is where all servers listen.
const Loopback = "127.0.0.1"

// Address returns 127.0.0.1:port.
func Address(port int) string {
	return net.JoinHostPort(Loopback, strconv.Itoa(port))
}
