// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package sourcesecret keeps the credentials that the shoots of a project read their private repository with: Secret flux-source in the
// project's namespace of the garden.
//
// For Git over SSH, the Secret is made once and then only completed. Two writers that start at the same moment, for example on two seeds,
// end with the same key pair. For Git over HTTPS and for OCI, it is what the project's admin has written, and only read: nobody but the
// Git server or registry can make tokens, and the extension does not talk to it. All requests carry the Secret's name, so that RBAC rules
// restricted to it (resourceNames) suffice: get, create and patch.
package sourcesecret

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project/knownhosts"
)

// SecretName is the Secret in a project's namespace of the garden, and one in the shoot.
const SecretName = "flux-source"

// The keys of the Secret for SSH. They are those of Flux's GitRepository.
const (
	KeyIdentity    = "identity"
	KeyIdentityPub = "identity.pub"
	KeyKnownHosts  = "known_hosts"
)

const (
	// fieldManager is what managedFields of the Secret show.
	fieldManager = "gardener-extension-shoot-flux"
	// maxAttempts is for other writers of the Secret: each lost race shows the winner's Secret.
	maxAttempts = 5
)

// Keeper makes and completes the credentials of projects.
type Keeper struct {
	scanner  *scanner
	keyPairs atomic.Int64
}

// NewKeeper gives a Keeper that reaches Git servers with dial, or directly if dial is nil.
func NewKeeper(dial Dial) *Keeper {
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	return &Keeper{scanner: newScanner(dial)}
}

// OnAnswer lets a function be called with the namespace of each project that got ErrPending, or learned that its Git server does
// not answer, as soon as that server has answered. It must not block.
func (k *Keeper) OnAnswer(answered func(namespace string)) {
	k.scanner.mutex.Lock()
	defer k.scanner.mutex.Unlock()
	k.scanner.answered = answered
}

// Option changes what Ensure does.
type Option func(*options)

type options struct {
	beforeWriting func(context.Context, *Credentials) error
}

// BeforeWriting lets Ensure call a function with what the Secret is about to hold. If that fails, nothing is written, and Ensure returns its error. So what is to be
// known of a host key that was trusted can be noted before it is: afterwards, nothing tells it from one that somebody has written down.
func BeforeWriting(note func(context.Context, *Credentials) error) Option {
	return func(o *options) { o.beforeWriting = note }
}

// Ensure gives the credentials of the project in namespace for its repository. They are nil, and the
// garden is not asked, if there is no repository or it is public.
//
// The client must read from the garden and not from a cache: a cache may not know yet what another writer
// has just made. If the Secret is complete, one GET is the only request.
//
// It does not wait for the Git server: as long as that is asked for its host keys, the error is ErrPending. Only SSH servers are asked.
//
// origins say who has written what of the repository. An error says which Secret and key is wrong and what to do, and never repeats what a key holds. It
// wraps the error of the garden or of the network, if there is one.
func (k *Keeper) Ensure(ctx context.Context, garden client.Client, namespace string, repository *fluxv1alpha1.Repository, origins project.Origins,
	with ...Option) (*Credentials, error) {
	if repository == nil || !repository.IsPrivate() {
		return nil, nil
	}
	var credentials *Credentials
	var err error
	if strings.HasPrefix(repository.URL, schemeSSH) {
		credentials, err = k.ensure(ctx, garden, namespace, repository, origins, with)
	} else {
		credentials, err = read(ctx, garden, namespace, repository.URL, origins)
	}
	if err != nil {
		return nil, describeSecret(namespace, err)
	}
	credentials.namespace = namespace
	return credentials, nil
}

// describeSecret says which Secret an error is about.
func describeSecret(namespace string, err error) error {
	return fmt.Errorf("secret %s/%s in the garden: %w", namespace, SecretName, err)
}

// PresentedHostKey returns which host key the Git server at a URL presents, by its type and SHA-256 fingerprint: of several the one of
// the type that is preferred. This says nothing about whether to trust it. It does not wait for the server: the error may be
// ErrPending.
func (k *Keeper) PresentedHostKey(_ context.Context, url string) (string, error) {
	lines, err := k.scanner.ask("", project.HostPort(url))
	if err != nil {
		return "", fmt.Errorf("could not ask the Git server for its SSH host key: %w", err)
	}
	return lines[0].KeyType() + " " + lines[0].Fingerprint(), nil
}

func (k *Keeper) ensure(ctx context.Context, garden client.Client, namespace string, repository *fluxv1alpha1.Repository, origins project.Origins, with []Option) (*Credentials, error) {
	options := options{beforeWriting: func(context.Context, *Credentials) error { return nil }}
	for _, option := range with {
		option(&options)
	}
	completion := completion{scanner: k.scanner, namespace: namespace, repository: repository, origins: origins}
	var lost error
	for range maxAttempts {
		secret, err := get(ctx, garden, namespace)
		if err != nil {
			return nil, err
		}
		if secret.DeletionTimestamp != nil {
			return nil, errors.New("it is being deleted: once it is gone, a new key pair is made, whose public key must be registered at the Git server")
		}
		credentials, missing, err := completion.of(secret)
		if err != nil {
			return nil, err
		}
		if len(missing) == 0 {
			return credentials, nil
		}
		if err := options.beforeWriting(ctx, credentials); err != nil {
			return nil, err
		}
		if lost, err = write(ctx, garden, namespace, secret, missing); err != nil {
			return nil, err
		}
		if lost == nil {
			credentials.Version = VersionOf(secret.UID, secret.ResourceVersion)
			if credentials.Created {
				k.keyPairs.Add(1)
			}
			return credentials, nil
		}
	}
	return nil, fmt.Errorf("others changed it %d times while it was completed: %w", maxAttempts, lost)
}

// get gives an empty Secret without name if there is none.
func get(ctx context.Context, garden client.Client, namespace string) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	err := garden.Get(ctx, client.ObjectKey{Namespace: namespace, Name: SecretName}, secret)
	switch {
	case apierrors.IsNotFound(err):
		return &corev1.Secret{}, nil
	case err != nil:
		return nil, explain(err, "read", "get")
	}
	return secret, nil
}

// completion finds out what a Secret lacks. It keeps what must not be made twice if another writer was faster.
type completion struct {
	scanner    *scanner
	namespace  string
	repository *fluxv1alpha1.Repository
	origins    project.Origins

	identity, identityPub []byte
}

// of gives the credentials that the Secret holds once the missing data is written into it.
func (c *completion) of(secret *corev1.Secret) (*Credentials, map[string][]byte, error) {
	credentials := newSSHCredentials(secret)
	missing := map[string][]byte{}
	if err := c.checkIdentity(secret, credentials, missing); err != nil {
		return nil, nil, err
	}
	if err := c.completeKnownHosts(secret, credentials, missing); err != nil {
		return nil, nil, err
	}
	// At last: an RSA key takes its time, and nobody needs one as long as the server is being asked.
	if err := c.completeIdentity(credentials, missing); err != nil {
		return nil, nil, err
	}
	if len(missing) > 0 && ptr.Deref(secret.Immutable, false) {
		return nil, nil, fmt.Errorf("it is immutable, and %s must be written: create it again with the same keys and without immutable: true",
			strings.Join(slices.Sorted(maps.Keys(missing)), ", "))
	}
	return credentials, missing, nil
}

// checkIdentity takes the key pair of the Secret, if there is one.
func (c *completion) checkIdentity(secret *corev1.Secret, credentials *Credentials, missing map[string][]byte) error {
	identity, stored := secret.Data[KeyIdentity], secret.Data[KeyIdentityPub]
	if len(identity) == 0 {
		if len(stored) > 0 {
			return fmt.Errorf("key %s is there, but not the private key %s: add it, or remove %s and a new pair is made",
				KeyIdentityPub, KeyIdentity, KeyIdentityPub)
		}
		return nil
	}
	public, err := checkIdentity(identity, stored, project.HostPort(c.repository.URL))
	if err != nil {
		return err
	}
	credentials.SecretRef.Data[KeyIdentity], credentials.SecretRef.Data[KeyIdentityPub] = identity, public
	if len(stored) == 0 {
		missing[KeyIdentityPub] = public
	}
	return nil
}

// completeIdentity makes a key pair, if there is none.
func (c *completion) completeIdentity(credentials *Credentials, missing map[string][]byte) error {
	if credentials.SecretRef.Data.has(KeyIdentity) {
		return nil
	}
	if c.identity == nil {
		var err error
		if c.identity, c.identityPub, err = newIdentity(project.HostPort(c.repository.URL)); err != nil {
			return err
		}
	}
	credentials.Created = true
	for key, value := range map[string][]byte{KeyIdentity: c.identity, KeyIdentityPub: c.identityPub} {
		credentials.SecretRef.Data[key], missing[key] = value, value
	}
	return nil
}

func (c *completion) completeKnownHosts(secret *corev1.Secret, credentials *Credentials, missing map[string][]byte) error {
	text := string(secret.Data[KeyKnownHosts])
	stored, unread := knownhosts.Parse(text)
	if c.repository.KnownHosts == "" {
		if err := checkStored(stored, unread, project.HostPort(c.repository.URL), c.origins); err != nil {
			return err
		}
	}
	found, err := findHostKeys(c.scanner, c.namespace, c.repository, c.origins, stored)
	if err != nil {
		return err
	}
	if found.isFound() {
		all := appendHostKeys(text, found.lines)
		if !knownhosts.IsReadable(all) { // then no shoot of the project could use any line, and the owner of one chooses the servers that it follows
			return fmt.Errorf("key %s has no room for the lines of %s: remove those of servers that are not used any more, or write the server's lines into %s",
				KeyKnownHosts, project.HostPort(c.repository.URL), whereKnownHosts(c.origins))
		}
		missing[KeyKnownHosts] = []byte(all)
	}
	credentials.setHostKeys(found)
	return nil
}

// newSSHCredentials are still empty.
func newSSHCredentials(secret *corev1.Secret) *Credentials {
	return &Credentials{
		Kind:      KindSSH,
		SecretRef: &ShootSecret{Name: SecretName, Type: corev1.SecretTypeOpaque, Data: Data{}},
		Version:   VersionOf(secret.UID, secret.ResourceVersion),
	}
}

func (c *Credentials) setHostKeys(keys hostKeys) {
	c.HostKeys = keys.describe()
	c.SecretRef.Data[KeyKnownHosts] = []byte(keys.lines.String())
}

// write makes the Secret if it was missing, or else adds what is missing to exactly the one that was read, and notes its new
// version. The first error says that another writer was faster, so that the Secret must be read again.
func write(ctx context.Context, garden client.Client, namespace string, secret *corev1.Secret, missing map[string][]byte) (lost, failed error) {
	if secret.Name == "" {
		err := create(ctx, garden, namespace, secret, missing)
		if apierrors.IsConflict(err) {
			return err, nil
		}
		return nil, explain(err, "create", "create and patch")
	}
	err := patch(ctx, garden, secret, missing)
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return err, nil
	}
	return nil, explain(err, "complete", "patch")
}

// create uses server-side apply, because a POST carries no name for RBAC to check.
//
// Of two writers only the first succeeds: each has a field manager of its own and doesn't force, so the
// other's key pair is a conflict. A shared field manager would overwrite the first key pair.
func create(ctx context.Context, garden client.Client, namespace string, secret *corev1.Secret, data map[string][]byte) error {
	created := corev1ac.Secret(SecretName, namespace).WithType(corev1.SecretTypeOpaque).WithData(data)
	if err := garden.Apply(ctx, created, client.FieldOwner(fieldManager+"-"+rand.Text())); err != nil {
		return err
	}
	secret.UID, secret.ResourceVersion = ptr.Deref(created.UID, ""), ptr.Deref(created.ResourceVersion, "")
	return nil
}

func patch(ctx context.Context, garden client.Client, secret *corev1.Secret, missing map[string][]byte) error {
	base := secret.DeepCopy()
	if secret.Data == nil {
		secret.Data = map[string][]byte{}
	}
	maps.Copy(secret.Data, missing)
	return garden.Patch(ctx, secret, client.MergeFromWithOptions(base, client.MergeFromWithOptimisticLock{}), client.FieldOwner(fieldManager))
}

// explain says which permission is missing.
func explain(err error, action, verbs string) error {
	if err == nil {
		return nil
	}
	if apierrors.IsForbidden(err) && !apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return fmt.Errorf("the extension may not %s it: allow it to %s secrets named %s in the garden: %w", action, verbs, SecretName, err)
	}
	return fmt.Errorf("could not %s it: %w", action, err)
}
