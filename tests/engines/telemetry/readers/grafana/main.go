// Reads dashboards as Grafana's own model has them: an unknown field, a wrong type or a missing one is an error.
package main

import (
	"fmt"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

func main() {
	plugins.RegisterDefaultPlugins() // the queries and options of each kind of panel
	failed := false
	for _, name := range os.Args[1:] {
		text, err := os.ReadFile(name)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		var read dashboard.Dashboard
		err = read.UnmarshalJSONStrict(text)
		if err == nil {
			err = read.Validate()
		}
		if err != nil && err.Error() != "" { // a list of errors that is empty is an error too

			fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
			failed = true
		}
	}
	if failed {
		os.Exit(1)
	}
}
