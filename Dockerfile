# SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
#
# SPDX-License-Identifier: Apache-2.0

# For those who build with a container engine. A release is made without one, by hack/release, with the same flags, user and entry point.
FROM --platform=$BUILDPLATFORM golang:1.26 AS builder
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=v0.0.0
ARG REVISION
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY cmd/ cmd/
COPY pkg/ pkg/
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -buildvcs=false \
    -ldflags="-s -w -X k8s.io/component-base/version.gitVersion=$VERSION \
      -X k8s.io/component-base/version/verflag.programName=gardener-extension-shoot-flux \
      -X k8s.io/component-base/version.gitCommit=$REVISION" \
    -o /gardener-extension-shoot-flux ./cmd/gardener-extension-shoot-flux

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=builder /gardener-extension-shoot-flux /gardener-extension-shoot-flux
# By number, so that Kubernetes can tell that it is not root.
USER 65532:65532
ENTRYPOINT ["/gardener-extension-shoot-flux"]
