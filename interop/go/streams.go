package main

import (
	"context"

	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

const (
	echoProtocol = "/tern/echo/1.0.0"
	sinkProtocol = "/tern/bench-sink/1.0.0"
	chunkSize    = 64 << 10
)

// noise is the deterministic byte stream of the contract: xorshift64*, little-endian words. It
// yields exactly left bytes, then io.EOF.
type noise struct {
	state uint64
	left  int64
}

func newNoise(seed uint64, size int64) *noise {
	if seed == 0 {
		seed = 0x9e3779b97f4a7c15 // Zero is the one state xorshift never leaves.
	}
	return &noise{state: seed, left: size}
}

// Read fills p with whole words but for the stream's end; p must hold a word at least.
func (n *noise) Read(p []byte) (int, error) {
	if n.left == 0 {
		return 0, io.EOF
	}
	done := 0
	for n.left > 0 && len(p)-done >= 8 {
		n.state ^= n.state >> 12
		n.state ^= n.state << 25
		n.state ^= n.state >> 27
		binary.LittleEndian.PutUint64(p[done:], n.state*0x2545f4914f6cdd1d)
		take := min(n.left, 8)
		n.left -= take
		done += int(take)
	}
	return done, nil
}

func noiseBytes(seed uint64, size int64) []byte {
	data := make([]byte, size+8)
	n, _ := newNoise(seed, size).Read(data)
	return data[:n]
}

func serveEcho(s network.Stream) {
	if _, err := io.CopyBuffer(s, struct{ io.Reader }{s}, make([]byte, chunkSize)); err != nil {
		s.Reset()
		return
	}
	s.Close()
}

// echo sends and receives at once: the remote stops reading when it cannot write, so a client that
// sent everything first would deadlock with it.
func echo(h host.Host, id peer.ID, size int64, seed uint64) (object, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	s, err := h.NewStream(ctx, id, echoProtocol)
	if err != nil {
		return nil, err
	}
	defer s.Reset()
	start := time.Now()
	hashSent, hashReceived := sha256.New(), sha256.New()
	sent, sendError := int64(0), make(chan error, 1)
	go func() {
		n, err := io.CopyBuffer(struct{ io.Writer }{s},
			io.TeeReader(newNoise(seed, size), hashSent), make([]byte, chunkSize))
		sent = n
		sendError <- errors.Join(err, s.CloseWrite())
	}()
	received, err := io.CopyBuffer(hashReceived, struct{ io.Reader }{s}, make([]byte, chunkSize))
	if err != nil {
		return nil, err
	}
	if err := <-sendError; err != nil {
		return nil, err
	}
	return object{
		"sent": sent, "received": received, "seconds": time.Since(start).Seconds(),
		"sha256_sent":     hex.EncodeToString(hashSent.Sum(nil)),
		"sha256_received": hex.EncodeToString(hashReceived.Sum(nil)),
	}, nil
}

// serveSink discards what comes and answers with the count, 8 bytes little-endian.
func serveSink(s network.Stream) {
	if err := sink(s); err != nil {
		s.Reset()
		return
	}
	s.Close()
}

func sink(s io.ReadWriter) error {
	n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{s},
		make([]byte, chunkSize))
	if err == nil {
		_, err = s.Write(binary.LittleEndian.AppendUint64(nil, uint64(n)))
	}
	return err
}
