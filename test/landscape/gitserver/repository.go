// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package gitserver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// DefaultBranch is the branch of the first commit.
const DefaultBranch = "main"

// exportFile is Git's own mark of a public repository.
const exportFile = "git-daemon-export-ok"

// Repository is a bare Git repository in a [Store].
type Repository struct {
	store *Store
	name  string
}

// CreateRepository makes the repository name ("owner/name") with [Content] as its first commit on [DefaultBranch]. Only a public one is
// served over HTTP, and over HTTPS without credentials. The error is fs.ErrExist if there is one already.
func (s *Store) CreateRepository(ctx context.Context, name string, public bool) (*Repository, error) {
	name, err := parseName(name)
	if err != nil {
		return nil, err
	}
	r := &Repository{store: s, name: name}
	if _, err := os.Stat(r.Dir()); err == nil {
		return nil, fmt.Errorf("repository %s: %w", name, fs.ErrExist)
	}
	if err := s.create(ctx, r.Dir(), public); err != nil {
		return nil, fmt.Errorf("creating repository %s: %w", name, err)
	}
	return r, nil
}

// create builds the repository aside and moves it into place when it is complete, so that no client sees it half made.
func (s *Store) create(ctx context.Context, dir string, public bool) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return err
	}
	building, err := os.MkdirTemp(s.path("repositories"), ".creating-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(building) }() // nothing there after the rename

	// Like a forge: single commits can be fetched. No garbage collection: it would go on in the background.
	configuration := [][]string{
		{"uploadpack.allowReachableSHA1InWant", "true"}, {"uploadpack.allowFilter", "true"},
		{"gc.auto", "0"}, {"receive.autogc", "false"}, {"maintenance.auto", "false"},
	}
	git := s.git(building)
	if _, err := git.run(ctx, "", "init", "--quiet", "--bare", "--template=", "--initial-branch="+DefaultBranch, "."); err != nil {
		return err
	}
	for _, pair := range configuration {
		if _, err := git.run(ctx, "", "config", pair[0], pair[1]); err != nil {
			return err
		}
	}
	files, err := contentFiles()
	if err != nil {
		return err
	}
	if _, err := git.commit(ctx, DefaultBranch, "Set up the cluster", files); err != nil {
		return err
	}
	if public {
		if err := os.WriteFile(filepath.Join(building, exportFile), nil, 0o600); err != nil {
			return err
		}
	}
	return os.Rename(building, dir)
}

// Name returns "owner/name".
func (r *Repository) Name() string { return r.name }

// Dir returns the bare repository's directory: what `git push` takes to push through the file system.
func (r *Repository) Dir() string { return r.store.path("repositories", r.name+".git") }

// SSHURL returns ssh://git@127.0.0.1:<port>/owner/name.git. The short form git@host:owner/name.git has no room for a port, so there is
// none. The error is fs.ErrNotExist if no server has been started on the directory.
func (r *Repository) SSHURL() (string, error) {
	a, err := r.store.addresses()
	if err != nil {
		return "", err
	}
	return (&url.URL{Scheme: "ssh", User: url.User(sshUser), Host: a.SSH, Path: "/" + r.name + ".git"}).String(), nil
}

// HTTPURL returns http://127.0.0.1:<port>/owner/name.git, which answers 404 if the repository is private. The error is fs.ErrNotExist if
// no server has been started on the directory.
func (r *Repository) HTTPURL() (string, error) {
	return r.url("http", func(a addresses) string { return a.HTTP })
}

// HTTPSURL returns https://127.0.0.1:<port>/owner/name.git, where a private repository needs a [Credential]. Clients must trust [Store.CA].
func (r *Repository) HTTPSURL() (string, error) {
	return r.url("https", func(a addresses) string { return a.HTTPS })
}

// MutualTLSURL is like HTTPSURL, but there the server talks to nobody who has no client certificate of its authority.
func (r *Repository) MutualTLSURL() (string, error) {
	return r.url("https", func(a addresses) string { return a.MutualTLS })
}

func (r *Repository) url(scheme string, host func(addresses) string) (string, error) {
	a, err := r.store.addresses()
	if err != nil {
		return "", err
	}
	return (&url.URL{Scheme: scheme, Host: host(a), Path: "/" + r.name + ".git"}).String(), nil
}

// Public says whether the repository is served over HTTP.
func (r *Repository) Public() bool {
	_, err := os.Stat(filepath.Join(r.Dir(), exportFile))
	return err == nil
}

// Commit writes files (path to text; an empty text removes the file) and returns the SHA of the new commit on branch. A branch that does
// not exist begins at the head of [DefaultBranch]. It fails if nothing changes, and if the branch moves meanwhile.
func (r *Repository) Commit(ctx context.Context, branch, message string, files map[string]string) (string, error) {
	sha, err := r.store.git(r.Dir()).commit(ctx, branch, message, files)
	if err != nil {
		return "", fmt.Errorf("committing to branch %s of repository %s: %w", branch, r.name, err)
	}
	return sha, nil
}

// Head returns the SHA of the newest commit of branch. The error is fs.ErrNotExist if there is no such branch.
func (r *Repository) Head(ctx context.Context, branch string) (string, error) {
	sha, err := r.store.git(r.Dir()).head(ctx, branch)
	if err != nil {
		return "", fmt.Errorf("branch %s of repository %s: %w", branch, r.name, err)
	}
	return sha, nil
}

// Sign gives the newest commit of branch a signature, which sign makes of its content, and returns the SHA that it has then.
func (r *Repository) Sign(ctx context.Context, branch string, sign func(content []byte) (signature string, err error)) (string, error) {
	sha, err := r.store.git(r.Dir()).sign(ctx, branch, sign)
	if err != nil {
		return "", fmt.Errorf("signing branch %s of repository %s: %w", branch, r.name, err)
	}
	return sha, nil
}

// Tag puts an annotated tag on a commit. A tag that exists moves there.
func (r *Repository) Tag(ctx context.Context, name, sha string) error {
	if _, err := r.store.git(r.Dir()).run(ctx, "", "tag", "--force", "--annotate", "--message="+name, name, sha); err != nil {
		return fmt.Errorf("tag %s of repository %s: %w", name, r.name, err)
	}
	return nil
}

// SetRef makes a name such as refs/tags/v1 or refs/pull/1/head that of a commit, wherever it was before.
func (r *Repository) SetRef(ctx context.Context, ref, sha string) error {
	return r.updateRef(ctx, ref, sha)
}

// DeleteRef takes a branch (refs/heads/…), a tag (refs/tags/…) or another name away.
func (r *Repository) DeleteRef(ctx context.Context, ref string) error {
	return r.updateRef(ctx, "-d", ref)
}

func (r *Repository) updateRef(ctx context.Context, args ...string) error {
	if _, err := r.store.git(r.Dir()).run(ctx, "", append([]string{"update-ref"}, args...)...); err != nil {
		return fmt.Errorf("refs of repository %s: %w", r.name, err)
	}
	return nil
}

// sign writes the newest commit of branch anew, with a signature in its header (gitformat-signature(5)).
func (g *git) sign(ctx context.Context, branch string, sign func(content []byte) (signature string, err error)) (string, error) {
	unsigned, err := g.head(ctx, branch)
	if err != nil {
		return "", err
	}
	content, err := g.run(ctx, "", "cat-file", "commit", unsigned)
	if err != nil {
		return "", err
	}
	content += "\n" // run has taken it away
	signature, err := sign([]byte(content))
	if err != nil {
		return "", err
	}
	header, message, _ := strings.Cut(content, "\n\n")
	header += "\ngpgsig " + strings.ReplaceAll(strings.TrimSpace(signature), "\n", "\n ")
	signed, err := g.run(ctx, header+"\n\n"+message, "hash-object", "-t", "commit", "-w", "--stdin")
	if err != nil {
		return "", err
	}
	_, err = g.run(ctx, "", "update-ref", "refs/heads/"+branch, signed, unsigned)
	return signed, err
}

func (g *git) head(ctx context.Context, branch string) (string, error) {
	ref, err := g.run(ctx, "", "for-each-ref", "--format=%(refname) %(objectname)", "refs/heads/"+branch)
	if err != nil {
		return "", err
	}
	// A pattern matches whole directories of branches too, so the name is compared.
	for line := range strings.Lines(ref) {
		if name, sha, _ := strings.Cut(strings.TrimSpace(line), " "); name == "refs/heads/"+branch {
			return sha, nil
		}
	}
	return "", fs.ErrNotExist
}

// commit works on the bare repository with an index of its own, without a working tree.
func (g *git) commit(ctx context.Context, branch, message string, files map[string]string) (string, error) {
	if _, err := g.run(ctx, "", "check-ref-format", "refs/heads/"+branch); err != nil {
		return "", fmt.Errorf("%q is not a branch name: %w", branch, err)
	}
	old, err := g.head(ctx, branch)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	parent := old
	if parent == "" {
		if parent, err = g.head(ctx, DefaultBranch); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	tree, err := g.writeTree(ctx, parent, files)
	if err != nil {
		return "", err
	}
	args := []string{"commit-tree", "-m", message, tree}
	if parent != "" {
		if before, err := g.run(ctx, "", "rev-parse", parent+"^{tree}"); err != nil {
			return "", err
		} else if before == tree {
			return "", errors.New("the files are already as they should become: nothing to commit")
		}
		args = append(args, "-p", parent)
	}
	sha, err := g.run(ctx, "", args...)
	if err != nil {
		return "", err
	}
	// The old value makes Git refuse if somebody else moved the branch; an empty one means that there must be none.
	_, err = g.run(ctx, "", "update-ref", "refs/heads/"+branch, sha, old)
	return sha, err
}

// writeTree stores the tree of parent (none if empty) with the changed files and returns its SHA.
func (g *git) writeTree(ctx context.Context, parent string, files map[string]string) (string, error) {
	index, err := os.MkdirTemp("", "gitserver-index-*")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(index) }()
	g = g.withEnv("GIT_INDEX_FILE=" + filepath.Join(index, "index"))

	if parent != "" {
		if _, err := g.run(ctx, "", "read-tree", parent); err != nil {
			return "", err
		}
	}
	var changes strings.Builder
	for _, path := range slices.Sorted(maps.Keys(files)) {
		if !validFile(path) {
			return "", fmt.Errorf("%q is not a path of a file in a repository", path)
		}
		if files[path] == "" {
			fmt.Fprintf(&changes, "0 %040d\t%s\x00", 0, path)
			continue
		}
		blob, err := g.run(ctx, files[path], "hash-object", "-w", "--stdin")
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&changes, "100644 %s\t%s\x00", blob, path)
	}
	if _, err := g.run(ctx, changes.String(), "update-index", "-z", "--index-info"); err != nil {
		return "", err
	}
	return g.run(ctx, "", "write-tree")
}

// validFile refuses what Git would not store; update-index ignores such paths without a word.
func validFile(path string) bool {
	if !fs.ValidPath(path) || path == "." {
		return false
	}
	return !slices.ContainsFunc(strings.Split(path, "/"), func(element string) bool { return strings.EqualFold(element, ".git") })
}
