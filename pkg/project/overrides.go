// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package project

import (
	"encoding/json"
	"errors"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation/field"
	kjson "sigs.k8s.io/json"
)

// override is what is different for shoots with certain labels.
type override struct {
	selector labels.Selector
	layer    *layer
}

// writtenOverride is an entry of key overrides.
type writtenOverride struct {
	Selector *metav1.LabelSelector `json:"selector"`
	Config   json.RawMessage       `json:"config"`
}

// readOverrides reads key overrides of the project's layer. What is wrong in one is a problem of that one.
func (l *layer) readOverrides(text string) []override {
	refuse := func(text string) {
		l.report(keyOverrides, field.Invalid(field.NewPath(keyOverrides), field.OmitValueType{}, text))
	}
	data, err := readYAML(text)
	if err != nil {
		refuse(err.Error())
		return nil
	}
	var entries []writtenOverride
	strict, err := kjson.UnmarshalStrict(data, &entries)
	if err != nil {
		refuse(misreadList(err))
		return nil
	}
	for _, err := range strict[:min(len(strict), maxStrictProblems)] {
		if at := kjson.FieldError(nil); errors.As(err, &at) {
			l.report(keyOverrides, field.Forbidden(field.NewPath(keyOverrides+echo(at.FieldPath())), "unknown field, the known ones here are selector with matchLabels and matchExpressions, and config"))
		}
	}
	if len(entries) > maxOverrides {
		l.report(keyOverrides, field.TooMany(field.NewPath(keyOverrides), len(entries), maxOverrides))
		return nil
	}
	var overrides []override
	for i, entry := range entries {
		overrides = append(overrides, newOverride(i, entry))
	}
	return overrides
}

// misreadList says why the list can't be read.
func misreadList(err error) string {
	const write = "write a list of entries with selector and config"
	wrong := (*json.UnmarshalTypeError)(nil)
	if !errors.As(err, &wrong) {
		return fmt.Sprintf("%s: %.200s", write, err.Error())
	}
	if wrong.Field == "" {
		return fmt.Sprintf("it is %s: %s", wordForValue(wrong.Value), write)
	}
	return fmt.Sprintf("%s of an entry is %s: write %s", wrong.Field, wordForValue(wrong.Value), wordFor(wrong.Type.Kind().String()))
}

// checkSize bounds the work that a selector makes.
func checkSize(selector *metav1.LabelSelector, path *field.Path) *field.Error {
	if count := len(selector.MatchLabels); count > maxRequirements {
		return field.TooMany(path.Child("matchLabels"), count, maxRequirements)
	}
	if count := len(selector.MatchExpressions); count > maxRequirements {
		return field.TooMany(path.Child("matchExpressions"), count, maxRequirements)
	}
	return nil
}

func newOverride(i int, entry writtenOverride) override {
	name := fmt.Sprintf("%s[%d]", keyOverrides, i)
	l := newLayer(name, inConfigMap, name+".config", name+".config.")
	o := override{selector: labels.Nothing(), layer: l}
	path := field.NewPath(name).Child("selector")
	if entry.Selector == nil {
		l.report("", field.Required(path, "it says for which shoots the entry is: write matchLabels or matchExpressions, or {} for all"))
	} else if err := checkSize(entry.Selector, path); err != nil {
		l.report("", err)
	} else if errs := metav1validation.ValidateLabelSelector(entry.Selector, metav1validation.LabelSelectorValidationOptions{}, path); len(errs) > 0 {
		for _, err := range errs {
			l.report("", err)
		}
	} else if selector, err := metav1.LabelSelectorAsSelector(entry.Selector); err == nil {
		o.selector = selector
	}
	switch {
	case len(entry.Config) == 0 || string(entry.Config) == "null":
		l.report("", field.Required(field.NewPath(name).Child("config"), "write what is different for these shoots, as fields of a FluxConfig"))
	case len(entry.Config) > maxConfigLength:
		l.report("", field.TooLong(field.NewPath(name).Child("config"), "", maxConfigLength))
	default:
		l.refuse(l.readDocument(entry.Config))
		l.check()
	}
	return o
}
