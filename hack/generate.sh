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

echo "generate: example/controller-registration.yaml"
gardener="$(go list -m -f '{{ .Dir }}' github.com/gardener/gardener)"
bash "$gardener/hack/generate-controller-registration.sh" --pod-security-enforce=restricted \
  shoot-flux charts/gardener-extension-shoot-flux v0.0.1 example/controller-registration.yaml Extension:shoot-flux
