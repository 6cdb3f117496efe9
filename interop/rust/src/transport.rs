//! The transport the options name, erased to the one type a swarm takes.

use crate::contract::variable;
use crate::{Error, Options, Result};
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::Boxed;
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::pnet::{PnetConfig, PreSharedKey};
use libp2p::{noise, quic, tcp, tls, websocket, yamux, Multiaddr, PeerId, Transport};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};

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
        "tcp" => match &options.psk {
            None => upgrade!(tcp(), key, options),
            Some(file) => {
                let psk: PreSharedKey = std::fs::read_to_string(file)?.parse()?;
                let protected =
                    tcp().and_then(move |socket, _| PnetConfig::new(psk).handshake(socket));
                upgrade!(protected, key, options)
            }
        },
        other if options.psk.is_some() => {
            Err(format!("no --psk with --transport {other:?}").into())
        }
        "ws" => upgrade!(websocket::Config::new(tcp()), key, options),
        "wss" => {
            let mut websocket = websocket::Config::new(tcp());
            websocket.set_tls_config(wss_config()?);
            upgrade!(websocket, key, options)
        }
        "quic-v1" => Ok(quic::tokio::Transport::new(quic::Config::new(key))
            .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)))
            .boxed()),
        "webrtc-direct" => {
            use libp2p_webrtc::tokio::{Certificate, Transport};
            // Its DTLS takes the process's choice, and with two linked in there is none.
            let _ = rustls::crypto::ring::default_provider().install_default();
            let certificate = Certificate::generate(&mut rand::rng())?;
            Ok(Transport::new(key.clone(), certificate)
                .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)))
                .boxed())
        }
        other => Err(format!("rust-libp2p has no --transport {other:?} here").into()),
    }
}

/// Where to listen with a transport, on a port that is free.
pub fn listen_addr(transport: &str, ip: &str) -> Result<Multiaddr> {
    let rest = match transport {
        "tcp" => "tcp/0",
        "ws" => "tcp/0/ws",
        "wss" => "tcp/0/tls/ws",
        "quic-v1" => "udp/0/quic-v1",
        "webrtc-direct" => "udp/0/webrtc-direct",
        other => return Err(format!("rust-libp2p has no transport {other:?} here").into()),
    };
    Ok(format!("/ip4/{ip}/{rest}").parse()?)
}

/// Secure WebSocket by the files that the environment names: see ../README.md.
fn wss_config() -> Result<websocket::tls::Config> {
    let mut builder = websocket::tls::Config::builder();
    if let Some(file) = variable("WSS_TRUST_FILE") {
        let trusted = CertificateDer::from_pem_file(file)?;
        builder.add_trust(&websocket::tls::Certificate::new(trusted.to_vec()))?;
    }
    if let (Some(certificate), Some(key)) =
        (variable("WSS_CERTIFICATE_FILE"), variable("WSS_KEY_FILE"))
    {
        let mut chain = Vec::new();
        for part in CertificateDer::pem_file_iter(certificate)? {
            chain.push(websocket::tls::Certificate::new(part?.to_vec()));
        }
        let key = PrivatePkcs8KeyDer::from_pem_file(key)?.secret_pkcs8_der().to_vec();
        builder.server(websocket::tls::PrivateKey::new(key), chain)?;
    }
    Ok(builder.finish())
}

fn mplex() -> libp2p_mplex::Config {
    libp2p_mplex::Config::default()
}

fn unsupported(secure: &str, muxer: &str) -> Error {
    format!("rust-libp2p has no --secure {secure:?} with --muxer {muxer:?}").into()
}
