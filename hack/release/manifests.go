// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"sigs.k8s.io/kustomize/kyaml/kio"
	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// writeManifests writes what an operator applies: the examples, with image and chart of this release by digest.
func (r *release) writeManifests(names artifacts) error {
	if err := os.CopyFS(filepath.Join(r.directory, gardenDirectory), os.DirFS("example/garden")); err != nil {
		return err
	}
	for name, edit := range map[string]func(*yaml.RNode, artifacts) error{
		registrationFile: editRegistration,
		extensionFile:    editExtension,
	} {
		if err := editManifest(filepath.Join("example", name), filepath.Join(r.directory, name), names, edit); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// editManifest copies a manifest with changes to its documents. Comments and the order of the fields stay.
func editManifest(source, target string, names artifacts, edit func(*yaml.RNode, artifacts) error) error {
	content, err := os.ReadFile(source)
	if err != nil {
		return err
	}
	documents, err := (&kio.ByteReader{Reader: bytes.NewReader(content), PreserveSeqIndent: true}).Read()
	if err != nil {
		return err
	}
	for _, document := range documents {
		if err := edit(document, names); err != nil {
			return fmt.Errorf("%s %s: %w", document.GetKind(), document.GetName(), err)
		}
	}
	var edited bytes.Buffer
	if err := (kio.ByteWriter{Writer: &edited}).Write(documents); err != nil {
		return err
	}
	return os.WriteFile(target, edited.Bytes(), 0o644)
}

// editRegistration replaces the chart in the ControllerDeployment by its name in the registry.
func editRegistration(document *yaml.RNode, names artifacts) error {
	if document.GetKind() != "ControllerDeployment" {
		return nil
	}
	helm := document.Field("helm")
	if helm == nil {
		return errors.New("it has no helm")
	}
	if err := helm.Value.PipeE(yaml.Clear("rawChart")); err != nil {
		return err
	}
	return setNames(helm.Value, helm.Value, names)
}

// editExtension does the same for gardener-operator.
func editExtension(document *yaml.RNode, names artifacts) error {
	deployment, err := document.Pipe(yaml.Lookup("spec", "deployment", "extension"))
	if err != nil {
		return err
	}
	if deployment == nil || deployment.Field("helm") == nil {
		return errors.New("it has no spec.deployment.extension.helm")
	}
	return setNames(deployment.Field("helm").Value, deployment, names)
}

// setNames writes the chart's name into helm, and the image's into the values.
func setNames(helm, parent *yaml.RNode, names artifacts) error {
	if err := helm.PipeE(yaml.LookupCreate(yaml.MappingNode, "ociRepository"), yaml.SetField("ref", yaml.NewStringRNode(names.chart.String()))); err != nil {
		return err
	}
	image, err := parent.Pipe(yaml.LookupCreate(yaml.MappingNode, "values", "image"))
	if err != nil {
		return err
	}
	if err := image.PipeE(yaml.SetField("repository", yaml.NewStringRNode(names.image.repository))); err != nil {
		return err
	}
	return image.PipeE(yaml.SetField("tag", yaml.NewStringRNode(names.image.version())))
}
