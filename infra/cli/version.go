package cli

import (
	"runtime"
	"runtime/debug"
	"strings"
)

// version says which build of this program runs, and which Go built it.
func version(info *debug.BuildInfo) string {
	const unknown = "(unknown)"
	if info == nil {
		return "millrace " + unknown + ", " + runtime.Version()
	}
	set := map[string]string{}
	for _, s := range info.Settings {
		set[s.Key] = s.Value
	}
	var from []string
	if revision := set["vcs.revision"]; revision != "" {
		from = append(from, "revision "+revision, set["vcs.time"])
	}
	if set["vcs.modified"] == "true" {
		from = append(from, "changed since")
	}
	text := "millrace " + info.Main.Version
	if len(from) > 0 {
		text += " (" + strings.Join(from, ", ") + ")"
	}
	return text + ", " + info.GoVersion + " " + set["GOOS"] + "/" + set["GOARCH"]
}

func buildInfo() *debug.BuildInfo {
	info, _ := debug.ReadBuildInfo()
	return info
}
