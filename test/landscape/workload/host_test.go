// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package workload_test

import (
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/workload"
)

func newPod() workload.Pod {
	return workload.Pod{Namespace: "there", Name: "pod", Spec: corev1.PodSpec{
		AutomountServiceAccountToken: new(false),
		Containers: []corev1.Container{{
			Name: "manager",
			Args: []string{"--config=/etc/manager/config.yaml", "--path=/data", "--database=/database", "--host=server.$(NAMESPACE).svc"},
			Env: []corev1.EnvVar{
				{Name: "NAMESPACE", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.namespace"}}},
				{Name: "MEMORY", ValueFrom: &corev1.EnvVarSource{ResourceFieldRef: &corev1.ResourceFieldSelector{Resource: "limits.memory"}}},
				{Name: "CACHE", Value: "/data/cache"},
			},
			Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("1Ki")}},
			VolumeMounts: []corev1.VolumeMount{
				{Name: "config", MountPath: "/etc/manager"}, {Name: "data", MountPath: "/data"}, {Name: "certs", MountPath: "/etc/manager-certs"},
			},
		}},
		Volumes: []corev1.Volume{
			{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "config"}}}},
			{Name: "data", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
			{Name: "certs", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
				{Secret: &corev1.SecretProjection{
					LocalObjectReference: corev1.LocalObjectReference{Name: "certs"}, Items: []corev1.KeyToPath{{Key: "tls.crt", Path: "server.crt"}},
				}},
			}}}},
		},
	}}
}

func newHost(t *testing.T) *workload.Host {
	t.Helper()
	return &workload.Host{Dir: t.TempDir(), Config: &rest.Config{Host: "https://127.0.0.1:1"}, Client: fake.NewClientBuilder().WithObjects(
		&corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: "there", Name: "config"},
			Data:       map[string]string{"config.yaml": "certs: /etc/manager-certs\nown: \"/etc/manager/x\"\nother: /var/etc/manager\n"},
		},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "there", Name: "certs"}, Data: map[string][]byte{"tls.crt": []byte("certificate")}},
	).Build()}
}

func TestMount(t *testing.T) {
	g := NewWithT(t)
	mounted, err := newHost(t).Mount(t.Context(), newPod(), "manager")
	g.Expect(err).NotTo(HaveOccurred())
	root := mounted.Dir()

	g.Expect(os.ReadFile(filepath.Join(root, "etc/manager/config.yaml"))).To(BeEquivalentTo(
		"certs: " + root + "/etc/manager-certs\nown: \"" + root + "/etc/manager/x\"\nother: /var/etc/manager\n"))
	g.Expect(os.ReadFile(filepath.Join(root, "etc/manager-certs/server.crt"))).To(BeEquivalentTo("certificate"))
	g.Expect(filepath.Join(root, "data")).To(BeADirectory())
	g.Expect(mounted.RefreshAfter()).To(BeZero(), "there is no token")

	g.Expect(mounted.Env()).To(Equal([]string{"NAMESPACE=there", "MEMORY=1024", "CACHE=" + root + "/data/cache"}))
	g.Expect(mounted.Args()).To(Equal([]string{
		"--config=" + root + "/etc/manager/config.yaml", "--path=" + root + "/data", "--database=/database", "--host=server.there.svc",
	}))
}

func TestMountFollowsChanges(t *testing.T) {
	g := NewWithT(t)
	host := newHost(t)
	_, err := host.Mount(t.Context(), newPod(), "manager")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(host.Client.Update(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "there", Name: "certs"}, Data: map[string][]byte{"tls.crt": []byte("renewed")},
	})).To(Succeed())
	mounted, err := host.Mount(t.Context(), newPod(), "manager")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(os.ReadFile(filepath.Join(mounted.Dir(), "etc/manager-certs/server.crt"))).To(BeEquivalentTo("renewed"))

	g.Expect(host.Forget("there", "pod")).To(Succeed())
	g.Expect(mounted.Dir()).NotTo(BeADirectory())
}

func TestMountOptional(t *testing.T) {
	g := NewWithT(t)
	pod := newPod()
	pod.Spec.Volumes[0].ConfigMap.Name, pod.Spec.Volumes[0].ConfigMap.Optional = "missing", new(true)
	pod.Spec.Volumes[2].Projected.Sources[0].Secret.Items[0].Key, pod.Spec.Volumes[2].Projected.Sources[0].Secret.Optional = "token", new(true)
	mounted, err := newHost(t).Mount(t.Context(), pod, "manager")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(filepath.Join(mounted.Dir(), "etc/manager")).To(BeADirectory())
	g.Expect(filepath.Join(mounted.Dir(), "etc/manager-certs/server.crt")).NotTo(BeAnExistingFile())
}

func TestMountErrors(t *testing.T) {
	for name, test := range map[string]struct {
		change   func(*workload.Pod)
		expected string
	}{
		"no such container": {
			func(pod *workload.Pod) { pod.Spec.Containers[0].Name = "other" },
			`pod there/pod has no container "manager"`,
		},
		"no such volume": {
			func(pod *workload.Pod) { pod.Spec.Volumes = pod.Spec.Volumes[1:] },
			"mounting volume config of pod there/pod: the pod has no such volume",
		},
		"volume of a node": {
			func(pod *workload.Pod) {
				pod.Spec.Volumes[0].VolumeSource = corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{}}
			},
			"mounting volume config of pod there/pod: only emptyDir, secret, configMap and projected volumes work without a node",
		},
		"missing key": {
			func(pod *workload.Pod) { pod.Spec.Volumes[2].Projected.Sources[0].Secret.Items[0].Key = "token" },
			"mounting volume certs of pod there/pod: key token is not there yet",
		},
		"missing object": {
			func(pod *workload.Pod) { pod.Spec.Volumes[0].ConfigMap.Name = "missing" },
			`mounting volume config of pod there/pod: configmaps "missing" not found`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			pod := newPod()
			test.change(&pod)
			_, err := newHost(t).Mount(t.Context(), pod, "manager")
			NewWithT(t).Expect(err).To(MatchError(test.expected))
		})
	}
}
