package main

import (
	"context"
	"crypto/tls"
	"net"

	"github.com/libp2p/go-libp2p/core/peer"
	sectls "github.com/libp2p/go-libp2p/p2p/security/tls"
	"github.com/libp2p/go-libp2p/p2p/transport/quicreuse"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/quic-go/quic-go"
)

// rawTransport is quic-go alone: connections and streams are its own, and no libp2p is above it.
// Certificates and what is verified of them are libp2p's, so that the handshake is the same work.
const rawTransport = "quic-raw"

const rawWindow = 64 << 20

// newRawConfig leaves all as quic-go has it, but for how far it opens its windows.
func newRawConfig() *quic.Config {
	return &quic.Config{
		Versions:                   []quic.Version{quic.Version1},
		MaxStreamReceiveWindow:     rawWindow,
		MaxConnectionReceiveWindow: rawWindow,
	}
}

func newRawIdentity(o options, seed string) (*sectls.Identity, peer.ID, error) {
	key, err := newKey(o.key, seed)
	if err != nil {
		return nil, "", err
	}
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		return nil, "", err
	}
	identity, err := sectls.NewIdentity(key)
	return identity, id, err
}

func runRawServe(o options) error {
	identity, id, err := newRawIdentity(o, o.seed)
	if err != nil {
		return err
	}
	place, err := ma.NewMultiaddr(o.listen)
	if err != nil {
		return err
	}
	udp, version, err := quicreuse.FromQuicMultiaddr(place)
	if err != nil {
		return err
	}
	anyone, _ := identity.ConfigForPeer("")
	secure := &tls.Config{
		NextProtos: anyone.NextProtos,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			one, _ := identity.ConfigForPeer("") // It tells who came once, so each has its own.
			return one, nil
		},
	}
	listener, err := quic.ListenAddr(udp.String(), secure, newRawConfig())
	if err != nil {
		return err
	}
	addr, err := quicreuse.ToQuicMultiaddr(listener.Addr(), version)
	if err != nil {
		return err
	}
	go serveRaw(listener)
	emitReadyAt(id, []ma.Multiaddr{addr})
	serveCommands(func(c command) (object, error) { return usage(c.Cmd) })
	return listener.Close()
}

// serveRaw gives every stream of every connection to the sink, until the listener is closed.
func serveRaw(listener *quic.Listener) {
	ctx := context.Background()
	for {
		c, err := listener.Accept(ctx)
		if err != nil {
			return
		}
		go func() {
			for {
				s, err := c.AcceptStream(ctx)
				if err != nil {
					return
				}
				go func() {
					if err := sink(s); err != nil {
						s.CancelRead(0)
						s.CancelWrite(0)
						return
					}
					s.Close()
				}()
			}
		}()
	}
}

// rawDialer opens connections from one socket.
type rawDialer struct {
	identity  *sectls.Identity
	transport *quic.Transport
	to        *net.UDPAddr
	id        peer.ID
}

func newRawDialer(o options, target peer.AddrInfo) (*rawDialer, error) {
	identity, _, err := newRawIdentity(o, "")
	if err != nil {
		return nil, err
	}
	to, _, err := quicreuse.FromQuicMultiaddr(target.Addrs[0])
	if err != nil {
		return nil, err
	}
	socket, err := net.ListenUDP("udp4", nil)
	if err != nil {
		return nil, err
	}
	return &rawDialer{identity, &quic.Transport{Conn: socket}, to, target.ID}, nil
}

func (d *rawDialer) dial(ctx context.Context) (*quic.Conn, error) {
	secure, _ := d.identity.ConfigForPeer(d.id)
	return d.transport.Dial(ctx, d.to, secure, newRawConfig())
}

func runRawStream(ctx context.Context, o options, target peer.AddrInfo) error {
	d, err := newRawDialer(o, target)
	if err != nil {
		return err
	}
	c, err := d.dial(ctx)
	if err != nil {
		return err
	}
	s, err := c.OpenStreamSync(ctx)
	if err != nil {
		return err
	}
	if err := sendToSink(s, s.Close, o.bytes); err != nil {
		return err
	}
	return c.CloseWithError(0, "")
}

func newRawDial(o options, target peer.AddrInfo) (dial, error) {
	d, err := newRawDialer(o, target)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		c, err := d.dial(ctx)
		if err != nil {
			return err
		}
		return c.CloseWithError(0, "")
	}, nil
}
