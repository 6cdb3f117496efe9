package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	ma "github.com/multiformats/go-multiaddr"
)

func runBenchServe(o options) error {
	if o.transport == rawTransport {
		return runRawServe(o)
	}
	e, err := newEndpoint(o, o.seed)
	if err != nil {
		return err
	}
	e.host.SetStreamHandler(sinkProtocol, serveSink)
	addr, err := ma.NewMultiaddr(o.listen)
	if err != nil {
		return err
	}
	if err := e.host.Network().Listen(addr); err != nil {
		return err
	}
	emitReady(e.host)
	serveCommands(func(c command) (object, error) { return usage(c.Cmd) })
	return e.host.Close()
}

// usage answers rss and cpu from the kernel's own figures, as every implementation does.
func usage(what string) (object, error) {
	switch what {
	case "rss":
		text, err := os.ReadFile("/proc/self/statm")
		if err != nil {
			return nil, err
		}
		fields := strings.Fields(string(text))
		if len(fields) < 2 {
			return nil, fmt.Errorf("unexpected /proc/self/statm: %q", text)
		}
		pages, err := strconv.ParseInt(fields[1], 10, 64)
		return object{"rss_bytes": pages * int64(os.Getpagesize())}, err
	case "cpu":
		seconds, err := cpuSeconds()
		return object{"cpu_seconds": seconds}, err
	}
	return nil, fmt.Errorf("unknown command %q", what)
}

// cpuSeconds is the user and system time of this process.
func cpuSeconds() (float64, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, err
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds(), nil
}

func runBenchStream(o options, addr string) error {
	target, err := peer.AddrInfoFromString(addr)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	if o.transport == rawTransport {
		return runRawStream(ctx, o, *target)
	}
	e, err := newEndpoint(o, o.seed)
	if err != nil {
		return err
	}
	if err := e.host.Connect(ctx, *target); err != nil {
		return err
	}
	s, err := e.host.NewStream(ctx, target.ID, protocol.ID(sinkProtocol))
	if err != nil {
		return err
	}
	return sendToSink(s, s.CloseWrite, o.bytes)
}

// sendToSink sends zeros to the sink and reports how long it took until the answer had come.
func sendToSink(s io.ReadWriter, closeWrite func() error, size int64) error {
	chunk := make([]byte, chunkSize)
	start := time.Now()
	for left := size; left > 0; {
		n, err := s.Write(chunk[:min(left, chunkSize)])
		if err != nil {
			return err
		}
		left -= int64(n)
	}
	if err := closeWrite(); err != nil {
		return err
	}
	var answer [8]byte
	if _, err := io.ReadFull(s, answer[:]); err != nil {
		return err
	}
	seconds := time.Since(start).Seconds()
	if got := binary.LittleEndian.Uint64(answer[:]); got != uint64(size) {
		return fmt.Errorf("sent %d bytes, the server counted %d", size, got)
	}
	return report(object{"bytes": size, "seconds": seconds})
}

// runBenchHandshake dials below the swarm, which would reuse a connection it already has.
func runBenchHandshake(o options, addr string) error {
	target, err := peer.AddrInfoFromString(addr)
	if err != nil {
		return err
	}
	if len(target.Addrs) == 0 || o.concurrency < 1 {
		return errors.New("bench-handshake needs a full address and --concurrency of at least 1")
	}
	dials := make([]dial, o.concurrency)
	for i := range dials {
		if o.transport == rawTransport {
			dials[i], err = newRawDial(o, *target)
		} else {
			dials[i], err = newBareDial(o, *target)
		}
		if err != nil {
			return err
		}
	}
	return measureDials(dials, o.count)
}

// dial opens a connection and closes it.
type dial func(context.Context) error

func newBareDial(o options, target peer.AddrInfo) (dial, error) {
	e, err := newEndpoint(o, "")
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		c, err := e.transport.Dial(ctx, target.Addrs[0], target.ID)
		if err != nil {
			return err
		}
		return c.Close()
	}, nil
}

// measureDials runs all dials at once, until together they have opened count connections.
func measureDials(dials []dial, count int) error {
	var left atomic.Int64
	left.Store(int64(count))
	ends := make(chan error, len(dials))
	start := time.Now()
	cpu, err := cpuSeconds()
	if err != nil {
		return err
	}
	for _, once := range dials {
		go func() {
			for left.Add(-1) >= 0 {
				ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
				err := once(ctx)
				cancel()
				if err != nil {
					ends <- err
					return
				}
			}
			ends <- nil
		}()
	}
	for range dials {
		if err := <-ends; err != nil {
			return err
		}
	}
	seconds := time.Since(start).Seconds()
	end, err := cpuSeconds()
	if err != nil {
		return err
	}
	return report(object{"count": count, "seconds": seconds, "cpu_seconds": end - cpu})
}

// runBenchIdle holds one connection per identity, so that no server limit per peer can apply.
func runBenchIdle(o options, addr string) error {
	target, err := peer.AddrInfoFromString(addr)
	if err != nil {
		return err
	}
	ends := make([]*endpoint, o.count)
	start := time.Now()
	var next atomic.Int64
	done := make(chan error, o.concurrency)
	for range o.concurrency {
		go func() {
			for i := next.Add(1) - 1; i < int64(o.count); i = next.Add(1) - 1 {
				var err error
				if ends[i], err = connectNew(o, *target); err != nil {
					done <- fmt.Errorf("connection %d: %w", i, err)
					return
				}
			}
			done <- nil
		}()
	}
	for range o.concurrency {
		if err := <-done; err != nil {
			return err
		}
	}
	emit(object{"event": "ready", "connections": o.count, "seconds": time.Since(start).Seconds()})
	serveCommands(func(c command) (object, error) {
		if c.Cmd != "connections" {
			return usage(c.Cmd)
		}
		open := 0
		for _, e := range ends {
			open += len(e.host.Network().Conns())
		}
		return object{"connections": open}, nil
	})
	return nil
}

// connectNew connects an endpoint with an identity of its own.
func connectNew(o options, target peer.AddrInfo) (*endpoint, error) {
	e, err := newEndpoint(o, "")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	return e, e.host.Connect(ctx, target)
}

func report(result object) error { return json.NewEncoder(os.Stdout).Encode(result) }
