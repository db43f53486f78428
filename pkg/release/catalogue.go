// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package release knows which releases of Flux there are, and what each of them installs.
//
// A Catalogue has the releases that are embedded in this program, for which it needs no network, and takes every other
// one from a release server: Flux's own at GitHub, or a mirror with the same layout. What it takes is verified against
// the checksums that the server publishes, bounded in size and time, rendered once, and kept in memory for as long as
// the process runs.
package release

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/Masterminds/semver/v3"
	"golang.org/x/sync/singleflight"
	"k8s.io/apimachinery/pkg/util/wait"
)

const (
	// Latest requests the release that the release server calls the latest.
	Latest = "latest"
	// DefaultBaseURL is the address of Flux's own releases.
	DefaultBaseURL = "https://github.com/fluxcd/flux2/releases"
)

// Options configures a Catalogue. The zero value of each field stands for its default.
type Options struct {
	// BaseURL is the address of the releases: DefaultBaseURL or a mirror with the same layout.
	BaseURL string
	// HTTPClient talks to the release server. Its CheckRedirect is not used. The default takes the proxy from the
	// environment.
	HTTPClient *http.Client
	// TempDir is an existing directory for the temporary files of a render. The default is that of package os.
	TempDir string

	// DownloadTimeout bounds the download of one release. The default is 30 seconds.
	DownloadTimeout time.Duration
	// LookupTimeout bounds one look-up of the latest release. The default is 10 seconds.
	LookupTimeout time.Duration
	// LatestInterval is the time after which the latest release is looked up again. The default is one hour.
	LatestInterval time.Duration
	// FailureInterval is the time for which a failure is answered from memory, so that many shoots with the same
	// mistake don't become many requests to the server. The default is one minute. Both intervals are lengthened by
	// up to a tenth, at random.
	FailureInterval time.Duration

	// MaxDownloadBytes bounds the size of a manifests.tar.gz. The default is 4 MiB; Flux's have about 50 KiB.
	MaxDownloadBytes int64
	// MaxUnpackedBytes bounds what is in it. A render takes some hundred times as much memory. The default is 4 MiB;
	// Flux's have less than 1 MiB.
	MaxUnpackedBytes int64
	// MaxFiles bounds the number of files in it. The default is 100; Flux's have about 10.
	MaxFiles int
}

// Catalogue resolves requests for a Flux version. It is safe for concurrent use.
type Catalogue struct {
	options  Options
	server   *server
	embedded []string
	now      func() time.Time

	flights singleflight.Group
	// mutex guards what follows.
	mutex sync.Mutex
	// answers has the releases that were rendered, and what recently failed, by version.
	answers map[string]answer
	latest  latestAnswer
}

// answer is what is known about a version: a release for good, or a failure for some time.
type answer struct {
	release *Release
	err     error
	expires time.Time
}

// NewCatalogue returns a catalogue. It fails if the options are wrong; it does not talk to the server.
func NewCatalogue(options Options) (*Catalogue, error) {
	options.setDefaults()
	base, err := parseBaseURL(options.BaseURL)
	if err != nil {
		return nil, err
	}
	embedded, err := embeddedVersions()
	if err != nil {
		return nil, err
	}
	client := *options.HTTPClient
	client.CheckRedirect = checkRedirect
	return &Catalogue{
		options:  options,
		embedded: embedded,
		now:      time.Now,
		answers:  map[string]answer{},
		server: &server{
			base:            base,
			client:          &client,
			downloadTimeout: options.DownloadTimeout,
			lookupTimeout:   options.LookupTimeout,
			maxDownload:     options.MaxDownloadBytes,
		},
	}, nil
}

func (o *Options) setDefaults() {
	setDefault(&o.BaseURL, DefaultBaseURL)
	setDefault(&o.TempDir, os.TempDir())
	setDefault(&o.DownloadTimeout, 30*time.Second)
	setDefault(&o.LookupTimeout, 10*time.Second)
	setDefault(&o.LatestInterval, time.Hour)
	setDefault(&o.FailureInterval, time.Minute)
	setDefault(&o.MaxDownloadBytes, 4<<20)
	setDefault(&o.MaxUnpackedBytes, 4<<20)
	setDefault(&o.MaxFiles, 100)
	if o.HTTPClient == nil {
		// A copy of the default transport takes the proxy from the environment and bounds the time to connect.
		o.HTTPClient = &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()}
	}
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func parseBaseURL(text string) (*url.URL, error) {
	base, err := url.Parse(text)
	if err != nil {
		// The text can hold a password, and the error of url.Parse repeats it.
		return nil, errors.New("the base URL of the Flux releases can't be parsed: write it as https://host/path")
	}
	if base.Scheme != "https" && base.Scheme != "http" || base.Host == "" || base.RawQuery != "" || base.Fragment != "" {
		return nil, fmt.Errorf("the base URL of the Flux releases must look like https://host/path, but is %q", base.Redacted())
	}
	return base, nil
}

// Embedded returns the versions that need no network, newest first.
func (c *Catalogue) Embedded() []string {
	return slices.Clone(c.embedded)
}

// Get resolves a request, which is the tag of a release, such as v2.9.4, or Latest.
//
// An embedded version never needs the network. Any other is downloaded once for all who ask for it. If that fails, the
// error is a sentence for the user and is one of ErrInvalidVersion, ErrVersionNotFound, ErrServerUnreachable and
// ErrReleaseRefused. A request for Latest does not fail because of the server: its answer is then the last latest
// release that worked or, if there was none, the newest embedded one, with a warning.
//
// Get returns the error of the context as soon as the context ends. What it waited for goes on for the others.
func (c *Catalogue) Get(ctx context.Context, requested string) (*Resolved, error) {
	if requested == Latest {
		return c.getLatest(ctx)
	}
	if err := checkVersion(requested); err != nil {
		return nil, err
	}
	release, err := c.get(ctx, requested)
	if err != nil {
		return nil, err
	}
	return &Resolved{Release: release}, nil
}

// checkVersion refuses what is not a release's tag, and so keeps everything else out of URLs and directories.
func checkVersion(version string) error {
	number, ok := strings.CutPrefix(version, "v")
	if ok {
		if _, err := semver.StrictNewVersion(number); err == nil {
			return nil
		}
	}
	return &failure{
		kind:     ErrInvalidVersion,
		sentence: fmt.Sprintf("%q is not the version of a Flux release: write it as v2.9.4, or %s", version, Latest),
	}
}

// get returns a release from memory, or waits for the one flight that loads it.
func (c *Catalogue) get(ctx context.Context, version string) (*Release, error) {
	if known, ok := c.known(version); ok {
		return known.release, known.err
	}
	flight := c.flights.DoChan(version, func() (any, error) {
		// The flight before this one can have ended after the look above.
		known, ok := c.known(version)
		if !ok {
			known.release, known.err = c.load(version)
			c.keep(version, known)
		}
		return known.release, known.err
	})
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for Flux release %s: %w", version, ctx.Err())
	case result := <-flight:
		return result.Val.(*Release), result.Err
	}
}

func (c *Catalogue) known(version string) (answer, bool) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	known, ok := c.answers[version]
	return known, ok && known.current(c.now())
}

func (c *Catalogue) keep(version string, found answer) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	// Anybody can ask for any version, so failures must not pile up.
	maps.DeleteFunc(c.answers, func(_ string, old answer) bool { return !old.current(c.now()) })
	found.expires = c.after(c.options.FailureInterval)
	c.answers[version] = found
}

func (a answer) current(now time.Time) bool {
	return a.err == nil || now.Before(a.expires)
}

func (c *Catalogue) after(interval time.Duration) time.Time {
	return c.now().Add(wait.Jitter(interval, 0.1))
}

// load has no context of a caller: what it does is for all who ask for the version. The server's timeouts bound it.
func (c *Catalogue) load(version string) (*Release, error) {
	if slices.Contains(c.embedded, version) {
		files, err := embeddedFiles(version)
		if err != nil {
			return nil, err
		}
		return render(c.options.TempDir, version, OriginEmbedded, files)
	}
	release, err := c.download(version)
	if err != nil {
		return nil, c.downloadFailure(version, err)
	}
	return release, nil
}

func (c *Catalogue) download(version string) (*Release, error) {
	tarball, err := c.server.tarball(context.Background(), version)
	if err != nil {
		return nil, err
	}
	files, err := unpack(tarball, c.options.MaxFiles, c.options.MaxUnpackedBytes)
	if err != nil {
		return nil, &refusedError{fmt.Errorf("%s can't be unpacked: %w", c.server.tarballURL(version).Redacted(), err)}
	}
	return render(c.options.TempDir, version, OriginDownloaded, files)
}

// downloadFailure tells the user what happened and what to do.
func (c *Catalogue) downloadFailure(version string, cause error) error {
	var notFound *notFoundError
	var refused *refusedError
	var local *localError
	switch {
	case errors.As(cause, &local):
		return fmt.Errorf("rendering Flux version %s: %w", version, cause)
	case errors.As(cause, &notFound):
		return &failure{kind: ErrVersionNotFound, cause: cause, sentence: fmt.Sprintf(
			"Flux version %s does not exist (%v): set key fluxVersion of ConfigMap flux-config to a version that does, for example %s",
			version, cause, c.embedded[0])}
	case errors.As(cause, &refused):
		return &failure{kind: ErrReleaseRefused, cause: cause, sentence: fmt.Sprintf(
			"Flux version %s is refused: %v; %s", version, cause, c.alternatives())}
	default:
		return &failure{kind: ErrServerUnreachable, cause: cause, sentence: fmt.Sprintf(
			"Flux version %s can't be downloaded: %v; %s", version, cause, c.alternatives())}
	}
}

func (c *Catalogue) alternatives() string {
	return "the operator can configure a mirror of Flux's releases; embedded versions need no download: " + strings.Join(c.embedded, ", ")
}
