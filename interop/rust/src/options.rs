//! The command line; every mode takes the same set and uses what concerns it.

use crate::Result;
use libp2p::{multiaddr::Protocol, Multiaddr, PeerId};

#[derive(Clone)]
pub struct Options {
    pub mode: String,
    pub addr: String,
    pub key: String,
    pub seed: Option<String>,
    pub listen: Option<Multiaddr>,
    pub transport: String,
    pub secure: String,
    pub muxer: String,
    /// The file of a private network's key; none = the public network.
    pub psk: Option<String>,
    pub pubsub: String,
    /// Messages queued to one peer; none = the library's default.
    pub pubsub_queue: Option<usize>,
    pub count: usize,
    pub concurrency: usize,
    pub bytes: u64,
}

impl Options {
    pub fn parse(mut args: impl Iterator<Item = String>) -> Result<Self> {
        let mut o = Options {
            mode: String::new(),
            addr: String::new(),
            key: "ed25519".into(),
            seed: None,
            listen: None,
            transport: "tcp".into(),
            secure: "noise".into(),
            muxer: "yamux".into(),
            psk: None,
            pubsub: "strict-sign".into(),
            pubsub_queue: None,
            count: 100,
            concurrency: 1,
            bytes: 1 << 30,
        };
        while let Some(arg) = args.next() {
            let Some(name) = arg.strip_prefix("--") else {
                if o.mode.is_empty() {
                    o.mode = arg;
                } else {
                    o.addr = arg;
                }
                continue;
            };
            let value = args.next().ok_or(format!("--{name} needs a value"))?;
            match name {
                "key" => o.key = value,
                "seed" => o.seed = Some(value),
                "listen" => o.listen = Some(value.parse()?),
                "transport" => o.transport = value,
                "secure" => o.secure = value,
                "muxer" => o.muxer = value,
                "psk" => o.psk = Some(value),
                "pubsub" => o.pubsub = value,
                "pubsub-queue" => o.pubsub_queue = Some(value.parse()?),
                "count" => o.count = value.parse()?,
                "concurrency" => o.concurrency = value.parse()?,
                "bytes" => o.bytes = value.parse()?,
                _ => return Err(format!("unknown option --{name}").into()),
            }
        }
        Ok(o)
    }
}

/// Splits a full address into where to connect to and who must be there.
pub fn parse_target(addr: &str) -> Result<(Multiaddr, PeerId)> {
    let mut place: Multiaddr = addr.parse()?;
    match place.pop() {
        Some(Protocol::P2p(id)) => Ok((place, id)),
        _ => Err(format!("{addr:?} does not end in /p2p/<peer id>").into()),
    }
}
