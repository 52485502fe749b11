package doctor

import (
	"testing"
	"testing/fstest"
)

func TestNetworkdSettings(t *testing.T) {
	const yes, no = "[Network]\nManageForeignRoutes=yes\n", "[DHCP]\nManageForeignRoutes=yes\n[Network]\n# ManageForeignRoutes=yes\nManageForeignRoutes = No\n"
	for _, c := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"no files", nil, ""},
		{"the file", map[string]string{"etc/systemd/networkd.conf": no}, "no"},
		{"a drop-in counts more", map[string]string{"etc/systemd/networkd.conf": yes, "usr/lib/systemd/networkd.conf.d/a.conf": no}, "no"},
		{"the last drop-in counts, wherever it is", map[string]string{"etc/systemd/networkd.conf.d/a.conf": yes, "run/systemd/networkd.conf.d/b.conf": no}, "no"},
		{"of the same name that in etc", map[string]string{"etc/systemd/networkd.conf.d/a.conf": no, "usr/lib/systemd/networkd.conf.d/a.conf": yes}, "no"},
		{"the file in etc counts more", map[string]string{"etc/systemd/networkd.conf": no, "usr/lib/systemd/networkd.conf": yes}, "no"},
	} {
		root := fstest.MapFS{}
		for name, text := range c.files {
			root[name] = &fstest.MapFile{Data: []byte(text)}
		}
		settings, err := networkdSettings(root)
		if got := settings["ManageForeignRoutes"]; err != nil || got != c.want {
			t.Errorf("%s: %q, %v; want %q", c.name, got, err, c.want)
		}
	}
}
