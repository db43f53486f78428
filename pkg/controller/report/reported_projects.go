// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// searchInterval is how soon the garden is asked again if it does not answer.
	searchInterval = time.Minute
	// pageSize is how many ConfigMaps are asked for at a time.
	pageSize = 500
)

// reportedProjects is a source of requests for the projects of which this seed has reported something. Their last shoot can have left
// the seed while nobody ran, or before that was reported, and then nothing in the seed tells of them. They are searched for once after
// each start.
type reportedProjects struct {
	reporter *Reporter
}

// Start implements source.Source. It does not wait for the garden.
func (s *reportedProjects) Start(ctx context.Context, q queue) error {
	go func() {
		// It ends without error, or with the context.
		_ = wait.PollUntilContextCancel(ctx, searchInterval, true, func(ctx context.Context) (bool, error) {
			projects, err := s.search(ctx)
			switch {
			case apierrors.IsForbidden(err):
				s.reporter.log.Info("Lines of shoots that left the seed while nobody ran may stay in ConfigMaps flux-status, because a right is missing", "error", err.Error())
				return true, nil
			case err != nil:
				s.reporter.log.Error(err, "It is tried again to find the ConfigMaps flux-status that this seed has written")
				return false, nil
			}
			for _, project := range projects {
				s.reporter.reported.LoadOrStore(project, reported{})
				q.Add(requestFor(project))
			}
			return true, nil
		})
	}()
	return nil
}

// search asks for metadata only, which say who has written to a ConfigMap.
func (s *reportedProjects) search(ctx context.Context) ([]string, error) {
	gardenClient, err := s.reporter.garden.Client(ctx)
	if err != nil {
		return nil, err
	}
	var projects []string
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ConfigMapList"))
	for {
		// To the garden's API server this is a named request.
		err := gardenClient.List(ctx, list, client.MatchingFields{metav1.ObjectNameField: ConfigMapName}, client.Limit(pageSize), client.Continue(list.Continue))
		if err != nil {
			return nil, fmt.Errorf("failed to list the ConfigMaps %s in the garden: %w", ConfigMapName, err)
		}
		for _, item := range list.Items {
			if slices.ContainsFunc(item.ManagedFields, func(entry metav1.ManagedFieldsEntry) bool { return entry.Manager == managerOf(s.reporter.identity) }) {
				projects = append(projects, item.Namespace)
			}
		}
		if list.Continue == "" {
			return projects, nil
		}
	}
}
