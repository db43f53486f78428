// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package release

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
)

func special(name string, typeflag byte, target string) entry {
	return entry{Header: tar.Header{Name: name, Typeflag: typeflag, Linkname: target}}
}

func TestUnpack(t *testing.T) {
	g := NewWithT(t)
	files, err := unpack(tarballOf(t, []entry{file("a.yaml", "a: 1"), file("./b.yaml", "b: 2"), file("empty", "")}), topLevelFile, unpackLimits{3, 1 << 20})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(files).To(Equal(map[string][]byte{"a.yaml": []byte("a: 1"), "b.yaml": []byte("b: 2"), "empty": {}}))
}

func TestUnpackRefuses(t *testing.T) {
	manyRecords := file("a", "")
	manyRecords.PAXRecords = map[string]string{"COMMENT.x": strings.Repeat("x", 200_000)}

	for name, test := range map[string]struct {
		tarball []byte
		problem string
	}{
		"nothing":               {nil, "EOF"},
		"no gzip":               {[]byte("plain text, and enough of it"), "gzip: invalid header"},
		"no tar":                {compress(t, []byte(strings.Repeat("text", 1000))), "archive/tar: invalid tar header"},
		"parent directory":      {tarballOf(t, []entry{file("../a", "")}), `entry "../a" is not at its top level`},
		"parent directory only": {tarballOf(t, []entry{file("..", "")}), `entry ".." is not at its top level`},
		"absolute path":         {tarballOf(t, []entry{file("/etc/passwd", "")}), `entry "/etc/passwd" is not at its top level`},
		"subdirectory":          {tarballOf(t, []entry{file("a/b", "")}), `entry "a/b" is not at its top level`},
		"backslash":             {tarballOf(t, []entry{file(`..\a`, "")}), "is not at its top level"},
		"directory":             {tarballOf(t, []entry{special("a", tar.TypeDir, "")}), "is not a plain file"},
		"symbolic link":         {tarballOf(t, []entry{special("a", tar.TypeSymlink, "b")}), `entry "a" is not a plain file`},
		"hard link":             {tarballOf(t, []entry{special("a", tar.TypeLink, "b")}), `entry "a" is not a plain file`},
		"device":                {tarballOf(t, []entry{special("a", tar.TypeBlock, "")}), `entry "a" is not a plain file`},
		"pipe":                  {tarballOf(t, []entry{special("a", tar.TypeFifo, "")}), `entry "a" is not a plain file`},
		"same name twice":       {tarballOf(t, []entry{file("a", "1"), file("./a", "2")}), "it has two files a"},
		"too many":              {tarballOf(t, []entry{file("a", ""), file("b", ""), file("c", ""), file("d", "")}), "it has more than 3 files"},
		"one too big":           {tarballOf(t, []entry{file("a", zeros(100_001))}), "it is bigger than 100000 bytes"},
		"together too big":      {tarballOf(t, []entry{file("a", zeros(60_000)), file("b", zeros(60_000))}), "it is bigger than 100000 bytes"},
		"too much metadata":     {tarballOf(t, []entry{manyRecords}), "it is bigger than 100000 bytes"},
		"sparse file":           {sparseTarball(t, math.MaxInt64), "it is bigger than 100000 bytes"},
		"cut off":               {compress(t, make([]byte, 100))[:15], "unexpected EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			_, err := unpack(test.tarball, topLevelFile, unpackLimits{3, 100_000})
			g.Expect(err).To(MatchError(ContainSubstring(test.problem)))
		})
	}
}

func TestUnpackFilesInDirectories(t *testing.T) {
	g := NewWithT(t)
	files, err := unpack(tarballOf(t, []entry{
		special(".", tar.TypeDir, ""), file("a", "1"), special("./dir", tar.TypeDir, ""), file("dir/a", "2"), file("./dir/b", "3"),
	}), fileInDirectory, unpackLimits{5, 1 << 20})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(files).To(Equal(map[string][]byte{"a": []byte("1"), "dir/a": []byte("2"), "dir/b": []byte("3")}))
}

func TestUnpackRefusesInDirectories(t *testing.T) {
	for name, test := range map[string]struct {
		entry   entry
		problem string
	}{
		"parent directory":        {file("../a", ""), `entry "../a" is not inside of it`},
		"way out":                 {file("a/../../b", ""), `entry "a/../../b" is not inside of it`},
		"way out and back":        {file("a/../b", ""), `entry "a/../b" is not inside of it`},
		"absolute path":           {file("/a", ""), `entry "/a" is not inside of it`},
		"backslash":               {file(`..\a`, ""), "is not inside of it"},
		"directory outside of it": {special("../", tar.TypeDir, ""), `entry "../" is not inside of it`},
		"symbolic link":           {special("a", tar.TypeSymlink, "/etc/passwd"), `entry "a" is neither a plain file nor a directory`},
		"hard link":               {special("a", tar.TypeLink, "b"), `entry "a" is neither a plain file nor a directory`},
		"pipe":                    {special("a", tar.TypeFifo, ""), `entry "a" is neither a plain file nor a directory`},
		"the same name":           {file("c/./d", ""), "it has two files c/d"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			_, err := unpack(tarballOf(t, []entry{file("c/d", ""), test.entry}), fileInDirectory, unpackLimits{3, 1 << 20})
			g.Expect(err).To(MatchError(ContainSubstring(test.problem)))
		})
	}

	g := NewWithT(t)
	directories := []entry{special("a", tar.TypeDir, ""), special("b", tar.TypeDir, ""), special("c", tar.TypeDir, ""), special("d", tar.TypeDir, "")}
	_, err := unpack(tarballOf(t, directories), fileInDirectory, unpackLimits{3, 1 << 20})
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
	small, hole := file("a", "small"), file("b", "0\n"+zeros(510))
	hole.PAXRecords = map[string]string{"XXX.sparse.major": "1", "XXX.sparse.minor": "0", "XXX.sparse.realsize": strconv.FormatInt(size, 10)}
	var buffer bytes.Buffer
	archive := tar.NewWriter(&buffer)
	for _, e := range []entry{small, hole} {
		g.Expect(archive.WriteHeader(&e.Header)).To(Succeed())
		_, err := archive.Write([]byte(e.content))
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
	f.Add(tarballOf(f, []entry{file("a.yaml", "a: 1"), file("b.yaml", "b: 2")}))
	f.Add(tarballOf(f, []entry{file("../a", ""), special("b", tar.TypeSymlink, "a")}))
	f.Add(tarballOf(f, []entry{file("a", zeros(100_001))}))
	f.Fuzz(func(t *testing.T, tarball []byte) {
		const maxFiles, maxBytes = 3, 10_000
		files, err := unpack(tarball, topLevelFile, unpackLimits{maxFiles, maxBytes})
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
