// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Command flux-images prints the container images that a Flux release installs in a shoot: one a line, sorted, and
// nothing else on standard output, so that a program that mirrors images can read it.
//
//	go run ./hack/flux-images                                     those of the newest embedded release
//	go run ./hack/flux-images -version v2.8.8                     those of another one
//	go run ./hack/flux-images -all                                those of all components, which shoots can choose
//	go run ./hack/flux-images -registry registry.example.org/flux under the names that they have in a mirror
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/fluxversion"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/export"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/server"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
)

// waitLimit is how long a person waits for a download.
const waitLimit = time.Minute

// request is what the command line asks for.
type request struct {
	// version is a release's tag, a range, latest, or empty for the newest embedded release.
	version string
	// registry is the registry, with the path in it, of a mirror, or empty for the images' own names.
	registry string
	// all tells that those of components count too that are installed only where somebody asks for them.
	all bool
	// releasesURL is the address of Flux's releases or of a mirror of them.
	releasesURL string
}

func main() {
	var asked request
	flag.StringVar(&asked.version, "version", "", "the release, such as v2.8.8, a range, or latest (default: the newest embedded one)")
	flag.StringVar(&asked.registry, "registry", "", "name the images as in this mirror, such as registry.example.org/flux; as flux install --registry does")
	flag.BoolVar(&asked.all, "all", false, "also the images of components that are installed only where somebody asks for them")
	flag.StringVar(&asked.releasesURL, "releases-url", server.DefaultURL, "where a release that is not embedded is downloaded from")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, asked, os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "flux-images:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, asked request, output, warnings io.Writer) error {
	catalogue, err := release.NewCatalogue(release.Options{BaseURL: asked.releasesURL, WaitLimit: waitLimit})
	if err != nil {
		return err
	}
	defer catalogue.Close()
	if asked.version == "" {
		asked.version = catalogue.Embedded()[0]
	}
	choice, err := catalogue.Choose(ctx, fluxversion.Request{Version: asked.version})
	if err != nil {
		return err
	}
	if choice.Warning != "" {
		fmt.Fprintln(warnings, choice.Warning)
	}
	found, err := catalogue.Get(ctx, choice.Version)
	if err != nil {
		return err
	}
	options := export.Options{}
	if asked.all {
		options.Components = found.Components()
	}
	manifests, err := found.Install(options)
	if err != nil {
		return err
	}
	installation, err := render.NewInstallation(manifests, render.Images{Registry: asked.registry})
	if err != nil {
		return fmt.Errorf("reading the manifests of Flux %s: %w", found.Version, err)
	}
	images, err := imagesOf(installation.Objects)
	if err != nil {
		return fmt.Errorf("reading the manifests of Flux %s: %w", found.Version, err)
	}
	for _, image := range images {
		if _, err := fmt.Fprintln(output, image); err != nil {
			return err
		}
	}
	return nil
}

// imagesOf returns the images of all Deployments, sorted and each once. Flux's controllers are Deployments; nothing else in
// its manifests runs containers.
func imagesOf(objects []client.Object) ([]string, error) {
	var images []string
	for _, object := range objects {
		content, ok := object.(*unstructured.Unstructured)
		if !ok || content.GetKind() != "Deployment" {
			continue
		}
		var deployment appsv1.Deployment
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(content.Object, &deployment); err != nil {
			return nil, fmt.Errorf("Deployment %s/%s: %w", object.GetNamespace(), object.GetName(), err)
		}
		pod := deployment.Spec.Template.Spec
		for _, container := range slices.Concat(pod.InitContainers, pod.Containers) {
			images = append(images, container.Image)
		}
	}
	slices.Sort(images)
	return slices.Compact(images), nil
}
