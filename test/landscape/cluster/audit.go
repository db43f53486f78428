// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
)

// auditPolicy makes a kube-apiserver log who writes what, and what ServiceAccounts read.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
- level: Metadata
  userGroups: ["system:serviceaccounts"]
- level: None
  verbs: [get, list, watch]
- level: Metadata
`

func (c *Cluster) auditLog() string {
	return filepath.Join(c.etcd.options.Dir, "logs", c.Name+"-audit.log")
}

// auditArgs are the arguments with which a kube-apiserver writes the audit log.
func (c *Cluster) auditArgs() ([]string, error) {
	policy := filepath.Join(c.etcd.options.Dir, c.Name, "audit-policy.yaml")
	if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
		return nil, fmt.Errorf("failed to write the audit policy of cluster %s: %w", c.Name, err)
	}
	return []string{"--audit-policy-file=" + policy, "--audit-log-path=" + c.auditLog()}, nil
}

// Requests returns the requests that wrote, or tried to, and those of ServiceAccounts that read, oldest first.
func (c *Cluster) Requests() ([]auditv1.Event, error) {
	file, err := os.Open(c.auditLog())
	if err != nil {
		return nil, fmt.Errorf("failed to open the audit log of cluster %s: %w", c.Name, err)
	}
	defer file.Close()

	var events []auditv1.Event
	lines := bufio.NewReader(file)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return events, nil // a line without an end is being written
		}
		var event auditv1.Event
		if err == nil {
			err = json.Unmarshal(line, &event)
		}
		if err != nil {
			return nil, fmt.Errorf("failed to read the audit log of cluster %s: %w", c.Name, err)
		}
		events = append(events, event)
	}
}
