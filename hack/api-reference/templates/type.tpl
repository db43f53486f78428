{{- /*
SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors

SPDX-License-Identifier: Apache-2.0
*/ -}}
{{- define "type" -}}
{{- $type := . -}}
{{- if markdownShouldRenderType $type }}
## {{ $type.Name }}

{{ $type.Doc }}
{{ if $type.Members }}
| field | meaning | default | rules |
|---|---|---|---|
{{ range $type.Members -}}
| `{{ .Name }}` {{ markdownRenderType .Type }} | {{ markdownRenderFieldDoc .Doc }} |{{ with .Default }} {{ markdownRenderDefault . }}{{ end }} |{{ range .Validation }}{{ if ne . "Optional: {}" }} {{ markdownRenderFieldDoc . }}{{ end }}{{ end }} |
{{ end -}}
{{ end -}}
{{ if $type.EnumValues }}
| value | meaning |
|---|---|
{{ range $type.EnumValues -}}
| `{{ .Name }}` | {{ markdownRenderFieldDoc .Doc }} |
{{ end -}}
{{ end -}}
{{- end -}}
{{- end -}}
