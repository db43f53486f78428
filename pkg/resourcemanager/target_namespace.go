// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package resourcemanager knows when a shoot's gardener-resource-manager manages the namespaces of Flux.
//
// Since Gardener v1.80 gardenlet limits a shoot's gardener-resource-manager to a few namespaces of the shoot, and
// flux-system is not among them (pkg/gardenlet/operation/botanist/resource_manager.go of Gardener). Since v1.147 the flag
// --extra-target-namespace adds one (cmd/gardener-resource-manager/app/options.go).
package resourcemanager

import (
	"fmt"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
)

const (
	// DeploymentName is the name of the Deployment of gardener-resource-manager in a shoot's namespace of the seed.
	DeploymentName = v1beta1constants.DeploymentNameGardenerResourceManager

	containerName = "gardener-resource-manager"
	flag          = "--extra-target-namespace="
)

var (
	firstLimited  = semver.MustParse("1.80.0")
	firstWithFlag = semver.MustParse("1.147.0")
)

// AddNamespaces makes the gardener-resource-manager of the Deployment manage namespaces of the shoot, and says whether it
// changed the Deployment. It leaves a gardener-resource-manager alone that doesn't need the flag, or would not start with
// it because it is too old. gardenerVersion counts where the image tag is not a version; it may be empty.
func AddNamespaces(deployment *appsv1.Deployment, gardenerVersion string, namespaces ...string) bool {
	container := container(deployment)
	if container == nil {
		return false
	}
	missing := missingFlags(container, namespaces)
	if version := versionOf(container.Image, gardenerVersion); len(missing) == 0 || version == nil || version.LessThan(firstWithFlag) {
		return false
	}
	container.Args = append(container.Args, missing...)
	return true
}

// Namespaces returns the namespaces of the shoot that the gardener-resource-manager of the Deployment manages besides those of Gardener, in its order.
func Namespaces(deployment *appsv1.Deployment) []string {
	container := container(deployment)
	if container == nil {
		return nil
	}
	var namespaces []string
	for _, argument := range container.Args {
		if namespace, ok := strings.CutPrefix(argument, flag); ok {
			namespaces = append(namespaces, namespace)
		}
	}
	return namespaces
}

// missingFlags returns the arguments that a container needs for namespaces and does not have.
func missingFlags(container *corev1.Container, namespaces []string) []string {
	var missing []string
	for _, namespace := range namespaces {
		if argument := flag + namespace; !slices.Contains(container.Args, argument) {
			missing = append(missing, argument)
		}
	}
	return missing
}

// CheckNamespaces returns an error that says what to do if the gardener-resource-manager of the Deployment does not manage one of some
// namespaces of the shoot, so that nothing of what is meant for it would arrive there. shoot is namespace/name of the Shoot in the garden.
func CheckNamespaces(deployment *appsv1.Deployment, gardenerVersion, shoot string, namespaces ...string) error {
	where := deployment.Namespace + "/" + deployment.Name
	container := container(deployment)
	if container == nil {
		return fmt.Errorf("the Deployment %s of the seed has no container %s: cannot tell whether namespace %s of the shoot is managed", where, containerName, strings.Join(namespaces, ", "))
	}
	missing := missingFlags(container, namespaces)
	if len(missing) == 0 {
		return nil
	}
	unmanaged := strings.ReplaceAll(strings.Join(missing, ", "), flag, "")

	version := versionOf(container.Image, gardenerVersion)
	switch {
	case version == nil:
		return fmt.Errorf("the Deployment %s of the seed does not manage namespace %s of the shoot, and its version is unknown: "+
			"its image has no version as tag; start the extension with --gardener-version", where, unmanaged)
	case version.LessThan(firstLimited):
		return nil
	case version.LessThan(firstWithFlag):
		return fmt.Errorf("the Deployment %s of the seed has version v%s, which cannot manage namespace %s of the shoot: upgrade Gardener to v%s or newer",
			where, version, unmanaged, firstWithFlag)
	default:
		namespace, name, _ := strings.Cut(shoot, "/")
		return fmt.Errorf("the Deployment %s of the seed does not manage namespace %s of the shoot yet: the extension's webhook adds %s when Gardener reconciles the shoot; "+
			"to do that now: kubectl -n %s annotate shoot %s gardener.cloud/operation=reconcile", where, unmanaged, strings.Join(missing, " "), namespace, name)
	}
}

func container(deployment *appsv1.Deployment) *corev1.Container {
	containers := deployment.Spec.Template.Spec.Containers
	for i := range containers {
		if containers[i].Name == containerName {
			return &containers[i]
		}
	}
	return nil
}

// versionOf returns the version in the image's tag, else fallback, else nil.
func versionOf(image, fallback string) *semver.Version {
	name, _, _ := strings.Cut(image, "@")
	if colon := strings.LastIndex(name, ":"); colon > strings.LastIndex(name, "/") {
		if version, err := semver.NewVersion(name[colon+1:]); err == nil {
			return version
		}
	}
	version, err := semver.NewVersion(fallback)
	if err != nil {
		return nil
	}
	return version
}
