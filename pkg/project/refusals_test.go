// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package project_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	. "github.com/onsi/gomega"
)

const (
	inConfigMap        = "ConfigMap garden-dev/flux-config in the garden is not valid: "
	inShoot            = "field providerConfig of extension shoot-flux in Shoot garden-dev/one is not valid: "
	noConfigMapAnyMore = "ConfigMap garden-dev/flux-config does not exist in the garden any more, so the shoot keeps what it has: create it again; without any key, it leaves all to what is written elsewhere"

	noConfigMap = "ConfigMap garden-dev/flux-config does not exist in the garden: create it to say which Flux version and Git repository the shoots of the project get, " +
		"for example: kubectl -n garden-dev create configmap flux-config --from-literal=repositoryUrl=https://…; without any key, only Flux is installed"
	follows = ", kustomization: {template: " + kustomizing + "}"
)

// numbered are texts that differ by a number.
func numbered(format string, count int) []string {
	var texts []string
	for i := range count {
		texts = append(texts, fmt.Sprintf(format, i))
	}
	return texts
}

// source is a providerConfig with a template.
func source(template string) string { return "{source: {template: " + template + "}" + follows + "}" }

type refusedLayer struct {
	written
	want string
}

// refusedLayers are, by name, what is refused, and in which words.
func refusedLayers() map[string]refusedLayer {
	refused := map[string]refusedLayer{}
	add := func(name string, w written, want string) { refused[name] = refusedLayer{w, want} }
	config := func(text string) written { return written{data: map[string]string{"config": text}} }
	overrides := func(text string) written { return written{data: map[string]string{"overrides": text}} }
	shoot := func(text string) written { return written{shoot: text} }
	keys := func(pairs ...string) written {
		data := map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			data[pairs[i]] = pairs[i+1]
		}
		return written{data: data}
	}
	add("no ConfigMap", written{noConfigMap: true},
		noConfigMap)
	add("no ConfigMap, and nothing in the shoot", written{noConfigMap: true, shoot: "{}"},
		noConfigMap)
	add("no ConfigMap, and only policies in the shoot", written{noConfigMap: true, shoot: "removalPolicy: keep-flux"},
		noConfigMap)
	add("no ConfigMap any more, with defaults of the landscape", written{noConfigMap: true, hadOne: true, defaults: "repository: {url: https://example.org/x}"},
		noConfigMapAnyMore)
	add("no ConfigMap any more, and Secrets of the shoot", written{noConfigMap: true, hadOne: true, shoot: "{syncMode: Managed, additionalSecretResources: [{name: a}]}"},
		noConfigMapAnyMore)
	add("no ConfigMap any more, and templates of the shoot", written{noConfigMap: true, hadOne: true, shoot: source(gitTemplate)},
		noConfigMapAnyMore)
	// Twice.
	add("flat key and config", keys("repositoryUrl", httpsURL, "config", "repository: {url: https://example.org/other}"),
		inConfigMap+"config.repository.url: Forbidden: repositoryUrl says it too: remove one of them")
	add("two references, flat", keys("repositoryUrl", httpsURL, "repositoryBranch", "main", "repositoryTag", "v1"),
		inConfigMap+"repositoryTag: Forbidden: repositoryBranch says already what to follow: remove one of them")
	add("two references, flat and config", keys("repositoryUrl", httpsURL, "repositoryBranch", "main", "config", "repository: {semver: 1.x}"),
		inConfigMap+"config.repository.semver: Forbidden: repositoryBranch says already what to follow: remove one of them")
	add("two references in a shoot", shoot("repository: {url: https://example.org/other, commit: 5f0c5f0c5f0c5f0c5f0c5f0c5f0c5f0c5f0c5f0c, branch: main}"),
		inShoot+"repository.commit: Forbidden: repository.branch says already what to follow: remove one of them")
	add("URL and template", keys("repositoryUrl", httpsURL, "config", "{source: {template: "+gitTemplate+"}"+follows+"}"),
		inConfigMap+"repositoryUrl: Forbidden: config.source.template says already what to follow: write it into the template, or remove the template")
	add("branch and template", shoot("{repository: {branch: x}, source: {template: "+gitTemplate+"}"+follows+"}"),
		inShoot+"repository.branch: Forbidden: source.template says already what to follow: write it into the template, or remove the template")
	add("path and template", keys("repositoryPath", "x", "config", "{source: {template: "+gitTemplate+"}"+follows+"}"),
		inConfigMap+"repositoryPath: Forbidden: config.kustomization.template says already how to follow: write it into spec.path of the template, or remove the template")
	// Above a template.
	add("tag above a template", written{data: map[string]string{"config": "{source: {template: " + gitTemplate + "}" + follows + "}"}, shoot: "repository: {tag: v1}"},
		inShoot+"repository.tag: Forbidden: what is followed is said by source.template in key config of ConfigMap flux-config: write it into spec of a template here")
	add("path above a template", written{data: map[string]string{"config": "{source: {template: " + gitTemplate + "}" + follows + "}"}, shoot: "repository: {path: x}"},
		inShoot+"repository.path: Forbidden: what is followed is said by kustomization.template in key config of ConfigMap flux-config: write it into spec.path of a template here")
	add("type above a template of the landscape", written{defaults: "{source: {template: " + gitTemplate + "}" + follows + "}", data: map[string]string{"repositoryType": "private"}},
		inConfigMap+"repositoryType: Forbidden: what is followed is said by source.template in the defaults of the landscape (value defaults of the chart): write it into spec of a template here")
	// Incomplete.
	add("no URL in any layer", written{defaults: "repository: {path: a}", data: map[string]string{"repositoryBranch": "x"}, shoot: "repository: {type: private}"},
		inShoot+"repository.url: Required value: the other keys of the repository are written: "+writeURL+", or remove the other keys to install only Flux")
	add("source without kustomization", shoot("source: {template: "+gitTemplate+"}"),
		inShoot+"kustomization.template: Required value: source.template is written, and nothing follows it: write kustomization.template as well, or repository.path")
	add("kustomization without source", shoot("kustomization: {template: "+kustomizing+"}"),
		inShoot+"source.template: Required value: kustomization.template is written, and there is nothing that it could follow: write source.template as well, or repository.url")
	add("Secret without template", shoot("{source: {secretResourceName: x}"+follows+"}"),
		inShoot+"source.secretResourceName: Forbidden: it belongs to the template beside it: write source.template")
	// Together, in several layers.
	add("private by the project, URL by the shoot", written{data: map[string]string{"repositoryUrl": sshURL, "repositoryType": "private"}, shoot: "repository: {url: http://git.example.org:22/x}"},
		inShoot+`repository.type: Invalid value: "private": everybody on the way could read the credentials, because repository.url starts with http://: write it with https:// or ssh://, or write public if it can be read without credentials`)
	add("public by the landscape, URL by an override", written{defaults: "repository: {url: https://example.org/x, type: public}", data: map[string]string{"overrides": "[{selector: {}, config: {repository: {url: git@example.org:a/b}}}]"}},
		inConfigMap+`overrides[0].config.repository.type: Invalid value: "public": SSH always needs a key, and overrides[0].config.repository.url starts with ssh:// or has the form git@host:path: write private, or an https:// URL`)
	add("branch by the project, artifacts by the shoot", written{data: map[string]string{"repositoryUrl": httpsURL, "repositoryBranch": "x"}, shoot: "repository: {url: oci://example.org/x}"},
		inShoot+"repository.branch: Forbidden: it is for Git, and repository.url starts with oci://: write repository.tag, repository.semver or repository.digest")
	// References.
	add("branch of artifacts", keys("repositoryUrl", "oci://example.org/x", "repositoryBranch", "main"),
		inConfigMap+"repositoryBranch: Forbidden: it is for Git, and repositoryUrl starts with oci://: write repositoryTag, repositorySemver or repositoryDigest")
	add("artifacts without reference", keys("repositoryUrl", "oci://example.org/x"),
		inConfigMap+"repositoryTag: Required value: repositoryUrl starts with oci://, and artifacts are followed by a tag, a range of versions or a digest: write repositoryTag, repositorySemver or repositoryDigest")
	add("digest of Git", keys("repositoryUrl", httpsURL, "repositoryDigest", "sha256:"+strings.Repeat("a", 64)),
		inConfigMap+"repositoryDigest: Forbidden: it is for artifacts, and repositoryUrl does not start with oci://: write repositoryCommit for Git")
	add("commit of artifacts", keys("repositoryUrl", "oci://example.org/x", "repositoryCommit", strings.Repeat("a", 40)),
		inConfigMap+"repositoryCommit: Forbidden: it is for Git, and repositoryUrl starts with oci://: write repositoryTag, repositorySemver or repositoryDigest")
	add("reference of artifacts", keys("repositoryUrl", "oci://example.org/x", "repositoryRefName", "refs/heads/x"),
		inConfigMap+"repositoryRefName: Forbidden: it is for Git, and repositoryUrl starts with oci://: write repositoryTag, repositorySemver or repositoryDigest")
	add("tag of artifacts with slash", keys("repositoryUrl", "oci://example.org/x", "repositoryTag", "a/b"),
		inConfigMap+`repositoryTag: Invalid value: "a/b": the tag of an artifact has letters, digits, ".", "_" and "-", and 128 characters at most`)
	add("short commit", keys("repositoryUrl", httpsURL, "repositoryCommit", "5f0c"),
		inConfigMap+`repositoryCommit: Invalid value: "5f0c": write the whole SHA of the commit, as git rev-parse prints it: 40 digits from 0 to f`)
	add("whole name of a tag", keys("repositoryUrl", httpsURL, "repositoryTag", "refs/tags/v1"),
		inConfigMap+`repositoryTag: Invalid value: "refs/tags/v1": write the tag without "refs/tags/"`)
	add("tag with blank", keys("repositoryUrl", httpsURL, "repositoryTag", "v 1"),
		inConfigMap+`repositoryTag: Invalid value: "v 1": a tag must not contain " "`)
	add("name of a reference", keys("repositoryUrl", httpsURL, "repositoryRefName", "main"),
		inConfigMap+`repositoryRefName: Invalid value: "main": write the whole name of the reference, such as "refs/heads/main", "refs/tags/v1.0.0" or "refs/pull/420/head"`)
	add("reference with dots", keys("repositoryUrl", httpsURL, "repositoryRefName", "refs/heads/a..b"),
		inConfigMap+`repositoryRefName: Invalid value: "refs/heads/a..b": a reference must not contain ".."`)
	add("no range", keys("repositoryUrl", httpsURL, "repositorySemver", "newest"),
		inConfigMap+`repositorySemver: Invalid value: "newest": write a range of versions, such as "1.x", "~1.4" or ">=1.4.0 <2.0.0"`)
	add("digest without algorithm", keys("repositoryUrl", "oci://example.org/x", "repositoryDigest", strings.Repeat("a", 64)),
		inConfigMap+`repositoryDigest: Invalid value: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa": write "sha256:" and the 64 digits of the artifact's digest`)
	add("tag in the URL of artifacts", keys("repositoryUrl", "oci://example.org/x:v1", "repositoryTag", "v1"),
		inConfigMap+`repositoryUrl: Invalid value: "oci://example.org/x:v1": write host and name of the repository in small letters, such as "oci://registry.example.org/fleet/shoots", without tag and digest: they have keys of their own`)
	add("artifacts in capitals", keys("repositoryUrl", "oci://example.org/Fleet", "repositoryTag", "v1"),
		inConfigMap+`repositoryUrl: Invalid value: "oci://example.org/Fleet": write host and name of the repository in small letters, such as "oci://registry.example.org/fleet/shoots", without tag and digest: they have keys of their own`)
	add("password in the URL of artifacts", keys("repositoryUrl", "oci://me:hunter2@example.org/x", "repositoryTag", "v1"),
		inConfigMap+"repositoryUrl: Invalid value: it must not hold a user, password or token, because many people can read it: write the URL without, set repositoryType to private, and put them into Secret flux-source of the project")
	add("known hosts of artifacts", keys("repositoryUrl", "oci://example.org/x", "repositoryTag", "v1", "knownHosts", "example.org "+keyA),
		inConfigMap+"knownHosts: Forbidden: it is only for SSH, and repositoryUrl starts with oci://: remove it")
	// Signatures.
	add("private key", keys("repositoryUrl", "oci://example.org/x", "repositoryTag", "v1", "verifyKeys", "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nhunter2\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----"),
		inConfigMap+"verifyKeys: Invalid value: it is a private key, which many people can read here: it can't be trusted any more; write the public key of another pair")
	add("no key", keys("repositoryUrl", "oci://example.org/x", "repositoryTag", "v1", "verifyKeys", "hunter2"),
		inConfigMap+`verifyKeys: Invalid value: write keys of cosign as cosign.pub has them: from "-----BEGIN PUBLIC KEY-----" to "-----END PUBLIC KEY-----"`)
	add("key that can't be read", keys("repositoryUrl", "oci://example.org/x", "repositoryTag", "v1", "verifyKeys", "-----BEGIN PUBLIC KEY-----\naHVudGVy\n-----END PUBLIC KEY-----"),
		inConfigMap+"verifyKeys: Invalid value: key 1 can't be read: write it as cosign.pub has it")
	add("key of cosign for Git", keys("repositoryUrl", httpsURL, "verifyKeys", "-----BEGIN PUBLIC KEY-----\nx\n-----END PUBLIC KEY-----"),
		inConfigMap+"verifyKeys: Invalid value: repositoryUrl is one of Git: write armoured PGP keys, as gpg --armor --export prints them")
	add("identity of Git", keys("repositoryUrl", httpsURL, "verifyIssuer", "x", "verifySubject", "y"),
		inConfigMap+"[verifyIssuer: Forbidden: it is for artifacts, and repositoryUrl does not start with oci://: write verifyKeys for Git, verifySubject: Forbidden: it is for artifacts, and repositoryUrl does not start with oci://: write verifyKeys for Git]")
	add("half of an identity", keys("repositoryUrl", "oci://example.org/x", "repositoryTag", "v1", "verifyIssuer", "x"),
		inConfigMap+"verifySubject: Required value: verifyIssuer is written: an identity has an issuer and a subject")
	add("no expression", keys("repositoryUrl", "oci://example.org/x", "repositoryTag", "v1", "verifyIssuer", "(", "verifySubject", "x"),
		inConfigMap+`verifyIssuer: Invalid value: "(": it is not a regular expression, such as "^https://token\.actions\.githubusercontent\.com$"`)
	add("keys and identity", keys("repositoryUrl", "oci://example.org/x", "repositoryTag", "v1", "verifyIssuer", "x", "verifySubject", "y", "verifyKeys", cosignKey),
		inConfigMap+"[verifyIssuer: Forbidden: verifyKeys says already by which keys artifacts are signed: remove one of them, verifySubject: Forbidden: verifyKeys says already by which keys artifacts are signed: remove one of them]")
	// Policies.
	add("manifests only, and Flux is managed", keys("syncMode", "ManifestsOnly", "installation", "managed"),
		inConfigMap+`syncMode: Invalid value: "ManifestsOnly": it leaves Flux to the shoot's users, and installation says managed: write Managed`)
	add("unknown sync mode", shoot("syncMode: Never"),
		inShoot+`syncMode: Unsupported value: "Never": supported values: "Managed", "ManifestsOnly", "Once"`)
	add("unknown installation in a shoot", shoot("installation: twice"),
		inShoot+`installation: Unsupported value: "twice": supported values: "managed", "once"`)
	add("deny", written{data: map[string]string{"shootOverrides": "deny"}, shoot: "suspend: true"},
		inShoot+"providerConfig: Forbidden: the project does not allow its shoots to differ (key shootOverrides of ConfigMap flux-config): remove what is written")
	for name, empty := range map[string]string{"an empty field": "flux: {}", "an empty value": `flux: {version: ""}`, "no value": "source:", "a value that is none": "flux: {registry: ghcr.io/fluxcd}"} {
		add("deny, "+name, written{data: map[string]string{"shootOverrides": "deny"}, shoot: empty},
			inShoot+"providerConfig: Forbidden: the project does not allow its shoots to differ (key shootOverrides of ConfigMap flux-config): remove what is written")
	}
	add("neither allow nor deny", keys("shootOverrides", "no"),
		inConfigMap+`shootOverrides: Unsupported value: "no": supported values: "allow", "deny"`)
	// The installation.
	add("registry with scheme", shoot("flux: {registry: https://registry.example.org/fluxcd}"),
		inShoot+`flux.registry: Invalid value: "https://registry.example.org/fluxcd": write host and path, without scheme and tag, such as "registry.example.org/mirror/fluxcd"`)
	add("namespace with capitals", shoot("flux: {namespace: Gitops}"),
		inShoot+`flux.namespace: Invalid value: "Gitops": write the name of a namespace: small letters, digits and "-", at most 63`)
	add("namespace of Kubernetes", shoot("flux: {namespace: kube-system}"),
		inShoot+`flux.namespace: Invalid value: "kube-system": it belongs to Kubernetes, and the namespace of Flux goes with it: write another one, such as flux-system`)
	add("no source-controller", shoot("flux: {components: [kustomize-controller]}"),
		inShoot+"flux.components: Required value: source-controller is missing, without which nothing is followed: add it, or leave out the list to have the usual ones")
	add("unknown component", shoot("flux: {components: [kustomize-controller, foo], componentsExtra: [source-controller]}"),
		inShoot+`flux.components: Unsupported value: "foo": supported values: "source-controller", "kustomize-controller", "helm-controller", "notification-controller", "image-reflector-controller", "image-automation-controller", "source-watcher"`)
	add("too many components", shoot("flux: {components: ["+strings.Repeat("source-controller, ", 32)+"kustomize-controller]}"),
		inShoot+"flux.components: Too many: 33: must have at most 32 items")
	add("version that is none", shoot("flux: {version: newest}"),
		inShoot+`flux.version: Invalid value: "newest": write a release such as "v2.9.4", a range such as "2.x" or "~2.9.0", or "latest"`)
	// Templates.
	add("template of a HelmRepository", shoot(source("{apiVersion: source.toolkit.fluxcd.io/v1, kind: HelmRepository, spec: {url: https://example.org}}")),
		inShoot+`source.template.kind: Unsupported value: "HelmRepository": supported values: "GitRepository", "OCIRepository", "Bucket"`)
	add("template of another group", shoot(source("{apiVersion: v1, kind: GitRepository}")),
		inShoot+`source.template.apiVersion: Invalid value: "v1": write source.toolkit.fluxcd.io/v1, or leave out apiVersion and kind`)
	add("empty template", shoot(source("{}")),
		inShoot+"source.template: Required value: write an object: a GitRepository, an OCIRepository or a Bucket")
	add("template that is text", shoot(source("x")),
		inShoot+"source.template: Required value: write an object: a GitRepository, an OCIRepository or a Bucket")
	add("Git template without URL", shoot(source("{spec: {ref: {branch: x}}}")),
		inShoot+"source.template.spec.url: Required value: write the URL of a Git repository")
	add("Git template without reference", shoot(source(`{spec: {url: "https://example.org/x"}}`)),
		inShoot+"source.template.spec.ref: Required value: write branch, tag, semver, name or commit")
	add("Git template with empty reference", shoot(source(`{spec: {url: "https://example.org/x", ref: {}}}`)),
		inShoot+"source.template.spec.ref: Required value: write branch, tag, semver, name or commit")
	add("Git template with another scheme", shoot(source(`{spec: {url: "oci://example.org/x", ref: {branch: x}}}`)),
		inShoot+"source.template.spec.url: Invalid value: it must start with https:// or http:// or ssh://, and have a host")
	add("template with token", shoot(source(`{spec: {url: "https://hunter2@example.org/x", ref: {branch: x}}}`)),
		inShoot+"source.template.spec.url: Invalid value: it must not hold a user, password or token, because many people can read it: put them into a Secret, and name it in spec.secretRef")
	add("template with password", shoot(source(`{spec: {url: "ssh://git:hunter2@example.org/x", ref: {branch: x}}}`)),
		inShoot+"source.template.spec.url: Invalid value: it must not hold a user, password or token, because many people can read it: put them into a Secret, and name it in spec.secretRef")
	add("OCI template without URL", shoot(source("{kind: OCIRepository, spec: {ref: {tag: x}}}")),
		inShoot+"source.template.spec.url: Required value: write the URL of an OCI repository")
	add("OCI template over HTTPS", shoot(source(`{kind: OCIRepository, spec: {url: "https://example.org/x", ref: {tag: x}}}`)),
		inShoot+"source.template.spec.url: Invalid value: it must start with oci://, and have a host")
	add("OCI template without reference", shoot(source(`{kind: OCIRepository, spec: {url: "oci://example.org/x", ref: {branch: x}}}`)),
		inShoot+"source.template.spec.ref: Required value: write tag, semver or digest")
	add("Bucket without name", shoot(source("{kind: Bucket, spec: {endpoint: x}}")),
		inShoot+"source.template.spec.bucketName: Required value: a Bucket needs endpoint and bucketName")
	add("template with a wrong name", shoot(source(`{metadata: {name: A_b}, spec: {url: "https://example.org/x", ref: {branch: x}}}`)),
		inShoot+`source.template.metadata.name: Invalid value: "A_b": write the name of an object: small letters, digits, "-" and "."`)
	add("template in a namespace of Kubernetes", shoot(source(`{metadata: {namespace: kube-system}, spec: {url: "https://example.org/x", ref: {branch: x}}}`)),
		inShoot+`source.template.metadata.namespace: Invalid value: "kube-system": it belongs to Kubernetes, and the namespace of Flux goes with it: write another one, such as flux-system`)
	add("Kustomization without path", shoot("{source: {template: "+gitTemplate+"}, kustomization: {template: {spec: {prune: true}}}}"),
		inShoot+`kustomization.template.spec.path: Required value: write the directory in what is followed, such as "./clusters/production"`)
	add("Kustomization of another group", shoot("{source: {template: "+gitTemplate+"}, kustomization: {template: {apiVersion: kustomize.config.k8s.io/v1beta1, kind: Kustomization}}}"),
		inShoot+`kustomization.template.apiVersion: Invalid value: "kustomize.config.k8s.io/v1beta1": write kustomize.toolkit.fluxcd.io/v1, or leave out apiVersion and kind`)
	add("Kustomization of another kind", shoot("{source: {template: "+gitTemplate+"}, kustomization: {template: {kind: HelmRelease, spec: {path: x}}}}"),
		inShoot+`kustomization.template.kind: Unsupported value: "HelmRelease": supported values: "Kustomization"`)
	// Secrets.
	add("target with capitals", shoot("additionalSecretResources: [{name: a, targetName: Not_Valid}]"),
		inShoot+`additionalSecretResources[0].targetName: Invalid value: "Not_Valid": write the name of a Secret: small letters, digits, "-" and "."`)
	add("Secret without name", shoot("additionalSecretResources: [{targetName: a}]"),
		inShoot+"additionalSecretResources[0].name: Required value: write the name of an entry of spec.resources of the Shoot that refers to a Secret")
	add("two of a target", shoot("additionalSecretResources: [{name: a, targetName: x}, {name: b, targetName: x}]"),
		inShoot+`additionalSecretResources[1].targetName: Invalid value: "x": entry 0 has the same: each needs a Secret of its own`)
	add("wrong label", shoot("additionalSecretResources: [{name: a, labels: {a: b/c}}]"),
		inShoot+`additionalSecretResources[0].labels: Invalid value: "a": it is not a label of Kubernetes: see https://kubernetes.io/docs/concepts/overview/working-with-objects/labels`)
	add("too many Secrets", shoot("additionalSecretResources: ["+strings.Repeat("{name: a}, ", 33)+"]"),
		inShoot+"additionalSecretResources: Too many: 33: must have at most 32 items")
	// Documents.
	add("unknown field with wrong letters", shoot("{removalPolicy: keep-flux, installatoin: once}"),
		inShoot+"installatoin: Forbidden: unknown field, did you mean installation?")
	add("unknown field of config", config("flux: {versiom: v2.9.4}"),
		inConfigMap+"config.flux.versiom: Forbidden: unknown field, did you mean flux.version?")
	add("flat key as a field", shoot("{repositoryUrl: https://example.org/x}"),
		inShoot+"repositoryUrl: Forbidden: unknown field, did you mean repository.url?")
	add("field of another part", shoot("{url: https://example.org/x}"),
		inShoot+"url: Forbidden: unknown field, did you mean repository.url?")
	add("unknown field like none", config("{fleet: x}"),
		inConfigMap+"config.fleet: Forbidden: unknown field, the known ones here are flux, repository, source, kustomization, additionalSecretResources, installation, syncMode, removalPolicy, suspend")
	add("unknown field of a list", config("additionalSecretResources: [{name: a, target: b}]"),
		inConfigMap+"config.additionalSecretResources[0].target: Forbidden: unknown field, the known ones here are name, targetName, labels")
	add("field twice", config("{suspend: true, suspend: false}"),
		inConfigMap+`config: Invalid value: it is not YAML: line 1: key "suspend" already set in map`)
	add("number in place of text", config("flux: {version: 2.9}"),
		inConfigMap+`config.flux.version: Invalid value: it is a number: write text, in quotes, such as "2.9"`)
	add("text in place of yes or no", config(`suspend: "true"`),
		inConfigMap+"config.suspend: Invalid value: it is text: write true or false, without quotes")
	add("text in place of a list", config("flux: {components: source-controller}"),
		inConfigMap+"config.flux.components: Invalid value: it is text: write a list")
	add("text in place of fields", config("repository: https://example.org/x"),
		inConfigMap+"config.repository: Invalid value: it is text: write fields and their values")
	add("config is text", config("x"),
		inConfigMap+"config: Invalid value: it is text: write fields of a FluxConfig, such as repository")
	add("config is no YAML", config("a: [\n"),
		inConfigMap+"config: Invalid value: it is not YAML: line 1: did not find expected node content")
	add("config with alias", config("{flux: &a {version: latest}, repository: *a}"),
		inConfigMap+"config: Invalid value: it refers to another place of the document (*name): write out what stands there")
	add("other kind", config("{kind: ConfigMap}"),
		inConfigMap+"config: Invalid value: write apiVersion: flux.extensions.gardener.cloud/v1alpha1 and kind: FluxConfig, or none of them")
	add("other version", shoot("{apiVersion: flux.extensions.gardener.cloud/v1beta1, kind: FluxConfig}"),
		inShoot+"providerConfig: Invalid value: write apiVersion: flux.extensions.gardener.cloud/v1alpha1 and kind: FluxConfig, or none of them")
	add("key that is a field", keys("flux", "x"),
		inConfigMap+"flux: Forbidden: unknown key: it is a field, write it into key config")
	add("long config", config("# "+strings.Repeat("x", 33<<10)),
		inConfigMap+"config: Too long: may not be more than 32768 bytes")
	add("long providerConfig", shoot("flux: {version: "+strings.Repeat("x", 33<<10)+"}"),
		inShoot+"providerConfig: Too long: may not be more than 32768 bytes")
	// Overrides.
	add("overrides are no list", overrides("selector: {}"),
		inConfigMap+"overrides: Invalid value: it is fields and their values: write a list of entries with selector and config")
	add("override without selector", overrides("[{config: {suspend: true}}]"),
		inConfigMap+"overrides[0].selector: Required value: it says for which shoots the entry is: write matchLabels or matchExpressions, or {} for all")
	add("override without config", overrides("[{selector: {}}]"),
		inConfigMap+"overrides[0].config: Required value: write what is different for these shoots, as fields of a FluxConfig")
	add("override with unknown field", overrides("[{selector: {}, config: {suspend: true}, labels: {}}]"),
		inConfigMap+"overrides[0].labels: Forbidden: unknown field, the known ones here are selector with matchLabels and matchExpressions, and config")
	add("override with unknown field of the selector", overrides("[{selector: {labels: {}}, config: {suspend: true}}]"),
		inConfigMap+"overrides[0].selector.labels: Forbidden: unknown field, the known ones here are selector with matchLabels and matchExpressions, and config")
	add("override with unknown field of its config", overrides("[{selector: {}, config: {suspended: true}}]"),
		inConfigMap+"overrides[0].config.suspended: Forbidden: unknown field, did you mean suspend?")
	add("override with unknown operator", overrides("[{selector: {matchExpressions: [{key: a, operator: Is}]}, config: {suspend: true}}]"),
		inConfigMap+`overrides[0].selector.matchExpressions[0].operator: Invalid value: "Is": not a valid selector operator`)
	for name, tc := range map[string]struct{ selector, want string }{
		"labels":       {"{matchLabels: {" + strings.Join(numbered("l%d: x", 33), ", ") + "}}", "matchLabels: Too many: 33: must have at most 32 items"},
		"requirements": {"{matchExpressions: [" + strings.Join(numbered("{key: l%d, operator: Exists}", 33), ", ") + "]}", "matchExpressions: Too many: 33: must have at most 32 items"},
	} {
		add("too many "+name+" of an override", keys("overrides", "[{selector: "+tc.selector+", config: {suspend: true}}]"), inConfigMap+"overrides[0].selector."+tc.want)
	}
	add("override with a label that is no text", overrides("[{selector: {matchLabels: {a: y}}, config: {suspend: true}}]"),
		inConfigMap+`overrides: Invalid value: selector.matchLabels of an entry is true or false (as yes, no, on and off are as well): write text, in quotes, such as "2.9"`)
	add("override with a wrong value", overrides("[{selector: {}, config: {suspend: true}}, {selector: {matchLabels: {a: b}}, config: {repository: {url: x}}}]"),
		inConfigMap+`overrides[1].config.repository.url: Invalid value: "x": it is not the URL of a Git repository: `+writeURL)
	add("too many overrides", overrides("["+strings.Repeat("{selector: {}, config: {suspend: true}},", 65)+"]"),
		inConfigMap+"overrides: Too many: 65: must have at most 64 items")
	add("overrides in a shoot", shoot("overrides: []"),
		inShoot+"overrides: Forbidden: unknown field, the known ones here are flux, repository, source, kustomization, additionalSecretResources, installation, syncMode, removalPolicy, suspend")
	// Several places.
	add("project and shoot", written{data: map[string]string{"fluxVersion": "newest"}, shoot: "installation: twice"},
		inConfigMap+`fluxVersion: Invalid value: "newest": write a release such as "v2.9.4", a range such as "2.x" or "~2.9.0", or "latest"; `+inShoot+`installation: Unsupported value: "twice": supported values: "managed", "once"`)
	return refused
}

const pgpKey = `-----BEGIN PGP PUBLIC KEY BLOCK-----

mDMEZ
-----END PGP PUBLIC KEY BLOCK-----`

const cosignKey = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEhyQCx0E9wQWSFI9ULGwy3BuRklnt
IqozONbbdbqz11hlRJy9c7SG+hdcFl9jE9uE/dwtuwU2MqU9T/cN0YkWww==
-----END PUBLIC KEY-----`

func TestRefusals(t *testing.T) {
	for name, tc := range refusedLayers() {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			effective, err := tc.effective(g)
			g.Expect(effective).To(BeNil())
			g.Expect(err).To(MatchError(tc.want))
			g.Expect(err.Error()).NotTo(ContainSubstring("hunt"))
		})
	}
}

// refusal is read by the test that a refused configuration changes nothing.
type refusal struct {
	Defaults       string            `json:"defaults,omitempty"`
	Data           map[string]string `json:"data,omitempty"`
	NoConfigMap    bool              `json:"noConfigMap,omitempty"`
	HadConfigMap   bool              `json:"hadConfigMap,omitempty"`
	ProviderConfig string            `json:"providerConfig,omitempty"`
	Error          string            `json:"error"`
}

// TestRefusalsOfTheController keeps the file of all refusals, of keys and of layers.
func TestRefusalsOfTheController(t *testing.T) {
	g := NewWithT(t)
	const file = "testdata/refusals.golden.json"
	refusals := map[string]refusal{}
	for name, tc := range refusedLayers() {
		refusals["layers: "+name] = refusal{Defaults: tc.defaults, Data: tc.data, NoConfigMap: tc.noConfigMap, HadConfigMap: tc.hadOne, ProviderConfig: tc.shoot, Error: tc.want}
	}
	for name, tc := range refusedCases {
		// An API server takes nothing else.
		if utf8.ValidString(tc.data["repositoryBranch"]) {
			refusals["keys: "+name] = refusal{Data: tc.data, Error: inConfigMap + tc.want}
		}
	}
	actual, err := json.MarshalIndent(refusals, "", "  ")
	g.Expect(err).NotTo(HaveOccurred())
	if *update {
		g.Expect(os.WriteFile(file, append(actual, '\n'), 0o644)).To(Succeed())
	}
	expected, err := os.ReadFile(file)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(actual).To(MatchJSON(expected), "run the test with -update")
}
