// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// extensionTime is the name of the extension among processorTimes.
const extensionTime = "extension"

// processorTimes are how long processors have worked for each program of the landscape.
type processorTimes map[string]time.Duration

// since returns what has been used since an earlier look.
func (p processorTimes) since(earlier processorTimes) processorTimes {
	used := processorTimes{}
	for name, total := range p {
		used[name] = total - earlier[name]
	}
	return used
}

// String implements fmt.Stringer.
func (p processorTimes) String() string {
	var list []string
	for _, name := range slices.SortedFunc(maps.Keys(p), func(one, other string) int { return int(p[other] - p[one]) }) {
		list = append(list, fmt.Sprintf("%s %.1f", name, p[name].Seconds()))
	}
	return strings.Join(list, ", ")
}

// processorTimes returns what all programs have used so far. This process is what plays Gardener, and the way to the shoots.
func (m *measurement) processorTimes() (processorTimes, error) {
	programs := map[string]int{
		"etcd": m.seed.EtcdPID, "garden": m.garden.APIServer.PID(), "seed": m.seed.APIServer.PID(), "shoots": m.shoot.APIServer.PID(), "load": os.Getpid(),
	}
	if m.extension != nil {
		programs[extensionTime] = m.extension.PID()
	}
	times := processorTimes{}
	for name, pid := range programs {
		time, err := processorTime(pid)
		if err != nil {
			return nil, err
		}
		times[name] = time
	}
	return times, nil
}

// clockTicks are the units of processor time in /proc, per second: a constant of Linux for programs.
const clockTicks = 100

func processorTime(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0, fmt.Errorf("failed to read the processor time of a program: %w", err)
	}
	// The name of the program, in parentheses, is the second field. User and system time are the fields 14 and 15.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	var ticks int
	for _, field := range fields[11:13] {
		count, err := strconv.Atoi(field)
		if err != nil {
			return 0, fmt.Errorf("failed to read the processor time of a program: %w", err)
		}
		ticks += count
	}
	return time.Duration(ticks) * time.Second / clockTicks, nil
}

// memory is what a process has in memory, in bytes.
type memory struct {
	// resident and peak are what the kernel counts, now and at most so far. file is the part of resident that is read from files: the program
	// itself, which the kernel can drop.
	resident, peak, file float64
	// live is what Go's last garbage collection left, heap what it has for objects, stacks what goroutines have.
	live, heap, stacks float64
	goroutines         float64
}

// String implements fmt.Stringer.
func (m memory) String() string {
	return fmt.Sprintf("%.0f (%.0f of files; heap %.0f, live %.0f; stacks %.0f of %.0f goroutines)",
		m.resident/megabyte, m.file/megabyte, m.heap/megabyte, m.live/megabyte, m.stacks/megabyte, m.goroutines)
}

// memory returns what the extension has in memory.
func (r *replica) memory(ctx context.Context) (memory, error) {
	used, err := r.kernelMemory()
	if err != nil {
		return used, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.metrics, nil)
	if err != nil {
		return used, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return used, fmt.Errorf("failed to read the metrics of the extension: %w", err)
	}
	defer response.Body.Close()
	return used, readGauges(response.Body, map[string]*float64{
		"go_gc_heap_live_bytes": &used.live, "go_memstats_heap_inuse_bytes": &used.heap, "go_memstats_stack_inuse_bytes": &used.stacks, "go_goroutines": &used.goroutines,
	})
}

// kernelMemory is what the kernel tells.
func (r *replica) kernelMemory() (used memory, err error) {
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(r.PID()), "status"))
	if err != nil {
		return used, fmt.Errorf("failed to read the memory of the extension: %w", err)
	}
	for line := range strings.Lines(string(status)) {
		for format, bytes := range map[string]*float64{"VmRSS: %f kB": &used.resident, "VmHWM: %f kB": &used.peak, "RssFile: %f kB": &used.file} {
			if count, _ := fmt.Sscanf(line, format, bytes); count == 1 {
				*bytes *= 1024
			}
		}
	}
	return used, nil
}

// readGauges reads the values of metrics without labels.
func readGauges(exposition io.Reader, gauges map[string]*float64) error {
	lines, found := bufio.NewScanner(exposition), 0
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if gauge, wanted := gauges[name]; wanted {
			var err error
			if *gauge, err = strconv.ParseFloat(value, 64); err != nil {
				return fmt.Errorf("failed to read metric %s: %w", name, err)
			}
			found++
		}
	}
	if found < len(gauges) {
		return fmt.Errorf("the extension has %d of %d metrics: %w", found, len(gauges), lines.Err())
	}
	return nil
}

// profileTime is how long a profile of the processor is taken.
const profileTime = 30 * time.Second

// profile takes profiles of the extension while something is done, if that is wanted: of the processor from the beginning, of the memory at the end.
func (m *measurement) profile(ctx context.Context, name string, do func() error) error {
	if m.profiles == "" {
		return do()
	}
	taken := make(chan error, 1)
	go func() {
		taken <- m.extension.writeProfile(ctx, fmt.Sprintf("profile?seconds=%.0f", profileTime.Seconds()), filepath.Join(m.profiles, name+".cpu"))
	}()
	if err := do(); err != nil {
		return err
	}
	if err := <-taken; err != nil {
		return err
	}
	return m.extension.writeProfile(ctx, "heap?gc=1", filepath.Join(m.profiles, name+".heap"))
}

func (r *replica) writeProfile(ctx context.Context, kind, file string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.profiles+kind, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("failed to take a profile of the extension: %w", err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("failed to take a profile of the extension: %w", err)
	}
	return os.WriteFile(file, content, 0o600)
}
