// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
)

// Mounted is a container whose files are in place.
type Mounted struct {
	pod       Pod
	container corev1.Container
	config    *rest.Config
	root      string
	contained bool
	pattern   *regexp.Regexp
	refreshAt time.Time
	ports     *ports
}

// mountPattern finds mount paths that stand for themselves: "/data" and "/data/x", but neither "/database" nor "/other/data". Its first
// group is what stands before the path.
func mountPattern(mounts []corev1.VolumeMount) *regexp.Regexp {
	if len(mounts) == 0 {
		return nil
	}
	paths := make([]string, 0, len(mounts))
	for _, mount := range mounts {
		paths = append(paths, regexp.QuoteMeta(strings.TrimSuffix(mount.MountPath, "/")))
	}
	slices.SortFunc(paths, func(a, b string) int { return len(b) - len(a) })
	return regexp.MustCompile(`(^|[^\w./-])((?:` + strings.Join(paths, "|") + `)(?:/|[^\w./-]|$))`)
}

// Translate replaces each mount path in text by the directory on this machine.
func (m *Mounted) Translate(text string) string {
	if m.pattern == nil {
		return text
	}
	return m.pattern.ReplaceAllString(text, "${1}"+strings.ReplaceAll(m.root, "$", "$$")+"${2}")
}

// Port returns the port of the loopback interface at which the container's port of this name is to be: pods share it, so they can't have those
// that they say.
func (m *Mounted) Port(name string) (int, error) {
	if m.ports == nil || !slices.ContainsFunc(m.container.Ports, func(port corev1.ContainerPort) bool { return port.Name == name }) {
		return 0, fmt.Errorf("container %s of pod %s/%s has no port %q", m.container.Name, m.pod.Namespace, m.pod.Name, name)
	}
	return m.ports.named(name)
}

// Dir returns the directory of the pod. Files of its volumes are below, under their mount paths.
func (m *Mounted) Dir() string { return m.root }

// RefreshAfter returns after which time a token must be renewed, and 0 if there is none.
func (m *Mounted) RefreshAfter() time.Duration {
	if m.refreshAt.IsZero() {
		return 0
	}
	return max(time.Until(m.refreshAt), time.Second)
}

func (m *Mounted) refresh(t token) {
	if m.refreshAt.IsZero() || t.refresh.Before(m.refreshAt) {
		m.refreshAt = t.refresh
	}
}

// Kubeconfig writes a kubeconfig with the identity of the pod's ServiceAccount and returns its path. It fails if the container mounts no
// such identity.
func (m *Mounted) Kubeconfig() (string, error) {
	mounted := slices.ContainsFunc(m.container.VolumeMounts, func(mount corev1.VolumeMount) bool { return mount.MountPath == serviceAccountMount })
	if !mounted {
		return "", fmt.Errorf("container %s of pod %s/%s mounts nothing at %s", m.container.Name, m.pod.Namespace, m.pod.Name, serviceAccountMount)
	}
	content, err := kubeconfig(m.config, filepath.Join(m.root, serviceAccountMount))
	if err != nil {
		return "", err
	}
	path := filepath.Join(m.root, "kubeconfig")
	return path, m.replaceFile(path, content)
}

// Env returns the container's environment as "NAME=value".
func (m *Mounted) Env() ([]string, error) {
	env := make([]string, 0, len(m.container.Env))
	for _, variable := range m.container.Env {
		value, err := m.value(variable)
		if err != nil {
			return nil, fmt.Errorf("variable %s of container %s: %w", variable.Name, m.container.Name, err)
		}
		env = append(env, variable.Name+"="+m.Translate(value))
	}
	return env, nil
}

func (m *Mounted) value(variable corev1.EnvVar) (string, error) {
	source := variable.ValueFrom
	switch {
	case source == nil:
		return variable.Value, nil
	case source.FieldRef != nil:
		return m.field(source.FieldRef)
	case source.ResourceFieldRef != nil:
		return m.resource(source.ResourceFieldRef)
	default:
		return "", fmt.Errorf("only values, fieldRef and resourceFieldRef work without a node")
	}
}

func (m *Mounted) field(ref *corev1.ObjectFieldSelector) (string, error) {
	switch ref.FieldPath {
	case "metadata.namespace":
		return m.pod.Namespace, nil
	case "metadata.name":
		return m.pod.Name, nil
	case "status.podIP":
		return "127.0.0.1", nil
	default:
		return "", fmt.Errorf("field %s of a pod is not known without a node", ref.FieldPath)
	}
}

func (m *Mounted) resource(ref *corev1.ResourceFieldSelector) (string, error) {
	kind, name, _ := strings.Cut(ref.Resource, ".")
	list := m.container.Resources.Limits
	if kind == "requests" {
		list = m.container.Resources.Requests
	}
	quantity, ok := list[corev1.ResourceName(name)]
	if !ok {
		return "", fmt.Errorf("the container has no %s", ref.Resource)
	}
	return strconv.FormatInt(quantity.Value(), 10), nil
}

// Args returns the container's arguments, with $(VARIABLES) of its environment expanded and mount paths translated.
func (m *Mounted) Args() ([]string, error) {
	env, err := m.Env()
	if err != nil {
		return nil, err
	}
	var pairs []string
	for _, variable := range env {
		name, value, _ := strings.Cut(variable, "=")
		pairs = append(pairs, "$("+name+")", value)
	}
	expand := strings.NewReplacer(pairs...)
	args := make([]string, 0, len(m.container.Args))
	for _, arg := range m.container.Args {
		args = append(args, m.Translate(expand.Replace(arg)))
	}
	return args, nil
}
