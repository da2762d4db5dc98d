package cli

import (
	"runtime/debug"
	"testing"
)

func TestVersionTellsTheBuild(t *testing.T) {
	t.Parallel()
	built := debug.BuildInfo{GoVersion: "go1.26.1", Main: debug.Module{Version: "(devel)"}, Settings: []debug.BuildSetting{
		{Key: "GOOS", Value: "linux"}, {Key: "GOARCH", Value: "arm64"},
	}}
	released := built
	released.Main.Version = "v1.2.0"
	released.Settings = append(released.Settings, debug.BuildSetting{Key: "vcs.revision", Value: "abc"},
		debug.BuildSetting{Key: "vcs.time", Value: "2026-11-24T11:00:00Z"}, debug.BuildSetting{Key: "vcs.modified", Value: "true"})
	for want, info := range map[string]debug.BuildInfo{
		"millrace (devel), go1.26.1 linux/arm64":                                                    built,
		"millrace v1.2.0 (revision abc, 2026-11-24T11:00:00Z, changed since), go1.26.1 linux/arm64": released,
	} {
		if got := version(&info); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
