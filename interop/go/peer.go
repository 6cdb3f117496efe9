package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/pnet"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	secnoise "github.com/libp2p/go-libp2p/p2p/security/noise"
	sectls "github.com/libp2p/go-libp2p/p2p/security/tls"
	quic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	webrtc "github.com/libp2p/go-libp2p/p2p/transport/webrtc"
	ws "github.com/libp2p/go-libp2p/p2p/transport/websocket"
	webtransport "github.com/libp2p/go-libp2p/p2p/transport/webtransport"
	ma "github.com/multiformats/go-multiaddr"
)

const (
	dialTimeout     = 15 * time.Second
	identifyTimeout = 10 * time.Second
)

// node is the contract's peer: a stock host and what the commands need to remember.
type node struct {
	host   host.Host
	gossip *gossip

	mutex      sync.Mutex
	changed    *sync.Cond
	identified map[peer.ID]event.EvtPeerIdentificationCompleted
}

func runPeer(o options) error {
	h, err := newHost(o)
	if err != nil {
		return err
	}
	n := &node{host: h, identified: map[peer.ID]event.EvtPeerIdentificationCompleted{}}
	n.changed = sync.NewCond(&n.mutex)
	h.SetStreamHandler(echoProtocol, serveEcho)
	h.SetStreamHandler(sinkProtocol, serveSink)
	h.SetStreamHandler(perfProtocol, servePerf)
	if err := n.watch(); err != nil {
		return err
	}
	if n.gossip, err = newGossip(h, o); err != nil {
		return err
	}
	if o.listen != "" {
		addr, err := ma.NewMultiaddr(o.listen)
		if err != nil {
			return err
		}
		if err := h.Network().Listen(addr); err != nil {
			return err
		}
	}
	emitReady(h)
	serveCommands(n.handle)
	return h.Close()
}

// newHost takes every default of the library but the parts the options choose. It listens later,
// once the handlers are in place, so that no early dialer finds a protocol missing.
func newHost(o options) (host.Host, error) {
	key, err := newKey(o.key, o.seed)
	if err != nil {
		return nil, err
	}
	settings := []libp2p.Option{libp2p.Identity(key), libp2p.NoListenAddrs, libp2p.DisableRelay(),
		libp2p.UserAgent(implementation()), libp2p.ProtocolVersion("ipfs/0.1.0")}
	transport, err := newTransport(o.transport)
	if err != nil {
		return nil, err
	}
	settings = append(settings, transport)
	switch o.secure {
	case "noise":
		settings = append(settings, libp2p.Security(secnoise.ID, secnoise.New))
	case "tls":
		settings = append(settings, libp2p.Security(sectls.ID, sectls.New))
	default:
		return nil, fmt.Errorf("go-libp2p has no --secure %q here", o.secure)
	}
	if o.muxer != "yamux" {
		return nil, fmt.Errorf("go-libp2p has no --muxer %q", o.muxer)
	}
	settings = append(settings, libp2p.Muxer(yamux.ID, yamux.DefaultTransport))
	if o.psk != "" {
		file, err := os.Open(o.psk)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		psk, err := pnet.DecodeV1PSK(file)
		if err != nil {
			return nil, err
		}
		settings = append(settings, libp2p.PrivateNetwork(psk))
	}
	return libp2p.New(settings...)
}

func newTransport(name string) (libp2p.Option, error) {
	switch name {
	case "tcp":
		return libp2p.Transport(tcp.NewTCPTransport), nil
	case "ws":
		return libp2p.Transport(ws.New), nil
	case "wss":
		server, client, err := wssConfigs()
		return libp2p.Transport(ws.New, ws.WithTLSConfig(server), ws.WithTLSClientConfig(client)), err
	case "quic-v1":
		return libp2p.Transport(quic.NewTransport), nil
	case "webtransport":
		return libp2p.Transport(webtransport.New), nil
	case "webrtc-direct":
		return libp2p.Transport(webrtc.New), nil
	}
	return nil, fmt.Errorf("go-libp2p has no --transport %q here", name)
}

// wssConfigs reads the files that the environment names: see ../README.md.
func wssConfigs() (server, client *tls.Config, err error) {
	server, client = &tls.Config{}, &tls.Config{}
	if file := variable("WSS_TRUST_FILE", ""); file != "" {
		pem, err := os.ReadFile(file)
		if err != nil {
			return nil, nil, err
		}
		client.RootCAs = x509.NewCertPool()
		if !client.RootCAs.AppendCertsFromPEM(pem) {
			return nil, nil, fmt.Errorf("%s holds no certificate", file)
		}
	}
	if file := variable("WSS_CERTIFICATE_FILE", ""); file != "" {
		pair, err := tls.LoadX509KeyPair(file, variable("WSS_KEY_FILE", ""))
		if err != nil {
			return nil, nil, err
		}
		server.Certificates = []tls.Certificate{pair}
	}
	return server, client, nil
}

func emitReady(h host.Host) { emitReadyAt(h.ID(), h.Network().ListenAddresses()) }

func emitReadyAt(id peer.ID, listening []ma.Multiaddr) {
	addrs := []string{}
	for _, addr := range listening {
		addrs = append(addrs, fmt.Sprintf("%s/p2p/%s", addr, id))
	}
	emit(object{"event": "ready", "peer_id": id.String(), "addrs": addrs,
		"implementation": implementation()})
}

// watch reports connections and remembers what identify said about each peer.
func (n *node) watch() error {
	n.host.Network().Notify(&network.NotifyBundle{
		ConnectedF: func(_ network.Network, c network.Conn) {
			direction := "inbound"
			if c.Stat().Direction == network.DirOutbound {
				direction = "outbound"
			}
			emit(object{"event": "connected", "peer_id": c.RemotePeer().String(),
				"addr": c.RemoteMultiaddr().String(), "direction": direction})
		},
		DisconnectedF: func(_ network.Network, c network.Conn) {
			if n.host.Network().Connectedness(c.RemotePeer()) != network.Connected {
				n.mutex.Lock()
				delete(n.identified, c.RemotePeer())
				n.mutex.Unlock()
			}
			emit(object{"event": "disconnected", "peer_id": c.RemotePeer().String()})
		},
	})
	subscription, err := n.host.EventBus().Subscribe(new(event.EvtPeerIdentificationCompleted))
	if err != nil {
		return err
	}
	go func() {
		for e := range subscription.Out() {
			done := e.(event.EvtPeerIdentificationCompleted)
			n.mutex.Lock()
			n.identified[done.Peer] = done
			n.mutex.Unlock()
			n.changed.Broadcast()
		}
	}()
	return nil
}

func (n *node) handle(c command) (object, error) {
	switch c.Cmd {
	case "dial":
		return n.dial(c.Addr)
	case "subscribe":
		return nil, n.gossip.subscribe(c.Topic, c.Quiet)
	case "publish":
		return n.gossip.publish(c.Topic, c.Size, c.Seed)
	case "flood":
		return n.gossip.flood(c.Topic, c.Count, c.Size, c.Seed)
	case "received":
		return n.gossip.received(c.Topic)
	case "topic_peers":
		return n.gossip.topicPeers(c.Topic), nil
	case "rss", "cpu":
		return usage(c.Cmd)
	case "ping", "identify", "echo", "close":
		id, err := peer.Decode(c.PeerID)
		if err != nil {
			return nil, err
		}
		if n.host.Network().Connectedness(id) != network.Connected {
			return nil, fmt.Errorf("not connected to %s", id)
		}
		switch c.Cmd {
		case "ping":
			return n.ping(id, c.Count)
		case "identify":
			return n.identify(id)
		case "echo":
			return echo(n.host, id, c.Size, c.Seed)
		}
		return nil, n.host.Network().ClosePeer(id)
	}
	return nil, fmt.Errorf("unknown command %q", c.Cmd)
}

func (n *node) dial(addr string) (object, error) {
	target, err := peer.AddrInfoFromString(addr)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	n.host.Peerstore().AddAddrs(target.ID, target.Addrs, time.Hour)
	start := time.Now()
	c, err := n.host.Network().DialPeer(ctx, target.ID)
	if err != nil {
		return nil, err
	}
	return object{"peer_id": c.RemotePeer().String(),
		"handshake_ms": milliseconds(time.Since(start))}, nil
}

func (n *node) ping(id peer.ID, count int) (object, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(count+1)*10*time.Second)
	defer cancel()
	rtts := []float64{}
	results := ping.Ping(ctx, n.host, id)
	for len(rtts) < count {
		result, ok := <-results
		if !ok {
			return nil, errors.New("ping ended early")
		}
		if result.Error != nil {
			return nil, result.Error
		}
		rtts = append(rtts, milliseconds(result.RTT))
	}
	return object{"rtt_ms": rtts}, nil
}

// identify answers with what the remote said, waiting for a round that is still under way.
func (n *node) identify(id peer.ID) (object, error) {
	deadline := time.Now().Add(identifyTimeout)
	timer := time.AfterFunc(identifyTimeout, n.changed.Broadcast)
	defer timer.Stop()
	n.mutex.Lock()
	defer n.mutex.Unlock()
	said, ok := n.identified[id]
	for ; !ok; said, ok = n.identified[id] {
		if !time.Now().Before(deadline) {
			return nil, fmt.Errorf("no identify from %s within %s", id, identifyTimeout)
		}
		n.changed.Wait()
	}
	addrs := []string{}
	for _, addr := range said.ListenAddrs {
		addrs = append(addrs, addr.String())
	}
	var observed any
	if said.ObservedAddr != nil {
		observed = said.ObservedAddr.String()
	}
	return object{"agent_version": said.AgentVersion, "protocol_version": said.ProtocolVersion,
		"protocols": said.Protocols, "listen_addrs": addrs, "observed_addr": observed,
		"signed_peer_record": said.SignedPeerRecord != nil}, nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
