// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package garden

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/Masterminds/semver/v3"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/yaml"

	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
	"github.com/gardener/gardener/pkg/component"
	"github.com/gardener/gardener/pkg/component/garden/system/virtual"
	"github.com/gardener/gardener/pkg/component/gardener/admissioncontroller"
	gardenerapiserver "github.com/gardener/gardener/pkg/component/gardener/apiserver"
	"github.com/gardener/gardener/pkg/component/gardener/controllermanager"
	"github.com/gardener/gardener/pkg/component/gardener/scheduler"
	operatorclient "github.com/gardener/gardener/pkg/operator/client"
	"github.com/gardener/gardener/pkg/utils/managedresources"
	secretsutils "github.com/gardener/gardener/pkg/utils/secrets"
	secretsmanager "github.com/gardener/gardener/pkg/utils/secrets/manager"
)

// operator renders what gardener-operator puts into a garden: it lets gardener-operator's own components deploy to a store in memory, in the
// place of the cluster in which gardener-operator runs, and finds there the ManagedResources for the garden. Only addresses are changed.
type operator struct {
	store                client.Client
	secrets              secrets
	apiServer, admission endpoint
}

func newOperator(ca []byte, apiServer, admission endpoint) (*operator, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{operatorclient.AddRuntimeSchemeToScheme, operatorclient.AddVirtualSchemeToScheme} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	// The component of gardener-apiserver waits for this Service, which gardener-resource-manager creates elsewhere.
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: v1beta1constants.GardenNamespace, Name: gardenerapiserver.DeploymentName}}
	return &operator{
		store:     fake.NewClientBuilder().WithScheme(scheme).WithObjects(service).Build(),
		secrets:   secrets{ca: ca},
		apiServer: apiServer,
		admission: admission,
	}, nil
}

// system is what every garden has: namespaces, and the roles of users, project members and, without SeedAuthorizer, of seeds.
func (o *operator) system(ctx context.Context, seedAuthorizer bool) ([]byte, error) {
	return o.manifest(ctx, virtual.ManagedResourceName,
		virtual.New(o.store, v1beta1constants.GardenNamespace, virtual.Values{SeedAuthorizerEnabled: seedAuthorizer}), everything)
}

// apiServerObjects are the registration of gardener-apiserver and its rights.
func (o *operator) apiServerObjects(ctx context.Context, kubernetesVersion *semver.Version) ([]byte, error) {
	return o.manifest(ctx, gardenerapiserver.ManagedResourceNameVirtual,
		gardenerapiserver.New(o.store, v1beta1constants.GardenNamespace, o.secrets, gardenerapiserver.Values{TargetVersion: kubernetesVersion}), not(isEndpoint))
}

// admissionControllerRights are the rights of gardener-admission-controller.
func (o *operator) admissionControllerRights(ctx context.Context) ([]byte, error) {
	return o.manifest(ctx, admissioncontroller.ManagedResourceNameVirtual, o.admissionController(false), not(isWebhook))
}

// admissionControllerWebhooks are the webhooks of gardener-admission-controller. Requests fail while they are registered and it does not run.
func (o *operator) admissionControllerWebhooks(ctx context.Context, seedRestriction bool) ([]byte, error) {
	return o.manifest(ctx, admissioncontroller.ManagedResourceNameVirtual, o.admissionController(seedRestriction), isWebhook)
}

func (o *operator) admissionController(seedRestriction bool) component.Deployer {
	return admissioncontroller.New(o.store, v1beta1constants.GardenNamespace, o.secrets, admissioncontroller.Values{AuthorizerRestrictionsEnabled: seedRestriction})
}

func isWebhook(object client.Object) bool {
	switch object.(type) {
	case *admissionregistrationv1.ValidatingWebhookConfiguration, *admissionregistrationv1.MutatingWebhookConfiguration:
		return true
	default:
		return false
	}
}

// isEndpoint selects what tells where a Service is, which [operator.redirect] makes unnecessary.
func isEndpoint(object client.Object) bool {
	switch object.(type) {
	case *corev1.Endpoints, *discoveryv1.EndpointSlice: //nolint:staticcheck // gardener-operator creates both
		return true
	default:
		return false
	}
}

func not(selected func(client.Object) bool) func(client.Object) bool {
	return func(object client.Object) bool { return !selected(object) }
}

func everything(client.Object) bool { return true }

// controllerManagerObjects are the rights of gardener-controller-manager.
func (o *operator) controllerManagerObjects(ctx context.Context) ([]byte, error) {
	return o.manifest(ctx, controllermanager.ManagedResourceNameVirtual,
		controllermanager.New(o.store, v1beta1constants.GardenNamespace, o.secrets, controllermanager.Values{}), everything)
}

// schedulerObjects are the rights of gardener-scheduler.
func (o *operator) schedulerObjects(ctx context.Context) ([]byte, error) {
	return o.manifest(ctx, scheduler.ManagedResourceNameVirtual,
		scheduler.New(o.store, v1beta1constants.GardenNamespace, o.secrets, scheduler.Values{}), everything)
}

// manifest is what the component deploys to the garden with the named ManagedResource, as far as it is selected.
func (o *operator) manifest(ctx context.Context, managedResource string, component component.Deployer, selected func(client.Object) bool) ([]byte, error) {
	if err := component.Deploy(ctx); err != nil {
		return nil, fmt.Errorf("failed to render ManagedResource %s: %w", managedResource, err)
	}
	objects, err := managedresources.GetObjects(ctx, o.store, v1beta1constants.GardenNamespace, managedResource)
	if err != nil {
		return nil, err
	}
	var manifest bytes.Buffer
	for _, object := range objects {
		if !selected(object) {
			continue
		}
		if err := o.redirect(object); err != nil {
			return nil, err
		}
		document, err := yaml.Marshal(object)
		if err != nil {
			return nil, fmt.Errorf("failed to encode %T %s: %w", object, object.GetName(), err)
		}
		manifest.WriteString("---\n")
		manifest.Write(document)
	}
	return manifest.Bytes(), nil
}

// redirect replaces addresses of Services, which nothing here would route, by the programs' own, and gives them more time.
func (o *operator) redirect(object client.Object) error {
	switch object := object.(type) {
	case *corev1.Service: // kube-apiserver's aggregator looks for no endpoints of this type
		object.Spec = corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "localhost"}
	case *apiregistrationv1.APIService:
		object.Spec.Service.Port = new(int32(o.apiServer.port)) // #nosec G115 -- a port
	case *admissionregistrationv1.ValidatingWebhookConfiguration:
		for i := range object.Webhooks {
			object.Webhooks[i].TimeoutSeconds = new(int32(webhookTimeout / time.Second))
			if err := o.redirectWebhook(&object.Webhooks[i].ClientConfig); err != nil {
				return err
			}
		}
	case *admissionregistrationv1.MutatingWebhookConfiguration:
		for i := range object.Webhooks {
			object.Webhooks[i].TimeoutSeconds = new(int32(webhookTimeout / time.Second))
			if err := o.redirectWebhook(&object.Webhooks[i].ClientConfig); err != nil {
				return err
			}
		}
	}
	return nil
}

func (o *operator) redirectWebhook(config *admissionregistrationv1.WebhookClientConfig) error {
	if config.URL == nil {
		return fmt.Errorf("gardener-operator registers a webhook without URL: %v", config.Service)
	}
	target, err := url.Parse(*config.URL)
	if err != nil {
		return fmt.Errorf("gardener-operator registers a webhook with URL %q: %w", *config.URL, err)
	}
	target.Host = o.admission.address()
	config.URL = new(target.String())
	return nil
}

// secrets are gardener-operator's, as far as they reach the garden: the certificate of the authority of Gardener's programs.
type secrets struct{ ca []byte }

// Get returns a Secret with the authority's certificate.
func (s secrets) Get(name string, _ ...secretsmanager.GetOption) (*corev1.Secret, bool) {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: v1beta1constants.GardenNamespace, Name: name},
		Data:       map[string][]byte{secretsutils.DataKeyCertificateBundle: s.ca},
	}, true
}

// Generate returns a Secret without keys: what programs have for themselves does not come from here.
func (s secrets) Generate(_ context.Context, config secretsutils.ConfigInterface, _ ...secretsmanager.GenerateOption) (*corev1.Secret, error) {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: v1beta1constants.GardenNamespace, Name: config.GetName()}}, nil
}

// Identity is gardener-operator's.
func (s secrets) Identity() string { return "gardener-operator" }

// Cleanup has nothing to do.
func (s secrets) Cleanup(context.Context) error { return nil }
