// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package demo shows the extension's main job on a running landscape: it does what the operator, the project admin, the shoot
// owner and the developer do, with the commands that they use, and checks that the shoot becomes what the repository says.
package demo

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/gitserver"
)

const (
	project          = "local"
	projectNamespace = "garden-local"
	shootName        = "local"
	technicalID      = "shoot--local--local"
	// Repository is the private repository on the landscape's Git server.
	Repository = "team/fleet"
)

// Prepare makes what is there before the story begins: the project, and the team's private repository.
func Prepare(ctx context.Context, l *landscape.Landscape) error {
	if _, err := l.CreateProject(ctx, project); err != nil {
		return err
	}
	if _, err := l.Git.CreateRepository(ctx, Repository, false); err != nil {
		return fmt.Errorf("failed to create the repository: %w", err)
	}
	return nil
}

// Options say where the landscape is.
type Options struct {
	// Dir is the directory of the landscape's state.
	Dir string
	// Kubeconfigs is the directory of its kubeconfigs.
	Kubeconfigs string
	// Out gets the story.
	Out io.Writer
}

// Run tells the story. It returns an error unless the shoot shows, in the end, what the repository says.
func Run(ctx context.Context, options Options) error {
	store, err := gitserver.Open(filepath.Join(options.Dir, "git"))
	if err != nil {
		return err
	}
	repository, err := store.Repository(Repository)
	if err != nil {
		return err
	}
	s := &story{out: options.Out, dir: options.Dir, kubeconfigs: options.Kubeconfigs, repository: repository}
	for _, chapter := range []func(context.Context) error{
		s.operator, s.projectAdmin, s.shootOwner, s.registerKey, s.firstSync, s.change, s.developer, s.table,
	} {
		if err := chapter(ctx); err != nil {
			return err
		}
	}
	return nil
}

// story is what the chapters of the demo share.
type story struct {
	out         io.Writer
	dir         string
	kubeconfigs string
	repository  *gitserver.Repository

	shootCreated time.Time
	milestones   []milestone
}

// milestone is something that happened some time after something else.
type milestone struct {
	what  string
	after time.Duration
}

func (s *story) reached(what string, since time.Time) {
	s.milestones = append(s.milestones, milestone{what, time.Since(since)})
}

func (s *story) operator(ctx context.Context) error {
	s.chapter("The operator registers the extension in the garden, once, and gives it its rights there")
	if err := s.kubectl(ctx, garden, "apply", "-f", "example/garden", "-f", "example/controller-registration.yaml"); err != nil {
		return err
	}
	s.say("Gardener installs the chart in a seed as soon as a Shoot there needs it.")
	return s.kubectl(ctx, garden, "get", "controllerregistrations,controllerdeployments")
}

func (s *story) projectAdmin(ctx context.Context) error {
	s.chapter("The project admin writes one ConfigMap")
	url, err := s.repository.SSHURL()
	if err != nil {
		return err
	}
	s.say("The Git server's host keys are written down, because the extension does not ask servers on a seed's own machine for theirs.")
	return s.kubectl(ctx, garden, "-n", projectNamespace, "create", "configmap", "flux-config",
		"--from-literal=fluxVersion=v2.9.4", "--from-literal=repositoryUrl="+url, "--from-literal=repositoryType=private",
		"--from-file=knownHosts="+filepath.Join(s.dir, "git", "known_hosts"))
}

func (s *story) shootOwner(ctx context.Context) error {
	s.chapter("The shoot owner creates a Shoot with the extension shoot-flux")
	s.shootCreated = time.Now()
	// gardener-apiserver may not have heard yet that the extension is registered.
	if err := s.eventually(ctx, func(ctx context.Context) error { return s.kubectl(ctx, garden, "apply", "-f", "example/shoot.yaml") }); err != nil {
		return err
	}
	s.say("Gardener creates the shoot. Its progress, until the operation has succeeded:")
	if err := s.untilCreated(ctx); err != nil {
		return err
	}
	s.reached("Shoot created", s.shootCreated)
	s.say("gardener-controller-manager has noticed that the seed needs the extension, and gardenlet has installed it there:")
	if err := s.kubectl(ctx, garden, "get", "controllerinstallations"); err != nil {
		return err
	}
	namespace, err := s.try(ctx, seed, "get", "namespaces", "-l", "controllerregistration.core.gardener.cloud/name=shoot-flux", "-o", "jsonpath={.items[0].metadata.name}")
	if err != nil {
		return err
	}
	return s.kubectl(ctx, seed, "-n", namespace, "get", "lease,deployment,serviceaccount")
}

// untilCreated shows the progress of the Shoot's creation.
func (s *story) untilCreated(ctx context.Context) error {
	var shown string
	return s.eventually(ctx, func(ctx context.Context) error {
		progress, err := s.try(ctx, garden, "-n", projectNamespace, "get", "shoot", shootName, "-o",
			"jsonpath={.status.lastOperation.type} {.status.lastOperation.state}, {.status.lastOperation.progress} %: {.status.lastOperation.description}{range .status.lastErrors[*]} {.description}{end}")
		if err != nil {
			return err
		}
		if progress != shown {
			s.say("%5.1f s  %s", time.Since(s.shootCreated).Seconds(), progress)
			shown = progress
		}
		if !strings.HasPrefix(progress, "Create Succeeded") {
			return fmt.Errorf("the Shoot is not created: %s", progress)
		}
		return nil
	})
}

func (s *story) registerKey(ctx context.Context) error {
	s.chapter("The project admin registers the public key, which the extension has made, at the Git server")
	publicKey, err := s.answer(ctx, garden, "-n", projectNamespace, "get", "secret", "flux-source", "-o", `go-template={{index .data "identity.pub" | base64decode}}`)
	if err != nil {
		return err
	}
	if err := s.repository.RegisterKey([]byte(publicKey)); err != nil {
		return err
	}
	s.say("registered as deploy key of %s", Repository)
	return nil
}

func (s *story) firstSync(ctx context.Context) error {
	s.chapter("The shoot becomes what the repository says")
	if err := s.untilSynced(ctx); err != nil {
		return err
	}
	s.reached("repository's content in the shoot", s.shootCreated)
	return s.kubectl(ctx, shoot, "-n", "flux-system", "get", "deployments,gitrepositories,kustomizations")
}

func (s *story) change(ctx context.Context) error {
	s.chapter("Somebody pushes a change")
	commit, err := s.repository.Commit(ctx, gitserver.DefaultBranch, "Greet visitors", map[string]string{configMapFile: configMap})
	if err != nil {
		return err
	}
	pushed := time.Now()
	s.say("pushed %s, which changes the message in %s; Flux looks once a minute. This asks it to look now, as flux reconcile does:", commit, configMapFile)
	if err := s.kubectl(ctx, shoot, "-n", "flux-system", "annotate", "--overwrite", "gitrepository", "flux-system",
		fluxmeta.ReconcileRequestAnnotation+"="+pushed.Format(time.RFC3339Nano)); err != nil {
		return err
	}
	if err := s.untilSynced(ctx); err != nil {
		return err
	}
	s.reached("change in the shoot, since it was pushed and Flux was asked", pushed)

	shown, err := s.answer(ctx, shoot, "-n", "shop", "get", "configmap", "shop", "-o", "jsonpath={.data.PODINFO_UI_MESSAGE}")
	if err != nil {
		return err
	}
	if shown != message {
		return fmt.Errorf("the shoot shows the message %q, but the repository says %q", shown, message)
	}
	return nil
}

// What the change is: the file of the repository's content with another message.
const (
	configMapFile = "apps/base/shop/configmap.yaml"
	message       = "Good morning"
	configMap     = `apiVersion: v1
kind: ConfigMap
metadata:
  name: shop
data:
  PODINFO_UI_MESSAGE: ` + message + `
  PODINFO_UI_COLOR: "#34577c"
`
)

// debugTime is how long the developer's process may take to reconcile the Extension.
const debugTime = 5 * time.Minute

func (s *story) developer(ctx context.Context) error {
	s.chapter("The developer runs the controller against the seed")
	ctx, stop := context.WithTimeout(ctx, debugTime)
	defer stop()
	s.say("(under a debugger: dlv debug ./cmd/gardener-extension-shoot-flux -- and the same flags)")
	return s.untilLogged(ctx, "Successfully reconciled Extension", "bin/gardener-extension-shoot-flux",
		"--kubeconfig="+seed.file(s), "--ignore-operation-annotation=true", "--leader-election=false",
		// Ports that are not in use.
		"--health-bind-address=127.0.0.1:0", "--metrics-bind-address=127.0.0.1:0", "--log-format=text")
}
