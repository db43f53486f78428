#!/usr/bin/env bash
#
# SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
#
# SPDX-License-Identifier: Apache-2.0

# Builds the programs that the tests and the local landscape run, from the versions pinned in hack/tools/*/go.mod, into bin/.
#
# Usage: hack/build-tools.sh [program | group]...
#
# Groups: landscape (the default), chart, monitoring, lint, all. A program that is current is skipped. What has been built once is
# kept in the user's cache ($XDG_CACHE_HOME, or else ~/.cache), where other checkouts find it.
#
# hack/gardener.sh has them built into another directory (LANDSCAPE_BIN), with Gardener's from another go.mod (GARDENER_MODFILE).

set -euo pipefail

repo="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
bin="${LANDSCAPE_BIN:-$repo/bin}"
state="$bin/.build" # logs, stamps and unfinished programs
cache="${XDG_CACHE_HOME:-$HOME/.cache}/gardener-extension-shoot-flux/tools" # programs by name and fingerprint

group_landscape="etcd kube-apiserver kube-controller-manager kube-scheduler kubectl kwok gardener-resource-manager gardener-apiserver gardener-admission-controller gardener-controller-manager gardener-scheduler source-controller kustomize-controller registry cosign helm"
group_chart="helm yq"
group_monitoring="promtool"
group_lint="golangci-lint"

# Without cgo the programs run on any distribution, and some of gardener's dependencies only link that way.
export CGO_ENABLED=0
# The programs have modules of their own; what is vendored is the extension's.
export GOFLAGS="${GOFLAGS:-} -mod=readonly"

interactive=
[ -t 1 ] && interactive=true
build_pid=

fail() {
  printf '%s\n' "$@" >&2
  exit 1
}

# describe sets what is known about a program: the directory of its go.mod, its main package, the module that gives it its version,
# the variable that the linker sets to that version (some programs report nonsense otherwise, or refuse to start), and build tags.
describe() {
  dir="$repo/hack/tools/kubernetes" module=k8s.io/kubernetes version_variable=k8s.io/component-base/version.gitVersion tags="" modfile=""
  case "$1" in
  kube-apiserver | kube-controller-manager | kube-scheduler | kubectl)
    package="$module/cmd/$1" ;;
  etcd)
    module=go.etcd.io/etcd/server/v3 package="$module" version_variable= ;;
  gardener-*) # from the root module: the Gardener that the extension is compiled against
    dir="$repo" module=github.com/gardener/gardener package="$module/cmd/$1" modfile="${GARDENER_MODFILE:-}" ;;
  source-controller | kustomize-controller)
    dir="$repo/hack/tools/$1" module="github.com/fluxcd/$1" package="$module" version_variable= ;;
  kwok)
    dir="$repo/hack/tools/kwok" module=sigs.k8s.io/kwok package="$module/cmd/kwok" version_variable= ;;
  registry) # with a main package of our own
    dir="$repo/hack/tools/registry" module=github.com/distribution/distribution/v3 package=. version_variable="$module/version.version" ;;
  cosign)
    dir="$repo/hack/tools/cosign" module=github.com/sigstore/cosign/v3 package="$module/cmd/cosign" version_variable=sigs.k8s.io/release-utils/version.gitVersion ;;
  helm)
    dir="$repo/hack/tools/chart" module=helm.sh/helm/v4 package="$module/cmd/helm" version_variable="$module/internal/version.version" ;;
  yq)
    dir="$repo/hack/tools/chart" module=github.com/mikefarah/yq/v4 package="$module" version_variable= ;;
  promtool) # without the service discoveries of clouds, which rules don't need and which are a fifth of it
    dir="$repo/hack/tools/promtool" module=github.com/prometheus/prometheus package="$module/cmd/promtool" version_variable="" tags=remove_all_sd ;;
  golangci-lint)
    dir="$repo/hack/tools/lint" module=github.com/golangci/golangci-lint/v2 package="$module/cmd/golangci-lint" version_variable= ;;
  *)
    fail "unknown program or group \"$1\"." \
      "Programs: $(unique $group_landscape $group_chart $group_monitoring $group_lint)" \
      "Groups: landscape, chart, monitoring, lint, all" ;;
  esac
}

unique() {
  printf '%s\n' "$@" | awk '!seen[$0]++' | tr '\n' ' '
}

# expand replaces the groups among its arguments by their programs.
expand() {
  local name
  for name in "$@"; do
    case "$name" in
    all) echo $group_landscape $group_chart $group_monitoring $group_lint ;;
    landscape) echo $group_landscape ;;
    chart) echo $group_chart ;;
    monitoring) echo $group_monitoring ;;
    lint) echo $group_lint ;;
    *) echo "$name" ;;
    esac
  done
}

# fingerprint says what the program was built from: if it is unchanged, so is the program.
fingerprint() {
  local sumfile="${modfile:+${modfile%.mod}.sum}"
  { echo "$go_version $(go env GOOS GOARCH | tr '\n' ' ')$package $linker_flags${tags:+ $tags}"; cat "${modfile:-$dir/go.mod}" "${sumfile:-$dir/go.sum}"; [ "$package" != . ] || cat "$dir"/*.go; } | sha256sum | cut -c 1-32
}

# restore takes a program from the cache, as a link where that is possible. It fails if the cache does not have it.
restore() {
  local kept file
  kept="$cache/$name-$(fingerprint)"
  [ -x "$kept/$name" ] || return 1
  for file in "$kept"/*; do
    ln -f "$file" "$bin/" 2>/dev/null || cp -f "$file" "$bin/"
  done
  fingerprint >"$state/$name.stamp"
}

# keep puts a program into the cache, in place of older ones of its name. That it can't is no failure.
keep() {
  local kept file
  [ -z "$modfile" ] || return 0 # for one comparison; the cache has one version of each program
  kept="$cache/$name-$(fingerprint)"
  rm -rf "$cache/$name"-????????????????????????????????
  mkdir -p "$kept.unfinished" || return 0
  for file in "$@"; do
    ln -f "$bin/$file" "$kept.unfinished/" 2>/dev/null || cp -f "$bin/$file" "$kept.unfinished/" || return 0
  done
  mv "$kept.unfinished" "$kept" 2>/dev/null || rm -rf "$kept.unfinished"
}

# show prints one line of progress: in place on a terminal.
show() {
  if [ "$interactive" ]; then printf '\r\033[K%s' "$1"; else printf '%s\n' "$1"; fi
}

# explain prints the end of a failed command's log, and what to do where the cause is known.
explain() {
  [ "$interactive" ] && echo
  grep -v '^go: downloading' "$log" | tail -n 25 >&2
  if grep -qiE 'dial tcp|no such host|i/o timeout|connection refused|TLS handshake|proxyconnect|unexpected EOF|50[234] ' "$log"; then
    echo "The Go module proxy can't be reached. Check the network, HTTPS_PROXY, and \`go env GOPROXY\`; a second run continues where this one stopped." >&2
  elif grep -q '"git": executable file not found' "$log"; then
    echo "git is missing, and \`go env GOPROXY\` demands it: install git, or set GOPROXY to a module proxy." >&2
  elif grep -q 'no space left on device' "$log"; then
    echo "The disk is full. A cold build needs about 12 GB for $(go env GOMODCACHE), $(go env GOCACHE) and $bin." >&2
  elif grep -q 'signal: killed' "$log"; then
    echo "The compiler or linker was killed, most likely for want of memory: linking kube-apiserver takes about 3 GB. Close other programs, or set GOFLAGS=-p=1." >&2
  elif grep -q 'requires go >=' "$log"; then
    echo "This Go is too old: install the version that is named above, or unset GOTOOLCHAIN so that Go fetches it by itself." >&2
  fi
  fail "$label failed. The whole log: $log"
}

# follow waits for the running go command and shows how far it is. $1: how many packages are to be compiled (0: modules are being loaded).
follow() {
  local total="$1" shown=$SECONDS text compiled
  while kill -0 "$build_pid" 2>/dev/null; do
    sleep 1
    [ "$interactive" ] || [ $((SECONDS - shown)) -ge 15 ] || continue
    shown=$SECONDS
    if [ "$total" -eq 0 ]; then
      text="$(grep -c '^go: downloading' "$log" || true) modules downloaded"
    else # the last package is the program itself, which is linked after it is compiled
      compiled="$(grep -vc '^go: ' "$log" || true)"
      text="$compiled/$total packages"
      [ "$compiled" -lt "$total" ] || text="linking"
    fi
    show "$label … $text, $((SECONDS - started)) s"
  done
  wait "$build_pid" || explain
  build_pid=
}

# build builds the program that describe has described.
build() {
  local name="$1" version major_minor stale
  started=$SECONDS log="$state/$name.log" label="[$number/$count] $name"

  (cd "$dir" && go list -m ${modfile:+"-modfile=$modfile"} -f '{{.Version}}' "$module") >"$log" 2>&1 || explain
  version="$(tail -n 1 "$log")"
  label="$label $version"

  linker_flags="-s -w"
  [ "$version_variable" ] && linker_flags="$linker_flags -X $version_variable=$version"
  if [ "$version_variable" = k8s.io/component-base/version.gitVersion ]; then
    major_minor="${version#v}"
    linker_flags="$linker_flags -X k8s.io/component-base/version.gitMajor=${major_minor%%.*}"
    major_minor="${major_minor#*.}"
    linker_flags="$linker_flags -X k8s.io/component-base/version.gitMinor=${major_minor%%.*} -X k8s.io/component-base/version.gitCommit=$version"
  fi

  if [ -x "$bin/$name" ] && [ "$(fingerprint)" = "$(cat "$state/$name.stamp" 2>/dev/null)" ]; then
    echo "$label is current"
    return
  fi
  if restore; then
    echo "$label has been built before"
    return
  fi

  # The list of packages that the build cache lacks; loading them also downloads what is missing.
  (cd "$dir" && exec go list -deps ${modfile:+"-modfile=$modfile"} -trimpath -tags="$tags" -f '{{if .Stale}}{{.ImportPath}}{{end}}' "$package") >"$state/$name.stale" 2>"$log" &
  build_pid=$!
  follow 0
  stale="$(grep -c . "$state/$name.stale" || true)"
  rm "$state/$name.stale"

  (cd "$dir" && exec go build -v ${modfile:+"-modfile=$modfile"} -trimpath -tags="$tags" -ldflags="$linker_flags" -o "$state/$name.unfinished" "$package") >"$log" 2>&1 &
  build_pid=$!
  follow $((stale > 0 ? stale : 1))

  [ "$name" != kwok ] || collect_stages
  mv "$state/$name.unfinished" "$bin/$name" # at once, and also while the old program runs
  fingerprint >"$state/$name.stamp"
  if [ "$name" = kwok ]; then keep kwok kwok-stages.yaml; else keep "$name"; fi
  show "$label built in $((SECONDS - started)) s"
  [ ! "$interactive" ] || echo
}

# collect_stages puts kwok's own description of what nodes and pods do beside it: the program has none built in.
collect_stages() {
  local kwok stage
  kwok="$(cd "$dir" && go list -m -f '{{.Dir}}' "$module")"
  for stage in "$kwok"/kustomize/stage/{node,pod}/fast/{node,pod}-*.yaml; do
    [ ! -f "$stage" ] || { echo ---; cat "$stage"; }
  done >"$state/kwok-stages.unfinished"
  mv "$state/kwok-stages.unfinished" "$bin/kwok-stages.yaml"
}

[ "${1:-}" != --help ] || { sed -n '/^# Builds/,/^$/s/^# \{0,1\}//p' "$0"; exit; }
command -v go >/dev/null || fail "go is missing: install Go $(sed -n 's/^go //p' "$repo/go.mod") or newer (https://go.dev/doc/install) and put it into PATH."
go_version="$(cd "$repo" && go env GOVERSION)" ||
  fail "\`go env\` failed (see above). The project needs Go $(sed -n 's/^go //p' "$repo/go.mod") or newer."
mkdir -p "$state" || fail "can't write to $bin: make it writable for $(id -un)."
trap '[ ! "$build_pid" ] || kill "$build_pid" 2>/dev/null' EXIT
trap 'exit 130' INT TERM

programs="$(unique $(expand "${@:-landscape}"))"
for name in $programs; do describe "$name"; done # a typo is reported before an hour of building
count="$(echo $programs | wc -w | tr -d ' ')"
number=0
for name in $programs; do
  number=$((number + 1))
  describe "$name"
  build "$name"
done
