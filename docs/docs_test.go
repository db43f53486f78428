// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package docs_test checks what the documentation says against the code.
package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"sigs.k8s.io/yaml"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
)

const (
	// varies stands for what a sentence is completed with: "…" in the documentation, a verb or another operand in the code.
	varies = "…"
	// module is what the import paths of this module begin with.
	module = "github.com/23technologies/gardener-extension-shoot-flux/"
	// mapOfCode is the page that has all packages.
	mapOfCode = "docs/development/architecture.md"
)

var (
	codeSpan = regexp.MustCompile("`+[^`]+`+")
	fence    = regexp.MustCompile("(?ms)^ *```(\\w*)\n(.*?)^ *```$")
	heading  = regexp.MustCompile(`(?m)^#+ (.*)$`)
	link     = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	verb     = regexp.MustCompile(`%(\[\d+\])?[+#]*[\d.]*[a-zA-Z]`)
	// notInAnchor is what GitHub leaves out of the anchor of a heading.
	notInAnchor = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	// layer is a row of the map's table of packages: its number, and the link to the package.
	layer = regexp.MustCompile(`(?m)^\| (\d+) \| \[[^\]]*\]\(([^)]*)\)`)
	// block is where a paragraph, an item of a list or a row of a table ends.
	block = regexp.MustCompile(`\n(?:\s*\n|\s*(?:-|\d+\.) |\|)`)
	// function is a code span with the name of a function or method.
	function = regexp.MustCompile("`(\\w+)\\(\\)`")
	// named is a code span with the path of a file or directory that the repository has. It has none of dev/.
	named = regexp.MustCompile("`((?:pkg|cmd|test|hack|charts|docs|example|\\.ci)/[\\w./-]*)`")
	// target is a command with targets of make.
	target = regexp.MustCompile(`(?m)^make((?: [a-z][a-z0-9-]*)+)`)
	// rule is a line of the Makefile with targets.
	rule = regexp.MustCompile(`(?m)^([a-z][a-z0-9 -]*):(?:[^=]|$)`)
	// general is what is said of any value that is of another type, not one of a list, or too long: it needs no more words.
	general = regexp.MustCompile(`Unsupported value|Too long|Too many|not a valid selector operator|(it|of an entry) is (text|a number|true or false|fields and their values)[^:]*: write`)
	// step is one of the steps of a reconciliation, in the code.
	step = regexp.MustCompile(`(?m)^\t\t\{(?:do: |metrics\.\w+, )r\.(\w+)\},$`)
	// testName is the name of a test that a command runs.
	testName = regexp.MustCompile(`\^(Test\w+)\$`)
)

// root is the repository.
var root = os.DirFS("..")

// documents are the Markdown files for people, by their paths in the repository.
func documents(t *testing.T) map[string]string {
	t.Helper()
	g := NewWithT(t)
	paths, err := fs.Glob(root, "docs/*/*.md")
	g.Expect(err).NotTo(HaveOccurred())
	found := map[string]string{}
	for _, name := range append(paths, "README.md", "CONTRIBUTING.md", "SECURITY.md", "dev/README.md") {
		content, err := fs.ReadFile(root, name)
		g.Expect(err).NotTo(HaveOccurred())
		found[name] = string(content)
	}
	return found
}

// TestSentences shows that each sentence that faq.md explains occurs in the code.
func TestSentences(t *testing.T) {
	g := NewWithT(t)
	inCode := sentencesOfCode(t)
	explained := sentencesOfTables(documents(t)["docs/usage/faq.md"])
	g.Expect(len(explained)).To(BeNumerically(">", 50), "the tables were not understood")
	for _, sentence := range explained {
		g.Expect(slices.ContainsFunc(inCode, func(text string) bool { return occursIn(sentence, text) })).To(BeTrue(), "nothing in pkg/ says %q", sentence)
	}
}

// TestRefusals shows that faq.md explains each refusal of a configuration that package project has a case of.
func TestRefusals(t *testing.T) {
	g := NewWithT(t)
	content, err := fs.ReadFile(root, "pkg/project/testdata/refusals.golden.json")
	g.Expect(err).NotTo(HaveOccurred())
	var refused map[string]struct {
		Error string `json:"error"`
	}
	g.Expect(yaml.Unmarshal(content, &refused)).To(Succeed())
	g.Expect(len(refused)).To(BeNumerically(">", 100), "the file was not understood")
	// Whatever these begin or end with, they fit nearly all.
	explained := slices.DeleteFunc(sentencesOfTables(documents(t)["docs/usage/faq.md"]), func(sentence string) bool {
		return strings.Contains(sentence, "is not valid: …") || slices.Contains([]string{"and … more", "it is …: write …", "… of an entry is …: write …"}, sentence)
	})
	for name, problem := range refused {
		g.Expect(general.MatchString(problem.Error) || slices.ContainsFunc(explained, func(sentence string) bool { return occursIn(sentence, problem.Error) })).
			To(BeTrue(), "docs/usage/faq.md explains no part of what is said of %q: %s", name, problem.Error)
	}
}

// occursIn tells whether the parts of a sentence are in the text, in their order.
func occursIn(sentence, text string) bool {
	for part := range strings.SplitSeq(sentence, varies) {
		_, rest, found := strings.Cut(text, strings.TrimSpace(part))
		if !found {
			return false
		}
		text = rest
	}
	return true
}

// sentencesOfTables are the code spans in the first column of the tables that are headed so.
func sentencesOfTables(document string) []string {
	var sentences []string
	explains := false
	for line := range strings.Lines(document) {
		if !strings.HasPrefix(line, "|") {
			explains = false
			continue
		}
		first := strings.TrimSpace(strings.Split(line, "|")[1])
		switch {
		case first == "sentence":
			explains = true
		case explains:
			for _, span := range codeSpan.FindAllString(first, -1) {
				sentences = append(sentences, strings.TrimSpace(strings.Trim(span, "`")))
			}
		}
	}
	return sentences
}

// sentencesOfCode are the strings in the Go files of pkg/. Those that are added up are one.
func sentencesOfCode(t *testing.T) []string {
	t.Helper()
	g := NewWithT(t)
	var sentences []string
	err := fs.WalkDir(root, "pkg", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return err
		}
		content, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, content, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(node ast.Node) bool {
			expression, ok := node.(ast.Expr)
			if !ok {
				return true
			}
			text, isString := fold(expression)
			if isString {
				sentences = append(sentences, verb.ReplaceAllString(text, varies))
			}
			return !isString
		})
		return nil
	})
	g.Expect(err).NotTo(HaveOccurred())
	return sentences
}

// fold returns the value of a string literal, or of a sum that has one.
func fold(expression ast.Expr) (string, bool) {
	switch e := expression.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return text, e.Kind == token.STRING && err == nil
	case *ast.BinaryExpr:
		left, leftIs := fold(e.X)
		right, rightIs := fold(e.Y)
		if !leftIs {
			left = varies
		}
		if !rightIs {
			right = varies
		}
		return left + right, e.Op == token.ADD && (leftIs || rightIs)
	}
	return "", false
}

// TestLinks shows that each link to a file of this repository leads somewhere, also to a heading.
func TestLinks(t *testing.T) {
	all := documents(t)
	for name, document := range all {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			for _, match := range link.FindAllStringSubmatch(codeSpan.ReplaceAllString(fence.ReplaceAllString(document, ""), ""), -1) {
				if strings.Contains(match[1], "://") {
					continue
				}
				file, anchor, _ := strings.Cut(match[1], "#")
				target := name
				if file != "" {
					target = path.Join(path.Dir(name), file)
				}
				_, err := fs.Stat(root, target)
				g.Expect(err).NotTo(HaveOccurred())
				if anchor != "" {
					g.Expect(anchors(all[target])).To(ContainElement(anchor), "a heading of %s", target)
				}
			}
		})
	}
}

// anchors are the anchors that GitHub gives the headings of a document.
func anchors(document string) []string {
	var found []string
	for _, match := range heading.FindAllStringSubmatch(fence.ReplaceAllString(document, ""), -1) {
		found = append(found, strings.ReplaceAll(notInAnchor.ReplaceAllString(strings.ToLower(match[1]), ""), " ", "-"))
	}
	return found
}

// TestConfigurations shows that the extension accepts each ConfigMap flux-config and each providerConfig in the documentation.
func TestConfigurations(t *testing.T) {
	g := NewWithT(t)
	configMaps, providerConfigs := 0, 0
	scheme := runtime.NewScheme()
	g.Expect(fluxv1alpha1.AddToScheme(scheme)).To(Succeed())
	strict := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	for name, document := range documents(t) {
		for _, text := range yamlOf(document) {
			where := name + ":\n" + text
			configMap := &corev1.ConfigMap{}
			g.Expect(yaml.Unmarshal([]byte(text), configMap)).To(Succeed(), where)
			// An excerpt may have nothing but the data.
			if len(configMap.Data) > 0 && (configMap.Name == "" || configMap.Name == project.ConfigMapName) {
				configMaps++
				_, err := project.Parse(configMap)
				g.Expect(err).NotTo(HaveOccurred(), where)
			}
			if strings.Contains(text, "type: shoot-flux") {
				shoot := &gardencorev1beta1.Shoot{}
				g.Expect(yaml.UnmarshalStrict([]byte(text), shoot)).To(Succeed(), where)
				if config := shoot.Spec.Extensions[0].ProviderConfig; config != nil {
					providerConfigs++
					_, _, err := strict.Decode(config.Raw, nil, nil)
					g.Expect(err).NotTo(HaveOccurred(), where)
				}
			}
		}
	}
	g.Expect(configMaps).To(BeNumerically(">", 3))
	g.Expect(providerConfigs).To(BeNumerically(">", 0))
}

// yamlOf are the YAML documents in a Markdown document.
func yamlOf(document string) []string {
	var texts []string
	for _, match := range fence.FindAllStringSubmatch(document, -1) {
		if match[1] == "yaml" {
			texts = append(texts, strings.Split(match[2], "\n---\n")...)
		}
	}
	return texts
}

// TestStatus shows that each field of status.providerStatus is explained.
func TestStatus(t *testing.T) {
	g := NewWithT(t)
	all := documents(t)
	explained := all["docs/usage/status.md"] + all["docs/usage/flux-versions.md"]
	status := reflect.TypeFor[fluxv1alpha1.FluxStatus]()
	for i := range status.NumField() {
		if name, _, _ := strings.Cut(status.Field(i).Tag.Get("json"), ","); name != "" {
			g.Expect(explained).To(ContainSubstring("| `"+name+"` |"), "a row of a table")
		}
	}
}

var noticeReason = regexp.MustCompile(`Notice[A-Za-z]+ = "([A-Za-z]+)"`)

// TestNotices shows that each event of which only the extension knows is explained.
func TestNotices(t *testing.T) {
	g := NewWithT(t)
	source, err := fs.ReadFile(root, "pkg/apis/flux/v1alpha1/types.go")
	g.Expect(err).NotTo(HaveOccurred())
	explained := documents(t)["docs/usage/status.md"]
	reasons := noticeReason.FindAllStringSubmatch(string(source), -1)
	g.Expect(reasons).NotTo(BeEmpty())
	for _, reason := range reasons {
		g.Expect(explained).To(ContainSubstring("| `"+reason[1]+"` |"), "a row of a table")
	}
}

// targetsOf are the files and directories of the repository that a document links to.
func targetsOf(name, document string) []string {
	var targets []string
	for _, match := range link.FindAllStringSubmatch(document, -1) {
		if file, _, _ := strings.Cut(match[1], "#"); file != "" && !strings.Contains(file, "://") {
			targets = append(targets, path.Join(path.Dir(name), file))
		}
	}
	return targets
}

// goDirectories are the directories below dir that have Go files.
func goDirectories(t *testing.T, dir string) []string {
	t.Helper()
	found := map[string]bool{}
	err := fs.WalkDir(root, dir, func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && strings.HasSuffix(name, ".go") {
			found[path.Dir(name)] = true
		}
		return err
	})
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return slices.Sorted(maps.Keys(found))
}

// TestMap shows that the map has each package of the product, and each directory of test/ and hack/.
func TestMap(t *testing.T) {
	g := NewWithT(t)
	linked := targetsOf(mapOfCode, documents(t)[mapOfCode])
	for _, dir := range slices.Concat(goDirectories(t, "pkg"), goDirectories(t, "cmd")) {
		g.Expect(linked).To(ContainElement(dir), "%s needs a row in the table of packages of %s", dir, mapOfCode)
	}
	for _, parent := range []string{"test", "hack"} {
		entries, err := fs.ReadDir(root, parent)
		g.Expect(err).NotTo(HaveOccurred())
		for _, entry := range entries {
			if entry.IsDir() {
				g.Expect(linked).To(ContainElement(path.Join(parent, entry.Name())), "it needs a row in the last table of %s", mapOfCode)
			}
		}
	}
}

// TestLayers shows that each package of the product imports only packages that the map has above it.
func TestLayers(t *testing.T) {
	g := NewWithT(t)
	layers := map[string]int{}
	for _, match := range layer.FindAllStringSubmatch(documents(t)[mapOfCode], -1) {
		number, err := strconv.Atoi(match[1])
		g.Expect(err).NotTo(HaveOccurred())
		layers[path.Join(path.Dir(mapOfCode), match[2])] = number
	}
	g.Expect(layers).To(HaveLen(len(goDirectories(t, "pkg"))+len(goDirectories(t, "cmd"))), "one row for each package")
	for dir, number := range layers {
		for _, imported := range importsOf(t, dir) {
			g.Expect(layers).To(HaveKey(imported), "%s imports it, and it is not part of the product", dir)
			g.Expect(layers[imported]).To(BeNumerically("<", number), "%s imports %s, which stands beside or below it in %s", dir, imported, mapOfCode)
		}
	}
}

// importsOf are the directories of this module that a package imports, without its tests.
func importsOf(t *testing.T, dir string) []string {
	t.Helper()
	var imported []string
	for _, importPath := range importPathsOf(t, dir) {
		if own, isOwn := strings.CutPrefix(importPath, module); isOwn {
			imported = append(imported, own)
		}
	}
	return imported
}

// importPathsOf are the import paths in the files of a package, without its tests.
func importPathsOf(t *testing.T, dir string) []string {
	t.Helper()
	g := NewWithT(t)
	entries, err := fs.ReadDir(root, dir)
	g.Expect(err).NotTo(HaveOccurred())
	var imported []string
	for _, entry := range entries {
		name := path.Join(dir, entry.Name())
		if entry.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		content, err := fs.ReadFile(root, name)
		g.Expect(err).NotTo(HaveOccurred())
		file, err := parser.ParseFile(token.NewFileSet(), name, content, parser.ImportsOnly)
		g.Expect(err).NotTo(HaveOccurred())
		for _, spec := range file.Imports {
			importPath, err := strconv.Unquote(spec.Path.Value)
			g.Expect(err).NotTo(HaveOccurred())
			imported = append(imported, importPath)
		}
	}
	return imported
}

// TestFunctions shows that each function that a developer's page names is in a file that the same paragraph, item or row links.
func TestFunctions(t *testing.T) {
	g := NewWithT(t)
	count := 0
	for name, document := range documents(t) {
		if !strings.HasPrefix(name, "docs/development/") {
			continue
		}
		for _, text := range block.Split(fence.ReplaceAllString(document, ""), -1) {
			for _, match := range function.FindAllStringSubmatch(text, -1) {
				count++
				declaration := regexp.MustCompile(`(?m)^func (\([^)]*\) )?` + match[1] + `[\[(]`)
				g.Expect(slices.ContainsFunc(targetsOf(name, text), func(file string) bool {
					content, err := fs.ReadFile(root, file)
					return err == nil && declaration.Match(content)
				})).To(BeTrue(), "%s: no file that is linked beside it has func %s: %s", name, match[1], text)
			}
		}
	}
	g.Expect(count).To(BeNumerically(">", 30), "the pages were not understood")
}

// TestSteps shows that the map has each step of a reconciliation.
func TestSteps(t *testing.T) {
	g := NewWithT(t)
	content, err := fs.ReadFile(root, "pkg/controller/lifecycle/reconciliation.go")
	g.Expect(err).NotTo(HaveOccurred())
	steps := step.FindAllSubmatch(content, -1)
	g.Expect(len(steps)).To(BeNumerically(">", 20), "the code was not understood")
	row := regexp.MustCompile("(?m)^\\| `[^|]*\\|")
	named := strings.Join(row.FindAllString(documents(t)[mapOfCode], -1), "")
	for _, name := range steps {
		g.Expect(named).To(ContainSubstring("`%s()`", name[1]), "it needs a row in the table of steps of %s", mapOfCode)
	}
}

// TestPaths shows that the repository has each file and directory that a document names.
func TestPaths(t *testing.T) {
	g := NewWithT(t)
	for name, document := range documents(t) {
		for _, match := range named.FindAllStringSubmatch(document, -1) {
			_, err := fs.Stat(root, path.Clean(match[1]))
			g.Expect(err).NotTo(HaveOccurred(), name)
		}
	}
}

// TestCommands shows that there are the targets of make and the tests in the commands of the documents.
func TestCommands(t *testing.T) {
	g := NewWithT(t)
	makefile, err := fs.ReadFile(root, "Makefile")
	g.Expect(err).NotTo(HaveOccurred())
	var targets []string
	for _, match := range rule.FindAllSubmatch(makefile, -1) {
		targets = append(targets, strings.Fields(string(match[1]))...)
	}
	tests := testsOf(t)
	commands := 0
	for name, document := range documents(t) {
		for _, match := range target.FindAllStringSubmatch(commandsOf(document), -1) {
			for wanted := range strings.FieldsSeq(match[1]) {
				commands++
				g.Expect(targets).To(ContainElement(wanted), name)
			}
		}
		for _, match := range testName.FindAllStringSubmatch(document, -1) {
			g.Expect(tests).To(ContainElement(match[1]), name)
		}
	}
	g.Expect(commands).To(BeNumerically(">", 20), "the commands were not understood")
}

// TestWorkflows shows that there are the targets of make that the workflows of a forge run.
func TestWorkflows(t *testing.T) {
	g := NewWithT(t)
	makefile, err := fs.ReadFile(root, "Makefile")
	g.Expect(err).NotTo(HaveOccurred())
	files, err := fs.Glob(root, ".github/workflows/*.yaml")
	g.Expect(err).NotTo(HaveOccurred())
	commands := 0
	for _, file := range files {
		content, err := fs.ReadFile(root, file)
		g.Expect(err).NotTo(HaveOccurred())
		var workflow struct {
			Jobs map[string]struct {
				Steps []struct {
					Run  string `json:"run"`
					Uses string `json:"uses"`
				} `json:"steps"`
			} `json:"jobs"`
		}
		g.Expect(yaml.Unmarshal(content, &workflow)).To(Succeed(), file)
		for _, job := range workflow.Jobs {
			for _, step := range job.Steps {
				g.Expect(step.Uses).To(Or(BeEmpty(), MatchRegexp(`^[a-z-]+/[a-z-]+@v\d+$`)), file)
				for _, match := range target.FindAllStringSubmatch(step.Run, -1) {
					commands++
					g.Expect(string(makefile)).To(MatchRegexp(`(?m)^`+strings.Fields(match[1])[0]+`:`), file)
				}
			}
		}
	}
	g.Expect(commands).To(BeNumerically(">", 2), "the workflows were not understood")
}

// commandsOf are the code blocks and code spans of a document, one below the other.
func commandsOf(document string) string {
	var commands []string
	for _, match := range fence.FindAllStringSubmatch(document, -1) {
		commands = append(commands, match[2])
	}
	for _, span := range codeSpan.FindAllString(fence.ReplaceAllString(document, ""), -1) {
		commands = append(commands, strings.Trim(span, "`"))
	}
	return strings.Join(commands, "\n")
}

// testsOf are the names of all tests.
func testsOf(t *testing.T) []string {
	t.Helper()
	g := NewWithT(t)
	declaration := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	var tests []string
	for _, parent := range []string{"pkg", "cmd", "test", "hack", "charts", "example"} {
		for _, dir := range goDirectories(t, parent) {
			files, err := fs.Glob(root, dir+"/*_test.go")
			g.Expect(err).NotTo(HaveOccurred())
			for _, file := range files {
				content, err := fs.ReadFile(root, file)
				g.Expect(err).NotTo(HaveOccurred())
				for _, match := range declaration.FindAllSubmatch(content, -1) {
					tests = append(tests, string(match[1]))
				}
			}
		}
	}
	return tests
}
