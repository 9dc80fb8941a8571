//! Small work done at a host by an embedded Python program: Python is on every Linux server, the tool itself is not.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;

use crate::reach::Reach;

pub(crate) const PROGRAM: &str = include_str!("helper.py");

/// A helper at work. Dropped, it is told to end.
#[derive(Debug)]
pub struct Helper {
    child: Child,
    /// The helper ends when this does.
    input: Option<ChildStdin>,
    lines: Receiver<Value>,
}

impl Helper {
    /// Starts the helper's `what` at a host.
    ///
    /// # Errors
    /// It cannot be started: Python 3 is missing there, or the host is out of reach.
    pub fn start(reach: &Reach, what: &[&str]) -> anyhow::Result<Helper> {
        let words = [&["python3", "-c", PROGRAM], what].concat();
        let mut child = reach
            .command(&words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("python3 {reach} did not start; install it with `apt-get install python3`"))?;
        let output = child.stdout.take().context("the helper has no output")?;
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let value = serde_json::from_str(&line).unwrap_or(Value::Null);
                if sender.send(value).is_err() {
                    break;
                }
            }
        });
        Ok(Helper { input: child.stdin.take(), child, lines })
    }

    /// What it says next, if it says anything within `patience`.
    ///
    /// # Errors
    /// It reports an error, or has ended.
    pub fn next(&self, patience: Duration) -> anyhow::Result<Option<Value>> {
        match self.lines.recv_timeout(patience) {
            Ok(value) => match value.get("error") {
                Some(error) => bail!("{}", error.as_str().unwrap_or("an error without words")),
                None => Ok(Some(value)),
            },
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => bail!("the helper ended; is python3 there, and the host in reach?"),
        }
    }

    /// The value of `key` in what it says next.
    ///
    /// # Errors
    /// It says something else, reports an error, or nothing within `patience`.
    pub fn expect(&self, key: &str, patience: Duration) -> anyhow::Result<Value> {
        match self.next(patience)? {
            Some(mut value) => {
                value.get_mut(key).map(Value::take).with_context(|| format!("expected `{key}`, got {value}"))
            }
            None => bail!("no answer within {} s", patience.as_secs()),
        }
    }

    /// All that it has said and nobody has read, without waiting.
    pub fn drain(&self) -> Vec<Value> {
        self.lines.try_iter().collect()
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        self.input = None;
        // By its own handle: no other process can be hit.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What lies between two hosts, measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LinkMeasure {
    /// Median round-trip time over TCP, µs.
    pub rtt_us: f64,
    /// Payload that one TCP connection carries, bit/s.
    pub goodput_bit_s: f64,
}

/// Measures round trip and capacity from `from` to `to`, whose address is `address`, for about `seconds`.
///
/// # Errors
/// The hosts do not reach each other, or Python is missing at one of them.
pub fn measure_link(from: &Reach, to: &Reach, address: &str, seconds: f64) -> anyhow::Result<LinkMeasure> {
    let patience = Duration::from_secs(30);
    let server = Helper::start(to, &["echo", address])?;
    let port = server.expect("port", patience).context("measuring the link, at the destination")?;
    let client = Helper::start(from, &["probe", address, &port.to_string(), &seconds.to_string()])?;
    let rtt = client.expect("rtt_us", patience).context("measuring the link, at the source")?;
    let rate = server
        .expect("bytes_per_s", patience + Duration::from_secs_f64(seconds))
        .context("measuring the link's capacity")?;
    Ok(LinkMeasure { rtt_us: rtt.as_f64().unwrap_or(f64::NAN), goodput_bit_s: rate.as_f64().unwrap_or(f64::NAN) * 8.0 })
}
