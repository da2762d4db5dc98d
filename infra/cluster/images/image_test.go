package images_test

import (
	"archive/tar"
	"io"
	"os"
	"path/filepath"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/millrace/millrace/infra/cluster/images"
)

func TestAnImageIsNamedByItsProgram(t *testing.T) {
	t.Parallel()
	one, same, other := build(t, "program"), build(t, "program"), build(t, "another")
	if one.Ref != same.Ref || digest(t, one) != digest(t, same) {
		t.Errorf("the same program made %v and %v", one.Ref, same.Ref)
	}
	if one.Ref == other.Ref || digest(t, one) == digest(t, other) {
		t.Errorf("another program made %v too", other.Ref)
	}
}

func TestAnImageRunsAsNobodyWithItsProgramAndCertificates(t *testing.T) {
	t.Parallel()
	image := build(t, "program").Image
	file, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if file.Config.User != "65532:65532" || file.Config.Entrypoint[0] != "/program" || file.OS != "linux" {
		t.Errorf("%+v", file.Config)
	}
	layers, err := image.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatal(layers, err)
	}
	content, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close() //nolint:errcheck // it was only read
	sizes := map[string]int64{}
	files := tar.NewReader(content)
	for header, err := files.Next(); err != io.EOF; header, err = files.Next() {
		if err != nil {
			t.Fatal(err)
		}
		sizes[header.Name] = header.Size
	}
	if sizes["program"] != int64(len("program")) || sizes["etc/ssl/certs/ca-certificates.crt"] == 0 || sizes["etc/passwd"] == 0 {
		t.Errorf("files %v", sizes)
	}
}

func build(t *testing.T, program string) images.Image {
	t.Helper()
	file := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(file, []byte(program), 0o755); err != nil {
		t.Fatal(err)
	}
	image, err := images.New("dev.local/test/program", file, images.Quick)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

func digest(t *testing.T, image images.Image) v1.Hash {
	t.Helper()
	hash, err := image.Image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return hash
}
