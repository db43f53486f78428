// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"time"

	containerregistry "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"helm.sh/helm/v4/pkg/chart/common"
	helmchart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	chartutil "helm.sh/helm/v4/pkg/chart/v2/util"
)

const (
	chartConfigType types.MediaType = "application/vnd.cncf.helm.config.v1+json"
	chartLayerType  types.MediaType = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
	chartDirectory                  = "charts/" + programName
)

// imageTag is the line of values.yaml that chooses the image.
var imageTag = regexp.MustCompile(`(?m)^(image:\n(?:  .*\n)*?  tag: )""$`)

// packedTime is the time of all files in the archive of a chart. Helm takes the present one for a zero time.
var packedTime = time.Unix(0, 0).UTC()

// writeChart writes the chart as an archive and as a layout, and returns the digest of its manifest. It does not depend on the registry, so
// that it can be copied into another one.
func (r *release) writeChart(image containerregistry.Hash) (containerregistry.Hash, error) {
	chart, err := loader.LoadDir(chartDirectory)
	if err != nil {
		return containerregistry.Hash{}, err
	}
	chart.Metadata.Version, chart.Metadata.AppVersion = r.version, r.version
	if err := setImageTag(chart, reference{tag: r.version, digest: image.String()}.version()); err != nil {
		return containerregistry.Hash{}, err
	}
	setTimes(chart)
	file, err := chartutil.Save(chart, r.directory)
	if err != nil {
		return containerregistry.Hash{}, err
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return containerregistry.Hash{}, err
	}
	artifact, err := newChartArtifact(chart.Metadata, content, r.labels())
	if err != nil {
		return containerregistry.Hash{}, err
	}
	target, err := layout.Write(filepath.Join(r.directory, chartLayout), empty.Index)
	if err != nil {
		return containerregistry.Hash{}, err
	}
	if err := target.AppendImage(artifact, layout.WithAnnotations(map[string]string{tagAnnotation: r.version})); err != nil {
		return containerregistry.Hash{}, err
	}
	return artifact.Digest()
}

// setImageTag writes the tag into values.yaml, which stays as it is for people otherwise.
func setImageTag(chart *helmchart.Chart, tag string) error {
	for _, file := range chart.Raw {
		if file.Name != chartutil.ValuesfileName {
			continue
		}
		if found := imageTag.FindAll(file.Data, -1); len(found) != 1 {
			return fmt.Errorf("%s has %d lines in place of one with an empty tag of the image", file.Name, len(found))
		}
		file.Data = imageTag.ReplaceAll(file.Data, []byte(`${1}"`+tag+`"`))
		return nil
	}
	return fmt.Errorf("the chart %s has no %s", chartDirectory, chartutil.ValuesfileName)
}

// setTimes makes the same archive of the same files.
func setTimes(chart *helmchart.Chart) {
	chart.ModTime, chart.SchemaModTime = packedTime, packedTime
	for _, files := range [][]*common.File{chart.Raw, chart.Templates, chart.Files} {
		for _, file := range files {
			file.ModTime = packedTime
		}
	}
}

// chartArtifact is a chart as Helm pushes it: its metadata as the configuration, its archive as the only layer.
type chartArtifact struct {
	config   []byte
	manifest []byte
	layer    containerregistry.Layer
}

func newChartArtifact(metadata *helmchart.Metadata, archive []byte, labels map[string]string) (containerregistry.Image, error) {
	config, err := json.Marshal(metadata)
	if err != nil {
		return nil, err
	}
	layer := static.NewLayer(archive, chartLayerType)
	configDescriptor, err := partial.Descriptor(static.NewLayer(config, chartConfigType))
	if err != nil {
		return nil, err
	}
	layerDescriptor, err := partial.Descriptor(layer)
	if err != nil {
		return nil, err
	}
	annotations := maps.Clone(labels)
	annotations["org.opencontainers.image.description"] = metadata.Description
	manifest, err := json.Marshal(containerregistry.Manifest{
		SchemaVersion: 2,
		MediaType:     types.OCIManifestSchema1,
		Config:        *configDescriptor,
		Layers:        []containerregistry.Descriptor{*layerDescriptor},
		Annotations:   annotations,
	})
	if err != nil {
		return nil, err
	}
	return partial.CompressedToImage(&chartArtifact{config: config, manifest: manifest, layer: layer})
}

// RawConfigFile implements partial.CompressedImageCore.
func (a *chartArtifact) RawConfigFile() ([]byte, error) { return a.config, nil }

// MediaType implements partial.CompressedImageCore.
func (a *chartArtifact) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }

// RawManifest implements partial.CompressedImageCore.
func (a *chartArtifact) RawManifest() ([]byte, error) { return bytes.Clone(a.manifest), nil }

// LayerByDigest implements partial.CompressedImageCore. The configuration is one, too.
func (a *chartArtifact) LayerByDigest(digest containerregistry.Hash) (partial.CompressedLayer, error) {
	for _, layer := range []containerregistry.Layer{a.layer, static.NewLayer(a.config, chartConfigType)} {
		if own, err := layer.Digest(); err != nil || own == digest {
			return layer, err
		}
	}
	return nil, fmt.Errorf("the chart has no layer %s", digest)
}
