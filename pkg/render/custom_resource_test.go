// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package render

import (
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
)

// TestRulesAreBounded: the users of a shoot choose how many rules their definitions have, and how long they are.
func TestRulesAreBounded(t *testing.T) {
	rules := func(number int, rule string) apiextensionsv1.ValidationRules {
		rules := make(apiextensionsv1.ValidationRules, number)
		for i := range rules {
			rules[i].Rule = rule
		}
		return rules
	}
	object := func(rules apiextensionsv1.ValidationRules, properties map[string]structuralschema.Structural) *structuralschema.Structural {
		return &structuralschema.Structural{Generic: structuralschema.Generic{Type: "object"}, ValidationExtensions: structuralschema.ValidationExtensions{XValidations: rules}, Properties: properties}
	}
	long := "'" + strings.Repeat("x", 20<<10) + "' != ''"
	for name, test := range map[string]struct {
		schema   *structuralschema.Structural
		compiled bool
	}{
		"some":               {object(rules(50, "true"), map[string]structuralschema.Structural{"spec": *object(rules(50, "true"), nil)}), true},
		"many":               {object(rules(101, "true"), nil), false},
		"many, further down": {object(nil, map[string]structuralschema.Structural{"spec": *object(rules(101, "true"), nil)}), false},
		"long ones":          {object(rules(2, long), nil), false},
	} {
		t.Run(name, func(t *testing.T) {
			NewWithT(t).Expect(newValidator(test.schema).rules != nil).To(Equal(test.compiled))
		})
	}
}
