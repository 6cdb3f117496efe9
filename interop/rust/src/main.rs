//! rust-peer is rust-libp2p behind the command contract of ../README.md: stock behaviours, driven
//! by JSON lines on stdin, that report JSON lines on stdout. Logs go to stderr. With the environment
//! of an official contract it speaks that instead.

mod bench;
mod contract;
mod gossip;
mod keys;
mod lines;
mod node;
mod options;
mod perf;
mod quinn_bench;
mod redis;
mod streams;
mod transport;

use options::Options;

/// Every fallible step reports to the user in words; no caller tells errors apart.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
pub type Result<T> = std::result::Result<T, Error>;

/// The version of libp2p that the lock file pins, and so the one linked in.
pub fn implementation() -> String {
    let lock = include_str!("../Cargo.lock");
    let mut lines = lock.lines();
    let version = lines
        .find(|line| *line == "name = \"libp2p\"")
        .and_then(|_| lines.next())
        .and_then(|line| line.strip_prefix("version = "))
        .unwrap_or("unknown");
    format!("rust-libp2p v{}", version.trim_matches('"'))
}

#[tokio::main]
async fn main() {
    let ended = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => run(options).await,
        Err(error) => Err(error),
    };
    if let Err(error) = ended {
        eprintln!("rust-peer: {error}");
        std::process::exit(1);
    }
    // Streams still open end with the process, as the contract has it.
    std::process::exit(0);
}

async fn run(options: Options) -> Result<()> {
    let raw = options.transport == quinn_bench::TRANSPORT;
    match options.mode.as_str() {
        "" if contract::is_asked_for() => contract::run(options).await,
        "" => node::run(options).await,
        "bench-serve" if raw => quinn_bench::serve(options).await,
        "bench-stream" if raw => quinn_bench::stream(options).await,
        "bench-handshake" if raw => quinn_bench::handshake(options).await,
        "bench-serve" => bench::serve(options).await,
        "bench-stream" => bench::stream(options).await,
        "bench-handshake" => bench::handshake(options).await,
        "bench-idle" => bench::idle(options).await,
        other => Err(format!("unknown mode {other:?}").into()),
    }
}
