package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/routesteer/routesteer/internal/show"
)

// Control sequences of xterm, which every terminal of today understands.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l\x1b[?7l" // alternate screen, no cursor, lines end at the edge
	leaveScreen = "\x1b[?7h\x1b[?25h\x1b[?1049l"
	home        = "\x1b[H"
	eraseLine   = "\x1b[K"
	eraseBelow  = "\x1b[J"
)

// A screen draws in place on the alternate screen of a terminal, and leaves no
// trace.
type screen struct {
	out   io.Writer
	size  func() (height int)
	style show.Style
}

// terminalSize tells a terminal's height, also after it has changed.
func terminalSize(file *os.File) func() int {
	return func() int {
		_, height, err := term.GetSize(int(file.Fd()))
		if err != nil || height < 2 {
			return 24
		}
		return height
	}
}

func openScreen(out io.Writer, size func() int, style show.Style) *screen {
	fmt.Fprint(out, enterScreen) // draw tells if it cannot write
	return &screen{out, size, style}
}

// draw writes as many lines as there is room for. Each clears its rest, so
// that nothing flickers.
func (s *screen) draw(w *watcher) error {
	lines := strings.Split(strings.TrimRight(w.text(s.style), "\n"), "\n")
	if height := s.size(); len(lines) > height {
		hidden := len(lines) - height + 1
		lines = append(lines[:height-1], fmt.Sprintf("… %d more lines", hidden))
	}
	_, err := io.WriteString(s.out, home+strings.Join(lines, eraseLine+"\r\n")+eraseLine+eraseBelow)
	return err
}

func (s *screen) close() { fmt.Fprint(s.out, leaveScreen) }
