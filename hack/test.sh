#!/usr/bin/env bash
#
# SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
#
# SPDX-License-Identifier: Apache-2.0
#
# Runs one kind of tests: unit, integration (real programs: kube-apiserver, etcd, Git), landscape (the parts of the local landscape), e2e
# (what people do, on the whole of it) or fleet (what many shoots on one seed cost); or fast: unit and integration, quicker for not
# having the race detector, nor what go test -short leaves out.
# More arguments go to go test: hack/test.sh unit -run TestParse
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

kind="${1:-}"
shift || true
case "$kind" in
  unit)        timeout=25m ;;
  integration) timeout=60m ;;
  landscape)   timeout=25m ;;
  e2e)         timeout=40m ;;
  fleet)       timeout=25m ;;
  fast)        timeout=60m ;;
  *)
    echo "usage: hack/test.sh unit|integration|landscape|e2e|fleet|fast [arguments of go test]" >&2
    exit 1
    ;;
esac

# The tests of the landscape, and what runs on it, take Gardener from where its programs come from.
if [[ "${GARDENER_MODFILE:-}" ]]; then
  if [[ ! "$kind" =~ ^(landscape|e2e)$ ]]; then
    echo "GARDENER chooses the Gardener of the landscape: it is for test-landscape and test-e2e, not for $kind" >&2
    exit 1
  fi
  export GOFLAGS="${GOFLAGS:-} -modfile=$GARDENER_MODFILE"
fi

# -e: a package that can't be loaded fails in the kind that it belongs to. So the product can get a new Gardener before the landscape does.
all="$(go list -e ./...)"
case "$kind" in
  unit)        packages="$(grep -v '/test/' <<<"$all")" ;;
  integration) # those of the lifecycle controller first, which take longest
    all="$(grep '/lifecycle$' <<<"$all"; grep -v '/lifecycle$' <<<"$all")"
    packages="$(grep '/test/' <<<"$all" | grep -Ev '/test/(e2e|fleet|landscape)(/|$)')"
    ;;
  fast)        packages="$(grep -Ev '/test/(e2e|fleet|landscape)(/|$)' <<<"$all")" ;;
  landscape)   packages="$(grep -E '/test/landscape(/|$)' <<<"$all")" ;;
  e2e)         packages="$(grep '/test/e2e$' <<<"$all")" ;;
  fleet)       packages="$(grep '/test/fleet$' <<<"$all")" ;;
esac

# The race detector needs cgo. End-to-end tests and those of a fleet drive programs that are built without it; it would see none of them.
flags=()
if [[ "$kind" =~ ^(unit|integration|landscape)$ && "$(go env GOARCH)" =~ ^(amd64|arm64)$ ]]; then
  if ! command -v "${CC:-gcc}" >/dev/null; then
    echo "a C compiler is missing, which the race detector needs: install gcc, or set CC" >&2
    exit 1
  fi
  export CGO_ENABLED=1
  # With cgo, kustomize can load Go plugins. A program that can is linked dynamically in a way that the compiled zstd library of a
  # dependency of Gardener does not allow. Nothing here loads such plugins, and without cgo, as in production, nothing could.
  # checkptr, which the detector brings, checks unsafe pointers. Nothing here has any, and it takes a tenth of the time of a test's process.
  flags=(-race -tags=kustomize_disable_go_plugin_support -gcflags=all=-d=checkptr=0)
  # Parsers and compression, and what they call for each byte, take most of the time under the detector, and share nothing between goroutines but caches
  # of package sync: they are compiled without it. -l: functions of package sync that are inlined into them would lose it as well, and the detector would not see what they order. A
  # package that uses sync/atomic itself can't be here for the same reason.
  for package in encoding/json encoding/binary unicode/utf8 compress/flate 'sigs.k8s.io/json/...' 'sigs.k8s.io/yaml/...' 'go.yaml.in/yaml/...' 'gopkg.in/yaml.v3' 'github.com/andybalholm/brotli/...'; do
    flags+=("-gcflags=$package=-race=false -l")
  done
  # A test that ends with goroutines would sleep for a second, in case they race then.
  export GORACE="${GORACE:-atexit_sleep_ms=50}"
else
  export CGO_ENABLED=0
fi

# Memory is cheaper here than the time of the processors, a sixth of which went into collecting garbage. The programs that tests start inherit it.
# A fleet measures memory.
if [[ "$kind" != fleet ]]; then
  export GOGC="${GOGC:-400}"
fi

# golangci-lint has vetted the code.
# Tests also wait: more of them, and of packages, than processors at the same time. End-to-end tests count themselves.
case "$kind" in
  integration | fast) parallel=8 ;;
  e2e)         parallel=100 ;;
  *)           parallel=4 ;;
esac
flags+=(-vet=off -timeout="$timeout" -parallel="$parallel")
processors="$(getconf _NPROCESSORS_ONLN)"
case "$kind" in
  integration) flags+=("-p=$((processors + 1))") ;;
  fast)        flags+=(-short "-p=$((2 * processors))") ;;
esac

# go keeps results, and does not see programs that are started before the first test. The extension is another one after most changes.
if [[ "$kind" =~ ^(e2e|fleet)$ ]]; then
  flags+=(-count=1)
fi

# The controllers of tests log much, before and after what a test says.
log="$(mktemp)"
trap 'rm -f "$log"' EXIT
summary() {
  echo "What failed, from the output above:"
  { grep -vE '^[0-9]{4}-[0-9]{2}-[0-9]{2}T|^\s*$' "$log" || true; } |
    { grep -E -A 12 '^ *--- FAIL|^ +[a-z_]+_test\.go:[0-9]+: |^panic:|^WARNING: DATA RACE|^FAIL\s' || true; } | cut -c 1-240 | head -n 300
}

# A module of its own, for what the extension itself must not depend on.
if [[ "$kind" =~ ^(integration|fast)$ ]]; then
  (cd test/gitclient && go test "${flags[@]}" ./... "$@")
fi

# shellcheck disable=SC2086 # one argument for each package
if ! go test "${flags[@]}" $packages "$@" 2>&1 | tee "$log"; then
  summary
  exit 1
fi
