//! /perf/1.0.0 as libp2p's specification has it, and the measurements of the perf contract.

use crate::contract::variable;
use crate::streams::{self, CHUNK};
use crate::Result;
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::{PeerId, Stream, StreamProtocol};
use libp2p_stream::Control;
use std::fmt::Display;
use std::str::FromStr;
use std::time::{Duration, Instant};

const PERF: StreamProtocol = StreamProtocol::new("/perf/1.0.0");

pub fn serve(control: &mut Control) -> Result<()> {
    let mut requests = control.accept(PERF)?;
    tokio::spawn(async move {
        while let Some((peer, stream)) = requests.next().await {
            tokio::spawn(streams::logged("perf", peer, answer(stream)));
        }
    });
    Ok(())
}

/// Reads how much is wanted and all that comes, then sends that much.
async fn answer(mut stream: Stream) -> Result<()> {
    let mut wanted = [0; 8];
    stream.read_exact(&mut wanted).await?;
    let mut chunk = vec![0; CHUNK];
    while stream.read(&mut chunk).await? > 0 {}
    send_zeros(&mut stream, u64::from_be_bytes(wanted)).await?;
    Ok(stream.close().await?)
}

async fn send_zeros(stream: &mut Stream, size: u64) -> Result<()> {
    let chunk = vec![0; CHUNK];
    let mut left = size;
    while left > 0 {
        let n = left.min(CHUNK as u64) as usize;
        stream.write_all(&chunk[..n]).await?;
        left -= n as u64;
    }
    Ok(())
}

async fn measure(mut control: Control, peer: PeerId, up: u64, down: u64) -> Result<Duration> {
    let start = Instant::now();
    let mut stream = streams::open(&mut control, peer, PERF).await?;
    stream.write_all(&down.to_be_bytes()).await?;
    send_zeros(&mut stream, up).await?;
    stream.close().await?;
    let (mut chunk, mut got) = (vec![0; CHUNK], 0);
    loop {
        let n = stream.read(&mut chunk).await? as u64;
        got += n;
        if n == 0 {
            break;
        }
    }
    if got != down {
        return Err(format!("{got} bytes came instead of {down}").into());
    }
    Ok(start.elapsed())
}

/// What a dialer is to measure.
pub struct Plan {
    upload_bytes: u64,
    download_bytes: u64,
    upload_iterations: usize,
    download_iterations: usize,
    latency_iterations: usize,
}

impl Plan {
    /// None where the environment is not that of the perf contract.
    pub fn read() -> Result<Option<Self>> {
        let names = ["UPLOAD_BYTES", "DOWNLOAD_BYTES", "LATENCY_ITERATIONS"];
        if names.iter().all(|name| std::env::var(name).is_err()) {
            return Ok(None);
        }
        Ok(Some(Plan {
            upload_bytes: number("UPLOAD_BYTES", 1 << 30)?,
            download_bytes: number("DOWNLOAD_BYTES", 1 << 30)?,
            upload_iterations: number("UPLOAD_ITERATIONS", 10)?,
            download_iterations: number("DOWNLOAD_ITERATIONS", 10)?,
            latency_iterations: number("LATENCY_ITERATIONS", 100)?,
        }))
    }

    pub async fn run(&self, control: Control, peer: PeerId) -> Result<()> {
        let mut sections = String::new();
        for (name, up, down, count) in [
            ("upload", self.upload_bytes, 0, self.upload_iterations),
            ("download", 0, self.download_bytes, self.download_iterations),
            ("latency", 1, 1, self.latency_iterations),
        ] {
            let mut samples = Vec::new();
            for _ in 0..count {
                let seconds = measure(control.clone(), peer, up, down).await?.as_secs_f64();
                let gigabits = (up + down) as f64 * 8.0 / 1e9;
                let is_latency = name == "latency";
                samples.push(if is_latency { seconds * 1e3 } else { gigabits / seconds });
            }
            let unit = if name == "latency" { "ms" } else { "Gbps" };
            sections += &describe(name, unit, samples);
        }
        print!("{sections}");
        Ok(())
    }
}

fn number<T: FromStr<Err: Display>>(name: &str, default: T) -> Result<T> {
    match variable(name) {
        None => Ok(default),
        Some(text) => text.parse().map_err(|error| format!("{name}={text}: {error}").into()),
    }
}

/// A section of the contract's YAML. Least and most leave out what is far from the middle half.
fn describe(name: &str, unit: &str, mut samples: Vec<f64>) -> String {
    samples.sort_by(f64::total_cmp);
    let [q1, median, q3] = [0.25, 0.5, 0.75].map(|part| quantile(&samples, part));
    let (low, high) = (q1 - 1.5 * (q3 - q1), q3 + 1.5 * (q3 - q1));
    let (inner, outliers): (Vec<f64>, Vec<f64>) =
        samples.iter().partition(|&&value| low <= value && value <= high);
    let list = |values: &[f64]| {
        values.iter().map(|value| format!("{value:.3}")).collect::<Vec<_>>().join(", ")
    };
    let (min, max) = (inner.first().unwrap_or(&median), inner.last().unwrap_or(&median));
    format!(
        "{name}:\n  iterations: {}\n  min: {min:.3}\n  q1: {q1:.3}\n  median: {median:.3}\n  \
         q3: {q3:.3}\n  max: {max:.3}\n  outliers: [{}]\n  samples: [{}]\n  unit: {unit}\n",
        samples.len(),
        list(&outliers),
        list(&samples)
    )
}

/// Between the two samples nearest to this part of them, in proportion.
fn quantile(sorted: &[f64], part: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let place = part * last as f64;
    let below = sorted[place.floor() as usize];
    below + (sorted[place.ceil() as usize] - below) * place.fract()
}
