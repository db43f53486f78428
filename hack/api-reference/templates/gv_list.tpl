{{- define "gvList" -}}
<!--
SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors

SPDX-License-Identifier: Apache-2.0
-->

<!-- Made by make generate from pkg/apis/flux/v1alpha1. -->

# API reference

What the fields mean together, and how layers are merged, is told in [configuration](configuration.md).
{{ range . }}{{ template "gvDetails" . }}{{ end }}
{{- end -}}
