// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package project

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
)

// ConfigMapName is the ConfigMap in a project's namespace of the garden that holds its configuration.
const ConfigMapName = "flux-config"

// Configuration is what has been written for the shoots of a project, but by the shoots themselves.
type Configuration struct {
	// layers are those of all shoots: of the landscape and of the project.
	layers []*layer
	// overrides are for shoots with certain labels.
	overrides []override
	// written tells that there is something: defaults of the landscape, or a ConfigMap.
	written bool
	// hasConfigMap tells that the project has one.
	hasConfigMap bool
	// shootsDenied tells that shoots must not say anything for themselves.
	shootsDenied bool
	// problems are those of the ConfigMap as a whole.
	problems field.ErrorList
}

// Read reads the layers of a project. There may be no defaults of the landscape and no ConfigMap.
//
// What is wrong in the ConfigMap is told when it is asked what a shoot is to have. Whatever is in it and is not understood is a problem: what
// runs must not change because something could not be read.
func Read(defaults *Defaults, configMap *corev1.ConfigMap) *Configuration {
	c := &Configuration{}
	if defaults != nil {
		c.layers, c.written = append(c.layers, defaults.layer), true
	}
	if configMap == nil {
		return c
	}
	c.written, c.hasConfigMap = true, true
	l := newLayer(OriginProject, inConfigMap, keyConfig, keyConfig+".")
	c.layers = append(c.layers, l)
	if count := len(configMap.Data) + len(configMap.BinaryData); count > MaxKeys {
		c.problems = field.ErrorList{field.Invalid(field.NewPath("data"), field.OmitValueType{},
			fmt.Sprintf("it has %d keys, of which only these are read: %s; remove the others", count, joinKeys()))}
		return c
	}
	values := l.readValues(configMap)
	c.shootsDenied = values[keyShootOverrides] == overridesForbidden
	if text, ok := values[keyConfig]; ok {
		l.readConfig(text)
	}
	l.check()
	if text, ok := values[keyOverrides]; ok {
		c.overrides = l.readOverrides(text)
	}
	return c
}

// Parse reads ConfigMap flux-config as far as it is about all shoots of the project. The FluxConfig is complete and valid.
//
// The error lists the problems, in the order of the keys, and has at most about 1 kB: what it leaves out, it counts. Each problem
// names its key, says what is wrong and what to write, and none repeats a password or token.
func Parse(configMap *corev1.ConfigMap) (*fluxv1alpha1.FluxConfig, error) {
	c := Read(nil, configMap)
	if len(c.problems) > 0 {
		return nil, c.problemOfSize()
	}
	m := merge(c.layers)
	config := m.complete()
	for _, override := range c.overrides {
		m.problems = append(m.problems, override.layer.problems...)
	}
	if list := m.list(); len(list) > 0 {
		return nil, summarise(list)
	}
	return config, nil
}

// problemOfSize is about no key, and named after none.
func (c *Configuration) problemOfSize() error {
	return fmt.Errorf("%s", c.problems[0].Detail)
}

// readValues reads the values of known keys that are not empty. Those of keys that stand for no field are returned.
//
// White space around a value is dropped: a YAML block scalar ends with a line end, and a copied value
// often with a blank, and neither ever belongs to a URL, a branch, a version or a path.
func (l *layer) readValues(configMap *corev1.ConfigMap) map[string]string {
	others := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(configMap.Data)) {
		i := indexOf(name)
		if i < 0 {
			l.report("", unknownKey(name))
			continue
		}
		value := strings.TrimSpace(configMap.Data[name])
		switch {
		case value == "":
		case keys[i].Field == "":
			if wrong := keys[i].checkWritten(value); wrong != nil {
				l.report(name, wrong(field.NewPath(name)))
				continue
			}
			others[name] = value
		case keys[i].isBool() && slices.Contains(keys[i].OneOf, value):
			l.write(keys[i].Field, name, value == allow)
		default:
			l.write(keys[i].Field, name, value)
		}
	}
	l.refuseBinary(configMap.BinaryData)
	return others
}

// refuseBinary refuses all that kubectl takes for binary, which is every file that is not UTF-8 text: with one as UTF-16, the
// repository would be taken for not written, and would be removed from the shoots.
func (l *layer) refuseBinary(data map[string][]byte) {
	for _, name := range slices.Sorted(maps.Keys(data)) {
		i := indexOf(name)
		if i < 0 {
			l.report("", unknownKey(name))
			continue
		}
		path := keys[i].Field
		l.names[path] = name
		l.report(path, field.Invalid(field.NewPath(name), field.OmitValueType{},
			"it is in binaryData, where kubectl puts a file that is not UTF-8 text: save the file as UTF-8, and make the ConfigMap from it again"))
	}
}

// readConfig reads key config.
func (l *layer) readConfig(text string) {
	data, err := readYAML(text)
	if err != nil {
		l.report(keyConfig, field.Invalid(field.NewPath(keyConfig), field.OmitValueType{}, err.Error()))
		return
	}
	l.refuse(l.readDocument(data))
}
