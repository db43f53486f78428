#!/usr/bin/env bash
#
# SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
#
# SPDX-License-Identifier: Apache-2.0
#
# Prepares the landscape for another Gardener than that of go.mod, for example v1.149.3: writes a go.mod with it to
# dev/gardener/<version>/, which hack/build-tools.sh and hack/test.sh then use. The extension itself is compiled as always.
#
# Usage: make test-landscape GARDENER=v1.149.3, or make test-e2e GARDENER=v1.149.3
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

version="${1:-}"
if [[ ! "$version" =~ ^v[0-9]+\.[0-9]+\.[0-9]+$ ]]; then
  echo "usage: hack/gardener.sh v1.149.3" >&2
  exit 1
fi

directory="dev/gardener/$version"
mkdir -p "$directory/bin"
cp go.mod go.sum "$directory"
go mod edit -require="github.com/gardener/gardener@$version" -require="github.com/gardener/gardener/pkg/apis@$version" "$directory/go.mod"

# Other modules of Gardener's own change with it without notice: they have the version that it wants, also if that is older.
wanted="$(go list -mod=mod -m -f '{{ .GoMod }}' "github.com/gardener/gardener@$version")"
while read -r module itsVersion; do
  go mod edit -require="$module@$itsVersion" "$directory/go.mod"
done < <(awk '$1 ~ "^github.com/gardener/" && $1 !~ "^github.com/gardener/gardener" && $2 ~ "^v" { print $1, $2 }' "$wanted")

# Completes go.mod and go.sum. Versions that both need stay what this repository has, if they are not older than what Gardener wants.
if ! GOFLAGS="-mod=mod -modfile=$directory/go.mod" go list -deps ./test/landscape/... ./test/e2e tool >/dev/null; then
  echo "Gardener $version can't be had, or does not have all that the landscape is made of (see above)" >&2
  exit 1
fi

# What go.mod says is the least: something else may ask for a newer one.
actual="$(go list -mod=readonly -modfile="$directory/go.mod" -m -f '{{ .Version }}' github.com/gardener/gardener)"
if [[ "$actual" != "$version" ]]; then
  echo "something asks for Gardener $actual, so that it can't be $version" >&2
  exit 1
fi
echo "the landscape's Gardener is $version"
