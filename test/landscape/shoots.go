// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package landscape

import (
	"context"
	"errors"
	"fmt"
	"sync"

	v1beta1helper "github.com/gardener/gardener/pkg/api/core/v1beta1/helper"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/cluster"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/fluxcontrollers"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/gardenlet"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
)

// shoots are the clusters of the landscape's Shoots: what infrastructure, etcd, kube-apiserver and nodes are elsewhere.
type shoots struct {
	landscape *Landscape

	mutex  sync.Mutex
	byName map[string]*shoot
}

// shoot is the cluster of one Shoot. Its operations don't overlap.
type shoot struct {
	mutex   sync.Mutex
	cluster *cluster.Cluster
	flux    *fluxcontrollers.Controllers
	// fluxPorts stay the same when the shoot has slept.
	fluxPorts fluxcontrollers.Ports
	// asleep tells that the control plane is hibernated: its programs are stopped.
	asleep bool
	// refused is what the infrastructure says if it makes and destroys no nodes.
	refused error
}

func (s *shoots) of(object *gardencorev1beta1.Shoot) *shoot {
	return s.named(object.Status.TechnicalID)
}

func (s *shoots) named(name string) *shoot {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.byName == nil {
		s.byName = map[string]*shoot{}
	}
	if s.byName[name] == nil {
		s.byName[name] = &shoot{fluxPorts: fluxcontrollers.Ports{}}
	}
	return s.byName[name]
}

// FluxController returns the process of a controller of Flux in the Shoot with the given namespace in the seed, if it runs.
func (l *Landscape) FluxController(technicalID, name string) (*process.Process, bool) {
	shoot := l.shoots.named(technicalID)
	shoot.mutex.Lock()
	defer shoot.mutex.Unlock()
	if shoot.flux == nil {
		return nil, false
	}
	return shoot.flux.Process(name)
}

// ShootCluster returns the running cluster of the Shoot with the given namespace in the seed.
func (l *Landscape) ShootCluster(technicalID string) (*cluster.Cluster, error) {
	l.shoots.mutex.Lock()
	shoot := l.shoots.byName[technicalID]
	l.shoots.mutex.Unlock()
	if shoot != nil {
		shoot.mutex.Lock()
		defer shoot.mutex.Unlock()
		if shoot.cluster != nil {
			return shoot.cluster, nil
		}
	}
	return nil, fmt.Errorf("no cluster of shoot %s is running", technicalID)
}

// RefuseWorkers makes the infrastructure refuse to make and to destroy the nodes of the Shoot with the given namespace in the seed, as it does
// when its credentials have no rights any more, or accept it again. After such an error, Gardener gives the Shoot up until somebody asks it to
// try again.
func (l *Landscape) RefuseWorkers(technicalID string, refuse bool) {
	shoot := l.shoots.named(technicalID)
	shoot.mutex.Lock()
	defer shoot.mutex.Unlock()
	shoot.refused = nil
	if refuse {
		shoot.refused = v1beta1helper.NewErrorWithCodes(errors.New("the infrastructure refuses the credentials"), gardencorev1beta1.ErrorInfraUnauthorized)
	}
}

func (s *shoots) ensureCluster(ctx context.Context, object *gardencorev1beta1.Shoot) (*cluster.Cluster, error) {
	shoot := s.of(object)
	shoot.mutex.Lock()
	defer shoot.mutex.Unlock()
	if shoot.asleep {
		if err := shoot.cluster.Wake(ctx); err != nil {
			return nil, err
		}
		shoot.asleep = false
	}
	if shoot.cluster != nil {
		return shoot.cluster, nil
	}
	started, err := cluster.Start(ctx, object.Status.TechnicalID, s.landscape.etcd, gardenlet.ShootAPIServerArgs...)
	if err != nil {
		return nil, err
	}
	shoot.cluster = started
	return started, s.landscape.writeKubeconfig(started.Name, started)
}

// deployWorkers gives the cluster nodes, and runs what Flux's pods on them would run.
func (s *shoots) deployWorkers(ctx context.Context, object *gardencorev1beta1.Shoot) (err error) {
	shoot := s.of(object)
	shoot.mutex.Lock()
	defer shoot.mutex.Unlock()
	if shoot.refused != nil {
		return shoot.refused
	}
	if shoot.cluster == nil {
		return fmt.Errorf("the cluster of shoot %s is not running yet", object.Status.TechnicalID)
	}
	if shoot.cluster.Kwok == nil {
		// There is one node, which is of the first pool. A worker's controller gives nodes the taints of their pool.
		if err := shoot.cluster.StartNodes(ctx, object.Spec.Provider.Workers[0].Taints...); err != nil {
			return err
		}
	}
	if shoot.flux == nil {
		shoot.flux, err = fluxcontrollers.Start(context.WithoutCancel(ctx), fluxcontrollers.Options{
			Name:  object.Status.TechnicalID,
			Shoot: shoot.cluster.AdminConfig,
			Bin:   s.landscape.options.Bin,
			Dir:   s.landscape.options.Dir,
			Log:   s.landscape.options.Log.WithName("flux").WithValues("shoot", object.Status.TechnicalID),
			Ports: shoot.fluxPorts,
		})
	}
	return err
}

// destroyWorkers stops what runs on nodes. Deployments and pods stay as they are, and nobody acts on them any more.
func (s *shoots) destroyWorkers(_ context.Context, object *gardencorev1beta1.Shoot) error {
	shoot := s.of(object)
	shoot.mutex.Lock()
	defer shoot.mutex.Unlock()
	if shoot.refused != nil {
		return shoot.refused
	}
	return shoot.stopFlux()
}

// hibernateCluster stops the control plane. It starts again when it is asked for.
func (s *shoots) hibernateCluster(_ context.Context, object *gardencorev1beta1.Shoot) error {
	shoot := s.of(object)
	shoot.mutex.Lock()
	defer shoot.mutex.Unlock()
	if shoot.cluster == nil || shoot.asleep {
		return nil
	}
	shoot.asleep = true
	return shoot.cluster.Stop()
}

func (s *shoots) deleteCluster(_ context.Context, object *gardencorev1beta1.Shoot) error {
	shoot := s.of(object)
	shoot.mutex.Lock()
	defer shoot.mutex.Unlock()
	return shoot.stop()
}

func (s *shoots) stop() error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	errs := make(chan error, len(s.byName))
	for _, shoot := range s.byName {
		go func() {
			shoot.mutex.Lock()
			defer shoot.mutex.Unlock()
			errs <- shoot.stop()
		}()
	}
	var err error
	for range s.byName {
		err = errors.Join(err, <-errs)
	}
	return err
}

func (s *shoot) stop() error {
	err := s.stopFlux()
	if s.cluster != nil {
		err = errors.Join(err, s.cluster.Stop())
		s.cluster = nil
	}
	return err
}

func (s *shoot) stopFlux() error {
	if s.flux == nil {
		return nil
	}
	err := s.flux.Stop()
	s.flux = nil
	return err
}
