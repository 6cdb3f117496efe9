//! The benches over quinn alone: connections and streams are its own, and no libp2p is above it.
//! Certificates and what is verified of them are libp2p's, so that the handshake is the same work.

use crate::bench::{emit_stream, run_dials, usage, CHUNK, DIAL_TIMEOUT};
use crate::lines::{answer, commands, emit};
use crate::options::parse_target;
use crate::{implementation, keys, Options, Result};
use bytes::Bytes;
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use libp2p::{tls, Multiaddr, PeerId};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, Connection, Endpoint, ServerConfig, TransportConfig, VarInt};
use rustls::client::Resumption;
use serde_json::json;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicIsize, Ordering};
use std::sync::Arc;
use std::time::Instant;
use tokio::time::timeout;

/// What `--transport` calls it.
pub const TRANSPORT: &str = "quic-raw";

const WINDOW: u32 = 64 << 20;

/// Leaves all but the windows as quinn has it.
fn transport_config() -> Arc<TransportConfig> {
    let mut config = TransportConfig::default();
    config.stream_receive_window(WINDOW.into());
    config.receive_window(WINDOW.into());
    config.send_window(WINDOW.into());
    Arc::new(config)
}

fn client_config(key: &Keypair, peer: PeerId) -> Result<ClientConfig> {
    let mut secure = tls::make_client_config(key, Some(peer))?;
    secure.resumption = Resumption::disabled();
    let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(secure)?));
    config.transport_config(transport_config());
    Ok(config)
}

fn socket_addr(addr: &Multiaddr) -> Result<SocketAddr> {
    let parts: Vec<_> = addr.iter().collect();
    match parts[..] {
        [Protocol::Ip4(ip), Protocol::Udp(port), Protocol::QuicV1] => Ok((ip, port).into()),
        _ => Err(format!("{addr} is not /ip4/…/udp/…/quic-v1").into()),
    }
}

pub async fn serve(options: Options) -> Result<()> {
    let key = keys::new_key(&options)?;
    let secure = QuicServerConfig::try_from(tls::make_server_config(&key)?)?;
    let mut config = ServerConfig::with_crypto(Arc::new(secure));
    config.transport_config(transport_config());
    let listen = options.listen.ok_or("bench-serve needs --listen")?;
    let endpoint = Endpoint::server(config, socket_addr(&listen)?)?;
    let (place, peer) = (endpoint.local_addr()?, key.public().to_peer_id());
    let addr = format!("/ip4/{}/udp/{}/quic-v1/p2p/{peer}", place.ip(), place.port());
    emit(json!({"event": "ready", "peer_id": peer.to_string(), "addrs": [addr],
        "implementation": implementation()}));
    tokio::spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            tokio::spawn(async move {
                if let Ok(connection) = incoming.await {
                    serve_connection(connection).await;
                }
            });
        }
    });
    let mut commands = commands();
    while let Some(command) = commands.recv().await {
        answer(command.id(), usage(command.name()));
    }
    Ok(())
}

async fn serve_connection(connection: Connection) {
    while let Ok((send, receive)) = connection.accept_bi().await {
        tokio::spawn(async move {
            if let Err(error) = sink(send, receive).await {
                eprintln!("rust-peer: sink: {error}");
            }
        });
    }
}

/// Discards what comes and answers with the count, 8 bytes little-endian.
async fn sink(mut send: quinn::SendStream, mut receive: quinn::RecvStream) -> Result<()> {
    let mut total = 0u64;
    while let Some(chunk) = receive.read_chunk(usize::MAX, true).await? {
        total += chunk.bytes.len() as u64;
    }
    send.write_all(&total.to_le_bytes()).await?;
    Ok(send.finish()?)
}

/// Opens connections from one socket.
struct Dialer {
    endpoint: Endpoint,
    config: ClientConfig,
    to: SocketAddr,
}

impl Dialer {
    fn new(options: &Options) -> Result<Self> {
        let (addr, peer) = parse_target(&options.addr)?;
        Ok(Dialer {
            endpoint: Endpoint::client((Ipv4Addr::UNSPECIFIED, 0).into())?,
            config: client_config(&keys::new_key_from(&options.key, None)?, peer)?,
            to: socket_addr(&addr)?,
        })
    }

    async fn dial(&self) -> Result<Connection> {
        // Who is there is verified by the certificate, whatever the name.
        let connecting = self.endpoint.connect_with(self.config.clone(), self.to, "l")?;
        Ok(timeout(DIAL_TIMEOUT, connecting).await.map_err(|_| "the dial timed out")??)
    }
}

pub async fn stream(options: Options) -> Result<()> {
    let connection = Dialer::new(&options)?.dial().await?;
    let (mut send, mut receive) = connection.open_bi().await?;
    let chunk = Bytes::from(vec![0; CHUNK]);
    let start = Instant::now();
    let mut left = options.bytes;
    while left > 0 {
        let n = left.min(CHUNK as u64);
        send.write_chunk(chunk.slice(..n as usize)).await?;
        left -= n;
    }
    send.finish()?;
    let mut count = [0; 8];
    receive.read_exact(&mut count).await?;
    emit_stream(options.bytes, count, start)
}

pub async fn handshake(options: Options) -> Result<()> {
    let left = Arc::new(AtomicIsize::new(options.count as isize));
    let mut workers = Vec::new();
    for _ in 0..options.concurrency {
        workers.push(handshake_worker(Dialer::new(&options)?, left.clone()));
    }
    run_dials(options.count, workers).await
}

async fn handshake_worker(dialer: Dialer, left: Arc<AtomicIsize>) -> Result<()> {
    while left.fetch_sub(1, Ordering::Relaxed) > 0 {
        dialer.dial().await?.close(VarInt::from_u32(0), b"");
    }
    Ok(())
}
