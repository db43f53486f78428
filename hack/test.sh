#!/usr/bin/env bash
#
# SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
#
# SPDX-License-Identifier: Apache-2.0
#
# Runs one kind of tests: unit, integration (real programs: kube-apiserver, etcd, Git) or e2e (the whole local landscape).
# More arguments go to go test: hack/test.sh unit -run TestParse
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

kind="${1:-}"
shift || true
case "$kind" in
  unit)        timeout=25m ;;
  integration) timeout=40m ;;
  e2e)         timeout=40m ;;
  *)
    echo "usage: hack/test.sh unit|integration|e2e [arguments of go test]" >&2
    exit 1
    ;;
esac

all="$(go list ./...)"
case "$kind" in
  unit)        packages="$(grep -v '/test/' <<<"$all")" ;;
  integration) packages="$(grep '/test/' <<<"$all" | grep -v '/test/e2e$')" ;;
  e2e)         packages="$(grep '/test/e2e$' <<<"$all")" ;;
esac

if [[ "$kind" == integration ]]; then
  export KUBEBUILDER_ASSETS="${KUBEBUILDER_ASSETS:-$PWD/bin}"
  # By default 20 seconds, which a busy machine may need twice of.
  export KUBEBUILDER_CONTROLPLANE_START_TIMEOUT="${KUBEBUILDER_CONTROLPLANE_START_TIMEOUT:-2m}"
  for program in etcd kube-apiserver; do
    if [[ ! -x "$KUBEBUILDER_ASSETS/$program" ]]; then
      echo "$KUBEBUILDER_ASSETS/$program is missing: run 'make tools-envtest', or set KUBEBUILDER_ASSETS to a directory that has it" >&2
      exit 1
    fi
  done
fi

# The race detector needs cgo. End-to-end tests drive programs that are built without it; it would see none of them.
flags=()
if [[ "$kind" != e2e && "$(go env GOARCH)" =~ ^(amd64|arm64)$ ]]; then
  if ! command -v "${CC:-gcc}" >/dev/null; then
    echo "a C compiler is missing, which the race detector needs: install gcc, or set CC" >&2
    exit 1
  fi
  export CGO_ENABLED=1
  # With cgo, kustomize can load Go plugins. A program that can is linked dynamically in a way that the compiled zstd library of a
  # dependency of Gardener does not allow. Nothing here loads such plugins, and without cgo, as in production, nothing could.
  flags=(-race -tags=kustomize_disable_go_plugin_support)
else
  export CGO_ENABLED=0
fi

# A module of its own, for what the extension itself must not depend on.
if [[ "$kind" == integration ]]; then
  (cd test/gitclient && go test "${flags[@]}" -timeout="$timeout" ./... "$@")
fi

# shellcheck disable=SC2086 # one argument for each package
exec go test "${flags[@]}" -timeout="$timeout" $packages "$@"
