// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Command release makes what an operator installs, with nothing but Go: an image, a chart, the manifests that name both by digest, and what
// tells where they come from. It needs neither a container engine nor a base image, and makes the same from the same commit with the same Go.
//
//	go run ./hack/release build -version v1.2.3   writes dist/
//	go run ./hack/release verify                  checks it
//	go run ./hack/release push                    pushes image and chart to where the manifests in it say they are
//	go run ./hack/release licences                prints the licences of all that the program is made of
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

const usage = "usage: release build|verify|push|licences [flags]; -h after the command shows its flags"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// run does what the arguments say.
func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 {
		return errors.New(usage)
	}
	command := args[0]
	flags := flag.NewFlagSet("release "+command, flag.ContinueOnError)
	dist := flags.String("dist", "dist", "the directory of the release")
	switch command {
	case "build":
		return runBuild(ctx, flags, args[1:], dist, out)
	case "licences":
		platforms := flags.String("platforms", defaultPlatforms, "what the program is compiled for")
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		return runLicences(ctx, strings.Split(*platforms, ","), out)
	case "verify":
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		return verify(*dist, out)
	case "push":
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		return push(ctx, *dist, out)
	default:
		return fmt.Errorf("unknown command %q; %s", command, usage)
	}
}

func runBuild(ctx context.Context, flags *flag.FlagSet, args []string, dist *string, out io.Writer) error {
	asked := request{}
	var names string
	flags.StringVar(&asked.version, "version", "", "the version, such as v1.2.3")
	flags.StringVar(&asked.registry, "registry", defaultRegistry, "the registry, with a path, that image and chart are to be found in")
	flags.StringVar(&names, "platforms", defaultPlatforms, "what the image is for")
	flags.BoolVar(&asked.uncommitted, "uncommitted", false, "release also what is not committed: for tests, since nobody can make the same again")
	if err := flags.Parse(args); err != nil {
		return err
	}
	asked.dist, asked.platforms = *dist, strings.Split(names, ",")
	return build(ctx, asked, out)
}
