// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
)

// Images are where pods get their images from: registries, with what a node's container runtime is configured with for them.
type Images struct {
	// Transport trusts the registries.
	Transport http.RoundTripper
	// Keychain has the node's credentials for them.
	Keychain authn.Keychain
}

// Image is an unpacked image for this machine's platform.
type Image struct {
	// Reference is where it came from, and Digest what it is.
	Reference string
	Digest    string
	// Config says what runs in it, and how.
	Config v1.Config
}

// unpack pulls the image of the pod's container, and puts its files into the directory, which is emptied before.
func (i *Images) unpack(ctx context.Context, spec corev1.PodSpec, container, dir string) (*Image, error) {
	index := slices.IndexFunc(spec.Containers, func(c corev1.Container) bool { return c.Name == container })
	if index < 0 {
		return nil, fmt.Errorf("the pod has no container %q", container)
	}
	reference, err := name.ParseReference(spec.Containers[index].Image, name.StrictValidation)
	if err != nil {
		return nil, fmt.Errorf("container %s has no image to pull: %w", container, err)
	}
	pulled, err := remote.Image(reference, remote.WithContext(ctx), remote.WithTransport(i.Transport), remote.WithAuthFromKeychain(i.Keychain),
		remote.WithPlatform(v1.Platform{OS: "linux", Architecture: runtime.GOARCH}))
	if err != nil {
		return nil, fmt.Errorf("failed to pull image %s: %w", reference, err)
	}
	digest, err := pulled.Digest()
	if err != nil {
		return nil, fmt.Errorf("failed to pull image %s: %w", reference, err)
	}
	config, err := pulled.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("failed to read the configuration of image %s: %w", reference, err)
	}
	files := mutate.Extract(pulled)
	if err := errors.Join(extract(files, dir), files.Close(), writeNetworkFiles(dir)); err != nil {
		return nil, fmt.Errorf("failed to unpack image %s: %w", reference, err)
	}
	return &Image{Reference: reference.String(), Digest: digest.String(), Config: config.Config}, nil
}

// extract writes the files of an image, with their modes and, if this process is root, with their owners.
func extract(files io.Reader, dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(dir), privateDir); err != nil {
		return err
	}
	if err := os.Mkdir(dir, publicDir); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	archive := tar.NewReader(files)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return root.Close()
		}
		if err == nil {
			err = extractFile(root, header, archive)
		}
		if err != nil {
			return errors.Join(err, root.Close())
		}
	}
}

func extractFile(root *os.Root, header *tar.Header, content io.Reader) error {
	file := filepath.FromSlash(strings.TrimPrefix(path.Clean("/"+header.Name), "/"))
	if file == "" {
		return nil // the root itself
	}
	if err := root.MkdirAll(filepath.Dir(file), publicDir); err != nil {
		return err
	}
	mode := header.FileInfo().Mode()
	switch header.Typeflag {
	case tar.TypeDir:
		if err := root.MkdirAll(file, publicDir); err != nil {
			return err
		}
	case tar.TypeReg:
		if err := writeFile(root, file, content); err != nil {
			return err
		}
	case tar.TypeSymlink:
		return root.Symlink(header.Linkname, file)
	case tar.TypeLink:
		return root.Link(strings.TrimPrefix(path.Clean("/"+header.Linkname), "/"), file)
	default:
		return fmt.Errorf("%s is of a type that an image of a program has no use for: %q", header.Name, header.Typeflag)
	}
	if os.Geteuid() == 0 {
		if err := root.Chown(file, header.Uid, header.Gid); err != nil {
			return err
		}
	}
	return root.Chmod(file, mode.Perm())
}

func writeFile(root *os.Root, file string, content io.Reader) error {
	target, err := root.OpenFile(file, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, privateFile)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, content)
	return errors.Join(err, target.Close())
}

// writeNetworkFiles gives the container what a kubelet gives it: the names of hosts, and where to ask for others.
func writeNetworkFiles(dir string) error {
	resolver, err := os.ReadFile("/etc/resolv.conf")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, "etc"), publicDir); err != nil {
		return err
	}
	for file, content := range map[string][]byte{"resolv.conf": resolver, "hosts": []byte(Loopback + " localhost\n")} {
		if err := os.WriteFile(filepath.Join(dir, "etc", file), content, 0o644); err != nil { // #nosec G306 -- everybody may
			return err
		}
	}
	return nil
}

// program is what runs in the container: by the image's entrypoint and user, unless the pod says something else, with the arguments and the
// environment of both.
func (i *Image) program(mounted *Mounted) (process.Program, error) {
	args, err := mounted.Args()
	if err != nil {
		return process.Program{}, err
	}
	env, err := mounted.Env()
	if err != nil {
		return process.Program{}, err
	}
	command := i.Config.Entrypoint
	if len(mounted.container.Command) > 0 {
		command = mounted.container.Command
	} else if len(args) == 0 {
		args = i.Config.Cmd
	}
	if len(command) == 0 {
		return process.Program{}, fmt.Errorf("neither image %s nor container %s says what to run", i.Reference, mounted.container.Name)
	}
	container, err := i.user(mounted.pod.Spec.SecurityContext)
	if err != nil {
		return process.Program{}, err
	}
	container.Root = mounted.root
	return process.Program{
		Path:       command[0],
		Args:       append(slices.Clone(command[1:]), args...),
		Env:        append(slices.Clone(i.Config.Env), env...),
		WorkingDir: i.Config.WorkingDir,
		Container:  container,

		GracePeriod: time.Duration(ptr.Deref(mounted.pod.Spec.TerminationGracePeriodSeconds, corev1.DefaultTerminationGracePeriodSeconds)) * time.Second,
	}, nil
}

// user is the image's user, or the one that the pod says. As a kubelet does, it refuses a root that the pod does not want, and a name in the
// place of which it could be one.
func (i *Image) user(security *corev1.PodSecurityContext) (*process.Container, error) {
	if security == nil {
		security = &corev1.PodSecurityContext{}
	}
	user, group, _ := strings.Cut(i.Config.User, ":")
	uid, err := number(user, security.RunAsUser)
	if err != nil {
		return nil, fmt.Errorf("image %s has user %q: %w", i.Reference, i.Config.User, err)
	}
	gid, err := number(group, security.RunAsGroup)
	if err != nil {
		return nil, fmt.Errorf("image %s has user %q: %w", i.Reference, i.Config.User, err)
	}
	if uid == 0 && security.RunAsNonRoot != nil && *security.RunAsNonRoot {
		return nil, fmt.Errorf("image %s would run as root, and the pod has runAsNonRoot", i.Reference)
	}
	return &process.Container{UID: uid, GID: gid}, nil
}

func number(ofImage string, ofPod *int64) (int, error) {
	switch {
	case ofPod != nil:
		return int(*ofPod), nil
	case ofImage == "":
		return 0, nil
	default:
		return strconv.Atoi(ofImage)
	}
}
