// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/23technologies/gardener-extension-shoot-flux/test/integration"
)

// auditLog reads which requests of the extension have arrived at a kube-apiserver. It reads when it is asked, and so takes no processor time
// while something is measured.
type auditLog struct {
	file   string
	offset int64
}

func newAuditLog(server *integration.Server) *auditLog {
	return &auditLog{file: server.APIServer.Flag("audit-log-path")}
}

// auditEvent is what is read of an entry of an audit log.
type auditEvent struct {
	Verb      string `json:"verb"`
	ObjectRef *struct {
		Resource    string `json:"resource"`
		Subresource string `json:"subresource"`
		Namespace   string `json:"namespace"`
	} `json:"objectRef"`
	ResponseStatus *struct {
		Code int `json:"code"`
	} `json:"responseStatus"`
}

// requestKind is what requests are told apart by.
type requestKind struct {
	verb, resource string
	// failure is the status code of the answer if it is one of an error.
	failure int
}

func (k requestKind) String() string {
	if k.failure != 0 {
		return fmt.Sprintf("%s %s (%d)", k.verb, k.resource, k.failure)
	}
	return k.verb + " " + k.resource
}

func (k requestKind) isRead() bool { return k.verb == "get" || k.verb == "list" }

// requests are how many requests of each kind there were.
type requests map[requestKind]int

// take returns the requests of the extension since the last call. Those for Leases, which do not depend on shoots, and watches, which last, are
// not among them.
func (a *auditLog) take() (requests, error) {
	file, err := os.Open(a.file)
	if err != nil {
		return nil, fmt.Errorf("failed to open an audit log: %w", err)
	}
	defer file.Close()
	if _, err := file.Seek(a.offset, io.SeekStart); err != nil {
		return nil, fmt.Errorf("failed to read the audit log %s: %w", a.file, err)
	}
	taken, reader, user := requests{}, bufio.NewReaderSize(file, 1<<20), []byte(`"username":"`+extensionUser+`"`)
	for {
		line, err := reader.ReadSlice('\n')
		if errors.Is(err, io.EOF) { // the rest of a line comes the next time
			return taken, nil
		} else if err != nil {
			return nil, fmt.Errorf("failed to read the audit log %s: %w", a.file, err)
		}
		a.offset += int64(len(line))
		if !bytes.Contains(line, user) {
			continue
		}
		var event auditEvent
		if err := json.Unmarshal(line, &event); err != nil {
			return nil, fmt.Errorf("failed to read an entry of the audit log %s: %w", a.file, err)
		}
		if kind := event.kind(); kind.verb != "watch" && kind.resource != "leases" {
			taken[kind]++
		}
	}
}

func (e auditEvent) kind() requestKind {
	kind := requestKind{verb: e.Verb, resource: "discovery"}
	if e.ObjectRef != nil && e.ObjectRef.Resource != "" {
		kind.resource = e.ObjectRef.Resource
		if e.ObjectRef.Subresource != "" {
			kind.resource += "/" + e.ObjectRef.Subresource
		}
	}
	if e.ResponseStatus != nil && e.ResponseStatus.Code >= 400 {
		kind.failure = e.ResponseStatus.Code
	}
	return kind
}

// sum counts the requests that the condition selects.
func (r requests) sum(selects func(requestKind) bool) int {
	sum := 0
	for kind, count := range r {
		if selects(kind) {
			sum += count
		}
	}
	return sum
}

func (r requests) all() int    { return r.sum(func(requestKind) bool { return true }) }
func (r requests) reads() int  { return r.sum(requestKind.isRead) }
func (r requests) writes() int { return r.all() - r.reads() }

func (r requests) failures(code int) int {
	return r.sum(func(kind requestKind) bool { return kind.failure == code })
}

// of counts the requests to a resource that have one of the verbs.
func (r requests) of(resource string, verbs ...string) int {
	return r.sum(func(kind requestKind) bool { return kind.resource == resource && slices.Contains(verbs, kind.verb) })
}

// libraryWrites are the writes of the Extension that Gardener's library makes for each operation of n shoots: the finalizer and the operation
// annotation are patched, and two states of the operation are written to the status. An audit log without content does not tell who of one process
// has written a status; what goes beyond two is not the operation's.
func (r requests) libraryWrites(n int) int {
	return r.of("extensions", "patch", "update") + min(2*n, r.of("extensions/status", "patch", "update"))
}

// perShoot lists the kinds of requests and how many there are for each of n shoots, the most frequent first.
func (r requests) perShoot(n int) string {
	kinds := make([]requestKind, 0, len(r))
	for kind := range r {
		kinds = append(kinds, kind)
	}
	slices.SortFunc(kinds, func(one, other requestKind) int {
		if r[one] != r[other] {
			return r[other] - r[one]
		}
		return strings.Compare(one.String(), other.String())
	})
	var list []string
	for _, kind := range kinds {
		if share := float64(r[kind]) / float64(n); share >= 0.005 {
			list = append(list, fmt.Sprintf("%s %.2f", kind, share))
		}
	}
	return strings.Join(list, ", ")
}
