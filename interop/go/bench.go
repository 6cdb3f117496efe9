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
	e, err := newEndpoint(o, o.seed)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	if err := e.host.Connect(ctx, *target); err != nil {
		return err
	}
	s, err := e.host.NewStream(ctx, target.ID, protocol.ID(sinkProtocol))
	if err != nil {
		return err
	}
	chunk := make([]byte, chunkSize)
	start := time.Now()
	for left := o.bytes; left > 0; {
		n, err := s.Write(chunk[:min(left, chunkSize)])
		if err != nil {
			return err
		}
		left -= int64(n)
	}
	if err := s.CloseWrite(); err != nil {
		return err
	}
	var answer [8]byte
	if _, err := io.ReadFull(s, answer[:]); err != nil {
		return err
	}
	seconds := time.Since(start).Seconds()
	if got := binary.LittleEndian.Uint64(answer[:]); got != uint64(o.bytes) {
		return fmt.Errorf("sent %d bytes, the server counted %d", o.bytes, got)
	}
	return report(object{"bytes": o.bytes, "seconds": seconds})
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
	var left atomic.Int64
	left.Store(int64(o.count))
	ends := make(chan error, o.concurrency)
	endpoints := make([]*endpoint, o.concurrency)
	for i := range endpoints {
		if endpoints[i], err = newEndpoint(o, ""); err != nil {
			return err
		}
	}
	start := time.Now()
	cpu, err := cpuSeconds()
	if err != nil {
		return err
	}
	for _, e := range endpoints {
		go func() {
			for left.Add(-1) >= 0 {
				ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
				c, err := e.transport.Dial(ctx, target.Addrs[0], target.ID)
				cancel()
				if err == nil {
					err = c.Close()
				}
				if err != nil {
					ends <- err
					return
				}
			}
			ends <- nil
		}()
	}
	for range o.concurrency {
		if err := <-ends; err != nil {
			return err
		}
	}
	seconds := time.Since(start).Seconds()
	end, err := cpuSeconds()
	if err != nil {
		return err
	}
	return report(object{"count": o.count, "seconds": seconds, "cpu_seconds": end - cpu})
}

// runBenchIdle holds one connection per identity, so that no server limit per peer can apply.
func runBenchIdle(o options, addr string) error {
	target, err := peer.AddrInfoFromString(addr)
	if err != nil {
		return err
	}
	ends := make([]*endpoint, o.count)
	start := time.Now()
	for i := range ends {
		if ends[i], err = newEndpoint(o, ""); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
		err := ends[i].host.Connect(ctx, *target)
		cancel()
		if err != nil {
			return fmt.Errorf("connection %d: %w", i, err)
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

func report(result object) error { return json.NewEncoder(os.Stdout).Encode(result) }
