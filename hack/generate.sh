#!/usr/bin/env bash
#
# SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
#
# SPDX-License-Identifier: Apache-2.0

# Generates everything that is generated, in the directory that the first argument names (default: this repository).
# Needs helm and yq in bin/ (hack/build-tools.sh chart).
set -euo pipefail
cd "${1:-$(dirname "${BASH_SOURCE[0]}")/..}"

for program in helm yq; do
  if [[ ! -x "bin/$program" ]]; then
    echo "bin/$program is missing: run 'make tools' or 'hack/build-tools.sh chart'" >&2
    exit 1
  fi
done
# Another program called yq may be installed: ours comes first.
PATH="$PWD/bin:$PATH"

echo "generate: the embedded Flux manifests"
go run ./hack/flux-manifests

# Takes about half a minute. No cheaper check would also see what a change of a program or of a pinned module gives.
echo "generate: the past Flux releases for tests"
go run ./hack/flux-manifests/past

echo "generate: what is said about the keys of flux-config"
go run ./hack/configuration-keys

echo "generate: deep copies of API types"
go tool -modfile=hack/tools/controller-gen/go.mod controller-gen object:headerFile=hack/boilerplate.go.txt paths=./pkg/apis/...

echo "generate: the reference of the API types"
go tool -modfile=hack/tools/crd-ref-docs/go.mod crd-ref-docs --source-path=pkg/apis/flux/v1alpha1 --config=hack/api-reference/config.yaml \
  --renderer=markdown --templates-dir=hack/api-reference/templates --output-path=docs/usage/api-reference.md --log-level=WARN

# What Gardener's own script can't say is added from hack/registration.yaml.
registration=example/controller-registration.yaml
version=v0.0.1
echo "generate: $registration"
gardener="$(go list -m -f '{{ .Dir }}' github.com/gardener/gardener)"
bash "$gardener/hack/generate-controller-registration.sh" --pod-security-enforce=restricted --inject-garden-kubeconfig \
  shoot-flux charts/gardener-extension-shoot-flux "$version" "$registration" Extension:shoot-flux
yq --inplace '(select(.kind == "ControllerRegistration") | .spec.resources[0]) *= (load("hack/registration.yaml") | ... comments="")' "$registration"

# The same registration for gardener-operator, which takes the chart from a registry instead of the manifest.
echo "generate: example/operator-extension.yaml"
cat >example/operator-extension.yaml <<'EOF'
# SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
#
# SPDX-License-Identifier: Apache-2.0
EOF
chart=ghcr.io/23technologies/charts/gardener-extension-shoot-flux:"$version" yq eval-all '
  (select(.kind == "ControllerDeployment")) as $deployment | (select(.kind == "ControllerRegistration")) as $registration |
  select(.kind == "ControllerRegistration") | {
    "apiVersion": "operator.gardener.cloud/v1alpha1",
    "kind": "Extension",
    "metadata": $registration.metadata,
    "spec": {
      "resources": $registration.spec.resources,
      "deployment": {"extension": {
        "helm": {"ociRepository": {"ref": strenv(chart)}},
        "values": $deployment.helm.values,
        "injectGardenKubeconfig": $deployment.injectGardenKubeconfig
      }}
    }
  }' "$registration" >>example/operator-extension.yaml
