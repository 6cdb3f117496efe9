package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// The official contracts of libp2p's test suites, chosen and told everything by the environment:
// ../README.md, official contracts.

const contractTimeout = 180 * time.Second

// settings is what the environment says, in either spelling.
type settings struct {
	isDialer   bool
	isOlder    bool // test-plans: lower-case variables, a list under a fixed key, JSON
	redisAddr  string
	key        string
	keyIsList  bool
	listenerIP string
	timeout    time.Duration
	perf       *perfPlan
}

// variable is what a variable is set to; "null" is how the suites say that it is not.
func variable(name, otherwise string) string {
	if value := os.Getenv(name); value != "" && value != "null" {
		return value
	}
	return otherwise
}

func contractIsAskedFor() bool {
	return variable("IS_DIALER", "") != "" || variable("is_dialer", "") != ""
}

func readSettings(o *options) (settings, error) {
	s := settings{isOlder: variable("IS_DIALER", "") == "", timeout: contractTimeout}
	pick := func(now, before, otherwise string) string {
		if s.isOlder {
			now = before
		}
		return variable(now, otherwise)
	}
	o.transport = pick("TRANSPORT", "transport", "")
	o.secure = pick("SECURE_CHANNEL", "security", "noise")
	o.muxer = pick("MUXER", "muxer", "yamux")
	s.isDialer = pick("IS_DIALER", "is_dialer", "") == "true"
	s.redisAddr = pick("REDIS_ADDR", "redis_addr", "redis:6379")
	s.listenerIP = pick("LISTENER_IP", "ip", "0.0.0.0")
	s.key, s.keyIsList = "listenerAddr", true
	if !s.isOlder {
		key := variable("TEST_KEY", "")
		if key == "" {
			return s, errors.New("TEST_KEY is not set")
		}
		s.key = key + "_listener_multiaddr"
		kind := "list"
		if strings.HasPrefix(s.redisAddr, "perf") {
			kind = "string"
		}
		s.keyIsList = variable("LISTENER_KEY_TYPE", kind) == "list"
	}
	if text := pick("TEST_TIMEOUT_SECS", "test_timeout_seconds", ""); text != "" {
		seconds, err := strconv.Atoi(text)
		if err != nil {
			return s, err
		}
		s.timeout = time.Duration(seconds) * time.Second
	}
	var err error
	s.perf, err = readPerfPlan()
	return s, err
}

func runContract(o options) error {
	s, err := readSettings(&o)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.timeout)
	defer cancel()
	h, err := newHost(o)
	if err != nil {
		return err
	}
	defer h.Close()
	h.SetStreamHandler(perfProtocol, servePerf)
	if s.isDialer {
		return runContractDialer(ctx, s, h)
	}
	return runContractListener(ctx, s, o.transport, h)
}

// listenAddr is where to listen with a transport, on a port that is free.
func listenAddr(transport, ip string) (ma.Multiaddr, error) {
	rest, ok := map[string]string{
		"tcp": "tcp/0", "ws": "tcp/0/ws", "wss": "tcp/0/tls/ws", "quic-v1": "udp/0/quic-v1",
		"webtransport": "udp/0/quic-v1/webtransport", "webrtc-direct": "udp/0/webrtc-direct",
	}[transport]
	if !ok {
		return nil, fmt.Errorf("go-libp2p has no transport %q here", transport)
	}
	return ma.NewMultiaddr(fmt.Sprintf("/ip4/%s/%s", ip, rest))
}

func runContractListener(ctx context.Context, s settings, transport string, h host.Host) error {
	listen, err := listenAddr(transport, s.listenerIP)
	if err != nil {
		return err
	}
	if err := h.Network().Listen(listen); err != nil {
		return err
	}
	own, err := ownAddress(h)
	if err != nil {
		return err
	}
	r, err := dialRedis(ctx, s.redisAddr)
	if err != nil {
		return err
	}
	if err := r.publish(s.key, own, s.keyIsList); err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "go-peer: listening at", own)
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT)
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return errors.New("nobody has ended the listener in time")
	}
}

// ownAddress is the first address another machine could dial.
func ownAddress(h host.Host) (string, error) {
	addrs, err := h.Network().InterfaceListenAddresses()
	if err != nil {
		return "", err
	}
	for _, addr := range addrs {
		if _, err := addr.ValueForProtocol(ma.P_IP4); err == nil && !manet.IsIPLoopback(addr) {
			return fmt.Sprintf("%s/p2p/%s", addr, h.ID()), nil
		}
	}
	return "", fmt.Errorf("no address but of this machine alone: %v", addrs)
}

func runContractDialer(ctx context.Context, s settings, h host.Host) error {
	r, err := dialRedis(ctx, s.redisAddr)
	if err != nil {
		return err
	}
	wait := r.wait
	if s.isOlder {
		wait = r.pop
	}
	addr, err := wait(ctx, s.key)
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "go-peer: dialing", addr)
	target, err := peer.AddrInfoFromString(addr)
	if err != nil {
		return err
	}
	start := time.Now()
	if err := h.Connect(ctx, *target); err != nil {
		return err
	}
	result := <-ping.Ping(ctx, h, target.ID)
	if result.Error != nil {
		return result.Error
	}
	handshakePlusOneRTT := time.Since(start)
	if s.perf != nil {
		return s.perf.run(ctx, h, target.ID)
	}
	form := "latency:\n  handshake_plus_one_rtt: %.3f\n  ping_rtt: %.3f\n  unit: ms\n"
	if s.isOlder {
		form = `{"handshakePlusOneRTTMillis": %.3f, "pingRTTMilllis": %.3f}` + "\n"
	}
	fmt.Printf(form, milliseconds(handshakePlusOneRTT), milliseconds(result.RTT))
	return nil
}
