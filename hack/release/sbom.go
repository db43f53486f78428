// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	containerregistry "github.com/google/go-containerregistry/pkg/v1"
)

// sbom is what is read of a software bill of materials.
type sbom struct {
	BOMFormat string `json:"bomFormat"`
	Metadata  struct {
		Component struct {
			Version string `json:"version"`
		} `json:"component"`
		Properties []struct {
			Name  string `json:"name"`
			Value string `json:"value"`
		} `json:"properties"`
	} `json:"metadata"`
	Components []struct {
		Name     string           `json:"name"`
		Licenses []map[string]any `json:"licenses"`
	} `json:"components"`
}

// programChecksum is the property that ties an SBOM to a program.
const programChecksum = "cdx:gomod:binary:hash:SHA-256"

// sbomFile is the name of the software bill of materials for a platform.
func sbomFile(platform containerregistry.Platform) string {
	return fmt.Sprintf("sbom-%s-%s.cdx.json", platform.OS, platform.Architecture)
}

// writeBillOfMaterials lets cyclonedx-gomod read from the program what it is made of, and adds the licences.
func (r *release) writeBillOfMaterials(ctx context.Context, program program) error {
	target := filepath.Join(r.directory, sbomFile(program.platform))
	if _, err := command(ctx, nil, r.sbomTool, "bin", "-json", "-std", "-noserial", "-notimestamp", "-version", r.version, "-output", target, program.file); err != nil {
		return err
	}
	content, err := os.ReadFile(target)
	if err != nil {
		return err
	}
	completed, err := completeSBOM(content, r.dependencies)
	if err != nil {
		return err
	}
	return os.WriteFile(target, completed, 0o644)
}

// completeSBOM adds the licences, which cyclonedx-gomod guesses with less care, and takes away what depends on how that program was built.
func completeSBOM(content []byte, dependencies []dependency) ([]byte, error) {
	licences := map[string][]string{}
	for _, dependency := range dependencies {
		licences[dependency.module] = dependency.licences
	}
	var bill map[string]any
	if err := json.Unmarshal(content, &bill); err != nil {
		return nil, err
	}
	metadata, _ := bill["metadata"].(map[string]any)
	tools, _ := metadata["tools"].([]any)
	for _, tool := range tools {
		if tool, ok := tool.(map[string]any); ok {
			delete(tool, "hashes")
		}
	}
	components, _ := bill["components"].([]any)
	for _, component := range components {
		component, ok := component.(map[string]any)
		if !ok {
			return nil, errors.New("a component is none")
		}
		name, _ := component["name"].(string)
		if len(licences[name]) == 0 {
			return nil, fmt.Errorf("the program has the module %q, whose licence is not known", name)
		}
		var named []any
		for _, licence := range licences[name] {
			named = append(named, map[string]any{"license": map[string]any{"id": licence}})
		}
		component["licenses"] = named
	}
	var completed bytes.Buffer
	encoder := json.NewEncoder(&completed)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(bill)
	return completed.Bytes(), err
}
