// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package fluxversion

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/failure"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/version"
)

// KnownReleases is what is known about the releases that there are.
type KnownReleases struct {
	// Latest is what the release server calls the latest release, or nil.
	Latest *semver.Version
	// Embedded are the releases that need no network, and Listed all others that are known.
	Embedded, Listed []*semver.Version
	// Unlisted are sentences about what could not be looked up.
	Unlisted []string
}

// newestFirst returns the known releases without prereleases.
func (k *KnownReleases) newestFirst() []*semver.Version {
	all := slices.DeleteFunc(slices.Concat(k.Embedded, k.Listed), func(release *semver.Version) bool { return release.Prerelease() != "" })
	slices.SortFunc(all, func(a, b *semver.Version) int { return b.Compare(a) })
	return slices.CompactFunc(all, (*semver.Version).Equal)
}

// warn makes a warning of what could not be looked up, if there is anything.
func (k *KnownReleases) warn(conclusion string) string {
	if len(k.Unlisted) == 0 {
		return ""
	}
	return fmt.Sprintf("Not all releases of Flux could be looked up: %s; %s", strings.Join(k.Unlisted, "; "), conclusion)
}

// NeedsReleases tells whether it depends on the releases that there are what is chosen.
func (c *Constraint) NeedsReleases() bool {
	return c.exact == nil && (!c.request.Keep || !c.isInstalled())
}

// Choose chooses a release of those that are known.
func (c *Constraint) Choose(known *KnownReleases) (*Choice, error) {
	if !c.NeedsReleases() {
		chosen := cmp.Or(c.exact, c.installed)
		if c.isDowngrade(chosen) {
			return nil, c.downgrade(chosen)
		}
		return &Choice{Version: version.Tag(chosen)}, nil
	}
	newest := c.newest(known)
	switch {
	case c.isInstalled() && (newest == nil || newest.LessThan(c.installed)):
		return c.keepInstalled(known.warn), nil
	case newest == nil:
		return nil, c.notFound(known)
	case c.isDowngrade(newest):
		return nil, c.downgrade(newest)
	}
	tag := version.Tag(newest)
	return &Choice{
		Version: tag,
		Warning: cmp.Or(known.warn(fmt.Sprintf("%s is the newest known one%s", tag, c.condition())), c.warnOfKubernetes(known, newest)),
	}, nil
}

// Replace chooses a release that can be had, after what was chosen could not be.
func (c *Constraint) Replace(chosen *Choice, known *KnownReleases, cause error) (*Choice, error) {
	warn := func(replacement string) string {
		return fmt.Sprintf("The newest known Flux release%s is %s, but can't be used: %v; %s", c.condition(), chosen.Version, cause, replacement)
	}
	if c.isInstalled() {
		return c.keepInstalled(warn), nil
	}
	for _, release := range known.Embedded {
		if tag := version.Tag(release); tag != chosen.Version && release.Prerelease() == "" && c.satisfiedBy(release) && c.Supports(release) && !c.isDowngrade(release) {
			return &Choice{Version: tag, Warning: warn("the embedded release " + tag + " is used instead")}, nil
		}
	}
	return nil, Correct(cause, c.request.Origins)
}

func (c *Constraint) keepInstalled(warn func(conclusion string) string) *Choice {
	tag := version.Tag(c.installed)
	return &Choice{Version: tag, Warning: warn(tag + ", which is installed, stays")}
}

// satisfiedBy tells whether a release is one that is asked for. Every release can be the latest.
func (c *Constraint) satisfiedBy(release *semver.Version) bool {
	return c.within == nil || c.within.Check(release)
}

// isInstalled tells whether a release is installed that is asked for.
func (c *Constraint) isInstalled() bool {
	return c.installed != nil && c.satisfiedBy(c.installed)
}

// isDowngrade tells whether a release would be a downgrade that is not allowed.
func (c *Constraint) isDowngrade(release *semver.Version) bool {
	return c.installed != nil && release.LessThan(c.installed) && !c.request.AllowDowngrade
}

// newest returns the newest known release that is asked for and supports the shoot's Kubernetes, or nil.
func (c *Constraint) newest(known *KnownReleases) *semver.Version {
	for _, release := range c.candidates(known) {
		if c.Supports(release) {
			return release
		}
	}
	return nil
}

// candidates are the known releases that are asked for, newest first. Which one is the latest, the release server decides.
func (c *Constraint) candidates(known *KnownReleases) []*semver.Version {
	all := slices.DeleteFunc(known.newestFirst(), func(release *semver.Version) bool { return !c.satisfiedBy(release) })
	if !c.IsRange() && known.Latest != nil {
		return slices.Insert(slices.DeleteFunc(all, known.Latest.LessThanEqual), 0, known.Latest)
	}
	return all
}

// Supports tells whether a release supports the shoot's Kubernetes, as far as that is known.
func (c *Constraint) Supports(release *semver.Version) bool {
	return !errors.Is(CheckKubernetes(version.Tag(release), c.request.Kubernetes, c.request.Origins), ErrUnsupportedKubernetes)
}

// warnOfKubernetes says why a newer release was passed over, if one was.
func (c *Constraint) warnOfKubernetes(known *KnownReleases, chosen *semver.Version) string {
	if first := c.candidates(known)[0]; first != chosen {
		return fmt.Sprintf("%v; meanwhile it gets %s", CheckKubernetes(version.Tag(first), c.request.Kubernetes, c.request.Origins), version.Tag(chosen))
	}
	return ""
}

func (c *Constraint) condition() string {
	if !c.IsRange() {
		return ""
	}
	return fmt.Sprintf(" that satisfies %q", c.request.Version)
}

func (c *Constraint) downgrade(release *semver.Version) error {
	allow, allowed := c.request.Origins.Beside(project.FieldAllowDowngrade, project.FieldVersion), "true"
	if allow.IsKey() {
		allowed = strconv.Quote(allowed)
	}
	return failure.New(ErrDowngrade, fmt.Sprintf(
		`Flux %[1]s is installed, and %[2]s, which %[3]s asks for, is older: ask for %[1]s or a newer one, or set %[4]s to %[5]s to go back nonetheless`,
		version.Tag(c.installed), version.Tag(release), c.request.Origins.Of(project.FieldVersion), allow, allowed))
}

func (c *Constraint) notFound(known *KnownReleases) error {
	const few = 5
	var newest []string
	for _, release := range known.newestFirst() {
		if newest = append(newest, version.Tag(release)); len(newest) == few {
			break
		}
	}
	onKubernetes := ""
	if c.request.Kubernetes != "" {
		onKubernetes = " and supports Kubernetes " + c.request.Kubernetes
	}
	sentence := fmt.Sprintf("No known release of Flux satisfies %q%s: set %s to a range that has one; the newest known ones are %s",
		c.request.Version, onKubernetes, c.request.Origins.Of(project.FieldVersion), strings.Join(newest, ", "))
	if len(known.Unlisted) > 0 {
		sentence += "; not all could be looked up: " + strings.Join(known.Unlisted, "; ")
	}
	return failure.New(ErrVersionNotFound, sentence)
}
