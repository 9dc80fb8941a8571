//! Small work done at a host by an embedded Python program: Python is on every Linux server, the
//! tool itself is not.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::Value;

use crate::reach::Reach;

pub(crate) const PROGRAM: &str = include_str!("helper.py");

/// How long a helper may take to put back what it has changed, where nothing else is said.
const PUTS_BACK: Duration = Duration::from_secs(60);

/// A helper at work. Dropped, it is told to end, and given the time to put back what it has changed
/// of a guest.
#[derive(Debug)]
pub struct Helper {
    child: Child,
    /// The helper ends when this does.
    input: Option<ChildStdin>,
    lines: Receiver<Value>,
    puts_back: Duration,
}

/// The guest writes too little for a migration that does not end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TooQuiet(String);

impl Helper {
    /// Starts the helper's `what` at a host.
    ///
    /// # Errors
    /// It cannot be started: Python 3 is missing there, or the host is out of reach.
    pub fn start(reach: &Reach, what: &[&str]) -> anyhow::Result<Helper> {
        Helper::start_with(reach, what, "")
    }

    /// The same, with a secret of one line that a helper at the other host knows as well.
    ///
    /// # Errors
    /// See [`Helper::start`].
    pub fn start_with(reach: &Reach, what: &[&str], secret: &str) -> anyhow::Result<Helper> {
        let words = [&["python3", "-c", PROGRAM], what].concat();
        let mut child = reach
            .command(&words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // Ctrl-C is for the tool, whose end the helper hears of.
            .process_group(0)
            .spawn()
            .with_context(|| {
                format!("python3 {reach} did not start; install it with `apt-get install python3`")
            })?;
        if let Some(input) = &mut child.stdin {
            // If it has ended already, the first answer says so.
            let _ = input.write_all(format!("{secret}\n").as_bytes());
        }
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
        Ok(Helper { input: child.stdin.take(), child, lines, puts_back: PUTS_BACK })
    }

    /// Gives it this long to put back what it has changed when it is dropped.
    #[must_use]
    pub fn patiently(mut self, puts_back: Duration) -> Helper {
        self.puts_back = puts_back;
        self
    }

    /// What it says next, if it says anything within `patience`.
    ///
    /// # Errors
    /// It reports an error, or has ended.
    pub fn next(&self, patience: Duration) -> anyhow::Result<Option<Value>> {
        match self.lines.recv_timeout(patience) {
            Ok(value) => match value.get("error") {
                Some(error) => {
                    let words = error.as_str().unwrap_or("an error without words");
                    let quiet = value.get("quiet").and_then(Value::as_bool) == Some(true);
                    if quiet { Err(TooQuiet(words.to_owned()).into()) } else { bail!("{words}") }
                }
                None => Ok(Some(value)),
            },
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => {
                bail!("the helper at the host ended; was it killed, or is the host out of reach?")
            }
        }
    }

    /// The value of `key` in what it says next.
    ///
    /// # Errors
    /// It says something else, reports an error, or nothing within `patience`.
    pub fn expect(&self, key: &str, patience: Duration) -> anyhow::Result<Value> {
        match self.next(patience)? {
            Some(mut value) => value
                .get_mut(key)
                .map(Value::take)
                .with_context(|| format!("expected `{key}`, got {value}")),
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
        let told = Instant::now();
        while told.elapsed() < self.puts_back && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(5));
        }
        // By its own handle: no other process can be hit.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A secret for two helpers, and no others: 32 bytes of the kernel's.
///
/// # Errors
/// This machine has no /dev/urandom.
pub fn secret() -> anyhow::Result<String> {
    let mut bytes = [0; 32];
    File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .context("/dev/urandom")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// What was found of measurements that were killed at a host.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Undone {
    /// Guests that are as they were before, and what was being done to them.
    pub put_back: Vec<(String, String)>,
    /// Guests that are not, and why.
    pub stands: Vec<(String, String)>,
}

/// Puts back at a host what measurements that were killed have left changed: guests that stand
/// still, their parameters, their files.
///
/// # Errors
/// Python is missing there, or the host is out of reach.
pub fn undo(reach: &Reach) -> anyhow::Result<Undone> {
    let helper = Helper::start(reach, &["undo"])?;
    let mut undone = Undone::default();
    loop {
        let said = helper
            .next(10 * PUTS_BACK)?
            .context("it is not known whether a measurement has left anything changed")?;
        let word = |key: &str| said.get(key).and_then(Value::as_str).unwrap_or("").to_owned();
        if said.get("stands").is_some() {
            undone.stands.push((word("stands"), word("why")));
        } else if said.get("put_back").is_some() {
            undone.put_back.push((word("put_back"), word("what")));
        } else if said.get("over").is_some() {
            return Ok(undone);
        } else {
            bail!("the helper said `{said}`");
        }
    }
}

/// What lies between two hosts, measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LinkMeasure {
    /// Median round-trip time over TCP, µs: of the probe that carried most.
    pub rtt_us: f64,
    /// Payload that one TCP connection carries, bit/s: the most that a probe saw. Whatever else
    /// the hosts do makes it less, nothing makes it more.
    pub goodput_bit_s: f64,
    /// How far the probes lie apart, bit/s.
    pub spread_bit_s: f64,
}

/// Measures round trip and capacity from `from` to `to`, whose address is `address`, so many times
/// for about `seconds`.
///
/// # Errors
/// The hosts do not reach each other, or Python is missing at one of them.
pub fn measure_link(
    from: &Reach,
    to: &Reach,
    address: &str,
    probes: usize,
    seconds: f64,
) -> anyhow::Result<LinkMeasure> {
    let mut best: Option<LinkMeasure> = None;
    let mut least = f64::INFINITY;
    for _ in 0..probes.max(1) {
        let found = probe(from, to, address, seconds)?;
        least = least.min(found.goodput_bit_s);
        if best.is_none_or(|best| best.goodput_bit_s < found.goodput_bit_s) {
            best = Some(found);
        }
    }
    let best = best.context("the link was not probed")?;
    Ok(LinkMeasure { spread_bit_s: best.goodput_bit_s - least, ..best })
}

fn probe(from: &Reach, to: &Reach, address: &str, seconds: f64) -> anyhow::Result<LinkMeasure> {
    let patience = Duration::from_secs(30);
    let secret = secret()?;
    let server = Helper::start_with(to, &["echo", address], &secret)?;
    let port = server.expect("port", patience).context("measuring the link, at the destination")?;
    let client = Helper::start_with(
        from,
        &["probe", address, &port.to_string(), &seconds.to_string()],
        &secret,
    )?;
    let number = |value: Value| value.as_f64().context("the helper said no number");
    let rtt_us =
        number(client.expect("rtt_us", patience).context("measuring the link, at the source")?)?;
    let rate = server
        .expect("bytes_per_s", patience + Duration::from_secs_f64(seconds))
        .context("measuring the link's capacity")?;
    Ok(LinkMeasure { rtt_us, goodput_bit_s: number(rate)? * 8.0, spread_bit_s: 0.0 })
}
