// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package shoot

import (
	"fmt"
	"net/http"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
)

// newMapper knows what a shoot serves. The shoot is asked once for all of it, in two requests, when the first kind is looked up; a kind that it
// does not serve is looked up as cheaply. A client lives for one operation: what changes in between, as when a removal deletes kinds, is an error at
// most, and the next try has a client that knows it.
func newMapper(config *rest.Config, httpClient *http.Client) (meta.RESTMapper, error) {
	asked, err := discovery.NewDiscoveryClientForConfigAndClient(config, httpClient)
	if err != nil {
		return nil, fmt.Errorf("failed to make a client for what is served: %w", err)
	}
	return restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(asked)), nil
}
