package main

import (
	"fmt"
	"os"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// A key is what a key press means: a character, or one of the names below.
type key string

const (
	keyEnter     key = "Enter"
	keyEscape    key = "Escape"
	keyBackspace key = "Backspace"
	keyUp        key = "Up"
	keyDown      key = "Down"
	keyPageUp    key = "Page Up"
	keyPageDown  key = "Page Down"
	keyHome      key = "Home"
	keyOther     key = "another key"
)

// named reports whether the key is no character.
func (k key) named() bool { return utf8.RuneCountInString(string(k)) != 1 }

// A keyboard sends keys as they are pressed, without waiting for a line's end, and
// without showing them. What interrupts does so still.
type keyboard struct {
	keys   <-chan key
	tty    *os.File
	before *unix.Termios
	closed chan struct{}
	ended  chan struct{}
}

// openKeyboard takes over the keys of the terminal that this process has.
func openKeyboard() (*keyboard, error) {
	// So opened, a read ends when the file is closed.
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open the terminal for keys: %w", err)
	}
	var before *unix.Termios
	err = onDescriptor(tty, func(fd int) (err error) {
		if before, err = unix.IoctlGetTermios(fd, unix.TCGETS); err != nil {
			return err
		}
		now := *before
		now.Lflag &^= unix.ICANON | unix.ECHO
		return unix.IoctlSetTermios(fd, unix.TCSETS, &now)
	})
	if err != nil {
		tty.Close()
		return nil, fmt.Errorf("have the terminal send each key: %w", err)
	}
	keys := make(chan key)
	k := &keyboard{keys: keys, tty: tty, before: before, closed: make(chan struct{}), ended: make(chan struct{})}
	go k.read(keys)
	return k, nil
}

// onDescriptor does something to the descriptor, and leaves it as it is otherwise:
// File.Fd would make it block.
func onDescriptor(file *os.File, do func(fd int) error) error {
	conn, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := conn.Control(func(fd uintptr) { failed = do(int(fd)) }); err != nil {
		return err
	}
	return failed
}

func (k *keyboard) read(keys chan<- key) {
	defer close(k.ended)
	buffer := make([]byte, 64)
	for {
		n, err := k.tty.Read(buffer)
		if err != nil {
			return // it was closed, or the terminal has gone, which ends the process anyway
		}
		for _, key := range decode(buffer[:n]) {
			select {
			case keys <- key:
			case <-k.closed:
				return
			}
		}
	}
}

// close gives the terminal back as it was.
func (k *keyboard) close() {
	close(k.closed)
	_ = k.tty.SetReadDeadline(time.Unix(1, 0)) // read ends; if it cannot, closing does it
	<-k.ended
	_ = onDescriptor(k.tty, func(fd int) error { return unix.IoctlSetTermios(fd, unix.TCSETS, k.before) }) // it may have gone
	_ = k.tty.Close()
}

// sequences are what keys without a character send (xterm's).
func sequences() map[string]key {
	return map[string]key{
		"\x1b[A": keyUp, "\x1bOA": keyUp, "\x1b[B": keyDown, "\x1bOB": keyDown,
		"\x1b[5~": keyPageUp, "\x1b[6~": keyPageDown, "\x1b[H": keyHome, "\x1bOH": keyHome, "\x1b[1~": keyHome,
		"\x1b": keyEscape, "\r": keyEnter, "\n": keyEnter, "\x7f": keyBackspace, "\b": keyBackspace,
	}
}

// decode tells which keys sent the bytes that came together. An escape that
// comes alone is the key; others begin a sequence, which comes alone.
func decode(sent []byte) []key {
	if k, ok := sequences()[string(sent)]; ok {
		return []key{k}
	}
	if sent[0] == '\x1b' {
		return []key{keyOther}
	}
	var keys []key
	for _, r := range string(sent) {
		k, ok := sequences()[string(r)]
		switch {
		case ok:
			keys = append(keys, k)
		case r < ' ':
			keys = append(keys, keyOther)
		default:
			keys = append(keys, key(r))
		}
	}
	return keys
}
