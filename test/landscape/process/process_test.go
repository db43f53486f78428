// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package process_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
)

const testTimeout = 30 * time.Second

// parentEnv makes this test binary play the process that starts a program and is killed then: its value is the landscape's directory.
const parentEnv = "PROCESS_TEST_PARENT"

func TestMain(m *testing.M) {
	if dir := os.Getenv(parentEnv); dir != "" {
		if _, err := process.Start(context.Background(), sleeper(dir)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		select {} // until the test kills it
	}
	os.Exit(m.Run())
}

// TestEnd covers the ways in which a program's life ends.
func TestEnd(t *testing.T) {
	tests := map[string]struct {
		script    string
		grace     time.Duration
		end       func(*process.Process) error
		cleanedUp bool
	}{
		"a program that listens to SIGTERM may clean up": {
			script:    `trap 'echo cleaned up; exit 0' TERM; echo ready; while :; do sleep 0.1; done`,
			grace:     testTimeout,
			end:       (*process.Process).Stop,
			cleanedUp: true,
		},
		"a program that ignores SIGTERM is killed after the grace period, with its children": {
			script: `trap '' TERM; sleep 1000 & echo ready; while :; do sleep 0.1; done`,
			grace:  200 * time.Millisecond,
			end:    (*process.Process).Stop,
		},
		"children that outlive the program are killed": {
			script: `(trap '' TERM; echo ready; exec sleep 1000) & trap 'exit 0' TERM; while :; do sleep 0.1; done`,
			grace:  testTimeout,
			end:    (*process.Process).Stop,
		},
		"a killed program can't clean up": {
			script: `trap 'echo cleaned up; exit 0' TERM; echo ready; while :; do sleep 0.1; done`,
			grace:  testTimeout,
			end:    func(p *process.Process) error { p.Kill(); return p.Err() },
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			program := shell(t.TempDir(), test.script)
			program.GracePeriod = test.grace
			program.Ready = logContains(program, "ready\n")
			program.OnExit = func(err error) { t.Errorf("an end that was asked for is no unexpected one: %v", err) }
			p, err := process.Start(t.Context(), program)
			g.Expect(err).NotTo(HaveOccurred())

			g.Expect(test.end(p)).To(Succeed())
			log, err := os.ReadFile(p.LogFile())
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(strings.Contains(string(log), "cleaned up")).To(Equal(test.cleanedUp), string(log))
			expectGone(g, p.PID())
			g.Expect(p.Stop()).To(Succeed(), "stopping twice is no fault")
		})
	}
}

// TestUnexpectedExit covers what is said about a program that ends by itself.
func TestUnexpectedExit(t *testing.T) {
	tests := map[string]struct {
		script  string
		message string
	}{
		"with output": {
			script:  `for i in $(seq 30); do echo "line $i"; done; exit 3`,
			message: "worker ended unexpectedly with exit code 3; the end of its log LOG:\n  " + strings.Join(numbered("line ", 11, 30), "\n  "),
		},
		"without output":     {script: `exit 1`, message: "worker ended unexpectedly with exit code 1; its log LOG is empty"},
		"without failure":    {script: `echo bye`, message: "worker ended unexpectedly with exit code 0; the end of its log LOG:\n  bye"},
		"killed from beyond": {script: `echo hello; kill -9 $$`, message: "worker ended unexpectedly by signal 9 (killed); the end of its log LOG:\n  hello"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			program := shell(t.TempDir(), test.script)
			reported := make(chan error, 1)
			program.OnExit = func(err error) { reported <- err }
			p, err := process.Start(t.Context(), program)
			g.Expect(err).NotTo(HaveOccurred())

			var exit error
			g.Eventually(reported, testTimeout).Should(Receive(&exit))
			g.Expect(exit).To(MatchError(strings.ReplaceAll(test.message, "LOG", p.LogFile())))
			var typed *process.ExitError
			g.Expect(errors.As(exit, &typed)).To(BeTrue())
			g.Expect(typed.Name).To(Equal("worker"))
			g.Expect(p.Err()).To(Equal(exit))
			g.Expect(p.Stop()).To(Equal(exit), "who stops it learns of it, too")
		})
	}
}

func TestRestart(t *testing.T) {
	endings := map[string]func(*WithT, *process.Process){
		"after a kill":            func(_ *WithT, p *process.Process) { p.Kill() },
		"after a stop":            func(g *WithT, p *process.Process) { g.Expect(p.Stop()).To(Succeed()) },
		"of a running program":    func(*WithT, *process.Process) {},
		"after an unexpected end": func(g *WithT, p *process.Process) { crash(g, p) },
	}
	for name, ending := range endings {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			program := shell(t.TempDir(), `echo "run of $1 in $PWD with $KEY"; exec sleep 1000`)
			program.Args = append(program.Args, "sh", "argument")
			program.Env = []string{"KEY=value"}
			line := "run of argument in " + program.Dir + " with value\n"
			program.Ready = logContains(program, line)
			p, err := process.Start(t.Context(), program)
			g.Expect(err).NotTo(HaveOccurred())
			first := p.PID()
			ending(g, p)

			g.Expect(p.Restart(t.Context())).To(Succeed())
			g.Expect(p.PID()).NotTo(Equal(first))
			expectGone(g, first)
			g.Expect(p.Err()).To(Succeed())
			g.Eventually(func() ([]byte, error) { return os.ReadFile(p.LogFile()) }, testTimeout).Should(BeEquivalentTo(line + line))
			g.Expect(p.Stop()).To(Succeed())
		})
	}
}

// TestStart covers starts that fail: each leaves nothing behind.
func TestStart(t *testing.T) {
	t.Run("a program that does not exist", func(t *testing.T) {
		_, err := process.Start(t.Context(), process.Program{Name: "worker", Path: "/nonexistent/worker", Dir: t.TempDir()})
		NewWithT(t).Expect(err).To(MatchError("failed to start worker: fork/exec /nonexistent/worker: no such file or directory"))
	})
	t.Run("a program that ends before it is ready", func(t *testing.T) {
		program := shell(t.TempDir(), `echo 'unknown flag'; exit 2`)
		program.Ready = never
		_, err := process.Start(t.Context(), program)
		NewWithT(t).Expect(err).To(MatchError("worker ended unexpectedly with exit code 2; the end of its log " + program.LogFile() + ":\n  unknown flag"))
	})
	t.Run("a program that is not ready in time", func(t *testing.T) {
		g := NewWithT(t)
		program := sleeper(t.TempDir())
		written := program.Ready
		program.Ready = func(ctx context.Context) error {
			for written(ctx) != nil { // the time may be over by then
				<-time.After(10 * time.Millisecond)
			}
			return never(ctx)
		}
		program.ReadyTimeout = 300 * time.Millisecond
		_, err := process.Start(t.Context(), program)
		g.Expect(err).To(MatchError(And(ContainSubstring("sleeper was not ready after 300ms: not yet; the end of its log"), ContainSubstring("pid "))))
		expectGone(g, recordedPID(g, program))
	})
	t.Run("a caller that gives up", func(t *testing.T) {
		g := NewWithT(t)
		ctx, cancel := context.WithCancelCause(t.Context())
		reason := errors.New("something else failed")
		program := sleeper(t.TempDir())
		written := program.Ready
		program.Ready = func(ctx context.Context) error {
			if written(ctx) == nil {
				cancel(reason)
			}
			return never(ctx)
		}
		_, err := process.Start(ctx, program)
		g.Expect(err).To(MatchError("gave up waiting for sleeper to become ready: something else failed (last answer: not yet)"))
		g.Expect(err).To(MatchError(reason))
		expectGone(g, recordedPID(g, program))
	})
	t.Run("the log of an old landscape is not continued", func(t *testing.T) {
		g := NewWithT(t)
		program := sleeper(t.TempDir())
		g.Expect(os.MkdirAll(filepath.Dir(program.LogFile()), 0o755)).To(Succeed())
		g.Expect(os.WriteFile(program.LogFile(), []byte("old\n"), 0o600)).To(Succeed())
		p, err := process.Start(t.Context(), program)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(os.ReadFile(program.LogFile())).NotTo(ContainSubstring("old"))
		g.Expect(p.Stop()).To(Succeed())
	})
}

// TestEnvironment makes sure that no program of the landscape finds another cluster by itself.
func TestEnvironment(t *testing.T) {
	g := NewWithT(t)
	t.Setenv("KUBECONFIG", "/somewhere/else")
	t.Setenv("KUBERNETES_SERVICE_HOST", "192.0.2.1")
	t.Setenv("KUBERNETES_SERVICE_PORT", "443")
	t.Setenv("INHERITED", "yes")
	program := shell(t.TempDir(), `echo "[$KUBECONFIG$KUBERNETES_SERVICE_HOST$KUBERNETES_SERVICE_PORT] $INHERITED"; exec sleep 1000`)
	program.Ready = logContains(program, "\n")
	p, err := process.Start(t.Context(), program)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(os.ReadFile(p.LogFile())).To(BeEquivalentTo("[] yes\n"))
	g.Expect(p.Stop()).To(Succeed())
}

// TestContainer makes sure that a program in a container has the container's user and environment, and nothing of this process.
func TestContainer(t *testing.T) {
	g := NewWithT(t)
	t.Setenv("INHERITED", "yes")
	program := shell(t.TempDir(), `echo "$(id -u) $(id -g) $(pwd) [$INHERITED] $OWN"; exec sleep 1000`)
	program.Env = []string{"OWN=own", "PATH=/usr/bin:/bin"}
	program.Container = &process.Container{Root: "/", UID: 65532, GID: 65533}
	program.WorkingDir = "usr"
	program.Ready = logContains(program, "\n")
	p, err := process.Start(t.Context(), program)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(os.ReadFile(p.LogFile())).To(BeEquivalentTo("65532 65533 /usr [] own\n"))
	g.Expect(p.Running()).To(BeTrue())
	g.Expect(p.Stop()).To(Succeed())
	g.Expect(p.Running()).To(BeFalse())

	program.Container.Root = t.TempDir()
	_, err = process.Start(t.Context(), program)
	g.Expect(err).To(MatchError(ContainSubstring("no such file or directory")), "there is no shell below this root")
}

// TestParentDeath kills the process that started a program, as the kernel does when memory is short.
func TestParentDeath(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), parentEnv+"="+dir)
	parent.Stderr = os.Stderr
	g.Expect(parent.Start()).To(Succeed())
	program := sleeper(dir)
	g.Eventually(func() error { return program.Ready(t.Context()) }, testTimeout).Should(Succeed())
	child := recordedPID(g, program)
	g.Expect(syscall.Kill(child, 0)).To(Succeed())

	g.Expect(parent.Process.Kill()).To(Succeed())
	g.Expect(parent.Wait()).NotTo(Succeed())
	g.Eventually(func() bool { return running(child) }, testTimeout).Should(BeFalse())
}

// shell is a program that runs a script of sh.
func shell(dir, script string) process.Program {
	return process.Program{Name: "worker", Path: "/bin/sh", Args: []string{"-c", script}, Dir: dir}
}

// sleeper is a program that writes its process id to its log, is ready then, and does nothing.
func sleeper(dir string) process.Program {
	program := process.Program{Name: "sleeper", Path: "/bin/sh", Args: []string{"-c", `echo "pid $$"; exec sleep 1000`}, Dir: dir}
	program.Ready = logContains(program, "\n")
	return program
}

func recordedPID(g *WithT, program process.Program) int {
	log, err := os.ReadFile(program.LogFile())
	g.Expect(err).NotTo(HaveOccurred())
	pid, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(string(log), "pid ")))
	g.Expect(err).NotTo(HaveOccurred())
	return pid
}

// crash ends the program from outside.
func crash(g *WithT, p *process.Process) {
	g.Expect(syscall.Kill(p.PID(), syscall.SIGKILL)).To(Succeed())
	g.Eventually(p.Err, testTimeout).Should(MatchError(ContainSubstring("by signal 9")))
}

// expectGone makes sure that nothing of the process group is left but what init has not buried yet.
func expectGone(g *WithT, group int) {
	g.Eventually(func() error { return syscall.Kill(-group, 0) }, testTimeout).Should(MatchError(syscall.ESRCH))
}

// running tells whether the process exists and is no zombie, which an orphan stays until init buries it.
func running(pid int) bool {
	state, err := exec.Command("ps", "-o", "stat=", "-p", strconv.Itoa(pid)).Output()
	return err == nil && !strings.HasPrefix(strings.TrimSpace(string(state)), "Z")
}

func never(context.Context) error { return errors.New("not yet") }

func logContains(program process.Program, text string) func(context.Context) error {
	return func(context.Context) error {
		log, err := os.ReadFile(program.LogFile())
		if err == nil && !strings.Contains(string(log), text) {
			err = fmt.Errorf("log is %q", log)
		}
		return err
	}
}

func numbered(prefix string, first, last int) []string {
	var lines []string
	for i := first; i <= last; i++ {
		lines = append(lines, prefix+strconv.Itoa(i))
	}
	return lines
}
