// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Command landscape starts and ends the local landscape, and shows the extension's main job on it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/gardener/gardener/pkg/logger"

	"github.com/23technologies/gardener-extension-shoot-flux/test/demo"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/supervisor"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := newCommand().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "landscape:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

// options are the command line's.
type options struct {
	dir, kubeconfigs string
	keep             bool
}

func newCommand() *cobra.Command {
	options := &options{}
	root := &cobra.Command{Use: "landscape", Short: "A local Gardener landscape of real programs", SilenceErrors: true, SilenceUsage: true}
	root.PersistentFlags().StringVar(&options.dir, "dir", ".landscape", "The directory of state and logs.")
	root.PersistentFlags().StringVar(&options.kubeconfigs, "kubeconfigs", "dev", "The directory that gets the clusters' kubeconfigs.")

	up := &cobra.Command{Use: "up", Short: "Start the landscape in the background", Args: cobra.NoArgs, RunE: func(command *cobra.Command, _ []string) error {
		return options.up(command.Context())
	}}
	down := &cobra.Command{Use: "down", Short: "End the landscape", Args: cobra.NoArgs, RunE: func(command *cobra.Command, _ []string) error {
		return options.down(command.Context())
	}}
	serve := &cobra.Command{Use: "serve", Hidden: true, Args: cobra.NoArgs, RunE: func(command *cobra.Command, _ []string) error {
		return supervisor.Serve(command.Context(), options.dir, options.begin)
	}}
	show := &cobra.Command{Use: "demo", Short: "Show the main job, from the registration to the synced shoot", Args: cobra.NoArgs, RunE: func(command *cobra.Command, _ []string) error {
		return options.demo(command.Context())
	}}
	show.Flags().BoolVar(&options.keep, "keep", false, "Leave the landscape up.")
	root.AddCommand(up, down, serve, show)
	return root
}

// begin starts the landscape inside of the supervisor.
func (o *options) begin(ctx context.Context, progress io.Writer) (func() error, error) {
	log.SetLogger(logger.MustNewZapLogger(logger.InfoLevel, logger.FormatText))
	bin, err := process.FindBinaries()
	if err != nil {
		return nil, err
	}
	running, err := landscape.Start(ctx, landscape.Options{Dir: o.dir, Kubeconfigs: o.kubeconfigs, Bin: bin, Progress: progress, Log: log.Log})
	if err != nil {
		return nil, err
	}
	if err := demo.Prepare(ctx, running); err != nil {
		return nil, errors.Join(err, running.Stop())
	}
	go func() {
		if err, ok := <-running.Exited(); ok {
			log.Log.Error(err, "A program of the landscape ended")
		}
	}()
	return running.Stop, nil
}

// absolute makes the directories independent of the working directory.
func (o *options) absolute() (err error) {
	if o.dir, err = filepath.Abs(o.dir); err == nil {
		o.kubeconfigs, err = filepath.Abs(o.kubeconfigs)
	}
	return err
}

func (o *options) up(ctx context.Context) error {
	if err := o.absolute(); err != nil {
		return err
	}
	if err := supervisor.Up(ctx, o.dir, os.Stdout, "serve", "--dir="+o.dir, "--kubeconfigs="+o.kubeconfigs); err != nil {
		return err
	}
	_, err := fmt.Printf("kubeconfigs: %s, logs: %s; 'make down' ends it\n", o.kubeconfigs, filepath.Join(o.dir, "logs"))
	return err
}

func (o *options) down(ctx context.Context) error {
	if err := o.absolute(); err != nil {
		return err
	}
	switch err := supervisor.Down(ctx, o.dir); {
	case errors.Is(err, supervisor.ErrNotRunning):
		_, err = fmt.Println(err)
		return err
	case err != nil:
		return err
	default:
		_, err = fmt.Println("the landscape has ended")
		return err
	}
}

func (o *options) demo(ctx context.Context) (err error) {
	if err := o.up(ctx); err != nil {
		return err
	}
	if !o.keep {
		defer func() { err = errors.Join(err, supervisor.Down(context.WithoutCancel(ctx), o.dir)) }()
	}
	return demo.Run(ctx, demo.Options{Dir: o.dir, Kubeconfigs: o.kubeconfigs, Out: os.Stdout})
}
