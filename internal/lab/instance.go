package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// maxLabs bounds the search for a free number.
const maxLabs = 100

// An instance is one lab's directory, whose lock says that the lab lives: the
// kernel drops it when the process ends, however it ends.
type instance struct {
	id   int
	dir  string
	lock *os.File // the directory, locked
}

// Paths are the files of a lab.
type Paths struct {
	Dir    string // all of them are in it; it goes with the lab
	Lab    string // socket for faults
	Socket string // socket of the controller
	Site   string // configuration of the controller
	State  string // state file of the controller
}

// PathsOf returns the paths of lab number id in base, a directory; "" is
// where labs normally are. The lab need not exist.
func PathsOf(base string, id int) Paths {
	dir := filepath.Join(baseDir(base), fmt.Sprintf("%s%d", dirPrefix(), id))
	return Paths{
		Dir:    dir,
		Lab:    filepath.Join(dir, "lab.sock"),
		Socket: filepath.Join(dir, "routesteer.sock"),
		Site:   filepath.Join(dir, "site.yaml"),
		State:  filepath.Join(dir, "state.json"),
	}
}

func baseDir(base string) string {
	if base != "" {
		return base
	}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		return dir
	}
	return os.TempDir()
}

func dirPrefix() string { return fmt.Sprintf("routesteer-lab-%d-", owner()) }

// owner is the user who started the lab, also inside the user namespace of
// netns.Enter, which shows that user as root and maps nobody else.
func owner() int {
	text, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		return os.Getuid()
	}
	words := strings.Fields(string(text))
	if len(words) != 3 || words[0] != "0" || words[2] != "1" {
		return os.Getuid()
	}
	outside, err := strconv.Atoi(words[1])
	if err != nil {
		return os.Getuid()
	}
	return outside
}

// claim makes the directory of lab number id, or of the lowest free number if
// it is 0, after removing what dead labs of this user left.
func claim(base string, id int) (*instance, error) {
	if err := sweep(base); err != nil {
		return nil, err
	}
	first, last := id, id
	if id == 0 {
		first, last = 1, maxLabs
	}
	for id := first; id <= last; id++ {
		it, err := claimOne(base, id)
		if err != nil || it != nil {
			return it, err
		}
	}
	if first == last {
		return nil, fmt.Errorf("lab %d is running already: choose another --id, or stop it", id)
	}
	return nil, fmt.Errorf("%d labs are running already: stop some", maxLabs)
}

// claimOne makes and locks one directory; nil if somebody else has it.
func claimOne(base string, id int) (*instance, error) {
	dir := PathsOf(base, id).Dir
	err := os.Mkdir(dir, 0o700)
	if errors.Is(err, os.ErrExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("make the lab's directory: %w", err)
	}
	lock, err := lockDir(dir)
	if err != nil || lock == nil {
		// Nil: between Mkdir and here another start took it for a dead lab's.
		return nil, err
	}
	return &instance{id: id, dir: dir, lock: lock}, nil
}

// release removes the directory, then the lock.
func (i *instance) release() error {
	return errors.Join(os.RemoveAll(i.dir), i.lock.Close())
}

// sweep removes the directories of this user's labs that are dead.
func sweep(base string) error {
	dirs, err := filepath.Glob(filepath.Join(baseDir(base), dirPrefix()+"*"))
	if err != nil {
		return fmt.Errorf("look for dead labs: %w", err)
	}
	for _, dir := range dirs {
		if _, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(dir), dirPrefix())); err != nil || !isOwn(dir) {
			continue
		}
		lock, err := lockDir(dir)
		if err != nil {
			return err
		}
		if lock == nil {
			continue
		}
		if err := errors.Join(os.RemoveAll(dir), lock.Close()); err != nil {
			return fmt.Errorf("remove what a dead lab left: %w", err)
		}
	}
	return nil
}

// isOwn reports whether dir is a real directory of this user: others may make
// what they like in a shared temporary directory.
func isOwn(dir string) bool {
	var stat unix.Stat_t
	err := unix.Lstat(dir, &stat)
	return err == nil && stat.Mode&unix.S_IFMT == unix.S_IFDIR && int(stat.Uid) == os.Geteuid()
}

// lockDir locks a directory without waiting; nil if another process has it or
// it is gone by then.
func lockDir(dir string) (*os.File, error) {
	file, err := os.Open(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("lock the lab's directory: %w", err)
	}
	err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, file.Close()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", dir, err), file.Close())
	}
	if !isStill(dir, file) {
		return nil, file.Close()
	}
	return file, nil
}

// isStill reports whether the path leads to the open directory: it may have
// been removed, and made again, before the lock was had.
func isStill(dir string, file *os.File) bool {
	now, err := os.Lstat(dir)
	if err != nil {
		return false
	}
	then, err := file.Stat()
	return err == nil && os.SameFile(now, then)
}

// Running returns the numbers of this user's labs in base that are alive.
func Running(base string) ([]int, error) {
	dirs, err := filepath.Glob(filepath.Join(baseDir(base), dirPrefix()+"*"))
	if err != nil {
		return nil, fmt.Errorf("look for labs: %w", err)
	}
	var ids []int
	for _, dir := range dirs {
		id, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(dir), dirPrefix()))
		if err != nil || !isOwn(dir) {
			continue
		}
		lock, err := lockDir(dir)
		if err != nil {
			return nil, err
		}
		if lock == nil {
			ids = append(ids, id)
			continue
		}
		if err := lock.Close(); err != nil {
			return nil, err
		}
	}
	return ids, nil
}
