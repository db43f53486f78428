// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// knowledge is what is known about the releases that there are.
type knowledge struct {
	// latest is what the release server calls the latest release, or nil.
	latest *semver.Version
	// embedded are the releases that need no network, and listed all others that are known.
	embedded, listed semver.Collection
	// gaps are sentences about what could not be looked up.
	gaps []string
}

func (k *knowledge) add(found *lookedUp) {
	k.listed = append(k.listed, found.versions...)
	if gap := found.gap(); gap != "" {
		k.gaps = append(k.gaps, gap)
	}
}

// all returns the known releases, newest first, without prereleases.
func (k *knowledge) all() semver.Collection {
	all := slices.Concat(k.embedded, k.listed)
	all = slices.DeleteFunc(all, func(version *semver.Version) bool { return version.Prerelease() != "" })
	slices.SortFunc(all, func(a, b *semver.Version) int { return b.Compare(a) })
	return slices.CompactFunc(all, (*semver.Version).Equal)
}

// warn makes a warning of the gaps, if there are any.
func (k *knowledge) warn(conclusion string) string {
	if len(k.gaps) == 0 {
		return ""
	}
	return fmt.Sprintf("Not all releases of Flux could be looked up: %s; %s", strings.Join(k.gaps, "; "), conclusion)
}

func (w *wish) isRange() bool {
	return w.within != nil
}

// satisfiedBy tells whether a version is one that is wanted. Every version can be the latest.
func (w *wish) satisfiedBy(version *semver.Version) bool {
	return version != nil && (w.within == nil || w.within.Check(version))
}

func (w *wish) installedTag() string {
	if w.installed == nil {
		return ""
	}
	return tagOf(w.installed)
}

// isDowngrade tells whether a version would be a downgrade that is not allowed.
func (w *wish) isDowngrade(version *semver.Version) bool {
	return w.installed != nil && version.LessThan(w.installed) && !w.allowDowngrade
}

// decideAlone decides as far as that needs no knowledge about releases. It returns nil if it does.
func (w *wish) decideAlone() (*Choice, error) {
	switch {
	case w.exact != nil && w.isDowngrade(w.exact):
		return nil, w.downgrade(w.exact)
	case w.exact != nil:
		return &Choice{Version: tagOf(w.exact)}, nil
	case w.keep && w.installed != nil && w.satisfiedBy(w.installed):
		return &Choice{Version: tagOf(w.installed)}, nil
	}
	return nil, nil
}

// decide decides for a range or the latest release.
func (w *wish) decide(known *knowledge) (*Choice, error) {
	newest := w.newest(known)
	switch {
	case w.installed != nil && w.satisfiedBy(w.installed) && (newest == nil || newest.LessThan(w.installed)):
		return &Choice{
			Version: tagOf(w.installed),
			Warning: known.warn(fmt.Sprintf("%s, which is installed, stays", tagOf(w.installed))),
		}, nil
	case newest == nil:
		return nil, w.notFound(known)
	case w.isDowngrade(newest):
		return nil, w.downgrade(newest)
	}
	return &Choice{
		Version: tagOf(newest),
		Warning: cmp.Or(known.warn(fmt.Sprintf("%s is the newest known one%s", tagOf(newest), w.condition())), w.warnOfKubernetes(known, newest)),
	}, nil
}

// newest returns the newest known release that is wanted and supports the shoot's Kubernetes, or nil.
func (w *wish) newest(known *knowledge) *semver.Version {
	for _, version := range w.candidates(known) {
		if w.isSupported(version) {
			return version
		}
	}
	return nil
}

// candidates are the known releases that are wanted, newest first. Which one is the latest, the release server decides.
func (w *wish) candidates(known *knowledge) semver.Collection {
	all := slices.DeleteFunc(known.all(), func(version *semver.Version) bool { return !w.satisfiedBy(version) })
	if !w.isRange() && known.latest != nil {
		return slices.Insert(slices.DeleteFunc(all, known.latest.LessThanEqual), 0, known.latest)
	}
	return all
}

// isSupported tells whether a version supports the shoot's Kubernetes, as far as that is known.
func (w *wish) isSupported(version *semver.Version) bool {
	return !errors.Is(CheckKubernetes(tagOf(version), w.kubernetes), ErrUnsupportedKubernetes)
}

// warnOfKubernetes says why a newer release was passed over, if one was.
func (w *wish) warnOfKubernetes(known *knowledge, chosen *semver.Version) string {
	if first := w.candidates(known)[0]; first != chosen {
		return fmt.Sprintf("%v; meanwhile it gets %s", CheckKubernetes(tagOf(first), w.kubernetes), tagOf(chosen))
	}
	return ""
}

func (w *wish) condition() string {
	if !w.isRange() {
		return ""
	}
	return fmt.Sprintf(" that satisfies %q", w.text)
}

// fallBack decides for what can be had after the choice could not be.
func (w *wish) fallBack(choice *Choice, known *knowledge, cause error) (*Choice, error) {
	warn := func(use string) string {
		return fmt.Sprintf("The newest known Flux release%s is %s, but can't be used: %v; %s", w.condition(), choice.Version, cause, use)
	}
	if w.installed != nil && w.satisfiedBy(w.installed) {
		return &Choice{Version: tagOf(w.installed), Warning: warn(tagOf(w.installed) + ", which is installed, stays")}, nil
	}
	for _, version := range known.embedded {
		if tag := tagOf(version); tag != choice.Version && version.Prerelease() == "" && w.satisfiedBy(version) && w.isSupported(version) && !w.isDowngrade(version) {
			return &Choice{Version: tag, Warning: warn("the embedded release " + tag + " is used instead")}, nil
		}
	}
	return nil, cause
}

func (w *wish) downgrade(version *semver.Version) error {
	return &failure{kind: ErrDowngrade, sentence: fmt.Sprintf(
		`Flux %[1]s is installed, and %[2]s, which key fluxVersion of ConfigMap flux-config asks for, is older: ask for %[1]s or a newer one, `+
			`or set key allowDowngrade to "true" to go back nonetheless`, tagOf(w.installed), tagOf(version))}
}

func (w *wish) onKubernetes() string {
	if w.kubernetes == "" {
		return ""
	}
	return fmt.Sprintf(" and supports Kubernetes %s", w.kubernetes)
}

func (w *wish) notFound(known *knowledge) error {
	const few = 5
	var newest []string
	for _, version := range known.all() {
		if newest = append(newest, tagOf(version)); len(newest) == few {
			break
		}
	}
	sentence := fmt.Sprintf("No known release of Flux satisfies %q%s: set key fluxVersion of ConfigMap flux-config to a range that has one; the newest known ones are %s",
		w.text, w.onKubernetes(), strings.Join(newest, ", "))
	if len(known.gaps) > 0 {
		sentence += "; not all could be looked up: " + strings.Join(known.gaps, "; ")
	}
	return &failure{kind: ErrVersionNotFound, sentence: sentence}
}
