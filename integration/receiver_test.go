package integration_test

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	metricscollector "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	tracecollector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	traces "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// receiver is an OTLP/HTTP collector that keeps what it is sent.
type receiver struct {
	*httptest.Server
	t *testing.T

	mu      sync.Mutex
	spans   []*traces.ScopeSpans
	metrics []*metrics.ScopeMetrics
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{t: t}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/traces", func(w http.ResponseWriter, req *http.Request) {
		var sent tracecollector.ExportTraceServiceRequest
		if !r.decode(w, req, &sent) {
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, resource := range sent.ResourceSpans {
			r.spans = append(r.spans, resource.ScopeSpans...)
		}
		encode(w, &tracecollector.ExportTraceServiceResponse{})
	})
	mux.HandleFunc("POST /v1/metrics", func(w http.ResponseWriter, req *http.Request) {
		var sent metricscollector.ExportMetricsServiceRequest
		if !r.decode(w, req, &sent) {
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, resource := range sent.ResourceMetrics {
			r.metrics = append(r.metrics, resource.ScopeMetrics...)
		}
		encode(w, &metricscollector.ExportMetricsServiceResponse{})
	})
	r.Server = httptest.NewServer(mux)
	t.Cleanup(r.Close)
	return r
}

// decode reads a message off the wire, compressed or not.
func (r *receiver) decode(w http.ResponseWriter, req *http.Request, into proto.Message) bool {
	err := func() error {
		if got := req.Header.Get("Content-Type"); got != "application/x-protobuf" {
			return fmt.Errorf("content type %q", got)
		}
		body := io.Reader(req.Body)
		if req.Header.Get("Content-Encoding") == "gzip" {
			var err error
			if body, err = gzip.NewReader(body); err != nil {
				return err
			}
		}
		data, err := io.ReadAll(body)
		if err != nil {
			return err
		}
		return proto.Unmarshal(data, into)
	}()
	if err != nil {
		r.t.Errorf("%s: %v", req.URL.Path, err)
		w.WriteHeader(http.StatusBadRequest)
	}
	return err == nil
}

func encode(w http.ResponseWriter, m proto.Message) {
	w.Header().Set("Content-Type", "application/x-protobuf")
	data, err := proto.Marshal(m)
	if err != nil {
		panic(err)
	}
	_, _ = w.Write(data)
}

// attributes makes a map of them, of the values their text.
func attributes(of []*common.KeyValue) map[string]string {
	all := make(map[string]string, len(of))
	for _, a := range of {
		switch v := a.Value.Value.(type) {
		case *common.AnyValue_StringValue:
			all[a.Key] = v.StringValue
		case *common.AnyValue_IntValue:
			all[a.Key] = fmt.Sprint(v.IntValue)
		case *common.AnyValue_DoubleValue:
			all[a.Key] = fmt.Sprint(v.DoubleValue)
		default:
			all[a.Key] = a.Value.String()
		}
	}
	return all
}
