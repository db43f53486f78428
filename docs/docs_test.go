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

// varies stands for what a sentence is completed with: "…" in the documentation, a verb or another operand in the code.
const varies = "…"

var (
	codeSpan = regexp.MustCompile("`+[^`]+`+")
	fence    = regexp.MustCompile("(?ms)^ *```(\\w*)\n(.*?)^ *```$")
	heading  = regexp.MustCompile(`(?m)^#+ (.*)$`)
	link     = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	verb     = regexp.MustCompile(`%(\[\d+\])?[+#]*[\d.]*[a-zA-Z]`)
	// notInAnchor is what GitHub leaves out of the anchor of a heading.
	notInAnchor = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// root is the repository.
var root = os.DirFS("..")

// documents are README.md and the Markdown files of docs/, by their paths in the repository.
func documents(t *testing.T) map[string]string {
	t.Helper()
	g := NewWithT(t)
	paths, err := fs.Glob(root, "docs/*/*.md")
	g.Expect(err).NotTo(HaveOccurred())
	found := map[string]string{}
	for _, name := range append(paths, "README.md") {
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
