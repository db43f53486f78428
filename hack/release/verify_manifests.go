// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	gardencorev1 "github.com/gardener/gardener/pkg/apis/core/v1"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	operatorv1alpha1 "github.com/gardener/gardener/pkg/apis/operator/v1alpha1"
)

// installation is what a manifest says about what Gardener is to install.
type installation struct {
	names artifacts
	// values are those of the chart.
	values map[string]any
}

// checkManifests reads the names of image and chart, and shows that both ways to install the extension have the same.
func (v *verification) checkManifests() error {
	registered, err := readRegistration(v.dist)
	if err != nil {
		return fmt.Errorf("%s: %w", registrationFile, err)
	}
	operated, err := readExtension(v.dist)
	if err != nil {
		return fmt.Errorf("%s: %w", extensionFile, err)
	}
	if registered.names != operated.names {
		return fmt.Errorf("%s has image %s and chart %s, but %s has %s and %s", registrationFile, registered.names.image, registered.names.chart,
			extensionFile, operated.names.image, operated.names.chart)
	}
	if registered.names.image.tag != registered.names.chart.tag {
		return fmt.Errorf("image %s and chart %s have different versions", registered.names.image, registered.names.chart)
	}
	rights, err := filepath.Glob(filepath.Join(v.dist, gardenDirectory, "*.yaml"))
	if err != nil {
		return err
	}
	if len(rights) == 0 {
		return fmt.Errorf("%s has no manifests", gardenDirectory)
	}
	v.names = registered.names
	v.say("%s and %s name\n  %s\n  %s", registrationFile, extensionFile, v.names.image, v.names.chart)
	return nil
}

// readNames returns the names of image and chart.
func readNames(dist string) (artifacts, error) {
	registered, err := readRegistration(dist)
	return registered.names, err
}

// readRegistration reads the ControllerDeployment, and refuses what gardener-apiserver would not know.
func readRegistration(dist string) (installation, error) {
	documents, err := readDocuments(filepath.Join(dist, registrationFile))
	if err != nil {
		return installation{}, err
	}
	if len(documents) != 2 {
		return installation{}, fmt.Errorf("it has %d documents in place of a ControllerDeployment and a ControllerRegistration", len(documents))
	}
	var deployment gardencorev1.ControllerDeployment
	if err := yaml.UnmarshalStrict(documents[0], &deployment); err != nil {
		return installation{}, err
	}
	if err := yaml.UnmarshalStrict(documents[1], &gardencorev1beta1.ControllerRegistration{}); err != nil {
		return installation{}, err
	}
	if deployment.Helm == nil || deployment.Helm.OCIRepository == nil || len(deployment.Helm.RawChart) > 0 {
		return installation{}, errors.New("the ControllerDeployment has a chart of its own in place of helm.ociRepository")
	}
	return readInstallation(deployment.Helm.OCIRepository, deployment.Helm.Values)
}

// readExtension reads the Extension of gardener-operator.
func readExtension(dist string) (installation, error) {
	documents, err := readDocuments(filepath.Join(dist, extensionFile))
	if err != nil {
		return installation{}, err
	}
	if len(documents) != 1 {
		return installation{}, fmt.Errorf("it has %d documents in place of an Extension", len(documents))
	}
	var extension operatorv1alpha1.Extension
	if err := yaml.UnmarshalStrict(documents[0], &extension); err != nil {
		return installation{}, err
	}
	deployment := extension.Spec.Deployment
	if deployment == nil || deployment.ExtensionDeployment == nil || deployment.ExtensionDeployment.Helm == nil || deployment.ExtensionDeployment.Helm.OCIRepository == nil {
		return installation{}, errors.New("it has no spec.deployment.extension.helm.ociRepository")
	}
	return readInstallation(deployment.ExtensionDeployment.Helm.OCIRepository, deployment.ExtensionDeployment.Values)
}

func readInstallation(chart *gardencorev1.OCIRepository, values *apiextensionsv1.JSON) (installation, error) {
	var read installation
	var err error
	if read.names.chart, err = parseReference(chart.GetURL()); err != nil {
		return installation{}, fmt.Errorf("the chart: %w", err)
	}
	if values == nil {
		return installation{}, errors.New("it has no values")
	}
	if err := json.Unmarshal(values.Raw, &read.values); err != nil {
		return installation{}, err
	}
	image, _ := read.values["image"].(map[string]any)
	if read.names.image, err = parseReference(fmt.Sprintf("%v:%v", image["repository"], image["tag"])); err != nil {
		return installation{}, fmt.Errorf("the image: %w", err)
	}
	return read, nil
}

// readDocuments returns the YAML documents of a file.
func readDocuments(file string) ([][]byte, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var documents [][]byte
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(content)))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return documents, nil
		}
		if err != nil {
			return nil, err
		}
		documents = append(documents, document)
	}
}
