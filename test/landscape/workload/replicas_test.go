// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
)

// newDeployments runs Deployments of a program that writes into a journal when it begins and when it ends. One with argument "broken" ends at once.
func newDeployments(t *testing.T) (d *Deployments, journal func() []string) {
	g := NewWithT(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "journal")
	script := `#!/bin/sh
trap 'echo "end $1" >>` + file + `; exit 0' TERM
[ "$1" != broken ] || exit 3
echo "begin $1" >>` + file + `
echo begun
while :; do sleep 0.05; done
`
	g.Expect(os.WriteFile(filepath.Join(dir, "some"), []byte(script), 0o700)).To(Succeed()) // #nosec G306 -- a program
	d = &Deployments{
		Program:  "some",
		Client:   fake.NewClientBuilder().Build(),
		Config:   &rest.Config{},
		Bin:      process.Binaries(dir),
		Dir:      dir,
		Log:      logr.Discard(),
		crashed:  make(chan event.GenericEvent, 10),
		replicas: map[string][]*replica{},
	}
	d.host = &Host{Client: d.Client, Config: d.Config, Dir: filepath.Join(dir, podsDir)}
	d.Adapt = func(_ string, mounted *Mounted, program *process.Program) error {
		port, err := mounted.Port("webhook")
		program.Env = append(program.Env, "PORT="+strconv.Itoa(port))
		program.GracePeriod = 2 * time.Minute // what it says at its end is looked at
		log := program.LogFile()
		program.Ready = func(context.Context) error {
			if content, err := os.ReadFile(log); err != nil || len(content) == 0 {
				return errors.Join(errors.New("it has not begun"), err)
			}
			return nil
		}
		return err
	}
	t.Cleanup(func() { g.Expect(d.StopAll()).To(Succeed()) })
	return d, func() []string {
		content, err := os.ReadFile(file)
		g.Expect(err).NotTo(HaveOccurred())
		return strings.Split(strings.TrimSpace(string(content)), "\n")
	}
}

func newDeployment(replicas int32, arg string) *appsv1.Deployment {
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "there", Name: "some"},
		Spec: appsv1.DeploymentSpec{Replicas: &replicas, Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
			AutomountServiceAccountToken: new(false),
			Containers: []corev1.Container{{Name: "some", Args: []string{arg}, Ports: []corev1.ContainerPort{{Name: "webhook", ContainerPort: 443}},
				VolumeMounts: []corev1.VolumeMount{{Name: "tmp", MountPath: "/tmp"}}}},
			Volumes: []corev1.Volume{{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}},
		}}},
	}
}

// ids are the process ids of all replicas.
func (d *Deployments) ids() []int {
	var ids []int
	for _, p := range d.Processes() {
		ids = append(ids, p.PID())
	}
	slices.Sort(ids)
	return ids
}

// TestReplicas runs as many processes as the Deployment wants, and replaces them when the template changes: the old ones end when all new ones run.
func TestReplicas(t *testing.T) {
	g := NewWithT(t)
	d, journal := newDeployments(t)
	run := func(replicas int32, arg string) error {
		_, err := d.run(t.Context(), newDeployment(replicas, arg))
		return err
	}
	g.Expect(run(2, "one")).To(Succeed())
	first := d.ids()
	g.Expect(first).To(HaveLen(2))
	g.Expect(d.endpoints("there", "webhook")).To(HaveLen(2))
	g.Expect(run(2, "one")).To(Succeed())
	g.Expect(d.ids()).To(Equal(first), "nothing has changed")

	g.Expect(run(2, "two")).To(Succeed())
	g.Expect(d.ids()).To(HaveLen(2))
	g.Expect(d.ids()).NotTo(ContainElements(first[0], first[1]))
	g.Expect(journal()).To(Equal([]string{"begin one", "begin one", "begin two", "begin two", "end one", "end one"}))

	g.Expect(run(1, "two")).To(Succeed())
	g.Expect(d.ids()).To(HaveLen(1))
	g.Expect(d.stop("there", d.of("there"))).To(Succeed())
	g.Expect(d.ids()).To(BeEmpty())
	g.Expect(d.endpoints("there", "webhook")).To(BeEmpty())
	pods, err := os.ReadDir(filepath.Join(d.Dir, podsDir, "there"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(pods).To(BeEmpty())
}

// TestBrokenTemplate leaves the old replicas running, and lets the next template through.
func TestBrokenTemplate(t *testing.T) {
	g := NewWithT(t)
	d, journal := newDeployments(t)
	_, err := d.run(t.Context(), newDeployment(2, "one"))
	g.Expect(err).NotTo(HaveOccurred())
	before := d.ids()
	_, err = d.run(t.Context(), newDeployment(2, "broken"))
	g.Expect(err).To(MatchError(ContainSubstring("exit code 3")))
	g.Expect(d.ids()).To(Equal(before))
	_, err = d.run(t.Context(), newDeployment(2, "two"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(journal()[2:]).To(Equal([]string{"begin two", "begin two", "end one", "end one"}))
}

// TestRecreate ends the old process before the new one starts.
func TestRecreate(t *testing.T) {
	g := NewWithT(t)
	d, journal := newDeployments(t)
	d.Recreate = true
	for _, arg := range []string{"one", "two"} {
		_, err := d.run(t.Context(), newDeployment(1, arg))
		g.Expect(err).NotTo(HaveOccurred())
	}
	g.Expect(journal()).To(Equal([]string{"begin one", "end one", "begin two"}))
}

// TestKilledReplicaIsNoEndpoint takes one out of the Service that does not run.
func TestKilledReplicaIsNoEndpoint(t *testing.T) {
	g := NewWithT(t)
	d, _ := newDeployments(t)
	_, err := d.run(t.Context(), newDeployment(2, "one"))
	g.Expect(err).NotTo(HaveOccurred())
	killed := d.Processes()[0]
	killed.Kill()
	g.Expect(d.endpoints("there", "webhook")).To(HaveLen(1))
	g.Expect(killed.Restart(t.Context())).To(Succeed())
	g.Expect(d.endpoints("there", "webhook")).To(HaveLen(2))
}
