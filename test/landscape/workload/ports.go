// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"sync"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
)

// ports of a pod stay the same as long as it runs.
type ports struct {
	mutex  sync.Mutex
	byName map[string]int
}

func (p *ports) get(name string) (int, bool) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	port, ok := p.byName[name]
	return port, ok
}

func (p *ports) named(name string) (int, error) {
	if port, ok := p.get(name); ok {
		return port, nil
	}
	port, err := process.FreePort()
	if err != nil {
		return 0, err
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.byName == nil {
		p.byName = map[string]int{}
	}
	p.byName[name] = port
	return port, nil
}
