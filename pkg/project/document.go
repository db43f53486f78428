// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package project

import (
	gojson "encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	yamlv3 "go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/util/validation/field"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
)

const (
	// maxConfigLength in bytes of a FluxConfig as a document.
	maxConfigLength = 32 << 10
	// maxOverridesLength in bytes of the list of overrides.
	maxOverridesLength = 128 << 10
	// maxOverrides is how many overrides there can be.
	maxOverrides = 64
	// maxRequirements is how many labels and how many expressions the selector of an override can have.
	maxRequirements = 32
	// maxStrictProblems is how many unknown fields are told.
	maxStrictProblems = 16
)

// kindFluxConfig is the kind of the documents.
const kindFluxConfig = "FluxConfig"

// readYAML makes JSON of YAML. What refers to another place of the document is refused: it could stand for far more than is written.
func readYAML(text string) ([]byte, error) {
	document := yamlv3.Node{}
	if err := yamlv3.Unmarshal([]byte(text), &document); err != nil {
		return nil, fmt.Errorf("it is not YAML: %.200s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if hasAlias(&document) {
		return nil, errors.New("it refers to another place of the document (*name): write out what stands there")
	}
	data, err := yaml.YAMLToJSONStrict([]byte(text))
	if err != nil {
		words := lineEnds.ReplaceAllString(err.Error(), " ")
		return nil, fmt.Errorf("it is not YAML: %.200s", afterLast(words, "yaml: ", "unmarshal errors: "))
	}
	return data, nil
}

// afterLast is the text behind what stands before it in the parser's words.
func afterLast(text string, before ...string) string {
	for _, words := range before {
		if i := strings.LastIndex(text, words); i >= 0 {
			text = text[i+len(words):]
		}
	}
	return text
}

var lineEnds = regexp.MustCompile(`\s*\n\s*`)

func hasAlias(node *yamlv3.Node) bool {
	return node.Kind == yamlv3.AliasNode || slices.ContainsFunc(node.Content, hasAlias)
}

// unknownField is a field of a document that nobody reads.
type unknownField struct{ path, detail string }

// readDocument takes a FluxConfig in JSON into the layer. Unknown fields are returned.
func (l *layer) readDocument(data []byte) []unknownField {
	config := fluxv1alpha1.FluxConfig{}
	strict, err := kjson.UnmarshalStrict(data, &config)
	document := map[string]any{}
	if err == nil {
		err = kjson.UnmarshalCaseSensitivePreserveInts(data, &document)
	}
	if err != nil {
		path, found := l.misread(err)
		l.report(path, found)
		return nil
	}
	if err := checkType(&config); err != nil {
		l.report("", field.Invalid(field.NewPath(l.document), field.OmitValueType{}, err.Error()))
		return nil
	}
	values := flatten(document)
	for _, path := range slices.Sorted(maps.Keys(values)) {
		l.write(path, l.prefix+path, values[path])
	}
	return unknownIn(strict)
}

// checkType accepts a document that does not say of which type it is: the place where it stands says it.
func checkType(config *fluxv1alpha1.FluxConfig) error {
	if config.APIVersion != "" && config.APIVersion != fluxv1alpha1.GroupVersion.String() || config.Kind != "" && config.Kind != kindFluxConfig {
		return fmt.Errorf("write apiVersion: %s and kind: %s, or none of them", fluxv1alpha1.GroupVersion, kindFluxConfig)
	}
	return nil
}

// misread says why a document can't be read.
func (l *layer) misread(err error) (string, *field.Error) {
	wrong := (*gojson.UnmarshalTypeError)(nil)
	if !errors.As(err, &wrong) {
		return "", field.Invalid(field.NewPath(l.document), field.OmitValueType{}, fmt.Sprintf("it can't be read: %.200s", err.Error()))
	}
	if wrong.Field == "" {
		return "", field.Invalid(field.NewPath(l.document), field.OmitValueType{}, fmt.Sprintf("it is %s: write fields of a FluxConfig, such as repository", wordForValue(wrong.Value)))
	}
	return wrong.Field, field.Invalid(field.NewPath(l.prefix+wrong.Field), field.OmitValueType{}, fmt.Sprintf("it is %s: write %s", wordForValue(wrong.Value), wordFor(wrong.Type.Kind().String())))
}

// wordForValue says what was found, of which encoding/json says the kind and sometimes the value.
func wordForValue(found string) string {
	switch kind, _, _ := strings.Cut(found, " "); kind {
	case "object":
		return "fields and their values"
	case "array":
		return "a list"
	case "bool":
		return "true or false (as yes, no, on and off are as well)"
	case "string":
		return "text"
	default:
		return "a " + kind
	}
}

// wordFor says in YAML what a kind of Go is.
func wordFor(kind string) string {
	switch kind {
	case "string":
		return `text, in quotes, such as "2.9"`
	case "bool":
		return "true or false, without quotes"
	case "slice":
		return "a list"
	}
	return "fields and their values"
}

// unknownIn says of each unknown field which was probably meant.
func unknownIn(strict []error) []unknownField {
	var unknown []unknownField
	for _, err := range strict {
		at := kjson.FieldError(nil)
		if !errors.As(err, &at) || len(unknown) == maxStrictProblems {
			continue
		}
		detail := "unknown field, " + hintFor(at.FieldPath())
		if strings.HasPrefix(err.Error(), "duplicate field") {
			detail = "it is written twice: remove one"
		}
		unknown = append(unknown, unknownField{path: at.FieldPath(), detail: detail})
	}
	return unknown
}

// refuse makes problems of unknown fields.
func (l *layer) refuse(unknown []unknownField) {
	for _, u := range unknown {
		l.report("", field.Forbidden(field.NewPath(l.prefix+echo(u.path)), u.detail))
	}
}
