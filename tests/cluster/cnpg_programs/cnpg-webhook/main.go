// CloudNativePG's own defaulting webhooks, as its operator serves them, with the settings of its chart; nothing else
// of the operator. And what its controllers make of an object when they write it back, at /typed: they read it into
// their types, and send those.
//
// This module's path lies below the operator's, so that Go lets it import the operator's internal packages.
package main

import (
	"encoding/json"
	"flag"
	"io"
	"log"
	"net/http"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	apiv1 "github.com/cloudnative-pg/cloudnative-pg/api/v1"
	"github.com/cloudnative-pg/cloudnative-pg/internal/configuration"
	webhookv1 "github.com/cloudnative-pg/cloudnative-pg/internal/webhook/v1"
)

func main() {
	listen := flag.String("listen", "", "host:port")
	certificate, key := flag.String("certificate", "", "PEM file"), flag.String("key", "", "PEM file")
	flag.Parse()

	scheme := runtime.NewScheme()
	must(apiv1.AddToScheme(scheme))
	configuration.Current.ReadConfigMap(map[string]string{
		"MONITORING_QUERIES_CONFIGMAP": apiv1.DefaultMonitoringConfigMapName,
	})
	for path, hook := range map[string]*admission.Webhook{
		"cluster":         admission.WithDefaulter[*apiv1.Cluster](scheme, &webhookv1.ClusterCustomDefaulter{}),
		"database":        admission.WithDefaulter[*apiv1.Database](scheme, &webhookv1.DatabaseCustomDefaulter{}),
		"scheduledbackup": admission.WithDefaulter[*apiv1.ScheduledBackup](scheme, &webhookv1.ScheduledBackupCustomDefaulter{}),
	} {
		handler, err := admission.StandaloneWebhook(hook, admission.StandaloneOptions{})
		must(err)
		http.Handle("/mutate-postgresql-cnpg-io-v1-"+path, handler)
	}
	decoder := serializer.NewCodecFactory(scheme).UniversalDeserializer()
	http.HandleFunc("/typed", func(answer http.ResponseWriter, request *http.Request) {
		sent, err := io.ReadAll(request.Body)
		must(err)
		object, _, err := decoder.Decode(sent, nil, nil)
		if err != nil {
			http.Error(answer, err.Error(), http.StatusBadRequest)
			return
		}
		must(json.NewEncoder(answer).Encode(object))
	})
	must(http.ListenAndServeTLS(*listen, *certificate, *key, nil))
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
