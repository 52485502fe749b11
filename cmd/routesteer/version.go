package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/routesteer/routesteer/internal/show"
)

// A build is what version prints as JSON.
type build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of this program",
		Example: `  routesteer version
  routesteer version -o json | jq -r .version`,
		Args: atMost(0),
		RunE: func(*cobra.Command, []string) error {
			b := thisBuild()
			return a.print(b, func(show.Style) string {
				text := fmt.Sprintf("routesteer %s (%s, %s", b.Version, b.Go, b.Platform)
				if b.Revision != "" {
					text += ", commit " + b.Revision
				}
				return text + ")\n"
			})
		},
	}
}

// version is what a release is called; packaging/build has the linker set it.
var version string

// thisBuild reads what the go command wrote into the binary.
func thisBuild() build {
	b := build{Version: "unknown", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if ok && info.Main.Version != "" {
		b.Version = info.Main.Version
	}
	if version != "" {
		b.Version = version
	}
	if !ok {
		return b
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			b.Revision = setting.Value[:min(12, len(setting.Value))]
		}
	}
	return b
}
