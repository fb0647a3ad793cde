// Argo CD's own comparison of what is in Git with what is in a cluster, as its controller does it for an Application
// with `ServerSideDiff=true`. The API server's part, a server-side apply that is not kept, was done before.
//
// In: the path of the API server's OpenAPI document; a list of {config, live, predicted} as JSON on standard input.
// Out: for each, {modified, live, predicted}, the two as they were compared at last.
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"

	"github.com/argoproj/gitops-engine/pkg/diff"
	"github.com/go-logr/logr"
	openapi "github.com/google/gnostic-models/openapiv2"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/kube-openapi/pkg/util/proto"
)

type question struct {
	Config, Live map[string]any
	Predicted    json.RawMessage
	Manager      string
}

type answer struct {
	Modified  bool            `json:"modified"`
	Live      json.RawMessage `json:"live"`
	Predicted json.RawMessage `json:"predicted"`
}

type known string

func (predicted known) Run(context.Context, *unstructured.Unstructured, string) (string, error) {
	return string(predicted), nil
}

func main() {
	text, err := os.ReadFile(os.Args[1])
	must(err)
	document, err := openapi.ParseDocument(text)
	must(err)
	models, err := proto.NewOpenAPIData(document)
	must(err)
	parser, err := managedfields.NewGVKParser(models, false)
	must(err)
	var questions []question
	must(json.NewDecoder(os.Stdin).Decode(&questions))
	answers := make([]answer, 0, len(questions))
	for _, each := range questions {
		config, live := &unstructured.Unstructured{Object: each.Config}, &unstructured.Unstructured{Object: each.Live}
		found, err := diff.Diff(config, live,
			diff.WithServerSideDiff(true), diff.WithServerSideDryRunner(known(each.Predicted)),
			diff.WithGVKParser(parser), diff.WithManager(each.Manager), diff.WithLogr(logr.Discard()))
		must(err)
		answers = append(answers, answer{found.Modified, found.NormalizedLive, found.PredictedLive})
	}
	must(json.NewEncoder(os.Stdout).Encode(answers))
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
