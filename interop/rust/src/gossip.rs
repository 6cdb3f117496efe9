//! Gossipsub with the library's defaults, but for the limits the contract asks for.

use crate::lines::emit;
use crate::streams::noise_bytes;
use crate::{Options, Result};
use libp2p::gossipsub::{self, IdentTopic, MessageAuthenticity, MessageId, ValidationMode};
use libp2p::identity::Keypair;
use serde_json::{json, Value};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

/// The library's default is 64 KiB; the contract's messages reach 256 KiB.
const MESSAGE_SIZE_MAX: usize = 1 << 20;

pub fn new_behaviour(key: &Keypair, options: &Options) -> Result<gossipsub::Behaviour> {
    let mut config = gossipsub::ConfigBuilder::default();
    config.max_transmit_size(MESSAGE_SIZE_MAX);
    if let Some(length) = options.pubsub_queue {
        config.connection_handler_queue_len(length);
    }
    let author = match options.pubsub.as_str() {
        "strict-sign" => {
            config.validation_mode(ValidationMode::Strict);
            MessageAuthenticity::Signed(key.clone())
        }
        "strict-no-sign" => {
            // Without author and sequence number the stock id is the same for all messages.
            config.validation_mode(ValidationMode::Anonymous);
            config.message_id_fn(|message| MessageId::from(Sha256::digest(&message.data).to_vec()));
            MessageAuthenticity::Anonymous
        }
        other => return Err(format!("unknown --pubsub {other:?}").into()),
    };
    Ok(gossipsub::Behaviour::new(author, config.build()?)?)
}

/// What was received on one topic; times are Unix time in nanoseconds.
#[derive(Default)]
struct Room {
    quiet: bool,
    count: u64,
    first_ns: u64,
    last_ns: u64,
}

#[derive(Default)]
pub struct Rooms(HashMap<String, Room>);

impl Rooms {
    pub fn subscribe(
        &mut self,
        gossip: &mut gossipsub::Behaviour,
        topic: &str,
        quiet: bool,
    ) -> Result<Value> {
        gossip.subscribe(&IdentTopic::new(topic))?;
        self.0.entry(topic.into()).or_default().quiet = quiet;
        Ok(json!({}))
    }

    /// Counts a message another peer published and, unless its topic is quiet, reports it.
    pub fn on_message(&mut self, message: gossipsub::Message) {
        let topic = message.topic.into_string();
        let room = self.0.entry(topic.clone()).or_default();
        room.last_ns = now_ns();
        if room.count == 0 {
            room.first_ns = room.last_ns;
        }
        room.count += 1;
        if !room.quiet {
            let from = message.source.map(|id| id.to_string());
            emit(json!({"event": "message", "topic": topic, "from": from,
                "size": message.data.len(),
                "sha256": hex::encode(Sha256::digest(&message.data))}));
        }
    }

    pub fn received(&self, topic: &str) -> Result<Value> {
        let room = self.0.get(topic);
        let room = room.ok_or(format!("not subscribed to {topic:?}"))?;
        Ok(json!({"count": room.count, "first_ns": room.first_ns, "last_ns": room.last_ns}))
    }
}

pub fn publish(
    gossip: &mut gossipsub::Behaviour,
    topic: &str,
    size: u64,
    seed: u64,
) -> Result<Value> {
    let data = noise_bytes(seed, size as usize);
    let sha256 = hex::encode(Sha256::digest(&data));
    gossip.publish(IdentTopic::new(topic), data)?;
    Ok(json!({ "sha256": sha256 }))
}

pub fn topic_peers(gossip: &gossipsub::Behaviour, topic: &str) -> Value {
    let hash = IdentTopic::new(topic).hash();
    let peers: Vec<String> = gossip
        .all_peers()
        .filter(|(_, topics)| topics.contains(&&hash))
        .map(|(peer, _)| peer.to_string())
        .collect();
    let mesh: Vec<String> = gossip.mesh_peers(&hash).map(|peer| peer.to_string()).collect();
    json!({"peers": peers, "mesh": mesh})
}

/// A flood under way. It publishes in batches, between which the swarm gets to send them.
pub struct Flood {
    pub id: Value,
    pub topic: String,
    pub count: u64,
    pub size: u64,
    pub seed: u64,
    pub done: u64,
    pub start_ns: u64,
}

const FLOOD_BATCH: u64 = 32;

impl Flood {
    /// Publishes the next batch; the answer once all are published.
    pub fn step(&mut self, gossip: &mut gossipsub::Behaviour) -> Option<Result<Value>> {
        let end = self.count.min(self.done + FLOOD_BATCH);
        while self.done < end {
            let data = noise_bytes(self.seed.wrapping_add(self.done), self.size as usize);
            if let Err(error) = gossip.publish(IdentTopic::new(&self.topic), data) {
                return Some(Err(format!("message {}: {error}", self.done).into()));
            }
            self.done += 1;
        }
        (self.done == self.count).then(|| {
            let (start, end) = (self.start_ns, now_ns());
            Ok(json!({"count": self.count, "start_ns": start, "end_ns": end}))
        })
    }
}

pub fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("the clock is past 1970").as_nanos() as u64
}
