//! The contract's own protocols: echo, the bench's sink, and a client for stock ping.

use crate::Result;
use futures::{future, AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::{PeerId, Stream, StreamProtocol};
use libp2p_stream::Control;
use rsa::rand_core::{OsRng, RngCore};
use serde_json::{json, Value};
use sha2::{Digest, Sha256};
use std::time::{Duration, Instant};
use tokio::time::timeout;

pub const ECHO: StreamProtocol = StreamProtocol::new("/tern/echo/1.0.0");
pub const SINK: StreamProtocol = StreamProtocol::new("/tern/bench-sink/1.0.0");
const PING: StreamProtocol = StreamProtocol::new("/ipfs/ping/1.0.0");

pub const CHUNK: usize = 64 << 10;
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);

/// The deterministic byte stream of the contract: xorshift64*, little-endian words.
pub struct Noise {
    state: u64,
    left: u64,
}

impl Noise {
    pub fn new(seed: u64, size: u64) -> Self {
        // Zero is the one state xorshift never leaves.
        let state = if seed == 0 { 0x9e3779b97f4a7c15 } else { seed };
        Noise { state, left: size }
    }

    /// Fills `chunk`, whose length is a multiple of 8, and returns how much of it is the stream.
    pub fn read(&mut self, chunk: &mut [u8]) -> usize {
        let mut done = 0;
        for word in chunk.chunks_exact_mut(8) {
            if self.left == 0 {
                break;
            }
            self.state ^= self.state >> 12;
            self.state ^= self.state << 25;
            self.state ^= self.state >> 27;
            let next = self.state.wrapping_mul(0x2545f4914f6cdd1d);
            word.copy_from_slice(&next.to_le_bytes());
            let take = self.left.min(8);
            self.left -= take;
            done += take as usize;
        }
        done
    }
}

pub fn noise_bytes(seed: u64, size: usize) -> Vec<u8> {
    let mut data = vec![0; size.next_multiple_of(8)];
    Noise::new(seed, size as u64).read(&mut data);
    data.truncate(size);
    data
}

/// Serves the echo and the sink for as long as the process lives.
pub fn serve(control: &mut Control, with_echo: bool) -> Result<()> {
    let mut sinks = control.accept(SINK)?;
    tokio::spawn(async move {
        while let Some((peer, stream)) = sinks.next().await {
            tokio::spawn(logged("sink", peer, serve_sink(stream)));
        }
    });
    if with_echo {
        let mut echoes = control.accept(ECHO)?;
        tokio::spawn(async move {
            while let Some((peer, stream)) = echoes.next().await {
                tokio::spawn(logged("echo", peer, serve_echo(stream)));
            }
        });
    }
    Ok(())
}

pub async fn logged(what: &str, peer: PeerId, work: impl std::future::Future<Output = Result<()>>) {
    if let Err(error) = work.await {
        eprintln!("rust-peer: {what} for {peer}: {error}");
    }
}

async fn serve_echo(mut stream: Stream) -> Result<()> {
    let mut chunk = vec![0; CHUNK];
    loop {
        let n = stream.read(&mut chunk).await?;
        if n == 0 {
            return Ok(stream.close().await?);
        }
        stream.write_all(&chunk[..n]).await?;
        stream.flush().await?;
    }
}

/// Discards what comes and answers with the count, 8 bytes little-endian.
async fn serve_sink(mut stream: Stream) -> Result<()> {
    let mut chunk = vec![0; CHUNK];
    let mut total = 0u64;
    loop {
        let n = stream.read(&mut chunk).await?;
        if n == 0 {
            break;
        }
        total += n as u64;
    }
    stream.write_all(&total.to_le_bytes()).await?;
    Ok(stream.close().await?)
}

pub async fn open(control: &mut Control, peer: PeerId, protocol: StreamProtocol) -> Result<Stream> {
    let opened = timeout(OPEN_TIMEOUT, control.open_stream(peer, protocol)).await;
    Ok(opened.map_err(|_| "opening the stream timed out")??)
}

/// Sends and receives at once: the remote stops reading when it cannot write, so a client that
/// sent everything first would deadlock with it.
pub async fn echo(mut control: Control, peer: PeerId, size: u64, seed: u64) -> Result<Value> {
    let (mut reader, mut writer) = open(&mut control, peer, ECHO).await?.split();
    let start = Instant::now();
    let send = async move {
        let mut noise = Noise::new(seed, size);
        let (mut chunk, mut hash, mut total) = (vec![0; CHUNK], Sha256::new(), 0u64);
        loop {
            let n = noise.read(&mut chunk);
            if n == 0 {
                writer.close().await?;
                return Ok((total, hash.finalize()));
            }
            hash.update(&chunk[..n]);
            writer.write_all(&chunk[..n]).await?;
            total += n as u64;
        }
    };
    let receive = async move {
        let (mut chunk, mut hash, mut total) = (vec![0; CHUNK], Sha256::new(), 0u64);
        loop {
            let n = reader.read(&mut chunk).await?;
            if n == 0 {
                return Result::Ok((total, hash.finalize()));
            }
            hash.update(&chunk[..n]);
            total += n as u64;
        }
    };
    let ((sent, hash_sent), (received, hash_received)) = future::try_join(send, receive).await?;
    Ok(json!({
        "sent": sent, "received": received, "seconds": start.elapsed().as_secs_f64(),
        "sha256_sent": hex::encode(hash_sent), "sha256_received": hex::encode(hash_received),
    }))
}

/// Pings on demand; the stock behaviour, which pings on its own schedule, serves the other side.
pub async fn ping(mut control: Control, peer: PeerId, count: u64) -> Result<Value> {
    let mut stream = open(&mut control, peer, PING).await?;
    let mut rtts = Vec::new();
    for _ in 0..count {
        let (mut sent, mut back) = ([0u8; 32], [0u8; 32]);
        OsRng.fill_bytes(&mut sent);
        let start = Instant::now();
        let exchange = async {
            stream.write_all(&sent).await?;
            stream.flush().await?;
            stream.read_exact(&mut back).await
        };
        timeout(Duration::from_secs(10), exchange)
            .await
            .map_err(|_| "no answer to a ping within 10 s")??;
        if sent != back {
            return Err("the answer to a ping differs from what was sent".into());
        }
        rtts.push(start.elapsed().as_secs_f64() * 1e3);
    }
    stream.close().await?;
    Ok(json!({ "rtt_ms": rtts }))
}
