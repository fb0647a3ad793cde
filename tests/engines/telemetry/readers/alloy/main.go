// Reads configurations of Alloy with Alloy's own parser, evaluates what needs no component, and prints them as JSON:
// each block with its name, label, attributes and blocks, and the whole file as `alloy fmt` writes it.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"

	"github.com/grafana/alloy/syntax/ast"
	"github.com/grafana/alloy/syntax/parser"
	"github.com/grafana/alloy/syntax/printer"
	"github.com/grafana/alloy/syntax/vm"
)

type block struct {
	Name   string         `json:"name"`
	Label  string         `json:"label"`
	Values map[string]any `json:"values"`
	Blocks []block        `json:"blocks"`
}

type file struct {
	Blocks    []block `json:"blocks"`
	Formatted string  `json:"formatted"`
}

func main() {
	found := []file{}
	for _, name := range os.Args[1:] {
		text, err := os.ReadFile(name)
		if err != nil {
			fail(err)
		}
		parsed, err := parser.ParseFile(name, text)
		if err != nil {
			fail(err)
		}
		var formatted bytes.Buffer
		if err := printer.Fprint(&formatted, parsed); err != nil {
			fail(err)
		}
		_, blocks := read(parsed.Body)
		found = append(found, file{blocks, formatted.String() + "\n"})
	}
	if err := json.NewEncoder(os.Stdout).Encode(found); err != nil {
		fail(err)
	}
}

func read(body ast.Body) (map[string]any, []block) {
	values, blocks := map[string]any{}, []block{}
	for _, statement := range body {
		switch each := statement.(type) {
		case *ast.AttributeStmt:
			values[each.Name.Name] = value(each.Value)
		case *ast.BlockStmt:
			inner, within := read(each.Body)
			blocks = append(blocks, block{each.GetBlockName(), each.Label, inner, within})
		}
	}
	return values, blocks
}

func value(expression ast.Expr) any {
	var found any
	if err := vm.New(expression).Evaluate(nil, &found); err == nil {
		return found
	}
	var text bytes.Buffer // it refers to a component
	if err := printer.Fprint(&text, expression); err != nil {
		fail(err)
	}
	return map[string]string{"expression": text.String()}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
