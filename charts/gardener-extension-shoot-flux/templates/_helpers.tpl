{{- /*
SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors

SPDX-License-Identifier: Apache-2.0
*/ -}}

{{- /*
The name of every object. It is fixed: Gardener's webhook library expects the Service by this name.
*/ -}}
{{- define "name" -}}
gardener-extension-shoot-flux
{{- end -}}

{{- define "leaderElectionID" -}}
shoot-flux-leader-election
{{- end -}}

{{- define "selectorLabels" -}}
app.kubernetes.io/name: {{ include "name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "labels" -}}
{{ include "selectorLabels" . }}
{{- end -}}

{{- define "image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{- define "ignoreAnnotation" -}}
{{- if .Values.ignoreResources -}}
resources.gardener.cloud/ignore: "true"
{{- end -}}
{{- end -}}
