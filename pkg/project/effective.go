// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package project

import (
	gojson "encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation/field"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
)

// MaxProviderConfigLength is in bytes.
const MaxProviderConfigLength = maxConfigLength

// documentOfShoot is the field of the Shoot that its owner writes.
const documentOfShoot = "providerConfig"

// Defaults are those of the landscape.
type Defaults struct{ layer *layer }

// ReadDefaults reads a FluxConfig in YAML. It is nil if nothing is written. It need not be complete: projects complete it.
func ReadDefaults(text string) (*Defaults, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	if len(text) > maxConfigLength {
		return nil, fmt.Errorf("the defaults of the landscape have more than %d bytes", maxConfigLength)
	}
	data, err := readYAML(text)
	if err != nil {
		return nil, fmt.Errorf("the defaults of the landscape can't be read: %w", err)
	}
	l := newLayer(OriginLandscape, inLandscape, "defaults", "")
	l.refuse(l.readDocument(data))
	l.check()
	if list := l.problems.list(); len(list) > 0 {
		return nil, fmt.Errorf("the defaults of the landscape are not valid: %w", summarise(list))
	}
	if len(l.values) == 0 {
		return nil, nil
	}
	return &Defaults{layer: l}, nil
}

// Shoot is what decides about the configuration of a shoot.
type Shoot struct {
	// Namespace and Name are those of the Shoot in the garden.
	Namespace, Name string
	// Labels are those of the Shoot.
	Labels map[string]string
	// ProviderConfig is what the owner of the shoot has written, as JSON, or empty.
	ProviderConfig []byte
	// HadConfigMap tells that what the shoot has was made when the project had a ConfigMap.
	HadConfigMap bool
}

// Effective is what a shoot is to have, of all that has been written.
type Effective struct {
	// Config is complete and valid.
	Config *fluxv1alpha1.FluxConfig
	// Origins say who wrote what of it.
	Origins Origins
	// Written are the same with the values, for people: in the order of the fields, and shortened.
	Written []fluxv1alpha1.WrittenField
	// Warnings are sentences about what has no effect.
	Warnings []string
	// Digest tells two configurations apart.
	Digest string
	// HasConfigMap tells that the project has a ConfigMap.
	HasConfigMap bool
	// InheritedDigest is the one of what the shoot would have if its owner had written nothing. In former releases it stood for all.
	InheritedDigest string
}

// formFields are those of which a providerConfig has one that was written for the extension of stackitcloud.
var formFields = []string{"flux", "source", "kustomization", fieldAdditionalSecrets}

// formDefaults are what counts where nobody wrote anything, if all that a shoot has comes from such a providerConfig: what that extension did.
var formDefaults = leaves{
	fieldInstallation:  string(fluxv1alpha1.InstallationOnce),
	fieldSyncMode:      string(fluxv1alpha1.SyncOnce),
	fieldRemovalPolicy: string(fluxv1alpha1.RemovalKeepFlux),
}

// Effective says what a shoot is to have. Its error says in which object what is wrong, and what to write.
func (c *Configuration) Effective(shoot Shoot) (*Effective, error) {
	own, warnings, inForm := readShoot(shoot.ProviderConfig)
	if !c.written && !inForm {
		return nil, fmt.Errorf("ConfigMap %s/%s does not exist in the garden: create it to say which Flux version and Git repository the shoots of the project get, "+
			"for example: kubectl -n %s create configmap %s --from-literal=repositoryUrl=https://…; without any key, only Flux is installed",
			shoot.Namespace, ConfigMapName, shoot.Namespace, ConfigMapName)
	}
	if !c.hasConfigMap && shoot.HadConfigMap {
		return nil, fmt.Errorf("ConfigMap %s/%s does not exist in the garden any more, so the shoot keeps what it has: create it again; without any key, it leaves all to what is written elsewhere",
			shoot.Namespace, ConfigMapName)
	}
	if len(c.problems) > 0 {
		return nil, errors.New(shoot.invalid(inConfigMap, c.problemOfSize()))
	}
	inherited := c.layersFor(shoot)
	if c.shootsDenied && saysSomething(shoot.ProviderConfig) {
		own.report("", field.Forbidden(field.NewPath(documentOfShoot), fmt.Sprintf("the project does not allow its shoots to differ (key %s of ConfigMap %s): remove what is written", keyShootOverrides, ConfigMapName)))
	}
	m := merge(append(slices.Clone(inherited), own))
	if inForm && (!c.hasConfigMap || saysAllToFollow(own)) {
		m.addFormDefaults()
	}
	config := m.complete()
	// All overrides are read, also those for other shoots: the ConfigMap is valid as a whole or not at all.
	if err := m.errorFor(shoot, c.problemsOfOthers(inherited)); err != nil {
		return nil, err
	}
	below := merge(inherited).config()
	SetDefaults(below)
	return &Effective{Config: config, Origins: m.origins(), Written: m.written(config), Warnings: warnings, HasConfigMap: c.hasConfigMap, Digest: Digest(config), InheritedDigest: Digest(below)}, nil
}

// saysAllToFollow tells whether what a shoot follows is due to its own layer. Else a shoot that differs in a detail, such as a Secret or a controller
// more, would lose to its users what the extension manages for the project.
func saysAllToFollow(own *layer) bool {
	return own.values.has(fieldSourceTemplate) && own.values.has(fieldKustomizationTemplate)
}

// layersFor are all layers but the shoot's own.
func (c *Configuration) layersFor(shoot Shoot) []*layer {
	layers := slices.Clone(c.layers)
	for _, override := range c.overrides {
		if override.selector.Matches(labels.Set(shoot.Labels)) {
			layers = append(layers, override.layer)
		}
	}
	return layers
}

// problemsOfOthers are those of overrides that are not among the layers.
func (c *Configuration) problemsOfOthers(layers []*layer) field.ErrorList {
	var list field.ErrorList
	for _, override := range c.overrides {
		if !slices.Contains(layers, override.layer) {
			list = append(list, override.layer.problems.list()...)
		}
	}
	return list
}

// readShoot reads the layer of a shoot. In a providerConfig of the other extension's form, an unknown field is a warning.
func readShoot(providerConfig []byte) (_ *layer, warnings []string, inForm bool) {
	l := newLayer(OriginShoot, inShoot, documentOfShoot, "")
	switch {
	case len(providerConfig) == 0 || string(providerConfig) == "null":
		return l, nil, false
	case len(providerConfig) > MaxProviderConfigLength:
		l.report("", field.TooLong(field.NewPath(documentOfShoot), "", MaxProviderConfigLength))
		return l, nil, false
	}
	unknown := l.readDocument(providerConfig)
	if inForm = isInForm(providerConfig); inForm {
		for _, u := range unknown {
			warnings = append(warnings, fmt.Sprintf("field %s has no effect: %s", Location{Path: echo(u.path), Origin: OriginShoot}, u.detail))
		}
	} else {
		l.refuse(unknown)
	}
	l.check()
	return l, warnings, inForm
}

func isInForm(providerConfig []byte) bool {
	return hasField(providerConfig, func(name string) bool { return slices.Contains(formFields, name) })
}

// saysSomething tells whether there is anything in a providerConfig but what it is: a field without a value can have a meaning, too.
func saysSomething(providerConfig []byte) bool {
	return hasField(providerConfig, func(name string) bool { return name != "apiVersion" && name != "kind" })
}

// hasField tells whether a document has a field at its top with such a name. One that can't be read has none.
func hasField(document []byte, matches func(name string) bool) bool {
	fields := map[string]gojson.RawMessage{}
	if len(document) > MaxProviderConfigLength || gojson.Unmarshal(document, &fields) != nil {
		return false
	}
	for name := range fields {
		if matches(name) {
			return true
		}
	}
	return false
}

// addFormDefaults writes what nobody wrote.
func (m *merged) addFormDefaults() {
	form := newLayer(OriginForm, inShoot, documentOfShoot, "")
	m.layers = append(m.layers, form)
	for path, value := range formDefaults {
		if !m.values.has(path) {
			m.values[path], m.from[path] = value, len(m.layers)-1
		}
	}
}

// complete is what the layers say together, with defaults. What is wrong with it is noted.
func (m *merged) complete() *fluxv1alpha1.FluxConfig {
	config := m.config()
	SetDefaults(config)
	m.validate(config)
	return config
}

// origins say who wrote a value.
func (m *merged) origins() Origins {
	origins := Origins{}
	for path, i := range m.from {
		origins[path] = m.layers[i].originOf(path)
	}
	return origins
}

// maxWrittenLength in characters is how much of a value is repeated in the status of each shoot.
const maxWrittenLength = 256

// written says who wrote which value, as it counts.
func (m *merged) written(config *fluxv1alpha1.FluxConfig) []fluxv1alpha1.WrittenField {
	values := leavesOf(config)
	var written []fluxv1alpha1.WrittenField
	for _, path := range fieldPaths {
		from, ok := m.from[path]
		if !ok {
			continue
		}
		value := values[path]
		text := ""
		if gojson.Unmarshal([]byte(value), &text) == nil {
			value = text
		}
		if runes := []rune(value); len(runes) > maxWrittenLength {
			value = string(runes[:maxWrittenLength]) + "…"
		}
		written = append(written, fluxv1alpha1.WrittenField{Field: path, Value: value, Origin: m.layers[from].originOf(path)})
	}
	return written
}

// errorFor puts the problems together by the object in which they are, with those of others in the ConfigMap.
func (m *merged) errorFor(shoot Shoot, others field.ErrorList) error {
	byPlace := map[place]field.ErrorList{}
	sorted := slices.Clone(m.problems)
	_ = sorted.list()
	for _, problem := range sorted {
		at := m.layers[problem.layer].place
		byPlace[at] = append(byPlace[at], problem.err)
	}
	byPlace[inConfigMap] = append(byPlace[inConfigMap], others...)
	var sentences []string
	for _, at := range []place{inLandscape, inConfigMap, inShoot} {
		if list := byPlace[at]; len(list) > 0 {
			sentences = append(sentences, shoot.invalid(at, summarise(list)))
		}
	}
	if len(sentences) == 0 {
		return nil
	}
	return errors.New(strings.Join(sentences, "; "))
}

// invalid says in which object the problems are.
func (s *Shoot) invalid(at place, problems error) string {
	switch at {
	case inLandscape:
		return fmt.Sprintf("the defaults of the landscape are not valid: %s", problems)
	case inShoot:
		return fmt.Sprintf("field providerConfig of extension shoot-flux in Shoot %s/%s is not valid: %s", s.Namespace, s.Name, problems)
	}
	return fmt.Sprintf("ConfigMap %s/%s in the garden is not valid: %s", s.Namespace, ConfigMapName, problems)
}
