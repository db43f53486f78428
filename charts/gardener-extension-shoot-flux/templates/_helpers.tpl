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

{{- define "scrapeAnnotations" -}}
{{- if .Values.metrics.enableScraping -}}
prometheus.io/scrape: "true"
prometheus.io/name: shoot-flux
prometheus.io/port: "{{ tpl .Values.metricsPort . }}"
{{- end -}}
{{- end -}}

{{- /*
Whether a Prometheus of a seed scrapes the extension. Where the extension runs for a self-hosted shoot only, there is none.
*/ -}}
{{- define "isMonitored" -}}
{{- if and .Values.metrics.enableScraping (not .Values.gardener.selfHostedShootCluster) -}}
true
{{- end -}}
{{- end -}}

{{- /*
The Secret with the kubeconfig of the garden that gardenlet makes for all extensions of the installation. It is empty where the
ControllerDeployment has no injectGardenKubeconfig: true: then the extension uses the kubeconfig of gardenlet itself.
*/ -}}
{{- define "genericKubeconfigSecretName" -}}
{{- (.Values.gardener.garden | default dict).genericKubeconfigSecretName | default "" -}}
{{- end -}}

{{- define "gardenAccessSecretName" -}}
garden-access-shoot-flux
{{- end -}}

{{- /*
The kubeconfig has the absolute path of the token in this directory.
*/ -}}
{{- define "gardenMountPath" -}}
/var/run/secrets/gardener.cloud/garden/generic-kubeconfig
{{- end -}}

{{- /*
Without this reference, gardener-resource-manager would collect the Secret with the kubeconfig as garbage.
*/ -}}
{{- define "gardenReferenceAnnotation" -}}
{{- with include "genericKubeconfigSecretName" . -}}
reference.resources.gardener.cloud/secret-{{ sha256sum . | trunc 8 }}: {{ . }}
{{- end -}}
{{- end -}}

{{- define "fluxReleasesCAName" -}}
{{ include "name" . }}-releases-ca
{{- end -}}

{{- define "landscapeDefaultsName" -}}
{{ include "name" . }}-landscape-defaults
{{- end -}}

{{- define "landscapeDefaultsMountPath" -}}
/etc/landscape-defaults
{{- end -}}

{{- define "landscapeDefaultsAnnotation" -}}
{{- with .Values.defaults -}}
checksum/landscape-defaults: {{ toYaml . | sha256sum }}
{{- end -}}
{{- end -}}

{{- define "fluxImagePullSecretName" -}}
{{ include "name" . }}-image-pull-secret
{{- end -}}

{{- define "fluxReleasesMountPath" -}}
/var/lib/flux-releases
{{- end -}}

{{- define "fluxReleasesCAMountPath" -}}
/etc/flux-releases-ca
{{- end -}}

{{- /*
A directory as DOCKER_CONFIG names it: libraries look for config.json in it.
*/ -}}
{{- define "fluxImagePullSecretMountPath" -}}
/etc/flux-image-pull-secret
{{- end -}}

{{- /*
Certificates and defaults of the landscape are read at the start of the program, so that pods with others must be new ones. A pull secret is read whenever it is used.
*/ -}}
{{- define "fluxReleasesCAAnnotation" -}}
{{- with .Values.flux.releases.caBundle -}}
checksum/flux-releases-ca: {{ sha256sum . }}
{{- end -}}
{{- end -}}

{{- /*
Networks that a project admin must not reach through the seed: the seed's own, and those that the operator lists.
*/ -}}
{{- define "hostKeyScanDenyNetworks" -}}
{{- $networks := list -}}
{{- $seed := ((.Values.gardener.seed | default dict).spec | default dict).networks | default dict -}}
{{- $shoot := ((.Values.gardener.shoot | default dict).spec | default dict).networking | default dict -}}
{{- range list $seed $shoot -}}
{{- $networks = concat $networks (list .nodes .pods .services | compact) (.blockCIDRs | default list) -}}
{{- end -}}
{{- concat $networks .Values.hostKeyScan.denyNetworks | uniq | join "," -}}
{{- end -}}
