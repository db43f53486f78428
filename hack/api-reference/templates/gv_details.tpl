{{- /*
SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors

SPDX-License-Identifier: Apache-2.0
*/ -}}
{{- define "gvDetails" }}
All types are of `{{ .GroupVersionString }}`.
{{ range .SortedTypes }}{{ template "type" . }}{{ end }}
{{- end -}}
