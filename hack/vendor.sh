#!/usr/bin/env bash
#
# SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
#
# SPDX-License-Identifier: Apache-2.0

# Writes vendor/ with all dependencies, and with Gardener's hack/, which Go leaves out because no Go package imports it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

go mod vendor
gardener="$(go list -mod=readonly -m -f '{{ .Dir }}' github.com/gardener/gardener)"
target=vendor/github.com/gardener/gardener/hack
rm -rf "$target"
cp -R "$gardener/hack" "$target"
# The module cache is read-only, and modules carry no mode bits.
chmod -R u+w "$target"
find "$target" -name '*.sh' -exec chmod +x {} +
