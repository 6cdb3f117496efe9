//! As much of Redis as the official contracts need: a listener leaves its address under a key, and
//! a dialer waits for it.

use crate::Result;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::TcpStream;
use tokio::time::{sleep, Instant};

const POLL_INTERVAL: Duration = Duration::from_millis(50);

pub struct Redis(BufStream<TcpStream>);

impl Redis {
    /// Tries until the server is there: in a test it may start at the same time.
    pub async fn connect(addr: &str, deadline: Instant) -> Result<Self> {
        loop {
            match TcpStream::connect(addr).await {
                Ok(stream) => return Ok(Redis(BufStream::new(stream))),
                Err(error) if Instant::now() >= deadline => return Err(error.into()),
                Err(_) => sleep(POLL_INTERVAL).await,
            }
        }
    }

    pub async fn publish(&mut self, key: &str, value: &str, as_list: bool) -> Result<()> {
        self.call(&["DEL", key]).await?;
        self.call(&[if as_list { "RPUSH" } else { "SET" }, key, value]).await?;
        Ok(())
    }

    /// Waits for the value, whether it is a string or the head of a list.
    pub async fn wait(&mut self, key: &str, deadline: Instant) -> Result<String> {
        while Instant::now() < deadline {
            let kind = self.call(&["TYPE", key]).await?;
            let get = match kind.first().map(String::as_str) {
                Some("string") => "GET",
                Some("list") => "LPOP",
                _ => {
                    sleep(POLL_INTERVAL).await;
                    continue;
                }
            };
            if let Some(value) = self.call(&[get, key]).await?.pop() {
                return Ok(value);
            }
        }
        Err(format!("nothing under the key {key:?} in time").into())
    }

    /// Waits as the older contract has it.
    pub async fn pop(&mut self, key: &str, deadline: Instant) -> Result<String> {
        let left = deadline.saturating_duration_since(Instant::now()).as_secs().max(1);
        let reply = self.call(&["BLPOP", key, &left.to_string()]).await?;
        Ok(reply.into_iter().nth(1).ok_or(format!("nothing under the key {key:?} in time"))?)
    }

    /// Runs a command; what it answers, flattened, nulls left out.
    async fn call(&mut self, words: &[&str]) -> Result<Vec<String>> {
        let mut request = format!("*{}\r\n", words.len());
        for word in words {
            request += &format!("${}\r\n{word}\r\n", word.len());
        }
        self.0.write_all(request.as_bytes()).await?;
        self.0.flush().await?;
        let (mut values, mut left) = (Vec::new(), 1i64);
        while left > 0 {
            left -= 1;
            let mut line = String::new();
            self.0.read_line(&mut line).await?;
            let line = line.trim_end();
            let rest = line.get(1..).ok_or("redis closed the connection")?;
            match line.as_bytes()[0] {
                b'+' | b':' => values.push(rest.to_string()),
                b'$' => values.extend(self.bulk(rest.parse()?).await?),
                b'*' => left += rest.parse::<i64>()?.max(0),
                _ => return Err(format!("redis: {rest}").into()),
            }
        }
        Ok(values)
    }

    async fn bulk(&mut self, size: i64) -> Result<Option<String>> {
        let Ok(size) = usize::try_from(size) else { return Ok(None) };
        let mut bytes = vec![0; size + 2];
        self.0.read_exact(&mut bytes).await?;
        bytes.truncate(size);
        Ok(Some(String::from_utf8(bytes)?))
    }
}
