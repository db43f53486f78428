// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package gitserver

import (
	"encoding/json"
	"io/fs"
	"os"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/kube-openapi/pkg/validation/spec"
	"k8s.io/kube-openapi/pkg/validation/strfmt"
	"k8s.io/kube-openapi/pkg/validation/validate"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/kustomize/kyaml/resid"
	"sigs.k8s.io/yaml"
)

// build builds a directory of the content with kustomize.
func build(t *testing.T, path string) resmap.ResMap {
	t.Helper()
	g := NewWithT(t)
	dir := t.TempDir()
	g.Expect(os.CopyFS(dir, Content())).To(Succeed())
	objects, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir+"/"+path)
	g.Expect(err).NotTo(HaveOccurred())
	return objects
}

func TestContentBuilds(t *testing.T) {
	shared := []string{
		"Namespace/shop", "NetworkPolicy/shop/allow-http", "CustomResourceDefinition/backupplans.platform.example.org",
		"ServiceAccount/shop/shop", "ConfigMap/shop/shop", "Deployment/shop/shop", "Service/shop/shop",
	}
	for path, own := range map[string]struct {
		backupPlan string
		replicas   int
		level      string
	}{
		".":                {"BackupPlan/shop/nightly", 3, "warn"},
		"clusters/staging": {"BackupPlan/shop/weekly", 1, "debug"},
	} {
		t.Run(path, func(t *testing.T) {
			g := NewWithT(t)
			objects := build(t, path)
			var names []string
			for _, object := range objects.Resources() {
				id := object.CurId()
				name := id.Name
				if id.Namespace != "" {
					name = id.Namespace + "/" + name
				}
				names = append(names, id.Kind+"/"+name)
			}
			g.Expect(names).To(ConsistOf(append([]string{own.backupPlan}, shared...)))

			deployment, err := objects.GetById(resid.NewResIdWithNamespace(resid.NewGvk("apps", "v1", "Deployment"), "shop", "shop"))
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(deployment.GetFieldValue("spec.replicas")).To(Equal(own.replicas))
			g.Expect(deployment.GetFieldValue("spec.template.spec.containers[0].env[0].value")).To(Equal(own.level))
			g.Expect(deployment.GetFieldValue("spec.template.spec.containers[0].image")).To(HavePrefix("ghcr.io/"), "the patch merges")
		})
	}
}

// kube-openapi's validator is what the API server uses for custom resources.
func TestContentIsValidForItsDefinition(t *testing.T) {
	for _, path := range []string{".", "clusters/staging"} {
		t.Run(path, func(t *testing.T) {
			g := NewWithT(t)
			var definition apiextensionsv1.CustomResourceDefinition
			var plan map[string]any
			for _, object := range build(t, path).Resources() {
				switch object.GetKind() {
				case "CustomResourceDefinition":
					g.Expect(yaml.UnmarshalStrict([]byte(object.MustYaml()), &definition)).To(Succeed())
				case "BackupPlan":
					g.Expect(yaml.Unmarshal([]byte(object.MustYaml()), &plan)).To(Succeed())
				}
			}
			g.Expect(plan["apiVersion"]).To(Equal(definition.Spec.Group + "/" + definition.Spec.Versions[0].Name))
			g.Expect(plan["kind"]).To(Equal(definition.Spec.Names.Kind))

			schema := &spec.Schema{}
			text, err := json.Marshal(definition.Spec.Versions[0].Schema.OpenAPIV3Schema)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(json.Unmarshal(text, schema)).To(Succeed())
			validator := validate.NewSchemaValidator(schema, nil, "", strfmt.Default)
			g.Expect(validator.Validate(plan).AsError()).To(Succeed())
			plan["spec"].(map[string]any)["keep"] = 0
			g.Expect(validator.Validate(plan).AsError()).To(MatchError(ContainSubstring("spec.keep")), "the schema means something")
		})
	}
}

func TestContentCarriesItsLicence(t *testing.T) {
	g := NewWithT(t)
	g.Expect(fs.WalkDir(Content(), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(Content(), path)
		lines := strings.SplitN(string(text), "\n", 6)
		g.Expect(strings.Join(lines[:5], "\n")).To(And(ContainSubstring("SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors"),
			ContainSubstring("SPDX-License-Identifier: Apache-2.0")), path)
		return err
	})).To(Succeed())
}
