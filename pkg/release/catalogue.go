// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package release knows which releases of Flux there are, and what each of them installs.
//
// A Catalogue takes a release from the first of its sources that has it: the releases that are embedded in this program,
// for which it needs no network; a directory that the operator mounts; an OCI repository with the layout of Flux's own;
// and a release server, which is Flux's at GitHub or a mirror with the same layout. What comes over the network is
// verified by its digest or by the checksums that the server publishes, bounded in size and time, and kept in memory.
package release

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// DefaultBaseURL is the address of Flux's own releases.
const DefaultBaseURL = "https://github.com/fluxcd/flux2/releases"

// DefaultOCIRepository is where Flux publishes the manifests of its releases, since v0.36.0.
const DefaultOCIRepository = "ghcr.io/fluxcd/flux-manifests"

// Options configures a Catalogue. The zero value of each field stands for its default.
type Options struct {
	// Directory has releases as <version>/gotk-components.yaml, which is what flux install --export prints. None by default.
	Directory string
	// OCIRepository has releases as artifacts of flux push artifact, tagged with their versions: DefaultOCIRepository
	// or a mirror. None by default. The credentials are those in config.json of the directory $DOCKER_CONFIG.
	OCIRepository string
	// BaseURL is the address of the releases: DefaultBaseURL or a mirror with the same layout.
	BaseURL string
	// CAFile has the certificates of the CAs, as PEM, that are trusted besides those of the system. It is read once.
	CAFile string
	// TempDir is an existing directory for the temporary files of a render. The default is that of package os.
	TempDir string

	// Patience is how long a caller waits for what comes over the network before it gets ErrPending. The default is
	// two seconds.
	Patience time.Duration
	// DownloadTimeout bounds the download of one release from one source, retries included. The default is 30 seconds.
	DownloadTimeout time.Duration
	// LookupTimeout bounds one look-up of which releases there are, retries included. The default is 10 seconds.
	LookupTimeout time.Duration
	// LatestInterval is the time after which it is looked up again which releases there are. The default is one hour.
	LatestInterval time.Duration
	// FailureInterval is the time for which a failure is answered from memory, so that many shoots with the same
	// mistake don't become many requests to the server. The default is one minute. Both intervals are lengthened by
	// up to a tenth, at random.
	FailureInterval time.Duration

	// MaxDownloadBytes bounds the size of what is downloaded at once. The default is 4 MiB; Flux's have about 50 KiB.
	MaxDownloadBytes int64
	// MaxUnpackedBytes bounds what is in it, and a file of the directory. A render takes some hundred times as much
	// memory. The default is 4 MiB; Flux's have less than 1 MiB.
	MaxUnpackedBytes int64
	// MaxFiles bounds the number of files in it. The default is 100; Flux's have about 10.
	MaxFiles int
	// MaxReleases bounds the number of releases in memory that are not embedded. The default is 32.
	MaxReleases int
}

// Catalogue resolves requests for a Flux version. It is safe for concurrent use.
type Catalogue struct {
	options Options
	now     func() time.Time
	// background is the context of what is under way. It ends with Close.
	background context.Context
	close      context.CancelFunc

	// archive is asked first, and then the other sources in their order.
	archive *archive
	sources []source
	// directory is one of them, or nil.
	directory *directory
	// latest asks the release server, and tags the OCI repository. There may be no tags.
	latest, tags *lookUp

	retries  *retries
	renderer *renderer
	flights  flights
	memory   *memory

	// These only ever grow, which a difference between two of them would not.
	answeredLookUps, failedLookUps, failedDownloads atomic.Int64
}

// NewCatalogue returns a catalogue. It fails if the options are wrong; it uses no network. Close it when it is no
// longer needed.
func NewCatalogue(options Options) (*Catalogue, error) {
	options.setDefaults()
	c := &Catalogue{
		options:  options,
		now:      time.Now,
		retries:  newRetries(),
		renderer: newRenderer(options.TempDir),
		memory:   newMemory(options.MaxReleases),
	}
	if err := c.addSources(); err != nil {
		return nil, err
	}
	c.background, c.close = context.WithCancel(context.Background())
	return c, nil
}

func (c *Catalogue) addSources() (err error) {
	options := c.options
	if c.archive, err = newArchive(c.renderer); err != nil {
		return err
	}

	if options.Directory != "" {
		if c.directory, err = newDirectory(options.Directory, options.MaxUnpackedBytes); err != nil {
			return err
		}
		c.sources = append(c.sources, c.directory)
	}

	transport, err := newTransport(options.CAFile)
	if err != nil {
		return err
	}
	limits := unpackLimits{files: options.MaxFiles, bytes: options.MaxUnpackedBytes}
	if options.OCIRepository != "" {
		repository, err := parseRepository(options.OCIRepository)
		if err != nil {
			return err
		}
		oci := &ociRepository{
			repository:      repository,
			transport:       &guard{next: transport, maxBytes: options.MaxDownloadBytes},
			downloadTimeout: options.DownloadTimeout,
			lookupTimeout:   options.LookupTimeout,
			maxDownload:     options.MaxDownloadBytes,
			limits:          limits,
			retries:         c.retries,
		}
		c.tags = &lookUp{what: "the Flux releases in " + repository.Name(), where: repository.Name(), ask: oci.versions}
		c.sources = append(c.sources, oci)
	}

	base, err := parseBaseURL(options.BaseURL)
	if err != nil {
		return err
	}
	server := &server{
		base:            base,
		transport:       &guard{next: transport},
		downloadTimeout: options.DownloadTimeout,
		lookupTimeout:   options.LookupTimeout,
		maxDownload:     options.MaxDownloadBytes,
		limits:          limits,
		retries:         c.retries,
		renderer:        c.renderer,
	}
	c.latest = &lookUp{what: "the latest Flux release", where: server.latestURL().Redacted(), ask: func(ctx context.Context) ([]string, error) {
		version, err := server.latest(ctx)
		return []string{version}, err
	}}
	c.sources = append(c.sources, server)
	return nil
}

func (o *Options) setDefaults() {
	setDefault(&o.BaseURL, DefaultBaseURL)
	setDefault(&o.TempDir, os.TempDir())
	setDefault(&o.Patience, 2*time.Second)
	setDefault(&o.DownloadTimeout, 30*time.Second)
	setDefault(&o.LookupTimeout, 10*time.Second)
	setDefault(&o.LatestInterval, time.Hour)
	setDefault(&o.FailureInterval, time.Minute)
	setDefault(&o.MaxDownloadBytes, 4<<20)
	setDefault(&o.MaxUnpackedBytes, 4<<20)
	setDefault(&o.MaxFiles, 100)
	setDefault(&o.MaxReleases, 32)
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
	return slices.Clone(c.archive.versions)
}

// Get returns the release with a tag, such as v2.9.4, from the first source that has it. What it takes is taken once for
// all who ask for it.
//
// If that fails, the error is a sentence for the user and is one of ErrInvalidVersion, ErrVersionNotFound,
// ErrServerUnreachable and ErrReleaseRefused, unless this machine is the reason. If it takes longer than Options.Patience, the error is ErrPending, unless
// the version is embedded and thus needs nothing but some time of this machine. Get returns the error of the context as
// soon as the context ends. What it waited for goes on for the others.
func (c *Catalogue) Get(ctx context.Context, version string) (*Release, error) {
	if !isTag(version) {
		return nil, &failure{kind: ErrInvalidVersion, sentence: fmt.Sprintf("%q is not the version of a Flux release: write it as v2.9.4", version)}
	}
	patience, stop := c.patience()
	defer stop()
	return c.get(ctx, patience, version)
}

// patience returns a channel that is closed when a caller should not wait any longer.
func (c *Catalogue) patience() (<-chan struct{}, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.Background(), c.options.Patience)
	return ctx.Done(), cancel
}

// get returns a release from memory, or waits for the one flight that loads it.
func (c *Catalogue) get(ctx context.Context, patience <-chan struct{}, version string) (*Release, error) {
	release, err := c.recall(version)
	if release != nil || err != nil {
		return release, err
	}
	if c.archive.has(version) {
		patience = nil
	}
	return await(ctx, patience, &c.flights, nameOf(version), func() (*Release, error) {
		// The flight before this one can have ended after the look above.
		if release, err := c.recall(version); release != nil || err != nil {
			return release, err
		}
		return c.load(version)
	})
}

func nameOf(version string) string {
	return "Flux release " + version
}

// recall returns what is in memory, unless it has changed in the directory.
func (c *Catalogue) recall(version string) (*Release, error) {
	release, err := c.memory.find(version, c.now())
	if release != nil && release.Origin == OriginDirectory && !c.directory.current(release) {
		return nil, nil
	}
	return release, err
}

// load has no context of a caller: what it does is for all who ask for the version. The timeouts of the sources bound it.
func (c *Catalogue) load(version string) (*Release, error) {
	sources := c.sources
	if c.archive.has(version) {
		sources = append([]source{c.archive}, sources...)
	}
	var causes []error
	for _, source := range sources {
		c.flights.report(nameOf(version), source.where(version), c.now())
		release, err := source.get(c.background, version)
		if err == nil {
			c.memory.keep(release)
			return release, nil
		}
		causes = append(causes, err)
		c.countFailure(source, err)
	}
	err := c.failure(version, causes)
	c.memory.keepFailure(version, err, c.after(c.options.FailureInterval))
	return nil, err
}

// countFailure leaves out what needs no network, and failures of this machine.
func (c *Catalogue) countFailure(source source, err error) {
	if source == c.archive || source == c.directory {
		return
	}
	var isLocal *localError
	var isNotFound *notFoundError
	if !errors.As(err, &isLocal) && !errors.As(err, &isNotFound) {
		c.failedDownloads.Add(1)
	}
}

func (c *Catalogue) after(interval time.Duration) time.Time {
	return c.now().Add(wait.Jitter(interval, 0.1))
}

// failure tells the user what happened at each source, and what to do.
func (c *Catalogue) failure(version string, causes []error) error {
	kind := kindOf(causes)
	problem, remedy := "can't be downloaded", c.alternatives()
	switch {
	case errors.Is(kind, ErrVersionNotFound):
		return &failure{kind: kind, causes: causes, sentence: fmt.Sprintf(
			"Flux version %s does not exist (%s): set key fluxVersion of ConfigMap flux-config to a version that does, for example %s",
			version, sentences(causes), c.archive.versions[0])}
	case errors.Is(kind, ErrReleaseRefused):
		problem = "is refused"
	case errors.Is(kind, errLocal):
		problem, remedy = "can't be rendered", "this needs the operator"
	}
	return &failure{kind: kind, causes: causes, sentence: fmt.Sprintf("Flux version %s %s: %s; %s", version, problem, sentences(causes), remedy)}
}

// kindOf tells what is to be said about all sources together: a version can still be where nobody could look.
func kindOf(causes []error) error {
	unreachable, refused := false, false
	for _, cause := range causes {
		var isLocal *localError
		var isNotFound *notFoundError
		var isRefused *refusedError
		switch {
		case errors.As(cause, &isLocal):
			return errLocal
		case errors.As(cause, &isNotFound):
		case errors.As(cause, &isRefused):
			refused = true
		default:
			unreachable = true
		}
	}
	switch {
	case unreachable:
		return ErrServerUnreachable
	case refused:
		return ErrReleaseRefused
	}
	return ErrVersionNotFound
}

func sentences(errs []error) string {
	texts := make([]string, len(errs))
	for i, err := range errs {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

func (c *Catalogue) alternatives() string {
	return "the operator can configure a mirror of Flux's releases; embedded versions need no download: " + strings.Join(c.archive.versions, ", ")
}
