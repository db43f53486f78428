#!/usr/bin/env bash
#
# SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
#
# SPDX-License-Identifier: Apache-2.0

# Fails if something that is generated is not current. Generates in a copy; the working tree stays as it is.
#
# What has been found current is noted in the user's cache ($XDG_CACHE_HOME, or else ~/.cache), and not generated again before an input,
# the result or Go has changed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Everything that hack/generate.sh reads and writes in the repository.
programs="$(go list -deps -f '{{with .Module}}{{if .Main}}{{$.Dir}}{{end}}{{end}}' ./hack/flux-manifests/... ./hack/configuration-keys)"
mapfile -t programs <<<"$programs"
inputs=(go.mod go.sum hack "${programs[@]#"$PWD/"}" pkg/apis pkg/release/embedded README.md docs/usage/api-reference.md test/fluxreleases charts/gardener-extension-shoot-flux example)

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

fingerprint="$({ go env GOVERSION; find "${inputs[@]}" -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum; } | sha256sum | cut -c 1-32)"
noted="${XDG_CACHE_HOME:-$HOME/.cache}/gardener-extension-shoot-flux/generated/$fingerprint"
if [[ -e "$noted" ]]; then
  echo "what is generated has been found current before"
  exit
fi

mkdir "$work/committed"
tar -c --exclude=./.git --exclude=./bin --exclude=./vendor --exclude=./dev --exclude=./dist --exclude=./.release-\* --exclude=./.landscape . | tar -x -C "$work/committed"
cp -a "$work/committed" "$work/generated"
ln -s "$PWD/bin" "$work/generated/bin"

hack/generate.sh "$work/generated"

rm "$work/generated/bin"
if ! (cd "$work" && diff --recursive --unified --text committed generated) | cut -c 1-200; then
  echo "What is generated is not current: run 'make generate' and commit what it changes." >&2
  exit 1
fi
mkdir -p "$(dirname "$noted")" && touch "$noted" || true
