//! How a command gets to a host: here, into a lab's namespaces, or over SSH.

use std::fmt::{self, Display};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

/// Where a host is, for running commands at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// This machine.
    Here,
    /// The namespaces of a process of this machine: a host of the lab.
    Namespaces {
        /// A process that lives in them.
        pid: i32,
    },
    /// A machine that SSH reaches.
    Ssh {
        /// The program, `ssh` or a wrapper of it.
        program: String,
        /// `user@host`.
        target: String,
        /// More arguments, as `-i KEY`.
        options: Vec<String>,
    },
}

impl Reach {
    /// The host that a libvirt URI names: `qemu:///system` is here, `qemu+ssh://user@host/system?command=...&keyfile=...` is over SSH.
    ///
    /// # Errors
    /// The transport says nothing about how commands get there.
    pub fn from_uri(uri: &str) -> anyhow::Result<Reach> {
        let (scheme, rest) = uri.split_once("://").with_context(|| format!("`{uri}` is not a libvirt URI"))?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.is_empty() {
            return Ok(Reach::Here);
        }
        if scheme != "qemu+ssh" && scheme != "qemu+libssh" && scheme != "qemu+libssh2" {
            bail!("`{uri}`: commands have to be run at the host as well; it takes qemu+ssh://USER@HOST/system");
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => (host, Some(port)),
            _ => (authority, None),
        };
        let mut options = vec!["-oBatchMode=yes".to_owned()];
        options.extend(port.map(|port| format!("-p{port}")));
        let mut program = "ssh".to_owned();
        for (key, value) in uri_parameters(path) {
            match key.as_str() {
                "command" => program = value,
                "keyfile" => options.push(format!("-i{value}")),
                "no_verify" if value == "1" => options.push("-oStrictHostKeyChecking=no".to_owned()),
                _ => {}
            }
        }
        Ok(Reach::Ssh { program, target: host.to_owned(), options })
    }

    /// A command at the host. Over SSH the words are quoted for the shell there.
    pub fn command(&self, words: &[&str]) -> Command {
        match self {
            Reach::Here => {
                let mut command = Command::new(words[0]);
                command.args(&words[1..]);
                command
            }
            Reach::Namespaces { pid } => {
                let mut command = Command::new("nsenter");
                command.args(["--target", &pid.to_string(), "--mount", "--net", "--uts", "--"]).args(words);
                command
            }
            Reach::Ssh { program, target, options } => {
                let mut command = Command::new(program);
                let quoted: Vec<String> = words.iter().map(|word| shell_quoted(word)).collect();
                command.args(options).arg(target).arg(quoted.join(" "));
                command
            }
        }
    }

    /// Runs a command at the host and returns what it printed.
    ///
    /// # Errors
    /// It cannot be started or fails; with what it said.
    pub fn run(&self, words: &[&str]) -> anyhow::Result<String> {
        let output = self
            .command(words)
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("`{}` {self} did not start", words.join(" ")))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("`{}` {self} failed: {}", words.join(" "), said.trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Whether a program is there, and where.
    pub fn which(&self, program: &str) -> Option<String> {
        self.run(&["sh", "-c", "command -v -- \"$0\"", program]).ok().map(|path| path.trim().to_owned())
    }

    /// Puts a file there.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write_file(&self, path: &Path, content: &[u8]) -> anyhow::Result<()> {
        use std::io::Write as _;
        let place = path.display().to_string();
        let mut child = self
            .command(&["sh", "-c", "mkdir -p \"$(dirname \"$0\")\" && cat > \"$0\"", &place])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("writing {place} {self}"))?;
        let written = child.stdin.take().map_or(Ok(()), |mut input| input.write_all(content));
        let output = child.wait_with_output()?;
        if !output.status.success() || written.is_err() {
            bail!("{place} could not be written {self}: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(())
    }
}

impl Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reach::Here => f.write_str("on this machine"),
            Reach::Namespaces { .. } => f.write_str("in the lab"),
            Reach::Ssh { target, .. } => write!(f, "at {target}"),
        }
    }
}

/// The parameters of a URI's path, `system?key=value&...`, with percent-encoding undone.
pub fn uri_parameters(path: &str) -> Vec<(String, String)> {
    let query = path.split_once('?').map_or("", |(_, query)| query);
    query.split('&').filter_map(|pair| pair.split_once('=')).map(|(k, v)| (k.to_owned(), percent_decoded(v))).collect()
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = (*first == b'%').then(|| tail.get(..2)).flatten();
        match code.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn shell_quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_says_how_commands_get_to_its_host() {
        assert_eq!(Reach::from_uri("qemu:///system").unwrap(), Reach::Here);
        let reach = Reach::from_uri("qemu+ssh://root@b:2222/system?command=%2Fopt%2Fs&keyfile=/k&no_verify=1").unwrap();
        let Reach::Ssh { program, target, options } = &reach else { panic!("{reach:?}") };
        assert_eq!((program.as_str(), target.as_str()), ("/opt/s", "root@b"));
        assert_eq!(options.join(" "), "-oBatchMode=yes -p2222 -i/k -oStrictHostKeyChecking=no");
        for refused in ["qemu+tcp://b/system", "b"] {
            assert!(Reach::from_uri(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn words_survive_a_shell() {
        let reach = Reach::Ssh { program: "/bin/sh".to_owned(), target: "-c".to_owned(), options: Vec::new() };
        assert_eq!(reach.run(&["printf", "%s|", "a b", "it's", "$HOME"]).unwrap(), "a b|it's|$HOME|");
    }

    #[test]
    fn a_command_that_fails_says_what_it_said() {
        let error = Reach::Here.run(&["sh", "-c", "echo no such luck >&2; exit 3"]).unwrap_err().to_string();
        assert!(error.contains("no such luck"), "{error}");
    }
}
