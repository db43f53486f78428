// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package landscape

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	gardencorev1 "github.com/gardener/gardener/pkg/apis/core/v1"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/extension"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/gardenlet"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
)

// registrationInterval is how often the landscape looks whether the operator has registered the extension.
const registrationInterval = 500 * time.Millisecond

// registeredExtension is the extension's process, once it is registered.
type registeredExtension struct {
	mutex   sync.Mutex
	process *process.Process
}

// ExtensionProcess returns the extension's process, or nil while the extension is not registered.
func (l *Landscape) ExtensionProcess() *process.Process {
	l.extension.mutex.Lock()
	defer l.extension.mutex.Unlock()
	return l.extension.process
}

func (r *registeredExtension) stop() error {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.process == nil {
		return nil
	}
	return r.process.Stop()
}

// installRegisteredExtension waits until the operator has registered the extension, and installs it then in the seed.
func (l *Landscape) installRegisteredExtension(ctx context.Context) {
	err := wait.PollUntilContextCancel(ctx, registrationInterval, true, func(ctx context.Context) (bool, error) {
		deployment := &gardencorev1.ControllerDeployment{}
		if err := l.GardenClient.Get(ctx, client.ObjectKey{Name: extension.Registration}, deployment); err != nil {
			return false, client.IgnoreNotFound(err)
		}
		registration := &gardencorev1beta1.ControllerRegistration{}
		if err := l.GardenClient.Get(ctx, client.ObjectKey{Name: extension.Registration}, registration); err != nil {
			return false, client.IgnoreNotFound(err)
		}
		return true, l.installExtension(ctx, deployment)
	})
	if err != nil && ctx.Err() == nil {
		l.progress("the extension could not be installed: %v", err)
		l.onExit(err)
	}
}

func (l *Landscape) installExtension(ctx context.Context, deployment *gardencorev1.ControllerDeployment) error {
	seed := &gardencorev1beta1.Seed{}
	if err := l.GardenClient.Get(ctx, client.ObjectKey{Name: gardenlet.DefaultSeedName}, seed); err != nil {
		return fmt.Errorf("failed to read the Seed: %w", err)
	}
	installed, err := extension.Install(ctx, extension.Options{
		Seed:            l.Seed,
		SeedObject:      seed,
		Deployment:      deployment,
		GardenerVersion: l.version,
		Bin:             l.options.Bin,
		Dir:             l.options.Dir,
		OnExit:          l.onExit,
	})
	if err != nil {
		return err
	}
	l.extension.mutex.Lock()
	l.extension.process = installed
	l.extension.mutex.Unlock()
	l.progress("extension is ready")
	return nil
}
