// Command render does to a chart what `helm lint`, `helm template` and `helm package` do, by Helm's
// own packages, for many sets of values in one process.
//
// Usage: render CHART FOLDER < cases.json > results.json
//
// Standard input is a JSON object from a case's name to {"values": {...}, "release": "...",
// "namespace": "..."}; standard output is one from the same names to {"error", "documents",
// "notes", "lint"}. The chart is packaged into FOLDER and rendered from the package, as an
// installation from a registry would.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
	"helm.sh/helm/v3/pkg/releaseutil"
	"sigs.k8s.io/yaml"
)

type request struct {
	Values    map[string]any `json:"values"`
	Release   string         `json:"release"`
	Namespace string         `json:"namespace"`
}

type result struct {
	// Error is why Helm refuses the values, or "".
	Error string `json:"error"`
	// Documents are the rendered objects, as Kubernetes reads them.
	Documents []map[string]any `json:"documents"`
	// Notes is what an installation prints at its end.
	Notes string `json:"notes"`
	// Lint has the linter's messages of a severity above "info".
	Lint []string `json:"lint"`
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "render:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) != 2 {
		return fmt.Errorf("usage: render CHART FOLDER < cases.json")
	}
	folder, target := arguments[0], arguments[1]
	var cases map[string]request
	if err := json.NewDecoder(os.Stdin).Decode(&cases); err != nil {
		return fmt.Errorf("the cases are no JSON object: %w", err)
	}
	source, err := loader.LoadDir(folder)
	if err != nil {
		return err
	}
	archive, err := chartutil.Save(source, target)
	if err != nil {
		return err
	}
	results := map[string]result{}
	for name, asked := range cases {
		// Values are merged into the chart's own: each case begins from the package.
		packaged, err := loader.LoadFile(archive)
		if err != nil {
			return err
		}
		results[name] = render(packaged, folder, asked)
	}
	return json.NewEncoder(os.Stdout).Encode(results)
}

func render(packaged *chart.Chart, folder string, asked request) result {
	found := result{Documents: []map[string]any{}, Lint: []string{}}
	options := chartutil.ReleaseOptions{
		Name: asked.Release, Namespace: asked.Namespace, Revision: 1, IsInstall: true,
	}
	values, err := chartutil.ToRenderValues(
		packaged, asked.Values, options, chartutil.DefaultCapabilities)
	if err != nil {
		found.Error = err.Error()
		return found
	}
	files, err := (engine.Engine{Strict: true}).Render(packaged, values)
	if err != nil {
		found.Error = err.Error()
		return found
	}
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		switch {
		case strings.HasPrefix(filepath.Base(name), "_"):
		case strings.HasSuffix(name, "NOTES.txt"):
			found.Notes = files[name]
		default:
			objects, err := parse(files[name])
			if err != nil {
				found.Error = fmt.Sprintf("%s: %v", name, err)
				return found
			}
			found.Documents = append(found.Documents, objects...)
		}
	}
	for _, message := range lint.All(folder, asked.Values, asked.Namespace, true).Messages {
		if message.Severity > support.InfoSev {
			found.Lint = append(found.Lint, message.Error())
		}
	}
	return found
}

// parse reads the objects of a rendered file, in its order; a key that is there twice is an error.
func parse(file string) ([]map[string]any, error) {
	texts := releaseutil.SplitManifests(file)
	names := make([]string, 0, len(texts))
	for name := range texts {
		names = append(names, name)
	}
	sort.Sort(releaseutil.BySplitManifestsOrder(names))
	objects := []map[string]any{}
	for _, name := range names {
		var object map[string]any
		if err := yaml.UnmarshalStrict([]byte(texts[name]), &object); err != nil {
			return nil, err
		}
		if object != nil {
			objects = append(objects, object)
		}
	}
	return objects, nil
}
