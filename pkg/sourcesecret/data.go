// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package sourcesecret

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
)

// Data is what a Secret holds. However it is printed or logged, only its keys are shown.
type Data map[string][]byte

// Keys returns the keys in order.
func (d Data) Keys() []string { return slices.Sorted(maps.Keys(d)) }

// String implements fmt.Stringer without secrets.
func (d Data) String() string { return fmt.Sprint(d.Keys()) }

// GoString implements fmt.GoStringer without secrets.
func (d Data) GoString() string { return fmt.Sprintf("%#v", d.Keys()) }

// Format implements fmt.Formatter without secrets: for every verb.
func (d Data) Format(state fmt.State, verb rune) { format(state, verb, d) }

// MarshalJSON implements json.Marshaler without secrets.
func (d Data) MarshalJSON() ([]byte, error) { return json.Marshal(d.Keys()) }

// LogValue implements slog.LogValuer without secrets.
func (d Data) LogValue() slog.Value { return slog.AnyValue(d.Keys()) }

// MarshalLog implements logr.Marshaler without secrets.
func (d Data) MarshalLog() any { return d.Keys() }
