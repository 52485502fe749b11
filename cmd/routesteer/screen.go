package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
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
	size  func() (width, height int)
	style show.Style
}

// leastWidth is how narrow a terminal can be; below, it is a mistake.
const leastWidth = 20

// terminalSize tells a terminal's size now. COLUMNS, where somebody exports
// it, is what that one wants.
func terminalSize(file *os.File) (width, height int) {
	width, height, err := term.GetSize(int(file.Fd()))
	if err != nil || width < leastWidth || height < 2 {
		width, height = 80, 24
	}
	if wanted, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && wanted >= leastWidth {
		width = wanted
	}
	return width, height
}

func openScreen(out io.Writer, size func() (width, height int), style show.Style) *screen {
	fmt.Fprint(out, enterScreen) // draw tells if it cannot write
	return &screen{out, size, style}
}

// draw writes as many lines as there is room for.
func (s *screen) draw(w *watcher) error {
	return s.write(func(width, height int, style show.Style) []string {
		style.Width = width
		lines := strings.Split(strings.TrimRight(w.text(style), "\n"), "\n")
		if len(lines) > height {
			hidden := len(lines) - height + 1
			lines = append(lines[:height-1], fmt.Sprintf("… %d more lines", hidden))
		}
		return lines
	})
}

// write writes lines for the terminal as it is now. Each clears its rest, so
// that nothing flickers.
func (s *screen) write(lines func(width, height int, style show.Style) []string) error {
	width, height := s.size() // it may have changed
	text := strings.Join(lines(width, height, s.style), eraseLine+"\r\n")
	_, err := io.WriteString(s.out, home+text+eraseLine+eraseBelow)
	return err
}

func (s *screen) close() { fmt.Fprint(s.out, leaveScreen) }
