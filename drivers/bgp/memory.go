package bgp

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// maxMemory bounds the file that is read: ten times what 100,000 prefixes need.
const maxMemory = 64 << 20

// memoryVersion is written to the file; one of another version is forgotten.
const memoryVersion = 1

// A memory is what a speaker announced, in a file, for the next one. The file's
// time is when the speaker was last known to be alive. It is no more than a hint
// where traffic goes, so that trouble with it is logged and nothing stops.
type memory struct {
	path string
	good time.Duration // routers forget what is older, and so do we; 0: nothing is kept
	log  *slog.Logger
}

func newMemory(path string, restart topology.Restart, log *slog.Logger) *memory {
	m := &memory{path: path, log: log}
	if restart.Time > 0 {
		m.good = restart.Time + restart.LongLived
	}
	return m
}

type memoryFile struct {
	Version int              `json:"version"`
	Routes  []rememberedPart `json:"routes"`
}

// A rememberedPart is the prefixes that had the same next hops.
type rememberedPart struct {
	Via      []rememberedHop `json:"via"`
	Prefixes []netip.Prefix  `json:"prefixes"`
}

type rememberedHop struct {
	Address netip.Addr `json:"address"`
	Weight  int        `json:"weight"`
}

// load returns what was announced, if routers may still have it.
func (m *memory) load() map[netip.Prefix][]steer.NextHop {
	if m.good == 0 {
		return nil
	}
	content, err := m.read()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		m.log.Warn("what was announced before is not known: routes may move once", "err", err)
		return nil
	}
	routes := map[netip.Prefix][]steer.NextHop{}
	for _, part := range content.Routes {
		hops := make([]steer.NextHop, len(part.Via))
		for i, hop := range part.Via {
			hops[i] = steer.NextHop(hop)
		}
		hops = normal(hops)
		for _, p := range part.Prefixes {
			if p.IsValid() && unusable(p, hops) == "" {
				routes[p] = hops
			}
		}
	}
	return routes
}

func (m *memory) read() (memoryFile, error) {
	var content memoryFile
	file, err := os.Open(m.path)
	if err != nil {
		return content, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return content, err
	}
	if age := time.Since(info.ModTime()); age > m.good {
		return content, nil // the routers have forgotten it, too
	}
	data, err := io.ReadAll(io.LimitReader(file, maxMemory))
	if err != nil {
		return content, err
	}
	if err := json.Unmarshal(data, &content); err != nil {
		return memoryFile{}, fmt.Errorf("read %s: %w", m.path, err)
	}
	if content.Version != memoryVersion {
		return memoryFile{}, fmt.Errorf("read %s: version %d, this routesteer writes %d", m.path, content.Version, memoryVersion)
	}
	return content, nil
}

// save keeps what is announced. A crash at any moment leaves the old file or the
// new one. It is not flushed to the disk: a machine that loses power loses its
// sessions for longer than routers wait.
func (m *memory) save(routes map[netip.Prefix][]steer.NextHop) {
	if m.good == 0 {
		return
	}
	if err := m.write(encodeMemory(routes)); err != nil {
		m.log.Warn("cannot remember what is announced: a restart may move routes", "err", err)
	}
}

func encodeMemory(routes map[netip.Prefix][]steer.NextHop) []byte {
	parts := map[string]*rememberedPart{}
	for p, hops := range routes {
		key := steer.FormatNextHops(hops)
		part := parts[key]
		if part == nil {
			part = &rememberedPart{}
			for _, hop := range hops {
				part.Via = append(part.Via, rememberedHop(hop))
			}
			parts[key] = part
		}
		part.Prefixes = append(part.Prefixes, p)
	}
	content := memoryFile{Version: memoryVersion, Routes: []rememberedPart{}}
	for _, part := range parts {
		slices.SortFunc(part.Prefixes, steer.ComparePrefix)
		content.Routes = append(content.Routes, *part)
	}
	slices.SortFunc(content.Routes, func(a, b rememberedPart) int { return steer.ComparePrefix(a.Prefixes[0], b.Prefixes[0]) })
	data, err := json.Marshal(content)
	if err != nil {
		panic("bgp: addresses cannot be written: " + err.Error())
	}
	return data
}

func (m *memory) write(data []byte) error {
	file, err := os.CreateTemp(filepath.Dir(m.path), filepath.Base(m.path)+".*")
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(file.Name(), m.path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}

// touch says that the speaker is alive.
func (m *memory) touch() {
	if m.good == 0 {
		return
	}
	now := time.Now()
	if err := os.Chtimes(m.path, now, now); err != nil && !errors.Is(err, fs.ErrNotExist) {
		m.log.Warn("cannot remember what is announced: a restart may move routes", "err", err)
	}
}

// forget removes the memory: routers are told to forget, too.
func (m *memory) forget() {
	if err := os.Remove(m.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		m.log.Warn("cannot forget what was announced: the next start may announce it until checks have spoken", "err", err)
	}
}
