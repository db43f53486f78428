// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
	"k8s.io/utils/clock"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/fluxversion"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/directory"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/download"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/embedded"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/export"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/failure"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/oci"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/server"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/version"
)

// Options configures a Catalogue. The zero value of each field stands for its default.
type Options struct {
	// Directory has releases as <version>/gotk-components.yaml, which is what flux install --export prints. None by default.
	Directory string
	// OCIRepository has releases as artifacts of flux push artifact, tagged with their versions: oci.DefaultRepository
	// or a mirror. None by default. The credentials are those in config.json of the directory $DOCKER_CONFIG.
	OCIRepository string
	// BaseURL is the address of the releases: server.DefaultURL or a mirror with the same layout.
	BaseURL string
	// CAFile has the certificates of the CAs, as PEM, that are trusted besides those of the system. It is read once.
	CAFile string
	// TempDir is an existing directory for the temporary files of a render. The default is that of package os.
	TempDir string

	// WaitLimit is how long a caller waits for what comes over the network before it gets ErrPending. The default is
	// two seconds.
	WaitLimit time.Duration
	// DownloadTimeout bounds what is asked of one source for one release, retries included. The default is 30 seconds.
	DownloadTimeout time.Duration
	// LookupTimeout bounds one look-up of which releases there are, retries included. The default is 10 seconds.
	LookupTimeout time.Duration
	// LatestInterval is the time after which it is looked up again which releases there are. The default is one hour.
	LatestInterval time.Duration
	// FailureInterval is the time for which a failure is answered from memory, so that many shoots with the same
	// mistake don't become many requests to the server. The default is one minute. Both intervals are lengthened by
	// up to a tenth, at random.
	FailureInterval time.Duration

	// Limits bound what is taken from a source.
	Limits download.Limits
	// MaxReleases bounds the number of releases in memory that are not embedded. The default is 32.
	MaxReleases int

	// Tests have their own.
	clock  clock.PassiveClock
	render func(tag string, files map[string][]byte) ([]byte, error)
	pause  func(context.Context, time.Duration) error
}

// Catalogue resolves requests for a Flux version. It is safe for concurrent use.
type Catalogue struct {
	options Options
	// background is the context of what is under way. It ends with Close.
	background context.Context
	close      context.CancelFunc

	// embedded are the versions that need no network, newest first.
	embedded []string
	// sources are asked in their order. The directory and the OCI repository may be nil.
	sources   []Source
	directory *directory.Source
	oci       *oci.Source
	server    *server.Source

	cache    *cache
	inFlight singleflight.Group
	mutex    sync.Mutex
	// progress tells, of what is in flight, what is asked and since when.
	progress map[string]string
	listings map[Source]listing
}

// NewCatalogue returns a catalogue. It fails if the options are wrong; it uses no network. Close it when it is no
// longer needed.
func NewCatalogue(options Options) (*Catalogue, error) {
	options.setDefaults()
	c := &Catalogue{options: options, cache: newCache(options), progress: map[string]string{}, listings: map[Source]listing{}}
	if err := c.addSources(); err != nil {
		return nil, err
	}
	c.background, c.close = context.WithCancel(context.Background())
	return c, nil
}

func (c *Catalogue) addSources() (err error) {
	options := c.options
	if c.embedded, err = embedded.Versions(); err != nil {
		return err
	}
	c.sources = append(c.sources, embedded.New(options.render))

	if options.Directory != "" {
		if c.directory, err = directory.New(options.Directory, options.Limits); err != nil {
			return err
		}
		c.sources = append(c.sources, c.directory)
	}

	var transport http.RoundTripper
	if transport, err = download.NewTransport(options.CAFile, options.Limits); err != nil {
		return err
	}
	if options.OCIRepository != "" {
		if c.oci, err = oci.New(options.OCIRepository, transport, options.Limits); err != nil {
			return err
		}
		c.sources = append(c.sources, c.oci)
	}
	c.server, err = server.New(options.BaseURL, transport, options.Limits, options.render)
	c.sources = append(c.sources, c.server)
	return err
}

func (o *Options) setDefaults() {
	setDefault(&o.BaseURL, server.DefaultURL)
	setDefault(&o.TempDir, os.TempDir())
	setDefault(&o.WaitLimit, 2*time.Second)
	setDefault(&o.DownloadTimeout, 30*time.Second)
	setDefault(&o.LookupTimeout, 10*time.Second)
	setDefault(&o.LatestInterval, time.Hour)
	setDefault(&o.FailureInterval, time.Minute)
	setDefault(&o.Limits.MaxDownloadBytes, 4<<20)
	setDefault(&o.Limits.MaxUnpackedBytes, 4<<20)
	setDefault(&o.Limits.MaxFiles, 100)
	setDefault(&o.MaxReleases, 32)
	if o.clock == nil {
		o.clock = clock.RealClock{}
	}
	if o.render == nil {
		o.render = func(tag string, files map[string][]byte) ([]byte, error) {
			return export.Render(o.TempDir, tag, files)
		}
	}
	if o.pause == nil {
		o.pause = pause
	}
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Close ends what is under way. What is in memory can still be had.
func (c *Catalogue) Close() {
	c.close()
}

// Embedded returns the versions that need no network, newest first.
func (c *Catalogue) Embedded() []string {
	return slices.Clone(c.embedded)
}

// Stats returns a snapshot.
func (c *Catalogue) Stats() Stats {
	return c.cache.count(func(*Stats) {})
}

// Get returns the release with a tag, such as v2.9.4, from the first source that has it. What it takes is taken once for
// all who ask for it.
//
// If that fails, the error is a sentence for the user and is one of fluxversion.ErrInvalidVersion, fluxversion.ErrVersionNotFound,
// ErrServerUnreachable and ErrReleaseRefused, unless this machine is the reason. If it takes longer than Options.WaitLimit, the error is ErrPending, unless
// the version is embedded and thus needs nothing but some time of this machine. Get returns the error of the context as
// soon as the context ends. What it waited for goes on for the others.
func (c *Catalogue) Get(ctx context.Context, tag string) (*Release, error) {
	if !version.IsTag(tag) {
		return nil, failure.New(fluxversion.ErrInvalidVersion, fmt.Sprintf("%q is not the version of a Flux release: write it as v2.9.4", tag))
	}
	limited, stop := c.limit(ctx)
	defer stop()
	return c.get(ctx, limited, tag)
}

// get waits in one context for this machine, and in another one for the network.
func (c *Catalogue) get(ctx, limited context.Context, tag string) (*Release, error) {
	if slices.Contains(c.embedded, tag) {
		found, err := c.cachedOr(ctx, nameOf(tag)+" (embedded)", tag, func() (*Release, error) { return c.fetch(c.sources[0], tag) })
		if err == nil || ctx.Err() != nil {
			return found, err
		}
	}
	return c.cachedOr(limited, nameOf(tag), tag, func() (*Release, error) { return c.fetchFromAny(tag) })
}

func nameOf(tag string) string {
	return "Flux release " + tag
}

// cachedOr returns a release, or a recent failure, from memory, or waits for what brings it there.
func (c *Catalogue) cachedOr(ctx context.Context, what, tag string, fetch func() (*Release, error)) (*Release, error) {
	if found, err := c.cached(tag); found != nil || err != nil {
		return found, err
	}
	return await(ctx, c, what, func() (*Release, error) {
		// What was in flight before can have ended after the look above.
		if found, err := c.cached(tag); found != nil || err != nil {
			return found, err
		}
		return fetch()
	})
}

// cached returns what is in memory, unless it has changed in the directory.
func (c *Catalogue) cached(tag string) (*Release, error) {
	found, err := c.cache.find(tag)
	if found != nil && found.Origin == directory.Origin && c.directory.HasChanged(tag) {
		return nil, nil
	}
	return found, err
}

func (c *Catalogue) fetchFromAny(tag string) (*Release, error) {
	var causes []error
	for _, source := range c.sources {
		if source.Origin() == embedded.Origin && !slices.Contains(c.embedded, tag) {
			continue
		}
		c.setProgress(nameOf(tag), source.Location(tag))
		found, err := c.fetch(source, tag)
		if err == nil {
			return found, nil
		}
		causes = append(causes, err)
	}
	err := c.failure(tag, causes)
	c.cache.keepFailure(tag, err, jitter(c.options.FailureInterval))
	return nil, err
}

// failure tells the user what happened at each source, and what to do. A version can still be where nobody could look.
func (c *Catalogue) failure(tag string, causes []error) error {
	sentences, missing, refused, local := make([]string, len(causes)), 0, 0, false
	for i, cause := range causes {
		sentences[i] = cause.Error()
		switch {
		case errors.Is(cause, failure.ErrLocal):
			local = true
		case errors.Is(cause, failure.ErrNotFound):
			missing++
		case errors.Is(cause, failure.ErrRefused):
			refused++
		}
	}
	reasons := strings.Join(sentences, "; ")
	kind, problem := ErrServerUnreachable, "can't be downloaded"
	remedy := "the operator can configure a mirror of Flux's releases; embedded versions need no download: " + strings.Join(c.embedded, ", ")
	switch {
	case local:
		kind, problem, remedy = failure.ErrLocal, "can't be rendered", "this needs the operator"
	case missing == len(causes):
		return fluxversion.NotFound(tag, reasons, c.embedded[0])
	case missing+refused == len(causes):
		kind, problem = ErrReleaseRefused, "is refused"
	}
	return failure.New(kind, fmt.Sprintf("Flux version %s %s: %s; %s", tag, problem, reasons, remedy), causes...)
}
