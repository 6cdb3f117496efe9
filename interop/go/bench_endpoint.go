package main

import (
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/sec"
	"github.com/libp2p/go-libp2p/core/transport"
	"github.com/libp2p/go-libp2p/p2p/host/blank"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
	"github.com/libp2p/go-libp2p/p2p/host/peerstore/pstoremem"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/net/upgrader"
	secnoise "github.com/libp2p/go-libp2p/p2p/security/noise"
	sectls "github.com/libp2p/go-libp2p/p2p/security/tls"
	libp2pquic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/quicreuse"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/libp2p/go-libp2p/p2p/transport/websocket"
	"github.com/quic-go/quic-go"
)

// endpoint is a host of the benches: one transport, secure channel and muxer. It runs no identify,
// ping or gossipsub and has no resource limits.
type endpoint struct {
	host      host.Host
	transport transport.Transport
}

func newEndpoint(o options, seed string) (*endpoint, error) {
	key, err := newKey(o.key, seed)
	if err != nil {
		return nil, err
	}
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		return nil, err
	}
	t, err := newBareTransport(o, key)
	if err != nil {
		return nil, err
	}
	peers, err := pstoremem.NewPeerstore()
	if err != nil {
		return nil, err
	}
	err = errors.Join(peers.AddPrivKey(id, key), peers.AddPubKey(id, key.GetPublic()))
	if err != nil {
		return nil, err
	}
	bus := eventbus.NewBus()
	s, err := swarm.NewSwarm(id, peers, bus,
		swarm.WithResourceManager(&network.NullResourceManager{}))
	if err != nil {
		return nil, err
	}
	if err := s.AddTransport(t); err != nil {
		return nil, err
	}
	return &endpoint{blankhost.NewBlankHost(s, blankhost.WithEventBus(bus)), t}, nil
}

func newBareTransport(o options, key crypto.PrivKey) (transport.Transport, error) {
	unlimited := &network.NullResourceManager{}
	if o.transport == "quic-v1" {
		var reset quic.StatelessResetKey
		var token quic.TokenGeneratorKey
		rand.Read(reset[:])
		rand.Read(token[:])
		sockets, err := quicreuse.NewConnManager(reset, token)
		if err != nil {
			return nil, err
		}
		return libp2pquic.NewTransport(key, sockets, nil, nil, unlimited)
	}
	muxers := []upgrader.StreamMuxer{{ID: yamux.ID, Muxer: yamux.DefaultTransport}}
	secure, err := newSecure(o.secure, key, muxers)
	if err != nil {
		return nil, err
	}
	upgrade, err := upgrader.New([]sec.SecureTransport{secure}, muxers, nil, unlimited, nil)
	if err != nil {
		return nil, err
	}
	switch o.transport {
	case "tcp":
		return tcp.NewTCPTransport(upgrade, unlimited, nil)
	case "ws":
		return websocket.New(upgrade, unlimited, nil)
	}
	return nil, fmt.Errorf("no bench over --transport %q", o.transport)
}

func newSecure(name string, key crypto.PrivKey,
	muxers []upgrader.StreamMuxer) (sec.SecureTransport, error) {
	switch name {
	case "noise":
		return secnoise.New(secnoise.ID, key, muxers)
	case "tls":
		return sectls.New(sectls.ID, key, muxers)
	}
	return nil, fmt.Errorf("no bench with --secure %q", name)
}
