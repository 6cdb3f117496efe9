//! The contract's peer: one task owns the swarm, turns its events into lines and runs commands.

use crate::gossip::{self, Flood, Rooms};
use crate::lines::{answer, commands, emit, Command};
use crate::options::parse_target;
use crate::{bench, implementation, keys, perf, streams, transport, Error, Options, Result};
use futures::StreamExt;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, NetworkBehaviour, SwarmEvent};
use libp2p::{gossipsub, identify, ping, swarm, Multiaddr, PeerId, Swarm};
use serde_json::{json, Value};
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

/// The library closes a connection nobody uses after 10 s; the tests decide that themselves.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(24 * 3600);
const IDENTIFY_TIMEOUT: Duration = Duration::from_secs(10);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
const DIAL_TIMEOUT: Duration = Duration::from_secs(15);

#[derive(NetworkBehaviour)]
struct Behaviour {
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    gossip: gossipsub::Behaviour,
    stream: libp2p_stream::Behaviour,
}

struct Dial {
    id: Value,
    start: Instant,
}

struct Question {
    id: Value,
    peer: PeerId,
    deadline: Instant,
}

/// A ping command that waits for the stock behaviour's own ping.
struct Ping {
    id: Value,
    peer: PeerId,
    count: u64,
    deadline: Instant,
}

struct Node {
    swarm: Swarm<Behaviour>,
    rooms: Rooms,
    identified: HashMap<PeerId, identify::Info>,
    dials: HashMap<ConnectionId, Dial>,
    questions: Vec<Question>,
    pinged: HashSet<PeerId>,
    pings: Vec<Ping>,
    floods: Vec<Flood>,
}

pub async fn run(options: Options) -> Result<()> {
    let key = keys::new_key(&options)?;
    let behaviour = Behaviour {
        identify: identify::Behaviour::new(
            // Not new_with_signed_peer_record: README.md, known issues of rust-libp2p.
            identify::Config::new("ipfs/0.1.0".into(), key.public())
                .with_agent_version(implementation()),
        ),
        // The stock server serves the newest ping stream only. So the stock client pings once, and
        // the streams of ping commands come after that.
        ping: ping::Behaviour::new(ping::Config::new().with_interval(IDLE_TIMEOUT)),
        gossip: gossip::new_behaviour(&key, &options)?,
        stream: libp2p_stream::Behaviour::new(),
    };
    streams::serve(&mut behaviour.stream.new_control(), true)?;
    perf::serve(&mut behaviour.stream.new_control())?;
    let config = swarm::Config::with_tokio_executor().with_idle_connection_timeout(IDLE_TIMEOUT);
    let transport = transport::new_transport(&key, &options)?;
    let mut swarm = Swarm::new(transport, behaviour, key.public().to_peer_id(), config);
    listen(&mut swarm, options.listen).await?;
    let mut node = Node {
        swarm,
        rooms: Rooms::default(),
        identified: HashMap::new(),
        dials: HashMap::new(),
        questions: Vec::new(),
        pinged: HashSet::new(),
        pings: Vec::new(),
        floods: Vec::new(),
    };
    node.serve().await;
    Ok(())
}

/// Listens and emits ready. Nothing can connect before the first event with the port.
pub async fn listen<B>(swarm: &mut Swarm<B>, addr: Option<Multiaddr>) -> Result<()>
where
    B: NetworkBehaviour,
{
    let mut addrs = Vec::new();
    if let Some(addr) = addr {
        swarm.listen_on(addr)?;
        while addrs.is_empty() {
            match swarm.select_next_some().await {
                SwarmEvent::NewListenAddr { address, .. } => {
                    addrs.push(format!("{address}/p2p/{}", swarm.local_peer_id()));
                }
                SwarmEvent::ListenerClosed { reason, .. } => reason?,
                _ => {}
            }
        }
    }
    emit(json!({"event": "ready", "peer_id": swarm.local_peer_id().to_string(),
        "addrs": addrs, "implementation": implementation()}));
    Ok(())
}

impl Node {
    async fn serve(&mut self) {
        let mut commands = commands();
        let mut tick = tokio::time::interval(Duration::from_millis(100));
        loop {
            tokio::select! {
                event = self.swarm.select_next_some() => self.on_event(event),
                command = commands.recv() => match command {
                    Some(command) => self.on_command(command),
                    None => return,
                },
                _ = tick.tick() => self.expire(),
                () = tokio::task::yield_now(), if !self.floods.is_empty() => self.flood(),
            }
        }
    }

    fn on_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                let direction = if endpoint.is_dialer() { "outbound" } else { "inbound" };
                let mut addr = endpoint.get_remote_address().clone();
                if let Some(Protocol::P2p(_)) = addr.iter().last() {
                    addr.pop();
                }
                emit(json!({"event": "connected", "peer_id": peer_id.to_string(),
                    "addr": addr.to_string(), "direction": direction}));
                if let Some(dial) = self.dials.remove(&connection_id) {
                    let took = dial.start.elapsed().as_secs_f64() * 1e3;
                    let result = json!({"peer_id": peer_id.to_string(), "handshake_ms": took});
                    answer(&dial.id, Ok(result));
                }
            }
            SwarmEvent::ConnectionClosed { peer_id, num_established, cause, .. } => {
                if let Some(cause) = cause {
                    eprintln!("rust-peer: the connection to {peer_id} ended: {cause}");
                }
                if num_established == 0 {
                    self.identified.remove(&peer_id);
                    self.pinged.remove(&peer_id);
                }
                emit(json!({"event": "disconnected", "peer_id": peer_id.to_string()}));
            }
            SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
                if let Some(dial) = self.dials.remove(&connection_id) {
                    answer(&dial.id, Err(error.into()));
                }
            }
            SwarmEvent::IncomingConnectionError { error, .. } => {
                eprintln!("rust-peer: incoming connection: {error}");
            }
            SwarmEvent::Behaviour(BehaviourEvent::Identify(event)) => self.on_identify(event),
            SwarmEvent::Behaviour(BehaviourEvent::Ping(event)) => {
                self.pinged.insert(event.peer);
                for ping in self.pings.extract_if(.., |p| p.peer == event.peer) {
                    answer_later(
                        ping.id,
                        streams::ping(control(&self.swarm), ping.peer, ping.count),
                    );
                }
            }
            SwarmEvent::Behaviour(BehaviourEvent::Gossip(gossipsub::Event::Message {
                message,
                ..
            })) => self.rooms.on_message(message),
            _ => {}
        }
    }

    fn on_identify(&mut self, event: identify::Event) {
        match event {
            identify::Event::Received { peer_id, info, .. } => {
                for question in self.questions.extract_if(.., |q| q.peer == peer_id) {
                    answer(&question.id, Ok(describe(&info)));
                }
                self.identified.insert(peer_id, info);
            }
            identify::Event::Error { peer_id, error, .. } => {
                eprintln!("rust-peer: identify {peer_id}: {error}");
            }
            _ => {}
        }
    }

    fn on_command(&mut self, command: Command) {
        match self.execute(&command) {
            Ok(Some(result)) => answer(command.id(), Ok(result)),
            Ok(None) => {}
            Err(error) => answer(command.id(), Err(error)),
        }
    }

    /// Runs a command; none means that its answer comes later.
    fn execute(&mut self, c: &Command) -> Result<Option<Value>> {
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        Ok(match c.name() {
            "dial" => self.dial(c)?,
            "identify" => self.identify(c)?,
            "ping" => self.ping(c)?,
            "echo" => {
                let (control, peer) = (control(&self.swarm), self.connected_peer(c)?);
                let (size, seed) = (c.number("size")?, c.number("seed")?);
                answer_later(c.id().clone(), streams::echo(control, peer, size, seed))
            }
            "close" => {
                let peer = self.connected_peer(c)?;
                let closed = self.swarm.disconnect_peer_id(peer);
                closed.map_err(|()| Error::from("not connected"))?;
                Some(json!({}))
            }
            "subscribe" => Some(self.rooms.subscribe(gossip, c.text("topic")?, c.flag("quiet"))?),
            "publish" => {
                let (size, seed) = (c.number("size")?, c.number("seed")?);
                Some(gossip::publish(gossip, c.text("topic")?, size, seed)?)
            }
            "topic_peers" => Some(gossip::topic_peers(gossip, c.text("topic")?)),
            "received" => Some(self.rooms.received(c.text("topic")?)?),
            "flood" => {
                self.floods.push(Flood {
                    id: c.id().clone(),
                    topic: c.text("topic")?.into(),
                    count: c.number("count")?,
                    size: c.number("size")?,
                    seed: c.number_or("seed", 0),
                    done: 0,
                    start_ns: gossip::now_ns(),
                });
                None
            }
            "rss" | "cpu" => Some(bench::usage(c.name())?),
            other => return Err(format!("unknown command {other:?}").into()),
        })
    }

    fn connected_peer(&self, c: &Command) -> Result<PeerId> {
        let peer: PeerId = c.text("peer_id")?.parse()?;
        if !self.swarm.is_connected(&peer) {
            return Err(format!("not connected to {peer}").into());
        }
        Ok(peer)
    }

    fn dial(&mut self, c: &Command) -> Result<Option<Value>> {
        let (addr, peer) = parse_target(c.text("addr")?)?;
        let options =
            DialOpts::peer_id(peer).addresses(vec![addr]).condition(PeerCondition::Always).build();
        let connection = options.connection_id();
        let start = Instant::now();
        self.swarm.dial(options)?;
        self.dials.insert(connection, Dial { id: c.id().clone(), start });
        Ok(None)
    }

    fn ping(&mut self, c: &Command) -> Result<Option<Value>> {
        let (peer, count) = (self.connected_peer(c)?, c.number("count")?);
        if self.pinged.contains(&peer) {
            let work = streams::ping(control(&self.swarm), peer, count);
            return Ok(answer_later(c.id().clone(), work));
        }
        let deadline = Instant::now() + PING_TIMEOUT;
        self.pings.push(Ping { id: c.id().clone(), peer, count, deadline });
        Ok(None)
    }

    /// Answers with what the remote said, or once a round that is still under way has ended.
    fn identify(&mut self, c: &Command) -> Result<Option<Value>> {
        let peer = self.connected_peer(c)?;
        if let Some(info) = self.identified.get(&peer) {
            return Ok(Some(describe(info)));
        }
        let deadline = Instant::now() + IDENTIFY_TIMEOUT;
        self.questions.push(Question { id: c.id().clone(), peer, deadline });
        Ok(None)
    }

    fn expire(&mut self) {
        let now = Instant::now();
        for question in self.questions.extract_if(.., |q| q.deadline <= now) {
            answer(&question.id, Err(format!("no identify from {}", question.peer).into()));
        }
        for ping in self.pings.extract_if(.., |p| p.deadline <= now) {
            answer(&ping.id, Err(format!("no stock ping of {}", ping.peer).into()));
        }
        let late = |_: &ConnectionId, d: &mut Dial| now - d.start > DIAL_TIMEOUT;
        for (_, dial) in self.dials.extract_if(late) {
            answer(&dial.id, Err("the dial timed out".into()));
        }
    }

    fn flood(&mut self) {
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        self.floods.retain_mut(|flood| match flood.step(gossip) {
            Some(result) => {
                answer(&flood.id, result);
                false
            }
            None => true,
        });
    }
}

fn control(swarm: &Swarm<Behaviour>) -> libp2p_stream::Control {
    swarm.behaviour().stream.new_control()
}

fn answer_later(
    id: Value,
    work: impl std::future::Future<Output = Result<Value>> + Send + 'static,
) -> Option<Value> {
    tokio::spawn(async move { answer(&id, work.await) });
    None
}

fn describe(info: &identify::Info) -> Value {
    let protocols: Vec<&str> = info.protocols.iter().map(|p| p.as_ref()).collect();
    let addrs: Vec<String> = info.listen_addrs.iter().map(|a| a.to_string()).collect();
    json!({"agent_version": info.agent_version, "protocol_version": info.protocol_version,
        "protocols": protocols, "listen_addrs": addrs,
        "observed_addr": info.observed_addr.to_string(),
        "signed_peer_record": info.signed_peer_record.is_some()})
}
