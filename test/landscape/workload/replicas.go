// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/gardener/gardener/pkg/utils"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
)

// replica is a pod of a Deployment.
type replica struct {
	name     string // of the pod, unique in its namespace while it runs
	revision string // of the template
	image    *Image // nil if the program comes from elsewhere
	mounted  *Mounted
	ports    ports
}

func (r *replica) key(namespace string) string { return namespace + "-" + r.name }

// run makes as many replicas run as the Deployment wants, and returns after which time their files must be looked at again. What is old goes when
// what is new is ready, so that a mistake in a new template leaves the old one running.
func (d *Deployments) run(ctx context.Context, deployment *appsv1.Deployment) (refresh time.Duration, err error) {
	revision := utils.ComputeChecksum(deployment.Spec.Template)
	current, old := d.split(deployment.Namespace, revision)
	if d.Recreate {
		if err := d.stop(deployment.Namespace, old); err != nil {
			return 0, err
		}
		old = nil
	}
	wanted := int(*deployment.Spec.Replicas)
	for len(current) < wanted {
		current = append(current, &replica{name: d.freeName(slices.Concat(current, old)), revision: revision})
	}
	current, old = current[:wanted], append(old, current[wanted:]...)
	group, groupCtx := errgroup.WithContext(ctx)
	for _, replica := range current {
		group.Go(func() error { return d.ensure(groupCtx, deployment, replica) })
	}
	if err := group.Wait(); err != nil {
		return 0, err
	}
	for _, replica := range current {
		if after := replica.mounted.RefreshAfter(); after > 0 && (refresh == 0 || after < refresh) {
			refresh = after
		}
	}
	return refresh, d.stop(deployment.Namespace, old)
}

// ensure makes the replica run, with the files that it should have now.
func (d *Deployments) ensure(ctx context.Context, deployment *appsv1.Deployment, r *replica) (err error) {
	pod := Pod{Namespace: deployment.Namespace, Name: r.name, Spec: deployment.Spec.Template.Spec}
	if d.Images != nil && r.image == nil {
		if r.image, err = d.Images.unpack(ctx, pod.Spec, d.Program, d.host.root(pod.Namespace, pod.Name)); err != nil {
			return err
		}
	}
	if r.mounted, err = d.host.Mount(ctx, pod, d.Program); err != nil {
		return err
	}
	r.mounted.ports = &r.ports
	if d.runner.Running(r.key(deployment.Namespace), r.revision) {
		return nil
	}
	program, err := d.program(deployment, r)
	if err != nil {
		return fmt.Errorf("failed to turn Deployment %s into a process: %w", client.ObjectKeyFromObject(deployment), err)
	}
	if err := d.runner.Ensure(ctx, r.key(deployment.Namespace), r.revision, program); err != nil {
		return err
	}
	d.Log.Info("A Deployment runs", "program", d.Program, "namespace", deployment.Namespace, "pod", r.name, "generation", deployment.Generation, "args", program.Args)
	d.mutex.Lock()
	defer d.mutex.Unlock()
	if !slices.Contains(d.replicas[deployment.Namespace], r) {
		d.replicas[deployment.Namespace] = append(d.replicas[deployment.Namespace], r)
	}
	return nil
}

// program is the Deployment's container as a program.
func (d *Deployments) program(deployment *appsv1.Deployment, r *replica) (process.Program, error) {
	program, err := d.container(r)
	if err != nil {
		return program, err
	}
	program.Name = r.key(deployment.Namespace)
	program.Dir = d.Dir
	program.OnExit = func(err error) {
		d.Log.Error(err, "The program crashed, it is started again soon", "program", d.Program, "namespace", deployment.Namespace, "pod", r.name)
		go func() { d.crashed <- event.GenericEvent{Object: deployment} }()
	}
	return program, d.Adapt(deployment.Namespace, r.mounted, &program)
}

// container is what runs in the container: of its image, if there are images.
func (d *Deployments) container(r *replica) (program process.Program, err error) {
	if r.image != nil {
		return r.image.program(r.mounted)
	}
	if program.Path, err = d.Bin.Path(d.Program); err != nil {
		return program, err
	}
	if program.Args, err = r.mounted.Args(); err != nil {
		return program, err
	}
	program.Env, err = r.mounted.Env()
	return program, err
}

// split tells replicas of the template from those of others.
func (d *Deployments) split(namespace, revision string) (current, old []*replica) {
	for _, r := range d.of(namespace) {
		if r.revision == revision {
			current = append(current, r)
		} else {
			old = append(old, r)
		}
	}
	return current, old
}

// freeName is the first name that no replica has: that of the program, or that with a number.
func (d *Deployments) freeName(taken []*replica) string {
	name := d.Program
	for i := 1; slices.ContainsFunc(taken, func(r *replica) bool { return r.name == name }); i++ {
		name = d.Program + "-" + strconv.Itoa(i)
	}
	return name
}

// stop ends replicas, and removes their files. From the beginning, none of them is an endpoint any more.
func (d *Deployments) stop(namespace string, replicas []*replica) error {
	d.mutex.Lock()
	d.replicas[namespace] = slices.DeleteFunc(slices.Clone(d.replicas[namespace]), func(r *replica) bool { return slices.Contains(replicas, r) })
	if len(d.replicas[namespace]) == 0 {
		delete(d.replicas, namespace)
	}
	d.mutex.Unlock()
	errs := make([]error, len(replicas))
	var group errgroup.Group
	for i, r := range replicas {
		group.Go(func() error {
			if err := d.runner.Stop(r.key(namespace)); err != nil {
				d.Log.Error(err, "The program had crashed", "program", d.Program, "namespace", namespace, "pod", r.name)
			}
			errs[i] = d.host.Forget(namespace, r.name)
			return nil
		})
	}
	return errors.Join(group.Wait(), errors.Join(errs...))
}

func (d *Deployments) of(namespace string) []*replica {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	return slices.Clone(d.replicas[namespace])
}

// StopAll ends all processes and services.
func (d *Deployments) StopAll() error {
	err := d.runner.StopAll()
	d.mutex.Lock()
	services := d.services
	d.services = nil
	d.mutex.Unlock()
	for _, service := range services {
		err = errors.Join(err, service.Close())
	}
	return err
}

// Service returns a Service for the port of the Deployment in the namespace, which lasts as long as the landscape.
func (d *Deployments) Service(namespace, port string) (*Service, error) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	key := namespace + "/" + port
	if service, ok := d.services[key]; ok {
		return service, nil
	}
	service, err := NewService(func() []string { return d.endpoints(namespace, port) })
	if err != nil {
		return nil, fmt.Errorf("failed to make a Service for port %s of %s in namespace %s: %w", port, d.Program, namespace, err)
	}
	if d.services == nil {
		d.services = map[string]*Service{}
	}
	d.services[key] = service
	return service, nil
}

// endpoints are where the port of replicas is that run. One that starts or is being ended is none.
func (d *Deployments) endpoints(namespace, port string) []string {
	var endpoints []string
	for _, r := range d.of(namespace) {
		if p, ok := d.runner.Process(r.key(namespace)); !ok || !p.Running() {
			continue
		}
		if at, ok := r.ports.get(port); ok {
			endpoints = append(endpoints, Address(at))
		}
	}
	return endpoints
}

// Process returns the process of the Deployment in the namespace, if it runs: that of its first replica.
func (d *Deployments) Process(namespace string) (*process.Process, bool) {
	for _, r := range d.of(namespace) {
		return d.runner.Process(r.key(namespace))
	}
	return nil, false
}

// Processes returns what runs, of all Deployments and replicas.
func (d *Deployments) Processes() []*process.Process {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	var processes []*process.Process
	for namespace, replicas := range d.replicas {
		for _, r := range replicas {
			if p, ok := d.runner.Process(r.key(namespace)); ok {
				processes = append(processes, p)
			}
		}
	}
	return processes
}
