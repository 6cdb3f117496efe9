// go-peer is go-libp2p behind the command contract of ../README.md: a stock host, driven by JSON
// lines on stdin, that reports JSON lines on stdout. Logs go to stderr. With the environment of an
// official contract it speaks that instead.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"sync"
)

// object is one line of the contract: an event or an answer.
type object map[string]any

var stdout sync.Mutex

// emit writes one line; lines of concurrent commands never interleave.
func emit(line object) {
	text, err := json.Marshal(line)
	if err != nil {
		fatal(fmt.Errorf("encode %v: %w", line, err))
	}
	stdout.Lock()
	defer stdout.Unlock()
	if _, err := os.Stdout.Write(append(text, '\n')); err != nil {
		os.Exit(0) // The reader is gone, so nobody is left to serve.
	}
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, "go-peer:", err)
	os.Exit(1)
}

// implementation names this program in the ready event: the version of the linked module.
func implementation() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range info.Deps {
			if dep.Path == "github.com/libp2p/go-libp2p" {
				return "go-libp2p " + dep.Version
			}
		}
	}
	return "go-libp2p (unknown version)"
}

// command is a decoded stdin line; a command uses the members its table row in README.md names.
type command struct {
	ID     int64  `json:"id"`
	Cmd    string `json:"cmd"`
	Addr   string `json:"addr"`
	PeerID string `json:"peer_id"`
	Topic  string `json:"topic"`
	Count  int    `json:"count"`
	Size   int64  `json:"size"`
	Seed   uint64 `json:"seed"`
	Quiet  bool   `json:"quiet"`
}

// serveCommands answers commands until quit or the end of stdin. Commands run concurrently, so a
// peer can be told to close a connection that another command is using.
func serveCommands(handle func(command) (object, error)) {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var cmd command
		if err := json.Unmarshal(lines.Bytes(), &cmd); err != nil {
			emit(object{"event": "result", "id": nil, "ok": false, "error": err.Error()})
			continue
		}
		if cmd.Cmd == "quit" {
			return
		}
		go func() {
			answer, err := handle(cmd)
			if err != nil {
				answer = object{"ok": false, "error": err.Error()}
			} else {
				if answer == nil {
					answer = object{}
				}
				answer["ok"] = true
			}
			answer["event"], answer["id"] = "result", cmd.ID
			emit(answer)
		}()
	}
	if err := lines.Err(); err != nil {
		fatal(err)
	}
}

// options are the command line; every mode takes the same set and uses what concerns it.
type options struct {
	key, seed, listen, transport, secure, muxer, pubsub, psk string
	queue, count, concurrency                                int
	bytes                                                    int64
}

func parseOptions(args []string) (options, []string, error) {
	var o options
	flags := flag.NewFlagSet("go-peer", flag.ContinueOnError)
	flags.StringVar(&o.key, "key", "ed25519", "identity: ed25519, secp256k1, ecdsa or rsa")
	flags.StringVar(&o.seed, "seed", "", "32 bytes of hex the identity derives from; none = random")
	flags.StringVar(&o.listen, "listen", "", "address to listen on; none = do not listen")
	flags.StringVar(&o.transport, "transport", "tcp",
		"tcp, ws, wss, quic-v1, webtransport or webrtc-direct; bench: quic-raw, the library alone")
	flags.StringVar(&o.secure, "secure", "noise", "noise or tls")
	flags.StringVar(&o.psk, "psk", "", "file of a private network's key; none = the public network")
	flags.StringVar(&o.muxer, "muxer", "yamux", "yamux")
	flags.StringVar(&o.pubsub, "pubsub", "strict-sign", "strict-sign or strict-no-sign")
	flags.IntVar(&o.queue, "pubsub-queue", 0, "messages queued to one peer; 0 = the library's default")
	flags.IntVar(&o.count, "count", 100, "bench: how many connections")
	flags.IntVar(&o.concurrency, "concurrency", 1, "bench: how many in flight")
	flags.Int64Var(&o.bytes, "bytes", 1<<30, "bench: how many bytes")

	// The address of a bench may stand before or after its options.
	var positional []string
	for {
		if err := flags.Parse(args); err != nil {
			return o, nil, err
		}
		if args = flags.Args(); len(args) == 0 {
			return o, positional, nil
		}
		positional, args = append(positional, args[0]), args[1:]
	}
}

func main() {
	o, positional, err := parseOptions(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		os.Exit(2)
	}
	mode, addr := "", ""
	if len(positional) > 0 {
		mode = positional[0]
	}
	if len(positional) > 1 {
		addr = positional[1]
	}
	switch mode {
	case "":
		if contractIsAskedFor() {
			err = runContract(o)
		} else {
			err = runPeer(o)
		}
	case "bench-serve":
		err = runBenchServe(o)
	case "bench-stream":
		err = runBenchStream(o, addr)
	case "bench-handshake":
		err = runBenchHandshake(o, addr)
	case "bench-idle":
		err = runBenchIdle(o, addr)
	default:
		err = fmt.Errorf("unknown mode %q", mode)
	}
	if err != nil {
		fatal(err)
	}
}
