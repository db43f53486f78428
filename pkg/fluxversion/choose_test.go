// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package fluxversion

import (
	"errors"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/version"
)

func TestChoose(t *testing.T) {
	embedded := []string{"v2.9.4", "v2.8.8", "v2.7.5", "v0.41.2"}
	const (
		gap      = "https://example.org/latest answered 403 Forbidden"
		warning  = "Not all releases of Flux could be looked up: " + gap + "; "
		allowTip = `: ask for v2.9.4 or a newer one, or set key allowDowngrade of ConfigMap flux-config to "true" to go back nonetheless`
	)
	for name, test := range map[string]struct {
		request Request
		// latest is what the server says, listed what else is known besides what is embedded, and gaps what could not be looked up.
		latest string
		listed []string
		gaps   []string

		choice   Choice
		kind     error
		sentence string
	}{
		"exact":                      {request: Request{Version: "v0.29.5"}, choice: Choice{Version: "v0.29.5"}},
		"exact without v":            {request: Request{Version: "0.29.5"}, choice: Choice{Version: "v0.29.5"}},
		"exact prerelease":           {request: Request{Version: "2.10.0-rc.1"}, choice: Choice{Version: "v2.10.0-rc.1"}},
		"exact upgrade":              {request: Request{Version: "v2.9.4", Installed: "v2.8.8"}, choice: Choice{Version: "v2.9.4"}},
		"exact and installed":        {request: Request{Version: "2.9.4", Installed: "v2.9.4"}, choice: Choice{Version: "v2.9.4"}},
		"exact and kept":             {request: Request{Version: "2.9.4", Installed: "v2.9.3", Keep: true}, choice: Choice{Version: "v2.9.4"}},
		"exact and older, allowed":   {request: Request{Version: "v2.8.8", Installed: "v2.9.4", AllowDowngrade: true}, choice: Choice{Version: "v2.8.8"}},
		"exact and older":            {request: Request{Version: "2.8.8", Installed: "v2.9.4"}, kind: ErrDowngrade, sentence: "Flux v2.9.4 is installed, and v2.8.8, which key fluxVersion of ConfigMap flux-config asks for, is older" + allowTip},
		"exact prerelease of it":     {request: Request{Version: "v2.9.4-rc.1", Installed: "v2.9.4"}, kind: ErrDowngrade, sentence: "Flux v2.9.4 is installed, and v2.9.4-rc.1, which key fluxVersion of ConfigMap flux-config asks for, is older" + allowTip},
		"exact after its prerelease": {request: Request{Version: "v2.9.4", Installed: "v2.9.4-rc.1"}, choice: Choice{Version: "v2.9.4"}},

		"latest":                                {request: Request{Version: "latest"}, latest: "v2.9.5", listed: []string{"v2.10.0"}, choice: Choice{Version: "v2.9.5"}},
		"absent":                                {request: Request{}, latest: "v2.9.5", choice: Choice{Version: "v2.9.5"}},
		"latest is older than what is built in": {request: Request{Version: "latest"}, latest: "v2.8.8", choice: Choice{Version: "v2.8.8"}},
		"latest upgrade":                        {request: Request{Version: "latest", Installed: "v2.9.4"}, latest: "v2.9.5", choice: Choice{Version: "v2.9.5"}},
		"latest and kept":                       {request: Request{Version: "latest", Installed: "v2.8.7", Keep: true}, latest: "v2.9.5", choice: Choice{Version: "v2.8.7"}},
		"latest, kept, nothing installed":       {request: Request{Version: "latest", Keep: true}, latest: "v2.9.5", choice: Choice{Version: "v2.9.5"}},
		"latest never goes back":                {request: Request{Version: "latest", Installed: "v2.9.6", AllowDowngrade: true}, latest: "v2.9.5", choice: Choice{Version: "v2.9.6"}},
		"latest unknown":                        {request: Request{Version: "latest"}, gaps: []string{gap}, choice: Choice{"v2.9.4", warning + "v2.9.4 is the newest known one"}},
		"latest unknown, others listed":         {request: Request{Version: "latest"}, listed: []string{"v2.9.5", "v2.9.6-rc.1"}, gaps: []string{gap}, choice: Choice{"v2.9.5", warning + "v2.9.5 is the newest known one"}},
		"latest unknown, newer installed":       {request: Request{Version: "latest", Installed: "v2.9.6"}, gaps: []string{gap}, choice: Choice{"v2.9.6", warning + "v2.9.6, which is installed, stays"}},
		"two gaps":                              {request: Request{Version: "latest"}, gaps: []string{"one", "two"}, choice: Choice{"v2.9.4", "Not all releases of Flux could be looked up: one; two; v2.9.4 is the newest known one"}},

		"major":                  {request: Request{Version: "2.x"}, latest: "v2.9.5", choice: Choice{Version: "v2.9.5"}},
		"minor":                  {request: Request{Version: "~2.8.0"}, latest: "v2.9.5", listed: []string{"v2.8.9", "v2.8.10"}, choice: Choice{Version: "v2.8.10"}},
		"two numbers":            {request: Request{Version: "2.8"}, listed: []string{"v2.8.9"}, choice: Choice{Version: "v2.8.9"}},
		"two numbers with v":     {request: Request{Version: "v2.8"}, choice: Choice{Version: "v2.8.8"}},
		"interval":               {request: Request{Version: ">=2.6 <2.9"}, latest: "v2.9.5", choice: Choice{Version: "v2.8.8"}},
		"one of two":             {request: Request{Version: "~0.41 || ~2.7"}, choice: Choice{Version: "v2.7.5"}},
		"range, no prerelease":   {request: Request{Version: ">=2.9.0-0"}, latest: "v2.10.0-rc.1", listed: []string{"v2.10.0-rc.2"}, choice: Choice{Version: "v2.9.4"}},
		"range with gap":         {request: Request{Version: "2.x"}, gaps: []string{gap}, choice: Choice{"v2.9.4", warning + `v2.9.4 is the newest known one that satisfies "2.x"`}},
		"range and kept":         {request: Request{Version: "2.x", Installed: "v2.8.0", Keep: true}, choice: Choice{Version: "v2.8.0"}},
		"range, not to be kept":  {request: Request{Version: "~2.9.0", Installed: "v2.8.0", Keep: true}, choice: Choice{Version: "v2.9.4"}},
		"range never goes back":  {request: Request{Version: "2.x", Installed: "v2.9.9", AllowDowngrade: true}, choice: Choice{Version: "v2.9.9"}},
		"range, newer installed": {request: Request{Version: "2.x", Installed: "v2.9.9"}, gaps: []string{gap}, choice: Choice{"v2.9.9", warning + "v2.9.9, which is installed, stays"}},
		"range of which only what is installed is known": {request: Request{Version: "~2.6.0", Installed: "v2.6.4"}, gaps: []string{gap}, choice: Choice{"v2.6.4", warning + "v2.6.4, which is installed, stays"}},
		"range below what is installed": {request: Request{Version: "~2.8.0", Installed: "v2.9.4"}, kind: ErrDowngrade,
			sentence: "Flux v2.9.4 is installed, and v2.8.8, which key fluxVersion of ConfigMap flux-config asks for, is older" + allowTip},
		"range of one shoot below what is installed": {request: Request{Version: "~2.8.0", Installed: "v2.9.4", Origins: project.Origins{project.FieldVersion: project.OriginShoot}}, kind: ErrDowngrade,
			sentence: "Flux v2.9.4 is installed, and v2.8.8, which flux.version in the providerConfig of the shoot asks for, is older: ask for v2.9.4 or a newer one, " +
				"or set flux.allowDowngrade in the providerConfig of the shoot to true to go back nonetheless"},
		"range below what is installed, allowed": {request: Request{Version: "~2.8.0", Installed: "v2.9.4", AllowDowngrade: true}, choice: Choice{Version: "v2.8.8"}},
		"range without releases": {request: Request{Version: "~3.0.0"}, latest: "v2.9.5", listed: []string{"v2.9.4", "v2.9.3"}, kind: ErrVersionNotFound,
			sentence: `No known release of Flux satisfies "~3.0.0": set key fluxVersion of ConfigMap flux-config to a range that has one; the newest known ones are v2.9.5, v2.9.4, v2.9.3, v2.8.8, v2.7.5`},
		"range of the landscape without releases": {request: Request{Version: "~3.0.0", Origins: project.Origins{project.FieldVersion: project.OriginLandscape}}, kind: ErrVersionNotFound,
			sentence: `No known release of Flux satisfies "~3.0.0": set flux.version in the defaults of the landscape (value defaults of the chart) to a range that has one; the newest known ones are v2.9.4, v2.8.8, v2.7.5, v0.41.2`},
		"range without known releases": {request: Request{Version: "~2.6.0", Installed: "v2.5.1"}, gaps: []string{gap}, kind: ErrVersionNotFound,
			sentence: `No known release of Flux satisfies "~2.6.0": set key fluxVersion of ConfigMap flux-config to a range that has one; the newest known ones are v2.9.4, v2.8.8, v2.7.5, v0.41.2; ` +
				"not all could be looked up: " + gap},

		"latest needs a newer Kubernetes": {request: Request{Version: "latest", Kubernetes: "1.32.9"}, latest: "v2.9.5", listed: []string{"v2.7.6"}, choice: Choice{"v2.7.6",
			"Flux v2.9.5 needs Kubernetes 1.33.0 or newer, but the shoot has 1.32.9: set key fluxVersion of ConfigMap flux-config to a release of Flux v2.7, " +
				"the newest that supports it, or update the shoot to Kubernetes 1.33.0 or newer; meanwhile it gets v2.7.6"}},
		"latest of an override needs a newer Kubernetes": {request: Request{Version: "latest", Kubernetes: "1.32.9", Origins: project.Origins{project.FieldVersion: "overrides[1]"}}, choice: Choice{"v2.7.5",
			"Flux v2.9.4 needs Kubernetes 1.33.0 or newer, but the shoot has 1.32.9: set flux.version in overrides[1] of ConfigMap flux-config to a release of Flux v2.7, " +
				"the newest that supports it, or update the shoot to Kubernetes 1.33.0 or newer; meanwhile it gets v2.7.5"}},
		"range needs a newer Kubernetes": {request: Request{Version: "2.8.x || 0.x", Kubernetes: "1.30.0"}, choice: Choice{"v0.41.2",
			"Flux v2.8.8 needs Kubernetes 1.33.0 or newer, but the shoot has 1.30.0: set key fluxVersion of ConfigMap flux-config to a release of Flux v2.5, " +
				"the newest that supports it, or update the shoot to Kubernetes 1.33.0 or newer; meanwhile it gets v0.41.2"}},
		"range without a release for the Kubernetes": {request: Request{Version: "~2.9.0", Kubernetes: "1.30.0"}, kind: ErrVersionNotFound,
			sentence: `No known release of Flux satisfies "~2.9.0" and supports Kubernetes 1.30.0: set key fluxVersion of ConfigMap flux-config to a range that has one; the newest known ones are v2.9.4, v2.8.8, v2.7.5, v0.41.2`},
		"Kubernetes is new enough":       {request: Request{Version: "2.x", Kubernetes: "1.36.3"}, choice: Choice{Version: "v2.9.4"}},
		"exact, whatever the Kubernetes": {request: Request{Version: "v2.9.4", Kubernetes: "1.20.6"}, choice: Choice{Version: "v2.9.4"}},

		"no version":       {request: Request{Version: "newest"}, kind: ErrInvalidVersion, sentence: `"newest" is not the version of a Flux release: write it as v2.9.4, as a range such as 2.x or ~2.9.0, or as latest`},
		"capital letter":   {request: Request{Version: "Latest"}, kind: ErrInvalidVersion, sentence: `"Latest" is not the version of a Flux release: write it as v2.9.4, as a range such as 2.x or ~2.9.0, or as latest`},
		"path":             {request: Request{Version: "../v2.9.4"}, kind: ErrInvalidVersion, sentence: `"../v2.9.4" is not the version of a Flux release: write it as v2.9.4, as a range such as 2.x or ~2.9.0, or as latest`},
		"wrong state":      {request: Request{Version: "2.x", Installed: "old"}, sentence: `what is said to be installed, "old", is not the version of a Flux release: invalid semantic version`},
		"no such operator": {request: Request{Version: "≥2"}, kind: ErrInvalidVersion, sentence: `"≥2" is not the version of a Flux release: write it as v2.9.4, as a range such as 2.x or ~2.9.0, or as latest`},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			known := &KnownReleases{Embedded: version.ParseTags(embedded), Listed: version.ParseTags(append(test.listed, test.latest)), Unlisted: test.gaps}
			if test.latest != "" {
				known.Latest = version.ParseTags([]string{test.latest})[0]
			}
			choice, err := choose(test.request, known)
			if test.sentence == "" {
				g.Expect(err).NotTo(HaveOccurred())
				g.Expect(*choice).To(Equal(test.choice))
				return
			}
			g.Expect(choice).To(BeNil())
			g.Expect(err).To(MatchError(test.sentence))
			for _, kind := range []error{ErrInvalidVersion, ErrVersionNotFound, ErrDowngrade} {
				g.Expect(errors.Is(err, kind)).To(Equal(errors.Is(kind, test.kind)), kind.Error())
			}
		})
	}
}

func choose(request Request, known *KnownReleases) (*Choice, error) {
	constraint, err := Parse(request)
	if err != nil {
		return nil, err
	}
	return constraint.Choose(known)
}

func TestReplace(t *testing.T) {
	cause := errors.New("the server is down")
	for name, test := range map[string]struct {
		request Request
		choice  string
		tag     string
		warning string
	}{
		"latest": {Request{Version: "latest"}, "v2.9.5", "v2.9.4",
			"The newest known Flux release is v2.9.5, but can't be used: the server is down; the embedded release v2.9.4 is used instead"},
		"to what is installed": {Request{Version: "latest", Installed: "v2.7.0"}, "v2.9.5", "v2.7.0",
			"The newest known Flux release is v2.9.5, but can't be used: the server is down; v2.7.0, which is installed, stays"},
		"range": {Request{Version: "<2.9"}, "v2.8.9", "v2.8.8",
			`The newest known Flux release that satisfies "<2.9" is v2.8.9, but can't be used: the server is down; the embedded release v2.8.8 is used instead`},
		"to another than what can't be rendered": {Request{Version: "latest"}, "v2.9.4", "v2.8.8",
			"The newest known Flux release is v2.9.4, but can't be used: the server is down; the embedded release v2.8.8 is used instead"},
		"to nothing": {Request{Version: "~2.7.0"}, "v2.7.5", "", ""},
		"not back":   {Request{Version: "<2.9 || ~2.10", Installed: "v2.9.0"}, "v2.10.0", "", ""},
		"back, as it is allowed": {Request{Version: "<2.9 || ~2.10", Installed: "v2.9.0", AllowDowngrade: true}, "v2.10.0", "v2.8.8",
			`The newest known Flux release that satisfies "<2.9 || ~2.10" is v2.10.0, but can't be used: the server is down; the embedded release v2.8.8 is used instead`},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			constraint, err := Parse(test.request)
			g.Expect(err).NotTo(HaveOccurred())
			choice, err := constraint.Replace(&Choice{Version: test.choice}, &KnownReleases{Embedded: version.ParseTags([]string{"v2.9.4", "v2.8.8"})}, cause)
			if test.tag == "" {
				g.Expect(err).To(BeIdenticalTo(cause))
				return
			}
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(choice).To(Equal(&Choice{Version: test.tag, Warning: test.warning}))
		})
	}
}

// Only what depends on the releases that there are has to know them.
func TestNeedsReleases(t *testing.T) {
	for _, test := range []struct {
		request Request
		needed  bool
	}{
		{Request{Version: "2.9.4"}, false},
		{Request{Version: "2.9.4", Installed: "v2.9.3", Keep: true}, false},
		{Request{Version: "latest", Installed: "v2.9.4", Keep: true}, false},
		{Request{Version: "2.x", Installed: "v2.9.4", Keep: true}, false},
		{Request{Version: "~2.8.0", Installed: "v2.9.4", Keep: true}, true},
		{Request{Version: "2.x", Installed: "v2.9.4"}, true},
		{Request{Version: "latest", Keep: true}, true},
		{Request{Installed: "v2.9.4"}, true},
	} {
		g := NewWithT(t)
		constraint, err := Parse(test.request)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(constraint.NeedsReleases()).To(Equal(test.needed), "%+v", test.request)
	}
}

func TestNotFound(t *testing.T) {
	g := NewWithT(t)
	err := Correct(NotFound("v2.9.99", "not here; not there", "v2.9.4"), project.Origins{"flux.version": project.OriginShoot})
	g.Expect(err).To(MatchError(ErrVersionNotFound))
	g.Expect(err).To(MatchError("Flux version v2.9.99 does not exist (not here; not there), v2.9.4 for example does: correct flux.version in the providerConfig of the shoot"))
	other := errors.New("the server is down")
	g.Expect(Correct(other, nil)).To(BeIdenticalTo(other))
	g.Expect(Correct(nil, nil)).To(Succeed())
}

func FuzzChoose(f *testing.F) {
	for _, text := range []string{"v2.9.4", "2.9.4", "2.x", "~2.9.0", ">=2.6 <2.9", "latest", "", "2.9.4+x", "../v2.9.4"} {
		f.Add(text, "v2.8.8")
	}
	f.Fuzz(func(t *testing.T, text, installed string) {
		choice, err := choose(Request{Version: text, Installed: installed}, &KnownReleases{Embedded: version.ParseTags([]string{"v2.9.4", "v2.8.8"})})
		if err == nil && !version.IsTag(choice.Version) {
			t.Errorf("chose %q, which is not a tag", choice.Version)
		}
	})
}
