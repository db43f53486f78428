// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

const (
	// userID is the user and the group of the program. By number, so that Kubernetes can tell that it is not root.
	userID = 65532
	// certificatesFile is where Go and everything else looks for certificate authorities.
	certificatesFile = "etc/ssl/certs/ca-certificates.crt"
	// licencesFile has the licences of what the program is made of.
	licencesFile = "usr/share/doc/" + programName + "/licences.txt"
)

// file is a file or directory of the image.
type file struct {
	name    string
	mode    int64
	owner   int
	content []byte
}

// baseFiles are what the image has besides the program: what a distroless image has too, and no shell. They are made here, so that a
// release needs no registry.
func baseFiles() []file {
	return []file{
		{name: "etc/", mode: 0o755},
		{name: "etc/group", mode: 0o644, content: []byte("root:x:0:\nnobody:x:65534:\nnonroot:x:65532:\n")},
		{name: "etc/nsswitch.conf", mode: 0o644, content: []byte("hosts: files dns\n")},
		{name: "etc/passwd", mode: 0o644, content: []byte("root:x:0:0:root:/root:/sbin/nologin\n" +
			"nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n")},
		{name: "etc/ssl/", mode: 0o755},
		{name: "etc/ssl/certs/", mode: 0o755},
		{name: certificatesFile, mode: 0o644, content: certificates()},
		{name: "home/", mode: 0o755},
		{name: "home/nonroot/", mode: 0o700, owner: userID},
		{name: "tmp/", mode: 0o1777},
	}
}

// certificates are Mozilla's certificate authorities as PEM, from the module in which the Go team keeps them: it is versioned and checked
// like all other code, and follows Mozilla within days. They are a file, and not linked into the program, so that SSL_CERT_FILE can replace
// them. An authority that Mozilla trusts only up to a date is left out, because PEM can't say so.
func certificates() []byte {
	var buffer bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			buffer.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}))
		}
	}
	return buffer.Bytes()
}

// archive returns a tar archive. All times are the same, so that what has not changed is the same layer in each release.
func archive(files []file) ([]byte, error) {
	var buffer bytes.Buffer
	writer := tar.NewWriter(&buffer)
	for _, file := range files {
		if err := writer.WriteHeader(header(file, int64(len(file.content)))); err != nil {
			return nil, fmt.Errorf("%s: %w", file.name, err)
		}
		if _, err := writer.Write(file.content); err != nil {
			return nil, fmt.Errorf("%s: %w", file.name, err)
		}
	}
	return buffer.Bytes(), writer.Close()
}

func header(file file, size int64) *tar.Header {
	header := &tar.Header{Name: file.name, Mode: file.mode, Uid: file.owner, Gid: file.owner, Size: size, ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR}
	if file.name[len(file.name)-1] == '/' {
		header.Typeflag = tar.TypeDir
	}
	return header
}

// archiveProgram writes a tar archive that has nothing but the program.
func archiveProgram(source string, target io.Writer) error {
	content, err := os.Open(source)
	if err != nil {
		return err
	}
	defer content.Close()
	info, err := content.Stat()
	if err != nil {
		return err
	}
	writer := tar.NewWriter(target)
	if err := writer.WriteHeader(header(file{name: programName, mode: 0o755}, info.Size())); err != nil {
		return err
	}
	if _, err := io.Copy(writer, content); err != nil {
		return err
	}
	return writer.Close()
}
