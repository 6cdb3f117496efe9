package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sync"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// subscriptionBuffer holds messages the printer has not reached; pubsub drops what does not fit.
const subscriptionBuffer = 1 << 16

// room is one joined topic and what was received on it.
type room struct {
	topic       *pubsub.Topic
	subscribed  bool
	count       int64
	first, last int64 // Unix time in nanoseconds
}

type gossip struct {
	self  peer.ID
	ps    *pubsub.PubSub
	mutex sync.Mutex
	rooms map[string]*room
	mesh  meshTracer
}

func newGossip(h host.Host, o options) (*gossip, error) {
	g := &gossip{self: h.ID(), rooms: map[string]*room{}}
	g.mesh.peers = map[string]map[peer.ID]bool{}
	settings := []pubsub.Option{pubsub.WithRawTracer(&g.mesh)}
	switch o.pubsub {
	case "strict-sign":
		settings = append(settings, pubsub.WithMessageSignaturePolicy(pubsub.StrictSign))
	case "strict-no-sign":
		// The policy alone still names the author, which the same policy rejects. Without author
		// and sequence number the stock id is the same for all messages.
		settings = append(settings, pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign),
			pubsub.WithNoAuthor(), pubsub.WithMessageIdFn(func(m *pb.Message) string {
				sum := sha256.Sum256(m.GetData())
				return string(sum[:])
			}))
	default:
		return nil, fmt.Errorf("unknown --pubsub %q", o.pubsub)
	}
	if o.queue > 0 {
		settings = append(settings, pubsub.WithPeerOutboundQueueSize(o.queue))
	}
	var err error
	g.ps, err = pubsub.NewGossipSub(context.Background(), h, settings...)
	return g, err
}

func (g *gossip) room(name string) (*room, error) {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	if r := g.rooms[name]; r != nil {
		return r, nil
	}
	topic, err := g.ps.Join(name)
	if err != nil {
		return nil, err
	}
	r := &room{topic: topic}
	g.rooms[name] = r
	return r, nil
}

func (g *gossip) subscribe(name string, quiet bool) error {
	r, err := g.room(name)
	if err != nil {
		return err
	}
	g.mutex.Lock()
	defer g.mutex.Unlock()
	if r.subscribed {
		return nil
	}
	subscription, err := r.topic.Subscribe(pubsub.WithBufferSize(subscriptionBuffer))
	if err != nil {
		return err
	}
	r.subscribed = true
	go g.receive(r, subscription, quiet)
	return nil
}

// receive counts what others published and, unless quiet, reports it.
func (g *gossip) receive(r *room, subscription *pubsub.Subscription, quiet bool) {
	for {
		message, err := subscription.Next(context.Background())
		if err != nil {
			return
		}
		if message.ReceivedFrom == g.self {
			continue
		}
		now := time.Now().UnixNano()
		g.mutex.Lock()
		if r.count == 0 {
			r.first = now
		}
		r.count, r.last = r.count+1, now
		g.mutex.Unlock()
		if quiet {
			continue
		}
		var from any
		if author := message.GetFrom(); author != "" {
			from = author.String()
		}
		sum := sha256.Sum256(message.GetData())
		emit(object{"event": "message", "topic": message.GetTopic(), "from": from,
			"size": len(message.GetData()), "sha256": hex.EncodeToString(sum[:])})
	}
}

func (g *gossip) publish(name string, size int64, seed uint64) (object, error) {
	r, err := g.room(name)
	if err != nil {
		return nil, err
	}
	data := noiseBytes(seed, size)
	if err := r.topic.Publish(context.Background(), data); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	return object{"sha256": hex.EncodeToString(sum[:])}, nil
}

func (g *gossip) flood(name string, count int, size int64, seed uint64) (object, error) {
	r, err := g.room(name)
	if err != nil {
		return nil, err
	}
	start := time.Now().UnixNano()
	for i := range count {
		data := noiseBytes(seed+uint64(i), size)
		if err := r.topic.Publish(context.Background(), data); err != nil {
			return nil, fmt.Errorf("message %d: %w", i, err)
		}
	}
	return object{"count": count, "start_ns": start, "end_ns": time.Now().UnixNano()}, nil
}

func (g *gossip) received(name string) (object, error) {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	r := g.rooms[name]
	if r == nil {
		return nil, fmt.Errorf("not subscribed to %q", name)
	}
	return object{"count": r.count, "first_ns": r.first, "last_ns": r.last}, nil
}

func (g *gossip) topicPeers(name string) object {
	peers := []string{}
	for _, id := range g.ps.ListPeers(name) {
		peers = append(peers, id.String())
	}
	return object{"peers": peers, "mesh": g.mesh.list(name)}
}

// meshTracer learns the mesh from the tracer's events: pubsub has no call to ask for it.
type meshTracer struct {
	mutex sync.Mutex
	peers map[string]map[peer.ID]bool
}

func (t *meshTracer) list(topic string) []string {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	ids := []string{}
	for id := range t.peers[topic] {
		ids = append(ids, id.String())
	}
	return ids
}

func (t *meshTracer) Graft(id peer.ID, topic string) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if t.peers[topic] == nil {
		t.peers[topic] = map[peer.ID]bool{}
	}
	t.peers[topic][id] = true
}

func (t *meshTracer) Prune(id peer.ID, topic string) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	delete(t.peers[topic], id)
}

func (t *meshTracer) OnClosedOutboundStream(id peer.ID) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	for _, peers := range t.peers {
		delete(peers, id)
	}
}

func (t *meshTracer) Leave(topic string) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	delete(t.peers, topic)
}

func (t *meshTracer) OnNewOutboundStream(peer.ID, protocol.ID) {}
func (t *meshTracer) Join(string)                              {}
func (t *meshTracer) ValidateMessage(*pubsub.Message)          {}
func (t *meshTracer) DeliverMessage(*pubsub.Message)           {}
func (t *meshTracer) RejectMessage(*pubsub.Message, string)    {}
func (t *meshTracer) DuplicateMessage(*pubsub.Message)         {}
func (t *meshTracer) ThrottlePeer(peer.ID)                     {}
func (t *meshTracer) RecvRPC(*pubsub.RPC)                      {}
func (t *meshTracer) SendRPC(*pubsub.RPC, peer.ID)             {}
func (t *meshTracer) DropRPC(*pubsub.RPC, peer.ID)             {}
func (t *meshTracer) UndeliverableMessage(*pubsub.Message)     {}
