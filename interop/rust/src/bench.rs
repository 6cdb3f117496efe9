//! The benches measure the transport, the secure channel and the muxer: their swarms run no
//! identify, ping or gossipsub. The contract's peer serves the sink as well, for a stock server.

use crate::lines::{answer, commands, emit};
use crate::node::{listen, IDLE_TIMEOUT};
use crate::options::parse_target;
use crate::{keys, streams, transport, Options, Result};
use futures::{stream, AsyncReadExt, AsyncWriteExt, StreamExt, TryStreamExt};
use libp2p::core::transport::{DialOpts, PortUse};
use libp2p::core::{Endpoint, StreamMuxer};
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::{self, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Swarm, Transport};
use serde_json::{json, Value};
use std::future::Future;
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::timeout;

pub const CHUNK: usize = 64 << 10;
pub const DIAL_TIMEOUT: Duration = Duration::from_secs(15);

type BareSwarm = Swarm<libp2p_stream::Behaviour>;

fn new_swarm(key: &Keypair, options: &Options) -> Result<BareSwarm> {
    let config = swarm::Config::with_tokio_executor().with_idle_connection_timeout(IDLE_TIMEOUT);
    let transport = transport::new_transport(key, options)?;
    let behaviour = libp2p_stream::Behaviour::new();
    Ok(Swarm::new(transport, behaviour, key.public().to_peer_id(), config))
}

/// Dials and waits for the one connection.
async fn connect(swarm: &mut BareSwarm, addr: &Multiaddr, peer: PeerId) -> Result<()> {
    swarm.dial(addr.clone().with(Protocol::P2p(peer)))?;
    let established = async {
        loop {
            match swarm.select_next_some().await {
                SwarmEvent::ConnectionEstablished { .. } => return Ok(()),
                SwarmEvent::OutgoingConnectionError { error, .. } => return Err(error.into()),
                _ => {}
            }
        }
    };
    timeout(DIAL_TIMEOUT, established).await.map_err(|_| "the dial timed out")?
}

pub async fn serve(options: Options) -> Result<()> {
    let mut swarm = new_swarm(&keys::new_key(&options)?, &options)?;
    streams::serve(&mut swarm.behaviour().new_control(), false)?;
    listen(&mut swarm, options.listen).await?;
    let mut commands = commands();
    loop {
        tokio::select! {
            _ = swarm.select_next_some() => {}
            command = commands.recv() => match command {
                Some(command) => answer(command.id(), usage(command.name())),
                None => return Ok(()),
            },
        }
    }
}

/// Answers rss and cpu from the kernel's own figures, as every implementation does.
pub fn usage(what: &str) -> Result<Value> {
    match what {
        "rss" => {
            let text = std::fs::read_to_string("/proc/self/statm")?;
            let pages = text.split(' ').nth(1).ok_or("unexpected /proc/self/statm")?;
            // SAFETY: sysconf only reads a constant of the system.
            let page_size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
            Ok(json!({"rss_bytes": pages.parse::<i64>()? * page_size}))
        }
        "cpu" => Ok(json!({"cpu_seconds": cpu_seconds()?})),
        other => Err(format!("unknown command {other:?}").into()),
    }
}

/// User and system time of this process.
fn cpu_seconds() -> Result<f64> {
    // SAFETY: rusage is plain integers, and getrusage writes no more than one of it.
    let used = unsafe {
        let mut used: libc::rusage = std::mem::zeroed();
        if libc::getrusage(libc::RUSAGE_SELF, &mut used) != 0 {
            return Err(std::io::Error::last_os_error().into());
        }
        used
    };
    let seconds = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 / 1e6;
    Ok(seconds(used.ru_utime) + seconds(used.ru_stime))
}

pub async fn stream(options: Options) -> Result<()> {
    let (addr, peer) = parse_target(&options.addr)?;
    let mut swarm = new_swarm(&keys::new_key(&options)?, &options)?;
    let mut control = swarm.behaviour().new_control();
    connect(&mut swarm, &addr, peer).await?;
    tokio::spawn(async move {
        loop {
            swarm.select_next_some().await;
        }
    });
    let mut stream = streams::open(&mut control, peer, streams::SINK).await?;
    let chunk = vec![0; CHUNK];
    let start = Instant::now();
    let mut left = options.bytes;
    while left > 0 {
        let n = left.min(CHUNK as u64) as usize;
        stream.write_all(&chunk[..n]).await?;
        left -= n as u64;
    }
    stream.close().await?;
    let mut count = [0; 8];
    stream.read_exact(&mut count).await?;
    emit_stream(options.bytes, count, start)
}

/// Reports a stream that has been sent from start on, and the answer of the sink.
pub fn emit_stream(bytes: u64, count: [u8; 8], start: Instant) -> Result<()> {
    let seconds = start.elapsed().as_secs_f64();
    let counted = u64::from_le_bytes(count);
    if counted != bytes {
        return Err(format!("sent {bytes} bytes, the server counted {counted}").into());
    }
    emit(json!({"bytes": counted, "seconds": seconds}));
    Ok(())
}

/// Dials below the swarm, so that nothing but the handshake is measured. rustls resumes a session
/// that it knows; for whole handshakes each dial over TLS has a transport of its own, made before
/// the time begins.
pub async fn handshake(options: Options) -> Result<()> {
    let (addr, peer) = parse_target(&options.addr)?;
    let left = Arc::new(AtomicIsize::new(options.count as isize));
    let whole = options.secure == "tls" && options.transport != "quic-v1";
    let each = if whole { options.count } else { 1 };
    let mut transports = Vec::new();
    for _ in 0..options.concurrency {
        let key = keys::new_key_from(&options.key, None)?;
        let made: Result<Vec<_>> =
            (0..each).map(|_| transport::new_transport(&key, &options)).collect();
        transports.push(made?);
    }
    let workers = transports
        .into_iter()
        .map(|of_worker| handshake_worker(of_worker, addr.clone(), peer, left.clone()))
        .collect();
    run_dials(options.count, workers).await
}

/// Runs all workers at once, that together dial count times, and reports.
pub async fn run_dials<W>(count: usize, workers: Vec<W>) -> Result<()>
where
    W: Future<Output = Result<()>> + Send + 'static,
{
    let start = Instant::now();
    let cpu = cpu_seconds()?;
    let mut running: JoinSet<_> = workers.into_iter().collect();
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    emit(json!({"count": count, "seconds": start.elapsed().as_secs_f64(),
        "cpu_seconds": cpu_seconds()? - cpu}));
    Ok(())
}

async fn handshake_worker(
    mut transports: Vec<transport::BoxedTransport>,
    addr: Multiaddr,
    peer: PeerId,
    left: Arc<AtomicIsize>,
) -> Result<()> {
    let options = DialOpts { role: Endpoint::Dialer, port_use: PortUse::New };
    let websocket = addr.iter().any(|part| matches!(part, Protocol::Ws(_)));
    let mut next = 0;
    while left.fetch_sub(1, Ordering::Relaxed) > 0 {
        let count = transports.len();
        let dial = transports[next % count].dial(addr.clone(), options)?;
        next += 1;
        let dialed = timeout(DIAL_TIMEOUT, dial).await;
        let (remote, mut muxer) = dialed.map_err(|_| "the dial timed out")??;
        if remote != peer {
            return Err(format!("reached {remote} instead of {peer}").into());
        }
        let closed = std::future::poll_fn(|cx| std::pin::Pin::new(&mut muxer).poll_close(cx)).await;
        // Over WebSocket the other end may have gone first.
        if !websocket {
            closed?;
        }
    }
    Ok(())
}

/// Holds one connection per identity, so that no server limit per peer can apply.
pub async fn idle(options: Options) -> Result<()> {
    let (addr, peer) = parse_target(&options.addr)?;
    let open = Arc::new(AtomicUsize::new(options.count));
    let start = Instant::now();
    let dials = stream::iter(0..options.count).map(|i| {
        let (options, addr, open) = (&options, &addr, open.clone());
        async move {
            let mut swarm = new_swarm(&keys::new_key_from(&options.key, None)?, options)?;
            let connected = connect(&mut swarm, addr, peer).await;
            connected.map_err(|error| format!("connection {i}: {error}"))?;
            tokio::spawn(async move {
                loop {
                    if let SwarmEvent::ConnectionClosed { .. } = swarm.select_next_some().await {
                        open.fetch_sub(1, Ordering::Relaxed);
                    }
                }
            });
            Result::Ok(())
        }
    });
    dials.buffer_unordered(options.concurrency).try_collect::<()>().await?;
    emit(json!({"event": "ready", "connections": options.count,
        "seconds": start.elapsed().as_secs_f64()}));
    let mut commands = commands();
    while let Some(command) = commands.recv().await {
        let result = match command.name() {
            "connections" => Ok(json!({"connections": open.load(Ordering::Relaxed)})),
            other => usage(other),
        };
        answer(command.id(), result);
    }
    Ok(())
}
