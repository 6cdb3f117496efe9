//! The contract's line protocol: JSON objects out on stdout, commands in on stdin.

use crate::Result;
use serde_json::{json, Value};
use std::io::Write;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::sync::mpsc;

/// Writes one line; the lock keeps lines of concurrent tasks whole.
pub fn emit(line: Value) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
        std::process::exit(0); // The reader is gone, so nobody is left to serve.
    }
}

/// Answers the command `id` with the members of an object, or with the error.
pub fn answer(id: &Value, result: Result<Value>) {
    let mut line = match result {
        Ok(Value::Object(members)) => Value::Object(members),
        Ok(_) => json!({}),
        Err(ref error) => json!({"error": error.to_string()}),
    };
    let failed = line.get("error").is_some();
    line["ok"] = json!(!failed);
    line["event"] = json!("result");
    line["id"] = id.clone();
    emit(line);
}

/// One command; a member that is missing or of the wrong type is an error that names it.
pub struct Command(Value);

impl Command {
    pub fn id(&self) -> &Value {
        &self.0["id"]
    }

    pub fn name(&self) -> &str {
        self.0["cmd"].as_str().unwrap_or("")
    }

    pub fn text(&self, member: &str) -> Result<&str> {
        let value = self.0[member].as_str();
        Ok(value.ok_or(format!("{:?} needs a text {member:?}", self.name()))?)
    }

    pub fn number(&self, member: &str) -> Result<u64> {
        let value = self.0[member].as_u64();
        Ok(value.ok_or(format!("{:?} needs a number {member:?}", self.name()))?)
    }

    pub fn number_or(&self, member: &str, default: u64) -> u64 {
        self.0[member].as_u64().unwrap_or(default)
    }

    pub fn flag(&self, member: &str) -> bool {
        self.0[member].as_bool().unwrap_or(false)
    }
}

/// Yields the commands of stdin; the channel closes at quit and at the end of stdin.
pub fn commands() -> mpsc::Receiver<Command> {
    let (send, receive) = mpsc::channel(64);
    tokio::spawn(async move {
        let mut lines = BufReader::new(tokio::io::stdin()).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            match serde_json::from_str(&line) {
                Ok(value) => {
                    let command = Command(value);
                    if command.name() == "quit" || send.send(command).await.is_err() {
                        return;
                    }
                }
                Err(error) => answer(&Value::Null, Err(error.into())),
            }
        }
    });
    receive
}
