//! The transport the options name, erased to the one type a swarm takes.

use crate::{Error, Options, Result};
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::Boxed;
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::{noise, quic, tcp, tls, websocket, yamux, PeerId, Transport};

pub type BoxedTransport = Boxed<(PeerId, StreamMuxerBox)>;

/// Finishes a byte-stream transport with one secure channel and one muxer.
macro_rules! upgrade {
    ($base:expr, $key:expr, $options:expr) => {
        match ($options.secure.as_str(), $options.muxer.as_str()) {
            ("noise", "yamux") => {
                stack!($base, noise::Config::new($key)?, yamux::Config::default())
            }
            ("noise", "mplex") => stack!($base, noise::Config::new($key)?, mplex()),
            ("tls", "yamux") => stack!($base, tls::Config::new($key)?, yamux::Config::default()),
            ("tls", "mplex") => stack!($base, tls::Config::new($key)?, mplex()),
            (secure, muxer) => Err(unsupported(secure, muxer)),
        }
    };
}

macro_rules! stack {
    ($base:expr, $secure:expr, $muxer:expr) => {
        Ok($base.upgrade(Version::V1).authenticate($secure).multiplex($muxer).boxed())
    };
}

pub fn new_transport(key: &Keypair, options: &Options) -> Result<BoxedTransport> {
    let tcp = || tcp::tokio::Transport::new(tcp::Config::default());
    match options.transport.as_str() {
        "tcp" => upgrade!(tcp(), key, options),
        "ws" => upgrade!(websocket::Config::new(tcp()), key, options),
        "quic-v1" => Ok(quic::tokio::Transport::new(quic::Config::new(key))
            .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)))
            .boxed()),
        other => Err(format!("rust-libp2p has no --transport {other:?} here").into()),
    }
}

fn mplex() -> libp2p_mplex::Config {
    libp2p_mplex::Config::default()
}

fn unsupported(secure: &str, muxer: &str) -> Error {
    format!("rust-libp2p has no --secure {secure:?} with --muxer {muxer:?}").into()
}
