// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// serviceAccountMount is where every pod finds the identity of its ServiceAccount.
const serviceAccountMount = "/var/run/secrets/kubernetes.io/serviceaccount"

const (
	// rootCAConfigMap is a ConfigMap with the cluster's certificate authority, in each namespace.
	rootCAConfigMap = "kube-root-ca.crt"
	// tokenSeconds is the lifetime that admission gives to the tokens of pods.
	tokenSeconds int64 = 3607
)

// Host mounts the volumes of pods of one cluster into directories of this machine.
type Host struct {
	// Client reads what volumes refer to, and requests tokens.
	Client client.Client
	// Config says where the cluster is and which certificate authority it has.
	Config *rest.Config
	// Dir is the directory below which each pod gets its own.
	Dir string
	// Contained makes the pod's directory the root of its program (see [process.Container]): paths stay as the pod has them, and files get the
	// group that the pod has for them.
	Contained bool

	mutex  sync.Mutex
	tokens map[string]token // by file
}

// Pod is a pod to run as a process: one that exists in the cluster, or one that a Deployment's template would make.
type Pod struct {
	Namespace string
	Name      string
	// UID is empty for a pod that does not exist in the cluster. The tokens of one that does exist are bound to it.
	UID  string
	Spec corev1.PodSpec
}

// Mount writes the files of all volumes that the container mounts, and renews those that changed. Call it again when Secrets or ConfigMaps
// changed, and after [Mounted.RefreshAfter]. It fails if the container does not exist, a volume is of a kind that needs a node, or what it
// refers to cannot be read.
func (h *Host) Mount(ctx context.Context, pod Pod, container string) (*Mounted, error) {
	pod.Spec = *pod.Spec.DeepCopy()
	injectServiceAccountToken(&pod.Spec)
	m := &Mounted{pod: pod, root: h.root(pod.Namespace, pod.Name), contained: h.Contained, config: h.Config}
	for _, c := range pod.Spec.Containers {
		if c.Name == container {
			m.container = c
		}
	}
	if m.container.Name == "" {
		return nil, fmt.Errorf("pod %s/%s has no container %q", pod.Namespace, pod.Name, container)
	}
	if !h.Contained {
		m.pattern = mountPattern(m.container.VolumeMounts)
	}
	for _, mount := range m.container.VolumeMounts {
		if err := h.mount(ctx, m, mount); err != nil {
			return nil, fmt.Errorf("mounting volume %s of pod %s/%s: %w", mount.Name, pod.Namespace, pod.Name, err)
		}
	}
	return m, nil
}

// injectServiceAccountToken adds the volume that kube-apiserver's admission gives to pods that do not decline it.
func injectServiceAccountToken(spec *corev1.PodSpec) {
	if spec.AutomountServiceAccountToken != nil && !*spec.AutomountServiceAccountToken {
		return
	}
	const name = "kube-api-access"
	for i := range spec.Containers {
		mounts := &spec.Containers[i].VolumeMounts
		if !slices.ContainsFunc(*mounts, func(mount corev1.VolumeMount) bool { return mount.MountPath == serviceAccountMount }) {
			*mounts = append(*mounts, corev1.VolumeMount{Name: name, MountPath: serviceAccountMount, ReadOnly: true})
		}
	}
	spec.Volumes = append(spec.Volumes, corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
		{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token", ExpirationSeconds: new(tokenSeconds)}},
		{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: corev1.LocalObjectReference{Name: rootCAConfigMap}}},
	}}}})
}

func (h *Host) mount(ctx context.Context, m *Mounted, mount corev1.VolumeMount) error {
	dir := filepath.Join(m.root, mount.MountPath)
	if err := m.makeDir(dir); err != nil {
		return err
	}
	for _, volume := range m.pod.Spec.Volumes {
		if volume.Name != mount.Name {
			continue
		}
		files, err := h.files(ctx, m, volume.VolumeSource, dir)
		if err != nil {
			return err
		}
		for name, content := range files {
			if err := m.replaceFile(filepath.Join(dir, name), []byte(m.Translate(string(content)))); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("the pod has no such volume")
}

func (h *Host) files(ctx context.Context, m *Mounted, source corev1.VolumeSource, dir string) (map[string][]byte, error) {
	namespace := m.pod.Namespace
	switch {
	case source.EmptyDir != nil:
		return nil, nil
	case source.Secret != nil:
		return h.secretFiles(ctx, namespace, source.Secret.SecretName, source.Secret.Items, source.Secret.Optional)
	case source.ConfigMap != nil:
		return h.configMapFiles(ctx, namespace, source.ConfigMap.Name, source.ConfigMap.Items, source.ConfigMap.Optional)
	case source.Projected != nil:
		files := map[string][]byte{}
		for _, projection := range source.Projected.Sources {
			part, err := h.projectedFiles(ctx, m, projection, dir)
			if err != nil {
				return nil, err
			}
			for name, content := range part {
				files[name] = content
			}
		}
		return files, nil
	default:
		return nil, fmt.Errorf("only emptyDir, secret, configMap and projected volumes work without a node")
	}
}

func (h *Host) projectedFiles(ctx context.Context, m *Mounted, projection corev1.VolumeProjection, dir string) (map[string][]byte, error) {
	namespace := m.pod.Namespace
	switch {
	case projection.Secret != nil:
		return h.secretFiles(ctx, namespace, projection.Secret.Name, projection.Secret.Items, projection.Secret.Optional)
	case projection.ConfigMap != nil && projection.ConfigMap.Name == rootCAConfigMap:
		// kube-controller-manager publishes it, which not every cluster of a landscape has.
		return map[string][]byte{corev1.ServiceAccountRootCAKey: h.Config.CAData}, nil
	case projection.ConfigMap != nil:
		return h.configMapFiles(ctx, namespace, projection.ConfigMap.Name, projection.ConfigMap.Items, projection.ConfigMap.Optional)
	case projection.DownwardAPI != nil:
		files := map[string][]byte{}
		for _, item := range projection.DownwardAPI.Items {
			value, err := m.field(item.FieldRef)
			if err != nil {
				return nil, err
			}
			files[item.Path] = []byte(value)
		}
		return files, nil
	case projection.ServiceAccountToken != nil:
		name := projection.ServiceAccountToken.Path
		token, err := h.token(ctx, m.pod, projection.ServiceAccountToken, filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		m.refresh(token)
		return map[string][]byte{name: []byte(token.value)}, nil
	default:
		return nil, fmt.Errorf("only secret, configMap, downwardAPI and serviceAccountToken can be projected without a node")
	}
}

func (h *Host) secretFiles(ctx context.Context, namespace, name string, items []corev1.KeyToPath, optional *bool) (map[string][]byte, error) {
	secret := &corev1.Secret{}
	if err := h.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, secret); err != nil {
		return nil, ignoreMissing(err, optional)
	}
	return selectItems(secret.Data, items, optional)
}

func (h *Host) configMapFiles(ctx context.Context, namespace, name string, items []corev1.KeyToPath, optional *bool) (map[string][]byte, error) {
	configMap := &corev1.ConfigMap{}
	if err := h.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, configMap); err != nil {
		return nil, ignoreMissing(err, optional)
	}
	data := map[string][]byte{}
	for key, value := range configMap.Data {
		data[key] = []byte(value)
	}
	return selectItems(data, items, optional)
}

// ignoreMissing is nil for an object that is not there and need not be.
func ignoreMissing(err error, optional *bool) error {
	if optional != nil && *optional {
		return client.IgnoreNotFound(err)
	}
	return err
}

// selectItems gives the keys their paths. As on a node, a pod waits for keys that are not optional: a token, for example, comes later.
func selectItems(data map[string][]byte, items []corev1.KeyToPath, optional *bool) (map[string][]byte, error) {
	if len(items) == 0 {
		return data, nil
	}
	files := map[string][]byte{}
	for _, item := range items {
		content, ok := data[item.Key]
		switch {
		case ok:
			files[item.Path] = content
		case optional == nil || !*optional:
			return nil, fmt.Errorf("key %s is not there yet", item.Key)
		}
	}
	return files, nil
}

// root is the directory of a pod.
func (h *Host) root(namespace, name string) string { return filepath.Join(h.Dir, namespace, name) }

// Forget removes the files of a pod that does not run any more.
func (h *Host) Forget(namespace, name string) error {
	root := h.root(namespace, name)
	h.mutex.Lock()
	defer h.mutex.Unlock()
	for file := range h.tokens {
		if strings.HasPrefix(file, root+string(filepath.Separator)) {
			delete(h.tokens, file)
		}
	}
	return os.RemoveAll(root)
}

// kubeconfig lets a program that is not in a pod act as the pod's ServiceAccount.
func kubeconfig(config *rest.Config, serviceAccountDir string) ([]byte, error) {
	const name = "pod"
	kubeconfig := clientcmdapi.NewConfig()
	kubeconfig.Clusters[name] = &clientcmdapi.Cluster{Server: config.Host, CertificateAuthority: filepath.Join(serviceAccountDir, "ca.crt")}
	kubeconfig.AuthInfos[name] = &clientcmdapi.AuthInfo{TokenFile: filepath.Join(serviceAccountDir, "token")}
	kubeconfig.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	kubeconfig.CurrentContext = name
	return clientcmd.Write(*kubeconfig)
}

// refreshShare is the share of a token's lifetime after which it is renewed, as a kubelet does.
const refreshShare = 0.8

func refreshTime(issued, expires time.Time) time.Time {
	return issued.Add(time.Duration(float64(expires.Sub(issued)) * refreshShare))
}
