//! The official contracts of libp2p's test suites, chosen and told everything by the environment:
//! ../README.md, official contracts.

use crate::node::IDLE_TIMEOUT;
use crate::redis::Redis;
use crate::{keys, perf, streams, transport, Options, Result};
use futures::StreamExt;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{identify, ping, swarm, Multiaddr, PeerId, Swarm};
use std::env::var;
use std::net::Ipv4Addr;
use std::time::Duration;
use tokio::time::Instant;

const TIMEOUT_S: u64 = 180;

#[derive(NetworkBehaviour)]
struct Behaviour {
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    stream: libp2p_stream::Behaviour,
}

/// What the environment says, in either spelling.
struct Settings {
    is_dialer: bool,
    /// The contract of test-plans: lower-case variables, a list under a fixed key, JSON.
    is_older: bool,
    redis_addr: String,
    key: String,
    key_is_list: bool,
    listener_ip: String,
    deadline: Instant,
    perf: Option<perf::Plan>,
}

/// A variable that is set to something; "null" is how the suites say that it is not.
pub fn variable(name: &str) -> Option<String> {
    var(name).ok().filter(|value| !value.is_empty() && value != "null")
}

pub fn is_asked_for() -> bool {
    variable("IS_DIALER").is_some() || variable("is_dialer").is_some()
}

impl Settings {
    fn read(options: &mut Options) -> Result<Self> {
        let is_older = variable("IS_DIALER").is_none();
        let pick = |now, before| variable(if is_older { before } else { now });
        options.transport = pick("TRANSPORT", "transport").ok_or("no transport is named")?;
        options.secure = pick("SECURE_CHANNEL", "security").unwrap_or("noise".into());
        options.muxer = pick("MUXER", "muxer").unwrap_or("yamux".into());
        let redis_addr = pick("REDIS_ADDR", "redis_addr").unwrap_or("redis:6379".into());
        let key = match variable("TEST_KEY") {
            _ if is_older => "listenerAddr".into(),
            Some(key) => format!("{key}_listener_multiaddr"),
            None => return Err("TEST_KEY is not set".into()),
        };
        let key_is_list = match variable("LISTENER_KEY_TYPE").as_deref() {
            _ if is_older => true,
            Some(kind) => kind == "list",
            None => !redis_addr.starts_with("perf"),
        };
        let timeout_s = pick("TEST_TIMEOUT_SECS", "test_timeout_seconds");
        let timeout_s = timeout_s.map_or(Ok(TIMEOUT_S), |text| text.parse())?;
        Ok(Settings {
            is_dialer: pick("IS_DIALER", "is_dialer").as_deref() == Some("true"),
            is_older,
            redis_addr,
            key,
            key_is_list,
            listener_ip: pick("LISTENER_IP", "ip").unwrap_or("0.0.0.0".into()),
            deadline: Instant::now() + Duration::from_secs(timeout_s),
            perf: perf::Plan::read()?,
        })
    }
}

pub async fn run(mut options: Options) -> Result<()> {
    let settings = Settings::read(&mut options)?;
    let swarm = new_swarm(&options)?;
    let listen = transport::listen_addr(&options.transport, &settings.listener_ip)?;
    let work = async {
        if settings.is_dialer {
            // This transport dials from a socket that listens, or not at all.
            let listen = (options.transport == "webrtc-direct").then_some(listen);
            run_dialer(&settings, swarm, listen).await
        } else {
            run_listener(&settings, swarm, listen).await
        }
    };
    let ended = tokio::time::timeout_at(settings.deadline, work).await;
    ended.map_err(|_| "the time is over".to_string())?
}

fn new_swarm(options: &Options) -> Result<Swarm<Behaviour>> {
    let key = keys::new_key(options)?;
    let interval = Duration::from_secs(1);
    let behaviour = Behaviour {
        identify: identify::Behaviour::new(identify::Config::new(
            "ipfs/0.1.0".into(),
            key.public(),
        )),
        ping: ping::Behaviour::new(ping::Config::new().with_interval(interval)),
        stream: libp2p_stream::Behaviour::new(),
    };
    streams::serve(&mut behaviour.stream.new_control(), false)?;
    perf::serve(&mut behaviour.stream.new_control())?;
    let config = swarm::Config::with_tokio_executor().with_idle_connection_timeout(IDLE_TIMEOUT);
    let transport = transport::new_transport(&key, options)?;
    Ok(Swarm::new(transport, behaviour, key.public().to_peer_id(), config))
}

async fn run_listener(
    settings: &Settings,
    mut swarm: Swarm<Behaviour>,
    listen: Multiaddr,
) -> Result<()> {
    swarm.listen_on(listen)?;
    let addr = own_address(&mut swarm).await?;
    let addr = format!("{addr}/p2p/{}", swarm.local_peer_id());
    let mut redis = Redis::connect(&settings.redis_addr, settings.deadline).await?;
    redis.publish(&settings.key, &addr, settings.key_is_list).await?;
    eprintln!("rust-peer: listening at {addr}");
    loop {
        if let SwarmEvent::IncomingConnectionError { error, .. } = swarm.select_next_some().await {
            eprintln!("rust-peer: incoming connection: {error:?}");
        }
    }
}

/// The first address another machine could dial.
async fn own_address(swarm: &mut Swarm<Behaviour>) -> Result<Multiaddr> {
    loop {
        match swarm.select_next_some().await {
            SwarmEvent::NewListenAddr { address, .. } => {
                let is_loopback = |p| matches!(p, Protocol::Ip4(Ipv4Addr::LOCALHOST));
                if !address.iter().any(is_loopback) {
                    return Ok(address);
                }
            }
            SwarmEvent::ListenerClosed { reason, .. } => reason?,
            _ => {}
        }
    }
}

async fn run_dialer(
    settings: &Settings,
    mut swarm: Swarm<Behaviour>,
    listen: Option<Multiaddr>,
) -> Result<()> {
    if let Some(listen) = listen {
        swarm.listen_on(listen)?;
        own_address(&mut swarm).await?;
    }
    let mut redis = Redis::connect(&settings.redis_addr, settings.deadline).await?;
    let addr = if settings.is_older {
        redis.pop(&settings.key, settings.deadline).await?
    } else {
        redis.wait(&settings.key, settings.deadline).await?
    };
    eprintln!("rust-peer: dialing {addr}");
    let start = Instant::now();
    swarm.dial(addr.parse::<Multiaddr>()?)?;
    let (peer, ping_rtt) = first_ping(&mut swarm).await?;
    let handshake_plus_one_rtt = start.elapsed();
    if let Some(plan) = &settings.perf {
        let control = swarm.behaviour().stream.new_control();
        tokio::spawn(async move {
            loop {
                swarm.select_next_some().await;
            }
        });
        return plan.run(control, peer).await;
    }
    let (handshake_ms, ping_ms) = (milliseconds(handshake_plus_one_rtt), milliseconds(ping_rtt));
    if settings.is_older {
        println!(
            r#"{{"handshakePlusOneRTTMillis": {handshake_ms:.3}, "pingRTTMilllis": {ping_ms:.3}}}"#
        );
    } else {
        println!("latency:");
        println!("  handshake_plus_one_rtt: {handshake_ms:.3}");
        println!("  ping_rtt: {ping_ms:.3}");
        println!("  unit: ms");
    }
    Ok(())
}

async fn first_ping(swarm: &mut Swarm<Behaviour>) -> Result<(PeerId, Duration)> {
    loop {
        match swarm.select_next_some().await {
            SwarmEvent::Behaviour(BehaviourEvent::Ping(event)) => {
                return Ok((event.peer, event.result?));
            }
            SwarmEvent::OutgoingConnectionError { error, .. } => return Err(error.into()),
            SwarmEvent::ConnectionClosed { cause, .. } => {
                return Err(format!("the connection ended: {cause:?}").into());
            }
            _ => {}
        }
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
