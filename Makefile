# SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
#
# SPDX-License-Identifier: Apache-2.0

NAME    := gardener-extension-shoot-flux
# The program panics at its start if its version does not begin like v1.2.3.
VERSION ?= $(shell git describe --tags --match 'v[0-9]*' --dirty 2>/dev/null || echo "v0.0.0-g$$(git rev-parse --short HEAD 2>/dev/null || echo 0)")
IMAGE   ?= ghcr.io/23technologies/$(NAME)

CHART     := charts/$(NAME)
LANDSCAPE := bin/landscape

# What --version prints.
LD_FLAGS := -s -w -X k8s.io/component-base/version.gitVersion=$(VERSION) \
            -X k8s.io/component-base/version/verflag.programName=$(NAME) \
            -X k8s.io/component-base/version.gitCommit=$(shell git rev-parse HEAD 2>/dev/null)

# Static programs, as the image needs them; test.sh switches cgo on for the race detector.
export CGO_ENABLED ?= 0
# Targets read the module cache, so that a vendor/ that "make vendor" wrote at some time does not decide what is tested.
# To build from it, without network: make build GOFLAGS=-mod=vendor
# All of them compile with -trimpath, as a release does: what one has compiled, the next finds in the build cache.
export GOFLAGS ?= -mod=readonly -trimpath
# bin/ comes first: another program called yq may be installed.
export PATH := $(CURDIR)/bin:$(PATH)

# GARDENER=v1.149.3 has the landscape run another Gardener than that of go.mod, with the extension as it is.
ifneq ($(GARDENER),)
export LANDSCAPE_BIN    := $(CURDIR)/dev/gardener/$(GARDENER)/bin
export GARDENER_MODFILE := $(CURDIR)/dev/gardener/$(GARDENER)/go.mod
endif

SHELL         := bash
.SHELLFLAGS   := -euo pipefail -c
.DEFAULT_GOAL := help

# check-version refuses a version with which the program would not start.
check-version = [[ "$(VERSION)" =~ ^v[0-9]+\.[0-9]+\.[0-9]+ ]] || { echo "VERSION is \"$(VERSION)\", but must begin like v1.2.3" >&2; exit 1; }

# need checks that a program is there. Arguments: program, what to do about it.
need = command -v $(1) >/dev/null || { echo "$(1) is missing: $(2)" >&2; exit 1; }

# given checks that a variable was named, and not taken from its default. Arguments: variable, example.
given = [[ "$(origin $(1))" =~ ^(command|environment) ]] || { echo "$(1) is missing: $(2)" >&2; exit 1; }

##@ Use

.PHONY: help
help: ## List the targets.
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z0-9-]+:.*## / { printf "  %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: tools-landscape build $(LANDSCAPE) ## Show the main job from the registration to the synced shoot. KEEP=1 leaves the landscape up.
	@$(LANDSCAPE) demo $(if $(filter 1 true yes,$(KEEP)),--keep)

# VERSION counts here only if it is given: it is then a version of Flux, and otherwise the extension's own.
.PHONY: images-list
images-list: ## Print the images of a Flux release. VERSION=v2.8.8 chooses it, ALL=1 adds components that only some shoots have, REGISTRY=… prints the names in a mirror.
	@go run ./hack/flux-images $(if $(filter command environment,$(origin VERSION)),-version '$(VERSION)') $(if $(filter 1 true yes,$(ALL)),-all) $(if $(REGISTRY),-registry '$(REGISTRY)')

.PHONY: up
up: tools-landscape build $(LANDSCAPE) ## Start the local landscape, and write its kubeconfigs to dev/.
	@$(LANDSCAPE) up

.PHONY: down
down: $(LANDSCAPE) ## Stop the local landscape.
	@$(LANDSCAPE) down

.PHONY: $(LANDSCAPE)
$(LANDSCAPE):
	@echo "building the landscape's program"
	@go build -trimpath -ldflags="-s -w" -o $(LANDSCAPE) ./test/landscape/cmd/landscape

##@ Build

.PHONY: build
build: ## Build the static program into bin/.
	@$(check-version)
	go build -trimpath -buildvcs=false -ldflags="$(LD_FLAGS)" -o $(or $(LANDSCAPE_BIN),bin)/$(NAME) ./cmd/$(NAME)

.PHONY: docker-image
docker-image: ## Build the container image $(IMAGE):$(VERSION).
	@$(call need,docker,install Docker or another engine with this command)
	@$(check-version)
	docker build --build-arg VERSION=$(VERSION) --build-arg REVISION=$$(git rev-parse HEAD) --tag $(IMAGE):$(VERSION) .

.PHONY: release
release: ## Make what an operator installs, in dist/: make release VERSION=v1.2.3. PUSH=registry.example.org/path pushes it there, too.
	@$(call given,VERSION,make release VERSION=v1.2.3)
	@go run ./hack/release build -version '$(VERSION)' -registry '$(or $(PUSH),$(REGISTRY),ghcr.io/23technologies)'
	@$(if $(PUSH),go run ./hack/release push,go run ./hack/release verify)

.PHONY: verify-release
verify-release: ## Check that dist/ is complete, and that its manifests name the image and the chart that are in it.
	@go run ./hack/release verify

.PHONY: tools
tools: tools-landscape tools-chart tools-monitoring tools-lint ## Build all programs that the targets use into bin/.

.PHONY: tools-landscape tools-chart tools-monitoring tools-lint
tools-landscape tools-chart tools-monitoring tools-lint:
	@$(if $(GARDENER),hack/gardener.sh '$(GARDENER)')
	@hack/build-tools.sh $(patsubst tools-%,%,$@)

.PHONY: vendor
vendor: ## Write vendor/, with Gardener's hack/.
	hack/vendor.sh

.PHONY: generate
generate: tools-chart ## Generate what is generated: Flux manifests, keys of flux-config, deep copies, API reference, registration.
	hack/generate.sh

.PHONY: embed-release
embed-release: ## Embed one more Flux release: make embed-release RELEASE=v2.9.4
	@[ "$(RELEASE)" ] || { echo "RELEASE is missing: make embed-release RELEASE=v2.9.4" >&2; exit 1; }
	@go run ./hack/flux-manifests -add '$(RELEASE)'

.PHONY: past-releases
past-releases: ## Rebuild the past Flux releases of test/fluxreleases, after a change to their list.
	@go run ./hack/flux-manifests/past -pin

.PHONY: format
format: tools-lint ## Format the Go code.
	golangci-lint fmt ./...

.PHONY: clean
clean: ## Remove what was built and vendored. Stop the landscape first.
	rm -rf bin dist vendor

##@ Check

.PHONY: test
# The last two run at the same time, because a fleet mostly waits.
test: test-unit test-integration test-landscape ## Run all tests: unit, integration, of the landscape itself, of 100 shoots, end to end.
	@$(MAKE) --no-print-directory -j2 test-fleet test-e2e

.PHONY: test-fast
test-fast: tools-landscape ## Run, while you work, most tests that need no landscape, without the race detector.
	hack/test.sh fast

.PHONY: test-unit
test-unit: ## Run the unit tests.
	hack/test.sh unit

.PHONY: test-integration
test-integration: tools-landscape ## Run the integration tests on real programs: kube-apiserver, etcd, Git.
	hack/test.sh integration

.PHONY: test-landscape
test-landscape: tools-landscape ## Run the tests of the local landscape's parts. GARDENER=v1.149.3 runs them on another Gardener.
	hack/test.sh landscape

.PHONY: test-fleet
test-fleet: tools-landscape build ## Check what 100 shoots on one seed cost: requests, writes, bytes.
	hack/test.sh fleet -v

.PHONY: test-e2e
test-e2e: tools-landscape build ## Run the end-to-end tests on the local landscape.
	hack/test.sh e2e

.PHONY: test-kills
test-kills: tools-landscape build ## Kill the extension KILLS=300 times, while shoots come, change and go, and see that everything converges.
	hack/test.sh e2e -timeout=3h -v -run='^TestExtensionIsKilled$$/^often$$' -kills=$(or $(KILLS),300)

.PHONY: bench
bench: tools-landscape build ## Run the benchmarks, those of the landscape too. PAIRS=5 is how often the time to sync is measured.
	go test -run='^$$' -bench=. -benchmem ./pkg/...
	hack/test.sh e2e -run='^$$' -bench=TimeToSync -benchtime=$(or $(PAIRS),5)x
	hack/test.sh e2e -run='^$$' -bench=Requests -benchtime=1x

# Without -v, go test would show nothing until the end.
.PHONY: bench-fleet
bench-fleet: tools-landscape build ## Measure what many shoots on one seed cost: SHOOTS=1000 in one project, and in PROJECTS=50. SIZES=1000/50 PHASES=change,bare PROFILES=DIR: only some, with profiles. LAYERED=1: each shoot differs from its project.
	hack/test.sh fleet -timeout=6h -v -run='^$$' -bench=Fleet -benchtime=1x -shoots=$(or $(SHOOTS),1000) -projects=$(or $(PROJECTS),50) \
		$(if $(SIZES),-sizes=$(SIZES)) $(if $(PHASES),-phases=$(PHASES)) $(if $(PROFILES),-profiles=$(abspath $(PROFILES))) $(if $(IDLE),-idle=$(IDLE)) $(if $(LAYERED),-layered)

.PHONY: lint
lint: lint-go lint-chart lint-alerts lint-scripts ## Run all linters.

.PHONY: lint-go
lint-go: tools-lint
	golangci-lint run --allow-parallel-runners ./...
	cd test/gitclient && golangci-lint run --allow-parallel-runners ./...

.PHONY: lint-chart
lint-chart: tools-chart
	@for values in $(CHART)/ci/*-values.yaml; do \
	  echo "helm lint, template: $$values"; \
	  helm lint --quiet --strict --namespace extension-shoot-flux --values "$$values" $(CHART); \
	  helm template shoot-flux $(CHART) --namespace extension-shoot-flux --values "$$values" >/dev/null; \
	done

# Prometheus itself says what the alerts do.
.PHONY: lint-alerts
lint-alerts: tools-monitoring
	promtool check rules $(CHART)/monitoring/alerts.yaml
	promtool test rules charts/testdata/alerts.test.yaml

# Lists of programs are split into words on purpose (SC2046).
.PHONY: lint-scripts
lint-scripts:
	@for script in hack/*.sh .ci/run; do \
	  bash -n "$$script"; \
	  if command -v shellcheck >/dev/null; then shellcheck --severity=warning --exclude=SC2046 "$$script"; fi; \
	done

.PHONY: reuse
reuse: ## Check that every file tells its licence.
	@$(call need,reuse,install it with 'apt-get install reuse' or from https://reuse.software)
	reuse lint

.PHONY: licences
licences: ## List the licences of all that the program is made of, and check that they are allowed.
	@go run ./hack/release licences

# On machines that can't reach the database, UNREACHABLE=report says so, and does not fail.
.PHONY: vulncheck
vulncheck: ## Check that the program calls nothing that is known to be vulnerable.
	@go run ./hack/vulncheck -unreachable='$(or $(UNREACHABLE),fail)'

.PHONY: check-generate
check-generate: tools-chart ## Check that what is generated is current.
	hack/check-generate.sh
