// Package images makes container images of static programs, without a Docker
// engine: the program, the certificates of public authorities, a user with a number.
//
// The same program makes the same image, byte for byte, so that its tag can name
// what is in it.
package images

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// Image is one that can be stored.
type Image struct {
	Ref   name.Tag
	Image v1.Image
}

// Compression says what an image is made for.
type Compression int

// Quick is for a cluster on this machine, Small for one that images travel to.
const (
	Quick Compression = gzip.NoCompression
	Small Compression = gzip.BestCompression
)

// user is nobody in particular. runAsNonRoot wants a number.
const user = "65532"

const passwd = "root:x:0:0:root:/:/\nnonroot:x:" + user + ":" + user + ":nonroot:/:/\n"

// New makes an image of a program. Its tag tells what is in it.
func New(repository, program string, size Compression) (Image, error) {
	binary, err := os.ReadFile(program)
	if err != nil {
		return Image{}, err
	}
	sum := sha256.Sum256(binary)
	ref, err := name.NewTag(repository + ":" + hex.EncodeToString(sum[:6]))
	if err != nil {
		return Image{}, err
	}
	content, err := layer(binary, size)
	if err != nil {
		return Image{}, err
	}
	image, err := mutate.AppendLayers(empty.Image, content)
	if err != nil {
		return Image{}, err
	}
	file, err := image.ConfigFile()
	if err != nil {
		return Image{}, err
	}
	file.OS, file.Architecture = "linux", "amd64"
	file.Config.User = user + ":" + user
	file.Config.Entrypoint = []string{"/program"}
	image, err = mutate.ConfigFile(image, file)
	return Image{ref, image}, err
}

func layer(binary []byte, size Compression) (v1.Layer, error) {
	certificates, err := certificates()
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	err = errors.Join(
		add(w, "program", 0o755, binary),
		add(w, "etc/passwd", 0o644, []byte(passwd)),
		add(w, "etc/ssl/certs/ca-certificates.crt", 0o644, certificates),
		w.Close(),
	)
	if err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(out.Bytes())), nil }
	return tarball.LayerFromOpener(open, tarball.WithCompressionLevel(int(size)))
}

func add(w *tar.Writer, name string, mode int64, content []byte) error {
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: int64(len(content))}); err != nil {
		return err
	}
	_, err := w.Write(content)
	return err
}

// certificates are those that this machine trusts.
func certificates() ([]byte, error) {
	for _, file := range []string{
		"/etc/ssl/certs/ca-certificates.crt", // Debian
		"/etc/pki/tls/certs/ca-bundle.crt",   // Fedora, RHEL
		"/etc/ssl/cert.pem",                  // Alpine, macOS
	} {
		if text, err := os.ReadFile(file); err == nil {
			return text, nil
		}
	}
	return nil, errors.New("no CA certificates are on this machine (Debian: apt-get install ca-certificates)")
}
