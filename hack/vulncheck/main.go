// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Command vulncheck asks govulncheck whether the program calls code with known vulnerabilities, and fails if it does, unless the vulnerability
// is in a list with the reason why it is none here, and until when that is believed.
//
// A check that could not be made must not look like one that found nothing: where the database of vulnerabilities can't be reached, it says
// "not checked", and fails, or with -unreachable=report leaves it to the caller to say so.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/yaml"
)

// timeout is how long the database is waited for.
const timeout = 30 * time.Second

// request is what the command line asks for.
type request struct {
	// directory is where the module is, packages what of it is checked.
	directory string
	packages  string
	// database is the URL of the database of vulnerabilities.
	database string
	// known is the file with those that are none here.
	known string
	// toolModule is the go.mod that has the version of govulncheck.
	toolModule string
	// unreachable is what to do without a database: fail or report.
	unreachable string
	today       time.Time
}

// acceptance is a vulnerability that is known and accepted.
type acceptance struct {
	ID     string `json:"id"`
	Reason string `json:"reason"`
	// Until is the last day on which that is believed.
	Until string `json:"until"`
}

// message is one of those that govulncheck prints.
type message struct {
	OSV *struct {
		ID      string `json:"id"`
		Summary string `json:"summary"`
	} `json:"osv"`
	Finding *struct {
		OSV          string  `json:"osv"`
		FixedVersion string  `json:"fixed_version"`
		Trace        []frame `json:"trace"`
	} `json:"finding"`
}

// frame is a place in the code. The first one of a trace is the vulnerable one.
type frame struct {
	Module   string `json:"module"`
	Version  string `json:"version"`
	Package  string `json:"package"`
	Receiver string `json:"receiver"`
	Function string `json:"function"`
}

func main() {
	asked := request{today: time.Now()}
	flag.StringVar(&asked.packages, "packages", "./cmd/...", "what is checked")
	flag.StringVar(&asked.database, "database", databaseOf(os.Getenv("GOVULNDB")), "the database of vulnerabilities")
	flag.StringVar(&asked.known, "known", "hack/vulncheck/known.yaml", "the vulnerabilities that are none here")
	flag.StringVar(&asked.unreachable, "unreachable", "fail", "what to do where the database can't be reached: fail or report")
	flag.Parse()
	if asked.unreachable != "fail" && asked.unreachable != "report" {
		fmt.Fprintf(os.Stderr, "vulncheck: -unreachable is %q, but must be fail or report\n", asked.unreachable)
		os.Exit(1)
	}
	asked.directory, asked.toolModule = ".", "hack/tools/release/go.mod"

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, asked, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "vulncheck:", err)
		os.Exit(1)
	}
}

// databaseOf is the database that govulncheck takes.
func databaseOf(environment string) string {
	if environment != "" {
		return environment
	}
	return "https://vuln.go.dev"
}

func run(ctx context.Context, asked request, out io.Writer) error {
	accepted, err := readKnown(asked.known)
	if err != nil {
		return err
	}
	if err := reach(ctx, asked.database); err != nil {
		err = fmt.Errorf("not checked: the database of vulnerabilities can't be reached: %w", err)
		if asked.unreachable == "report" {
			fmt.Fprintln(out, err)
			return nil
		}
		return err
	}
	found, err := find(ctx, asked)
	if err != nil {
		return err
	}
	return judge(found, accepted, asked.today, out)
}

// readKnown reads the list of vulnerabilities that are none here.
func readKnown(file string) (map[string]acceptance, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var list []acceptance
	if err := yaml.UnmarshalStrict(content, &list); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	known := map[string]acceptance{}
	for _, entry := range list {
		if _, err := time.Parse(time.DateOnly, entry.Until); err != nil || entry.ID == "" || entry.Reason == "" {
			return nil, fmt.Errorf("%s: %q needs an id, a reason, and a day until when, such as 2026-12-31", file, entry.ID)
		}
		known[entry.ID] = entry
	}
	return known, nil
}

// reach shows that the database can be had.
func reach(ctx context.Context, database string) error {
	if directory, isFile := strings.CutPrefix(database, "file://"); isFile {
		_, err := os.Stat(filepath.Join(directory, "index", "db.json"))
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	asking, err := http.NewRequestWithContext(ctx, http.MethodGet, database+"/index/db.json", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(asking)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", asking.URL, response.Status)
	}
	return nil
}

// vulnerability is one that concerns the program.
type vulnerability struct {
	summary string
	// fixed is the version of the module that does not have it, or empty.
	fixed string
	// module is where it is.
	module string
	// called is the vulnerable function that the program calls. It is empty if the program only has the module in it.
	called string
}

// find runs govulncheck.
func find(ctx context.Context, asked request) (map[string]vulnerability, error) {
	module, err := filepath.Abs(asked.toolModule)
	if err != nil {
		return nil, err
	}
	tool, err := output(exec.CommandContext(ctx, "go", "tool", "-n", "-modfile="+module, "govulncheck"))
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, strings.TrimSpace(string(tool)), "-format=json", "-db="+asked.database, asked.packages)
	cmd.Dir = asked.directory
	said, err := output(cmd)
	if err != nil {
		return nil, err
	}
	return read(bytes.NewReader(said))
}

// output runs a command and returns what it prints. What it complains about is part of the error.
func output(cmd *exec.Cmd) ([]byte, error) {
	said, err := cmd.Output()
	if err != nil {
		var failed *exec.ExitError
		if errors.As(err, &failed) {
			err = fmt.Errorf("%w: %s", err, bytes.TrimSpace(failed.Stderr))
		}
		return nil, fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), err)
	}
	return said, nil
}

// read reads what govulncheck prints.
func read(said io.Reader) (map[string]vulnerability, error) {
	summaries, found := map[string]string{}, map[string]vulnerability{}
	for decoder := json.NewDecoder(said); ; {
		var next message
		if err := decoder.Decode(&next); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("reading what govulncheck says: %w", err)
		}
		if next.OSV != nil {
			summaries[next.OSV.ID] = next.OSV.Summary
		}
		// govulncheck tells what it finds up to three times: in a module, in a package, and in a function that is called.
		if finding := next.Finding; finding != nil && len(finding.Trace) > 0 {
			place := finding.Trace[0]
			told := vulnerability{fixed: finding.FixedVersion, module: place.Module + "@" + place.Version, called: found[finding.OSV].called}
			if place.Function != "" {
				told.called = strings.TrimPrefix(place.Package+"."+strings.TrimPrefix(place.Receiver+".", ".")+place.Function, ".")
			}
			found[finding.OSV] = told
		}
	}
	for id, told := range found {
		told.summary = summaries[id]
		found[id] = told
	}
	return found, nil
}

// judge tells what was found, and fails if the program calls something vulnerable that is not accepted.
func judge(found map[string]vulnerability, accepted map[string]acceptance, today time.Time, out io.Writer) error {
	var problems []error
	for _, id := range slices.Sorted(maps.Keys(found)) {
		told := found[id]
		known, isKnown := accepted[id]
		switch {
		case told.called == "":
			fmt.Fprintf(out, "%s: %s is in %s, but what is vulnerable in it is not called\n", id, told.summary, told.module)
		case isKnown && today.Format(time.DateOnly) <= known.Until:
			fmt.Fprintf(out, "%s: accepted until %s: %s\n", id, known.Until, known.Reason)
		case isKnown:
			problems = append(problems, fmt.Errorf("%s: was accepted until %s: look at it again: %s", id, known.Until, known.Reason))
		default:
			problems = append(problems, fmt.Errorf("%s: %s: the program calls %s of %s, which is fixed in %s", id, told.summary, told.called, told.module, fixedIn(told)))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(accepted)) {
		if found[id].called == "" {
			fmt.Fprintf(out, "%s: is accepted, but not found any more: take it out of the list\n", id)
		}
	}
	if len(problems) == 0 {
		fmt.Fprintln(out, "no vulnerability that is not accepted")
	}
	return errors.Join(problems...)
}

func fixedIn(told vulnerability) string {
	if told.fixed == "" {
		return "no version yet"
	}
	return told.fixed
}
