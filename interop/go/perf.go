package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

// /perf/1.0.0 as libp2p's specification has it, and the measurements of the perf contract.

const perfProtocol = "/perf/1.0.0"

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func sendZeros(w io.Writer, size int64) error {
	_, err := io.CopyBuffer(struct{ io.Writer }{w}, io.LimitReader(zeros{}, size),
		make([]byte, chunkSize))
	return err
}

func discard(r io.Reader) (int64, error) {
	return io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{r},
		make([]byte, chunkSize))
}

// servePerf reads how much is wanted and all that comes, then sends that much.
func servePerf(s network.Stream) {
	var wanted [8]byte
	_, err := io.ReadFull(s, wanted[:])
	if err == nil {
		_, err = discard(s)
	}
	if err == nil {
		err = sendZeros(s, int64(binary.BigEndian.Uint64(wanted[:])))
	}
	if err != nil {
		s.Reset()
		return
	}
	s.Close()
}

func perf(ctx context.Context, h host.Host, id peer.ID, up, down int64) (time.Duration, error) {
	start := time.Now()
	s, err := h.NewStream(ctx, id, perfProtocol)
	if err != nil {
		return 0, err
	}
	defer s.Reset()
	if _, err := s.Write(binary.BigEndian.AppendUint64(nil, uint64(down))); err != nil {
		return 0, err
	}
	if err := sendZeros(s, up); err != nil {
		return 0, err
	}
	if err := s.CloseWrite(); err != nil {
		return 0, err
	}
	got, err := discard(s)
	if err == nil && got != down {
		err = fmt.Errorf("%d bytes came instead of %d", got, down)
	}
	return time.Since(start), err
}

// perfPlan is what a dialer is to measure.
type perfPlan struct {
	uploadBytes, downloadBytes                              int64
	uploadIterations, downloadIterations, latencyIterations int64
}

// readPerfPlan gives nil where the environment is not that of the perf contract.
func readPerfPlan() (*perfPlan, error) {
	if os.Getenv("UPLOAD_BYTES")+os.Getenv("DOWNLOAD_BYTES")+os.Getenv("LATENCY_ITERATIONS") == "" {
		return nil, nil
	}
	var p perfPlan
	for _, member := range []struct {
		name      string
		value     *int64
		otherwise string
	}{
		{"UPLOAD_BYTES", &p.uploadBytes, "1073741824"},
		{"DOWNLOAD_BYTES", &p.downloadBytes, "1073741824"},
		{"UPLOAD_ITERATIONS", &p.uploadIterations, "10"},
		{"DOWNLOAD_ITERATIONS", &p.downloadIterations, "10"},
		{"LATENCY_ITERATIONS", &p.latencyIterations, "100"},
	} {
		var err error
		text := variable(member.name, member.otherwise)
		if *member.value, err = strconv.ParseInt(text, 10, 64); err != nil {
			return nil, fmt.Errorf("%s: %w", member.name, err)
		}
	}
	return &p, nil
}

func (p *perfPlan) run(ctx context.Context, h host.Host, id peer.ID) error {
	var sections strings.Builder
	for _, part := range []struct {
		name     string
		up, down int64
		count    int64
		unit     string
	}{
		{"upload", p.uploadBytes, 0, p.uploadIterations, "Gbps"},
		{"download", 0, p.downloadBytes, p.downloadIterations, "Gbps"},
		{"latency", 1, 1, p.latencyIterations, "ms"},
	} {
		var samples []float64
		for range part.count {
			took, err := perf(ctx, h, id, part.up, part.down)
			if err != nil {
				return fmt.Errorf("%s: %w", part.name, err)
			}
			sample := milliseconds(took)
			if part.unit == "Gbps" {
				sample = float64(part.up+part.down) * 8 / 1e9 / took.Seconds()
			}
			samples = append(samples, sample)
		}
		describe(&sections, part.name, part.unit, samples)
	}
	fmt.Print(sections.String())
	return nil
}

// describe writes a section of the contract's YAML. Least and most leave out what is far from the
// middle half.
func describe(w io.Writer, name, unit string, samples []float64) {
	slices.Sort(samples)
	q1, median, q3 := quantile(samples, 0.25), quantile(samples, 0.5), quantile(samples, 0.75)
	inner, outliers := []float64{}, []float64{}
	for _, value := range samples {
		if value < q1-1.5*(q3-q1) || value > q3+1.5*(q3-q1) {
			outliers = append(outliers, value)
		} else {
			inner = append(inner, value)
		}
	}
	least, most := median, median
	if len(inner) > 0 {
		least, most = inner[0], inner[len(inner)-1]
	}
	fmt.Fprintf(w, "%s:\n  iterations: %d\n  min: %.3f\n  q1: %.3f\n  median: %.3f\n  q3: %.3f\n"+
		"  max: %.3f\n  outliers: [%s]\n  samples: [%s]\n  unit: %s\n", name, len(samples), least,
		q1, median, q3, most, list(outliers), list(samples), unit)
}

func list(values []float64) string {
	var texts []string
	for _, value := range values {
		texts = append(texts, strconv.FormatFloat(value, 'f', 3, 64))
	}
	return strings.Join(texts, ", ")
}

// quantile lies between the two samples nearest to this part of them, in proportion.
func quantile(sorted []float64, part float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	place := part * float64(len(sorted)-1)
	below := int(place)
	above := min(below+1, len(sorted)-1)
	return sorted[below] + (sorted[above]-sorted[below])*(place-float64(below))
}
