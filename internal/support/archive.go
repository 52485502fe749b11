package support

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"strings"
	"time"
)

// A Part is one file of the archive. Get is bounded by ctx; what it returns
// besides an error is kept.
type Part struct {
	Name string
	Get  func(ctx context.Context) ([]byte, error)
}

// PartSize is how much of a part is kept: the end of what is longer.
const PartSize = 8 << 20

const partTime = 10 * time.Second // for each

// Write writes the parts, without the secrets, as one gzipped tar whose files
// are under a directory of that name. What a part lacks, and why, is in its file
// missing.txt, and returned.
func Write(ctx context.Context, w io.Writer, dir string, now time.Time, parts []Part, secrets []string) (missing []string, err error) {
	zipped := gzip.NewWriter(w)
	archive := tar.NewWriter(zipped)
	add := func(name string, data []byte) error {
		header := &tar.Header{Name: dir + "/" + name, Mode: 0o600, Size: int64(len(data)), ModTime: now}
		if err := archive.WriteHeader(header); err != nil {
			return fmt.Errorf("write %s to the archive: %w", name, err)
		}
		if _, err := archive.Write(data); err != nil {
			return fmt.Errorf("write %s to the archive: %w", name, err)
		}
		return nil
	}
	for _, part := range parts {
		data, err := get(ctx, part)
		if err != nil {
			missing = append(missing, string(Scrub([]byte(part.Name+": "+err.Error()), secrets)))
		}
		if len(data) == 0 {
			continue
		}
		if err := add(part.Name, Scrub(data, secrets)); err != nil {
			return missing, err
		}
	}
	if len(missing) > 0 {
		if err := add("missing.txt", []byte(strings.Join(missing, "\n")+"\n")); err != nil {
			return missing, err
		}
	}
	if err := archive.Close(); err != nil {
		return missing, fmt.Errorf("end the archive: %w", err)
	}
	if err := zipped.Close(); err != nil {
		return missing, fmt.Errorf("end the archive: %w", err)
	}
	return missing, nil
}

func get(ctx context.Context, part Part) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, partTime)
	defer cancel()
	data, err := part.Get(ctx)
	if len(data) > PartSize {
		data = append([]byte("… the beginning is left out\n"), data[len(data)-PartSize:]...)
	}
	return data, err
}
