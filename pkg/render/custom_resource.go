// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package render

import (
	"context"
	"fmt"
	"sync"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/version"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
)

// customResource knows how the API server of the shoot will see an object of a CustomResourceDefinition.
type customResource struct {
	gvk    schema.GroupVersionKind
	schema *structuralschema.Structural
	// validator is made only if somebody writes an object of the kind.
	validator func() validator
}

// validator is what an API server checks objects of a kind with.
type validator struct {
	schema validation.SchemaValidator
	rules  *cel.Validator
}

// How much is compiled of the rules of a kind, in number and in bytes: several times as much as the kinds of Flux have. The users of a shoot can write a definition
// with any number, and its API server checks all of them.
const (
	maxRules      = 100
	maxRuleLength = 32 << 10
)

func newValidator(structural *structuralschema.Structural) validator {
	v := validator{schema: validation.NewSchemaValidatorFromOpenAPI(structural.ToKubeOpenAPI())}
	if rules, length := countRules(structural); rules <= maxRules && length <= maxRuleLength {
		v.rules = cel.NewValidator(structural, true, celconfig.PerCallLimit)
	}
	return v
}

func countRules(structural *structuralschema.Structural) (rules, length int) {
	count := func(of apiextensionsv1.ValidationRules) (changed bool) {
		rules += len(of)
		for _, rule := range of {
			length += len(rule.Rule) + len(rule.MessageExpression)
		}
		return false
	}
	(&structuralschema.Visitor{
		Structural:            func(s *structuralschema.Structural) bool { return count(s.XValidations) },
		NestedValueValidation: func(s *structuralschema.NestedValueValidation) bool { return count(s.XValidations) },
	}).Visit(structural)
	return rules, length
}

// newCustomResource chooses the newest version that the CustomResourceDefinition serves.
func newCustomResource(definition *unstructured.Unstructured) (*customResource, error) {
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(definition.Object, crd); err != nil {
		return nil, fmt.Errorf("failed to read CustomResourceDefinition %s of the Flux manifests: %w", definition.GetName(), err)
	}

	var newest *apiextensionsv1.CustomResourceDefinitionVersion
	for i, candidate := range crd.Spec.Versions {
		if candidate.Served && candidate.Schema != nil && (newest == nil || version.CompareKubeAwareVersionStrings(candidate.Name, newest.Name) > 0) {
			newest = &crd.Spec.Versions[i]
		}
	}
	if newest == nil {
		return nil, fmt.Errorf("CustomResourceDefinition %s of the Flux manifests serves no version", crd.Name)
	}

	internal := &apiextensions.JSONSchemaProps{}
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(newest.Schema.OpenAPIV3Schema, internal, nil); err != nil {
		return nil, fmt.Errorf("failed to convert the schema of CustomResourceDefinition %s: %w", crd.Name, err)
	}
	structural, err := structuralschema.NewStructural(internal)
	if err != nil {
		return nil, fmt.Errorf("the schema of CustomResourceDefinition %s is not structural: %w", crd.Name, err)
	}

	return &customResource{
		gvk:    schema.GroupVersionKind{Group: crd.Spec.Group, Version: newest.Name, Kind: crd.Spec.Names.Kind},
		schema: structural,

		validator: sync.OnceValue(func() validator { return newValidator(structural) }),
	}, nil
}

// complete turns an object into what the API server would store for it: it gets the version that is served, fields that this doesn't know are
// dropped, and its defaults are set. It returns the fields that were dropped. (Flux's definitions have no other conversion.)
func (c *customResource) complete(object *unstructured.Unstructured) []string {
	object.SetGroupVersionKind(c.gvk)
	dropped := pruning.PruneWithOptions(object.Object, c.schema, true, structuralschema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	defaulting.Default(object.Object, c.schema)
	dropServerFields(object)
	return dropped
}

// knows tells whether objects have a field.
func (c *customResource) knows(path ...string) bool {
	known := c.schema
	for _, name := range path {
		property, ok := known.Properties[name]
		if !ok {
			return false
		}
		known = &property
	}
	return true
}

// maxErrors is how many mistakes are named.
const maxErrors = 3

// validate returns what the API server would refuse of an object that is complete. The error says which fields of a template are meant.
func (c *customResource) validate(object *unstructured.Unstructured, template string) error {
	check, path := c.validator(), field.NewPath(template)
	mistakes := validation.ValidateCustomResource(path, object.Object, check.schema)
	if len(mistakes) == 0 && check.rules != nil {
		mistakes, _ = check.rules.Validate(context.Background(), path, c.schema, object.Object, nil, celconfig.RuntimeCELCostBudget)
	}
	return mistakes[:min(len(mistakes), maxErrors)].ToAggregate()
}
