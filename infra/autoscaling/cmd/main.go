// Command autoscaling compares settings of Knative's autoscaler and of KEDA in
// virtual time, prints tables, and puts them and the pictures into docs.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/millrace/millrace/infra/autoscaling"
	"github.com/millrace/millrace/infra/autoscaling/draw"
)

func main() {
	options := options{model: autoscaling.Measured()}
	flag.StringVar(&options.manifest, "manifest", "../knative/base/functions/function.yaml", "the functions' manifest, whose settings are compared with others")
	flag.StringVar(&options.docs, "docs", "../../docs", "the folder with autoscaling.md; empty: print only")
	flag.StringVar(&options.only, "only", "", "the one comparison to make")
	flag.Uint64Var(&options.seed, "seed", 1, "what chance begins with")
	flag.Float64Var(&options.model.Cores, "cores", options.model.Cores, "PostgreSQL's cores")
	flag.DurationVar(&options.model.ColdStart.P50, "cold-start", options.model.ColdStart.P50, "the median of a pod's start")
	flag.DurationVar(&options.model.ColdStart.P95, "cold-start-p95", options.model.ColdStart.P95, "its 95th percentile")
	flag.Parse()
	if err := options.run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type options struct {
	manifest, docs, only string
	seed                 uint64
	model                autoscaling.Model
}

func (o options) run() error {
	manifest, err := autoscaling.FromManifest(o.manifest)
	if err != nil {
		return err
	}
	tables := map[string]string{}
	for _, c := range comparisons(manifest) {
		if o.only != "" && o.only != c.name {
			continue
		}
		results, err := c.run(o.model, o.seed)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		tables[c.name] = c.table(results)
		fmt.Fprintf(os.Stdout, "%s: %s\n\n%s\n", c.name, c.traffic.Title, tables[c.name])
		if err := c.draw(o.docs, results); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	if o.docs == "" {
		return nil
	}
	return update(filepath.Join(o.docs, "autoscaling.md"), tables)
}

// run makes as many runs at once as there are cores.
func (c comparison) run(model autoscaling.Model, seed uint64) ([]autoscaling.Result, error) {
	results, errs := make([]autoscaling.Result, len(c.rows)), make([]error, len(c.rows))
	var all sync.WaitGroup
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i, row := range c.rows {
		all.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			model := model
			if row.model != nil {
				row.model(&model)
			}
			results[i], errs[i] = autoscaling.Run(model, row.settings, c.traffic, seed)
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return results, nil
}

// draw draws the rows that are to be drawn, if any.
func (c comparison) draw(docs string, results []autoscaling.Result) error {
	var runs []draw.Run
	for i, row := range c.rows {
		if row.drawn {
			runs = append(runs, draw.Run{Name: row.settings.Name, Samples: results[i].Samples})
		}
	}
	if docs == "" || len(runs) == 0 {
		return nil
	}
	return draw.SVG(filepath.Join(docs, "autoscaling", c.name+".svg"), c.traffic.Title, runs, c.axis())
}
