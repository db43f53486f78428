// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
)

const (
	// extensionType is the type and the name of the Extensions.
	extensionType = "shoot-flux"
	// configurationName is the name of what project admins write.
	configurationName = "flux-config"

	// gardenletWorkers are how many shoots gardenlet works on at the same time, and preparationWorkers how many writers there are while nothing
	// is measured.
	gardenletWorkers   = 10
	preparationWorkers = 20
)

// stages are what shoots of one project differ by, if they do.
var stages = []string{"development", "staging", "production"}

// shoot is one shoot of the seed.
type shoot struct {
	// project is its namespace in the garden, and control that in the seed.
	project, name, control string
	// stage is a label of the Shoot that key overrides selects it by, and a part of what its providerConfig says. Empty: the shoot is like its project.
	stage string
}

// controlNamespace is the namespace that Gardener gives a shoot in the seed.
func controlNamespace(project, name string) string {
	return "shoot--" + strings.TrimPrefix(project, "garden-") + "--" + name
}

// newShoots are the shoots of a size, evenly spread over its projects.
func newShoots(size size) []shoot {
	shoots := make([]shoot, size.shoots)
	for i := range shoots {
		project, name := fmt.Sprintf("garden-p%d", i%size.projects), fmt.Sprintf("s%d", i)
		shoots[i] = shoot{project: project, name: name, control: controlNamespace(project, name)}
		if size.layered {
			shoots[i].stage = stages[i%len(stages)]
		}
	}
	return shoots
}

// projectsOf are the projects of shoots.
func projectsOf(shoots []shoot) []string {
	var projects []string
	known := map[string]bool{}
	for _, shoot := range shoots {
		if !known[shoot.project] {
			known[shoot.project] = true
			projects = append(projects, shoot.project)
		}
	}
	return projects
}

// forEach calls do for all items, some at the same time.
func forEach[T any](ctx context.Context, workers int, items []T, do func(context.Context, T) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	for _, item := range items {
		group.Go(func() error { return do(ctx, item) })
	}
	return group.Wait()
}

// configuration is what a project admin writes: the embedded release, so that no other has to be fetched, and a public repository. If the shoots are
// layered, each stage has an entry of key overrides.
func (s size) configuration(branch string) map[string]string {
	data := map[string]string{
		"fluxVersion":      "v2.9.4",
		"repositoryUrl":    "https://git.example.com/fleet/shoots",
		"repositoryBranch": branch,
	}
	if s.layered {
		var overrides strings.Builder
		for _, stage := range stages {
			fmt.Fprintf(&overrides, "- {selector: {matchLabels: {stage: %s}}, config: {removalPolicy: keep-flux, repository: {path: ./stages/%s}}}\n", stage, stage)
		}
		data["overrides"] = overrides.String()
	}
	return data
}

// providerConfig is what the owner of the shoot writes. It wins over the project's overrides.
func (s shoot) providerConfig() *runtime.RawExtension {
	if s.stage == "" {
		return nil
	}
	return &runtime.RawExtension{Raw: fmt.Appendf(nil,
		`{"apiVersion":"flux.extensions.gardener.cloud/v1alpha1","kind":"FluxConfig","repository":{"path":"./clusters/%s"}}`, s.stage)}
}

// prepare makes what is there before gardenlet asks the extension: in the garden the projects, in the seed each shoot's namespace, Cluster,
// access to its API server, and resource manager, with the argument that the extension's webhook gives it.
func (l *landscape) prepare(ctx context.Context, shoots []shoot) error {
	content, err := newClusterContent()
	if err != nil {
		return err
	}
	if err := forEach(ctx, preparationWorkers, projectsOf(shoots), l.prepareProject); err != nil {
		return err
	}
	return forEach(ctx, preparationWorkers, shoots, func(ctx context.Context, s shoot) error {
		cluster, err := content.cluster(s.control, newShoot(s))
		if err != nil {
			return err
		}
		kubeconfig, err := l.proxy.kubeconfig(s.control)
		if err != nil {
			return err
		}
		access := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.control, Name: v1beta1constants.SecretNameGardenerInternal}}
		access.Data = map[string][]byte{"kubeconfig": kubeconfig}
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.control, Labels: map[string]string{v1beta1constants.GardenRole: v1beta1constants.GardenRoleShoot}}}
		for _, object := range []client.Object{namespace, cluster, access, resourceManagerDeployment(s.control)} {
			if err := l.seed.Client.Create(ctx, object); err != nil {
				return fmt.Errorf("failed to prepare shoot %s: %w", s.control, err)
			}
		}
		return nil
	})
}

func (l *landscape) prepareProject(ctx context.Context, project string) error {
	for _, object := range []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: project}},
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: project, Name: configurationName}, Data: l.size.configuration("main")},
	} {
		if err := l.garden.Client.Create(ctx, object); err != nil {
			return fmt.Errorf("failed to prepare project %s: %w", project, err)
		}
	}
	return nil
}

func resourceManagerDeployment(namespace string) *appsv1.Deployment {
	labels := map[string]string{"app": v1beta1constants.DeploymentNameGardenerResourceManager}
	deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: v1beta1constants.DeploymentNameGardenerResourceManager}}
	deployment.Spec.Selector = &metav1.LabelSelector{MatchLabels: labels}
	deployment.Spec.Template.Labels = labels
	deployment.Spec.Template.Spec.Containers = []corev1.Container{{
		Name:  v1beta1constants.DeploymentNameGardenerResourceManager,
		Image: "registry.example/gardener-resource-manager:" + gardenerVersion,
		Args:  []string{"--extra-target-namespace=" + fluxNamespace},
	}}
	return deployment
}

// operate asks for the extension in shoots, as gardenlet does.
func (l *landscape) operate(ctx context.Context, shoots []shoot) error {
	return forEach(ctx, gardenletWorkers, shoots, func(ctx context.Context, s shoot) error {
		extension := newExtension(s.control, extensionType)
		extension.Spec.ProviderConfig = s.providerConfig()
		if err := l.seed.Client.Create(ctx, extension); err != nil {
			return fmt.Errorf("failed to create the Extension of shoot %s: %w", s.control, err)
		}
		return nil
	})
}

func newExtension(namespace, kind string) *extensionsv1alpha1.Extension {
	extension := &extensionsv1alpha1.Extension{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: kind, Annotations: map[string]string{
		v1beta1constants.GardenerOperation: v1beta1constants.GardenerOperationReconcile,
		v1beta1constants.GardenerTimestamp: time.Now().UTC().Format(time.RFC3339Nano),
	}}}
	extension.Spec.Type = kind
	return extension
}

// configure changes the configuration of all projects of shoots at the same time.
func (l *landscape) configure(ctx context.Context, shoots []shoot, branch string) error {
	return forEach(ctx, preparationWorkers, projectsOf(shoots), func(ctx context.Context, project string) error {
		configMap := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: project, Name: configurationName}, Data: l.size.configuration(branch)}
		if err := l.garden.Client.Update(ctx, configMap); err != nil {
			return fmt.Errorf("failed to change the configuration of project %s: %w", project, err)
		}
		return nil
	})
}
