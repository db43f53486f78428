// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package landscape

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
)

// auditPolicy makes a shoot's kube-apiserver log who writes what.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
- level: None
  verbs: [get, list, watch]
- level: Metadata
`

func auditLog(dir, technicalID string) string {
	return filepath.Join(dir, "logs", technicalID+"-audit.log")
}

// auditArgs are the arguments with which a kube-apiserver writes the audit log.
func auditArgs(dir, technicalID string) ([]string, error) {
	policy := filepath.Join(dir, "audit-policy.yaml")
	if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
		return nil, fmt.Errorf("failed to write the audit policy: %w", err)
	}
	return []string{"--audit-policy-file=" + policy, "--audit-log-path=" + auditLog(dir, technicalID)}, nil
}

// Writes returns the requests that wrote, or tried to, in the shoot with the given namespace in the seed, oldest first.
func (l *Landscape) Writes(technicalID string) ([]auditv1.Event, error) {
	file, err := os.Open(auditLog(l.options.Dir, technicalID))
	if err != nil {
		return nil, fmt.Errorf("failed to open the audit log of %s: %w", technicalID, err)
	}
	defer file.Close()

	var events []auditv1.Event
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var event auditv1.Event
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			return nil, fmt.Errorf("failed to read the audit log of %s: %w", technicalID, err)
		}
		events = append(events, event)
	}
	return events, lines.Err()
}
