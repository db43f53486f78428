// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"k8s.io/apimachinery/pkg/api/meta"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	fluxmeta "github.com/fluxcd/pkg/apis/meta"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/gitserver"
)

// untilSynced waits until the shoot has applied the repository's last commit.
func (s *story) untilSynced(ctx context.Context) error {
	head, err := s.repository.Head(ctx, gitserver.DefaultBranch)
	if err != nil {
		return err
	}
	return s.eventually(ctx, func(ctx context.Context) error {
		kustomization, err := s.kustomization(ctx)
		if err != nil {
			return err
		}
		if !strings.HasSuffix(kustomization.Status.LastAppliedRevision, head) {
			ready := meta.FindStatusCondition(kustomization.Status.Conditions, fluxmeta.ReadyCondition)
			if ready == nil {
				return errors.New("the Kustomization has no condition Ready yet")
			}
			return fmt.Errorf("the Kustomization is at %q, but the repository at %s: %s", kustomization.Status.LastAppliedRevision, head, ready.Message)
		}
		return nil
	})
}

func (s *story) kustomization(ctx context.Context) (*kustomizev1.Kustomization, error) {
	output, err := s.try(ctx, shoot, "-n", "flux-system", "get", "kustomization", "flux-system", "-o", "json")
	if err != nil {
		return nil, err
	}
	kustomization := &kustomizev1.Kustomization{}
	return kustomization, json.Unmarshal([]byte(output), kustomization)
}

// table ends the story: what is in the shoot, from which commit, and how long it took. Each object that Flux says it
// applied is looked up.
func (s *story) table(ctx context.Context) error {
	s.chapter("What is in the shoot")
	kustomization, err := s.kustomization(ctx)
	if err != nil {
		return err
	}
	if kustomization.Status.Inventory == nil || len(kustomization.Status.Inventory.Entries) == 0 {
		return errors.New("the Kustomization has applied nothing")
	}

	table := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "KIND\tNAMESPACE\tNAME\tCOMMIT")
	for _, entry := range kustomization.Status.Inventory.Entries {
		// The form of an ID is documented at kustomizev1.ResourceRef: <namespace>_<name>_<group>_<kind>.
		id := strings.Split(entry.ID, "_")
		if len(id) != 4 {
			return fmt.Errorf("the inventory of the Kustomization has an entry %q, which is not namespace_name_group_kind", entry.ID)
		}
		namespace, name, group, kind := id[0], id[1], id[2], id[3]
		if err := s.exists(ctx, namespace, name, group, kind); err != nil {
			return err
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", kind, namespace, name, kustomization.Status.LastAppliedRevision)
	}
	_ = table.Flush()

	s.say("")
	for _, milestone := range s.milestones {
		_, _ = fmt.Fprintf(table, "%s\t%.1f s\n", milestone.what, milestone.after.Seconds())
	}
	return table.Flush()
}

func (s *story) exists(ctx context.Context, namespace, name, group, kind string) error {
	resource := strings.TrimSuffix(kind+"."+group, ".")
	_, err := s.try(ctx, shoot, "get", resource, name, "--namespace="+namespace)
	return err
}
