#!/usr/bin/env bash
#
# SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
#
# SPDX-License-Identifier: Apache-2.0

# Fails if something that is generated is not current. Generates in a copy; the working tree stays as it is.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
mkdir "$work/committed"
tar -c --exclude=./.git --exclude=./bin --exclude=./vendor --exclude=./dev --exclude=./.landscape . | tar -x -C "$work/committed"
cp -a "$work/committed" "$work/generated"
ln -s "$PWD/bin" "$work/generated/bin"

hack/generate.sh "$work/generated"

rm "$work/generated/bin"
cd "$work"
if ! diff --recursive --unified --text committed generated | cut -c 1-200; then
  echo "What is generated is not current: run 'make generate' and commit what it changes." >&2
  exit 1
fi
