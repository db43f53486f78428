// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package download

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"math"
	"path"
	"strconv"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/releasetest"
)

func TestUnpack(t *testing.T) {
	g := NewWithT(t)
	files, err := Unpack(releasetest.Tarball(t, releasetest.File("a.yaml", "a: 1"), releasetest.File("./b.yaml", "b: 2"), releasetest.File("empty", "")), TopLevelFile, Limits{MaxFiles: 3, MaxUnpackedBytes: 1 << 20})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(files).To(Equal(map[string][]byte{"a.yaml": []byte("a: 1"), "b.yaml": []byte("b: 2"), "empty": {}}))
}

func TestUnpackRefuses(t *testing.T) {
	manyRecords := releasetest.File("a", "")
	manyRecords.PAXRecords = map[string]string{"COMMENT.x": strings.Repeat("x", 200_000)}

	for name, test := range map[string]struct {
		tarball []byte
		problem string
	}{
		"nothing":               {nil, "EOF"},
		"no gzip":               {[]byte("plain text, and enough of it"), "gzip: invalid header"},
		"no tar":                {compress(t, []byte(strings.Repeat("text", 1000))), "archive/tar: invalid tar header"},
		"parent directory":      {releasetest.Tarball(t, releasetest.File("../a", "")), `entry "../a" is not at its top level`},
		"parent directory only": {releasetest.Tarball(t, releasetest.File("..", "")), `entry ".." is not at its top level`},
		"absolute path":         {releasetest.Tarball(t, releasetest.File("/etc/passwd", "")), `entry "/etc/passwd" is not at its top level`},
		"subdirectory":          {releasetest.Tarball(t, releasetest.File("a/b", "")), `entry "a/b" is not at its top level`},
		"backslash":             {releasetest.Tarball(t, releasetest.File(`..\a`, "")), "is not at its top level"},
		"directory":             {releasetest.Tarball(t, releasetest.Special("a", tar.TypeDir, "")), "is not a plain file"},
		"symbolic link":         {releasetest.Tarball(t, releasetest.Special("a", tar.TypeSymlink, "b")), `entry "a" is not a plain file`},
		"hard link":             {releasetest.Tarball(t, releasetest.Special("a", tar.TypeLink, "b")), `entry "a" is not a plain file`},
		"device":                {releasetest.Tarball(t, releasetest.Special("a", tar.TypeBlock, "")), `entry "a" is not a plain file`},
		"pipe":                  {releasetest.Tarball(t, releasetest.Special("a", tar.TypeFifo, "")), `entry "a" is not a plain file`},
		"same name twice":       {releasetest.Tarball(t, releasetest.File("a", "1"), releasetest.File("./a", "2")), "it has two files a"},
		"too many":              {releasetest.Tarball(t, releasetest.File("a", ""), releasetest.File("b", ""), releasetest.File("c", ""), releasetest.File("d", "")), "it has more than 3 files"},
		"one too big":           {releasetest.Tarball(t, releasetest.File("a", releasetest.Zeros(100_001))), "it is bigger than 100000 bytes"},
		"together too big":      {releasetest.Tarball(t, releasetest.File("a", releasetest.Zeros(60_000)), releasetest.File("b", releasetest.Zeros(60_000))), "it is bigger than 100000 bytes"},
		"too much metadata":     {releasetest.Tarball(t, manyRecords), "it is bigger than 100000 bytes"},
		"sparse file":           {sparseTarball(t, math.MaxInt64), "it is bigger than 100000 bytes"},
		"cut off":               {compress(t, make([]byte, 100))[:15], "unexpected EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			_, err := Unpack(test.tarball, TopLevelFile, Limits{MaxFiles: 3, MaxUnpackedBytes: 100_000})
			g.Expect(err).To(MatchError(ContainSubstring(test.problem)))
		})
	}
}

func TestUnpackFilesInDirectories(t *testing.T) {
	g := NewWithT(t)
	files, err := Unpack(releasetest.Tarball(t,
		releasetest.Special(".", tar.TypeDir, ""), releasetest.File("a", "1"), releasetest.Special("./dir", tar.TypeDir, ""), releasetest.File("dir/a", "2"), releasetest.File("./dir/b", "3"),
	), FileInDirectory, Limits{MaxFiles: 5, MaxUnpackedBytes: 1 << 20})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(files).To(Equal(map[string][]byte{"a": []byte("1"), "dir/a": []byte("2"), "dir/b": []byte("3")}))
}

func TestUnpackRefusesInDirectories(t *testing.T) {
	for name, test := range map[string]struct {
		entry   releasetest.Entry
		problem string
	}{
		"parent directory":        {releasetest.File("../a", ""), `entry "../a" is not inside of it`},
		"way out":                 {releasetest.File("a/../../b", ""), `entry "a/../../b" is not inside of it`},
		"way out and back":        {releasetest.File("a/../b", ""), `entry "a/../b" is not inside of it`},
		"absolute path":           {releasetest.File("/a", ""), `entry "/a" is not inside of it`},
		"backslash":               {releasetest.File(`..\a`, ""), "is not inside of it"},
		"directory outside of it": {releasetest.Special("../", tar.TypeDir, ""), `entry "../" is not inside of it`},
		"symbolic link":           {releasetest.Special("a", tar.TypeSymlink, "/etc/passwd"), `entry "a" is neither a plain file nor a directory`},
		"hard link":               {releasetest.Special("a", tar.TypeLink, "b"), `entry "a" is neither a plain file nor a directory`},
		"pipe":                    {releasetest.Special("a", tar.TypeFifo, ""), `entry "a" is neither a plain file nor a directory`},
		"the same name":           {releasetest.File("c/./d", ""), "it has two files c/d"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			_, err := Unpack(releasetest.Tarball(t, releasetest.File("c/d", ""), test.entry), FileInDirectory, Limits{MaxFiles: 3, MaxUnpackedBytes: 1 << 20})
			g.Expect(err).To(MatchError(ContainSubstring(test.problem)))
		})
	}

	g := NewWithT(t)
	directories := []releasetest.Entry{releasetest.Special("a", tar.TypeDir, ""), releasetest.Special("b", tar.TypeDir, ""), releasetest.Special("c", tar.TypeDir, ""), releasetest.Special("d", tar.TypeDir, "")}
	_, err := Unpack(releasetest.Tarball(t, directories...), FileInDirectory, Limits{MaxFiles: 3, MaxUnpackedBytes: 1 << 20})
	g.Expect(err).To(MatchError("it has more than 3 files"), "directories count")
}

func compress(t testing.TB, data []byte) []byte {
	t.Helper()
	g := NewWithT(t)
	var buffer bytes.Buffer
	compressor := gzip.NewWriter(&buffer)
	_, err := compressor.Write(data)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(compressor.Close()).To(Succeed())
	return buffer.Bytes()
}

// sparseTarball holds a small file, and one of the given size that consists of a single hole. Package tar reads the records for that,
// but writes none, so they are renamed afterwards.
func sparseTarball(t *testing.T, size int64) []byte {
	t.Helper()
	g := NewWithT(t)
	small, hole := releasetest.File("a", "small"), releasetest.File("b", "0\n"+releasetest.Zeros(510))
	hole.PAXRecords = map[string]string{"XXX.sparse.major": "1", "XXX.sparse.minor": "0", "XXX.sparse.realsize": strconv.FormatInt(size, 10)}
	var buffer bytes.Buffer
	archive := tar.NewWriter(&buffer)
	for _, e := range []releasetest.Entry{small, hole} {
		g.Expect(archive.WriteHeader(&e.Header)).To(Succeed())
		_, err := archive.Write([]byte(e.Content))
		g.Expect(err).NotTo(HaveOccurred())
	}
	g.Expect(archive.Close()).To(Succeed())
	named := strings.ReplaceAll(buffer.String(), "XXX.sparse.", "GNU.sparse.")

	reader := tar.NewReader(strings.NewReader(named))
	_, err := reader.Next()
	g.Expect(err).NotTo(HaveOccurred())
	header, err := reader.Next()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(header.Size).To(Equal(size), "the archive really announces a hole")
	return compress(t, []byte(named))
}

func FuzzUnpack(f *testing.F) {
	f.Add(releasetest.Tarball(f, releasetest.File("a.yaml", "a: 1"), releasetest.File("b.yaml", "b: 2")))
	f.Add(releasetest.Tarball(f, releasetest.File("../a", ""), releasetest.Special("b", tar.TypeSymlink, "a")))
	f.Add(releasetest.Tarball(f, releasetest.File("a", releasetest.Zeros(100_001))))
	f.Fuzz(func(t *testing.T, tarball []byte) {
		const maxFiles, maxBytes = 3, 10_000
		files, err := Unpack(tarball, TopLevelFile, Limits{MaxFiles: maxFiles, MaxUnpackedBytes: maxBytes})
		if err != nil {
			return
		}
		total := 0
		for name, content := range files {
			total += len(content)
			if name == "" || name == "." || name == ".." || name != path.Base(name) {
				t.Errorf("accepted the name %q", name)
			}
		}
		if len(files) > maxFiles || total > maxBytes {
			t.Errorf("accepted %d files with %d bytes", len(files), total)
		}
	})
}
