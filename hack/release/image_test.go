// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"crypto/x509"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/mutate"
	. "github.com/onsi/gomega"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// TestImage shows how the image is run and what is in it.
func TestImage(t *testing.T) {
	g := NewWithT(t)
	r := newRelease(t, defaultRegistry)
	base, err := r.baseLayers()
	g.Expect(err).NotTo(HaveOccurred())
	image, err := r.image(r.programs[0], base)
	g.Expect(err).NotTo(HaveOccurred())
	config, err := image.ConfigFile()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(config.Config.User).To(Equal("65532:65532"))
	g.Expect(config.Config.Entrypoint).To(Equal([]string{"/" + programName}))
	g.Expect(config.Created.Time).To(Equal(r.created))
	g.Expect(config.Config.Labels).To(And(
		HaveKeyWithValue("org.opencontainers.image.source", sourceURL),
		HaveKeyWithValue("org.opencontainers.image.revision", r.revision),
		HaveKeyWithValue("org.opencontainers.image.version", "v1.2.3"),
		HaveKeyWithValue("org.opencontainers.image.licenses", "Apache-2.0"),
	))

	files := map[string]*tar.Header{}
	reader := tar.NewReader(mutate.Extract(image))
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(header.ModTime.Unix()).To(BeZero(), header.Name)
		files[strings.TrimSuffix(header.Name, "/")] = header
	}
	g.Expect(files).To(HaveLen(16))
	g.Expect(files[programName].Mode).To(BeEquivalentTo(0o755))
	g.Expect(files["home/nonroot"].Uid).To(Equal(userID))
	g.Expect(files["tmp"].Mode).To(BeEquivalentTo(0o1777))
	g.Expect(files).To(HaveKey(licencesFile))
}

// A shell would be found.
func TestOtherExecutableIsRefused(t *testing.T) {
	g := NewWithT(t)
	complete := append(baseFiles(), file{name: programName, mode: 0o755}, file{name: licencesFile, mode: 0o644})
	check := func(files ...file) error {
		content, err := archive(files)
		g.Expect(err).NotTo(HaveOccurred())
		_, err = checkFiles(tar.NewReader(bytes.NewReader(content)))
		return err
	}
	g.Expect(check(complete...)).To(Succeed())
	g.Expect(check(append(complete, file{name: "bin/sh", mode: 0o755})...)).To(MatchError("bin/sh has mode 755"))
	g.Expect(check(complete[:len(complete)-1]...)).To(MatchError("it has no " + licencesFile))
	g.Expect(check(file{name: certificatesFile, mode: 0o644})).To(MatchError(ContainSubstring("it has no certificates")))
}

// TestCertificates shows that the image trusts whom Mozilla trusts without a condition.
func TestCertificates(t *testing.T) {
	g := NewWithT(t)
	pool, expected := x509.NewCertPool(), x509.NewCertPool()
	g.Expect(pool.AppendCertsFromPEM(certificates())).To(BeTrue())
	count := 0
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			certificate, err := x509.ParseCertificate(root.Certificate)
			g.Expect(err).NotTo(HaveOccurred())
			expected.AddCert(certificate)
			count++
		}
	}
	g.Expect(count).To(BeNumerically(">", 100))
	g.Expect(pool.Equal(expected)).To(BeTrue())
}

// TestDockerfile shows that those who build with a container engine get the same program, user and entry point.
func TestDockerfile(t *testing.T) {
	g := NewWithT(t)
	content, err := os.ReadFile("Dockerfile")
	g.Expect(err).NotTo(HaveOccurred())
	text := regexp.MustCompile(`\\\n\s*`).ReplaceAllString(string(content), "")
	wanted := imageConfig(nil)
	g.Expect(text).To(ContainSubstring("\nUSER " + wanted.User + "\n"))
	g.Expect(text).To(HaveSuffix(`ENTRYPOINT ["` + wanted.Entrypoint[0] + `"]` + "\n"))

	line := regexp.MustCompile(`(?m)^RUN CGO_ENABLED=0 GOOS=\$TARGETOS GOARCH=\$TARGETARCH go (.*)$`).FindStringSubmatch(text)
	g.Expect(line).NotTo(BeNil())
	g.Expect(shellWords(t, strings.NewReplacer("$VERSION", "v1.2.3", "$REVISION", "abc").Replace(line[1]))).
		To(Equal(append(buildArguments("v1.2.3", "abc"), "-o", "/"+programName, "./cmd/"+programName)))
}

// TestMakefile shows that make build compiles the program of a release.
func TestMakefile(t *testing.T) {
	g := NewWithT(t)
	output, err := command(t.Context(), nil, "make", "--dry-run", "build", "VERSION=v1.2.3")
	g.Expect(err).NotTo(HaveOccurred())
	revision, err := git(t.Context(), "rev-parse", "HEAD")
	g.Expect(err).NotTo(HaveOccurred())
	line := regexp.MustCompile(`(?m)^go (build .*)$`).FindStringSubmatch(string(output))
	g.Expect(line).NotTo(BeNil())
	g.Expect(shellWords(t, line[1])).To(Equal(append(buildArguments("v1.2.3", revision), "-o", "bin/"+programName, "./cmd/"+programName)))
}

// shellWords splits a command as the shell does, with single spaces.
func shellWords(t *testing.T, text string) []string {
	t.Helper()
	output, err := exec.CommandContext(t.Context(), "sh", "-c", `printf '%s\n' `+text).Output()
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	words := strings.Split(strings.TrimSpace(string(output)), "\n")
	for i := range words {
		words[i] = strings.Join(strings.Fields(words[i]), " ")
	}
	return words
}
