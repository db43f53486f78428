// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	containerregistry "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/version"
	"sigs.k8s.io/yaml"

	"github.com/gardener/gardener/pkg/chartrenderer"
)

// checkImage shows that the layout of the image is complete, and what the manifests name.
func (v *verification) checkImage() error {
	root, descriptor, err := v.checkLayout(imageLayout, v.names.image)
	if err != nil {
		return err
	}
	index, err := root.ImageIndex(descriptor.Digest)
	if err != nil {
		return err
	}
	if err := validate.Index(index); err != nil {
		return err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return err
	}
	for _, part := range manifest.Manifests {
		if part.Platform == nil {
			return fmt.Errorf("%s has no platform", part.Digest)
		}
		image, err := index.Image(part.Digest)
		if err != nil {
			return err
		}
		if err := v.checkPlatform(image, *part.Platform); err != nil {
			return fmt.Errorf("%s: %w", part.Platform, err)
		}
		v.say("image for %s: %s", part.Platform, part.Digest)
	}
	return nil
}

// checkLayout shows that a layout has the digest that the manifests name, and nothing that does not belong to it.
func (v *verification) checkLayout(name string, named reference) (containerregistry.ImageIndex, containerregistry.Descriptor, error) {
	directory := filepath.Join(v.dist, name)
	root, descriptor, err := readLayout(directory)
	if err != nil {
		return nil, descriptor, err
	}
	if descriptor.Digest.String() != named.digest || descriptor.Annotations[tagAnnotation] != named.tag {
		return nil, descriptor, fmt.Errorf("it has %s with digest %s, but the manifests name %s", descriptor.Annotations[tagAnnotation], descriptor.Digest, named)
	}
	superfluous, err := layout.Path(directory).GarbageCollect()
	if err == nil && len(superfluous) > 0 {
		err = fmt.Errorf("nothing refers to %s", superfluous[0])
	}
	return root, descriptor, err
}

// checkPlatform shows how the image for one platform is run, and what is in it.
func (v *verification) checkPlatform(image containerregistry.Image, platform containerregistry.Platform) error {
	config, err := image.ConfigFile()
	if err != nil {
		return err
	}
	wanted := imageConfig(nil)
	if config.Config.User != wanted.User || !slices.Equal(config.Config.Entrypoint, wanted.Entrypoint) {
		return fmt.Errorf("it runs %q as user %q, and not %q as %q", config.Config.Entrypoint, config.Config.User, wanted.Entrypoint, wanted.User)
	}
	if config.OS != platform.OS || config.Architecture != platform.Architecture {
		return fmt.Errorf("its configuration is for %s/%s", config.OS, config.Architecture)
	}
	if label := config.Config.Labels["org.opencontainers.image.version"]; label != v.names.image.tag {
		return fmt.Errorf("its label says version %q", label)
	}
	content := mutate.Extract(image)
	defer content.Close()
	sum, err := checkFiles(tar.NewReader(content))
	v.programs[sbomFile(platform)] = sum
	return err
}

// checkFiles shows that an image has the program, certificate authorities and licences, and nothing else that can be run. It returns the
// checksum of the program.
func checkFiles(files *tar.Reader) (string, error) {
	missing := map[string]bool{programName: true, certificatesFile: true, licencesFile: true, "etc/passwd": true, "tmp": true}
	var sum string
	for {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", err
		}
		name := filepath.Clean(header.Name)
		delete(missing, name)
		switch name {
		case programName:
			hash := sha256.New()
			if _, err := io.Copy(hash, files); err != nil {
				return "", err
			}
			sum = hex.EncodeToString(hash.Sum(nil))
		case certificatesFile:
			if err := checkCertificates(files); err != nil {
				return "", fmt.Errorf("%s: %w", name, err)
			}
		}
		if isExecutable := header.Typeflag != tar.TypeDir && header.Mode&0o111 != 0; isExecutable != (name == programName) {
			return "", fmt.Errorf("%s has mode %o", name, header.Mode)
		}
	}
	for name := range missing {
		return "", fmt.Errorf("it has no %s", name)
	}
	return sum, nil
}

func checkCertificates(content io.Reader) error {
	text, err := io.ReadAll(content)
	if err != nil {
		return err
	}
	if !x509.NewCertPool().AppendCertsFromPEM(text) {
		return errors.New("it has no certificates")
	}
	return nil
}

// checkChart shows that the layout has the chart that the manifests name, and that gardenlet makes of it and of their values a Deployment
// that runs the image of this release.
func (v *verification) checkChart() error {
	root, descriptor, err := v.checkLayout(chartLayout, v.names.chart)
	if err != nil {
		return err
	}
	artifact, err := root.Image(descriptor.Digest)
	if err != nil {
		return err
	}
	archive, err := readChart(artifact)
	if err != nil {
		return err
	}
	file := fmt.Sprintf("%s-%s.tgz", programName, v.names.chart.tag)
	packed, err := os.ReadFile(filepath.Join(v.dist, file))
	if err != nil {
		return err
	}
	if !bytes.Equal(archive, packed) {
		return fmt.Errorf("%s is another chart", file)
	}
	registered, err := readRegistration(v.dist)
	if err != nil {
		return err
	}
	// With the values of the manifests, and without any: whoever installs the chart by himself gets the same image.
	for _, values := range []map[string]any{registered.values, {"image": map[string]any{"repository": v.names.image.repository}}} {
		image, err := renderedImage(archive, values)
		if err != nil {
			return err
		}
		if image != v.names.image.String() {
			return fmt.Errorf("its Deployment runs %s, and not %s", image, v.names.image)
		}
	}
	v.say("chart: %s", descriptor.Digest)
	return nil
}

// readChart returns the archive in the artifact of a chart.
func readChart(artifact containerregistry.Image) ([]byte, error) {
	layers, err := artifact.Layers()
	if err != nil {
		return nil, err
	}
	if len(layers) != 1 {
		return nil, fmt.Errorf("it has %d layers in place of one", len(layers))
	}
	mediaType, err := layers[0].MediaType()
	if err != nil {
		return nil, err
	}
	if mediaType != chartLayerType {
		return nil, fmt.Errorf("its layer is %s, and not %s", mediaType, chartLayerType)
	}
	content, err := layers[0].Compressed()
	if err != nil {
		return nil, err
	}
	defer content.Close()
	return io.ReadAll(content)
}

// renderedImage renders the chart as gardenlet does, and returns the image of its Deployment.
func renderedImage(archive []byte, values map[string]any) (string, error) {
	renderer := chartrenderer.NewWithServerVersion(&version.Info{GitVersion: "v1.36.0", Major: "1", Minor: "36"})
	rendered, err := renderer.RenderArchive(archive, "shoot-flux", "extension-shoot-flux", values)
	if err != nil {
		return "", err
	}
	for _, manifest := range rendered.Manifests {
		if manifest.Head.Kind != "Deployment" {
			continue
		}
		var deployment appsv1.Deployment
		if err := yaml.UnmarshalStrict([]byte(manifest.Content), &deployment); err != nil {
			return "", err
		}
		return deployment.Spec.Template.Spec.Containers[0].Image, nil
	}
	return "", errors.New("it renders no Deployment")
}
