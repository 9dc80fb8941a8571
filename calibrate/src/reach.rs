//! How a command gets to a host: here, into a lab's namespaces, or over SSH.

use std::fmt::{self, Display};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use fluent_uri::Uri;
use fluent_uri::pct_enc::EStr;
use fluent_uri::pct_enc::encoder::Query;
use migsim_models::text::quoted;

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
    /// The host that a libvirt URI names: `qemu:///system` is here,
    /// `qemu+ssh://user@host/system?command=...&keyfile=...` is over SSH.
    ///
    /// # Errors
    /// It is no URI, names no host that can be one, or its transport carries no commands.
    pub fn from_uri(uri: &str) -> anyhow::Result<Reach> {
        let place = Place::parse(uri)?;
        // `qemu:///system` and `qemu+unix:///system` are this machine's.
        let local = ["", "unix", "ssh", "tcp", "tls", "libssh", "libssh2"]
            .contains(&place.transport.as_str());
        let host = match &place.host {
            None if local => return Ok(Reach::Here),
            None => bail!(
                "`{uri}`: where it leads is not said, and commands have to be run at the host as well"
            ),
            Some(host) => host,
        };
        if !["ssh", "libssh", "libssh2"].contains(&place.transport.as_str()) {
            bail!(
                "`{uri}`: libvirt answers there, but commands cannot be run at the host by it; it takes qemu+ssh://USER@HOST/system"
            );
        }
        let mut options = vec!["-oBatchMode=yes".to_owned()];
        options.extend(place.port.map(|port| format!("-p{port}")));
        let mut program = "ssh".to_owned();
        for (key, value) in &place.parameters {
            match key.as_str() {
                "command" => program.clone_from(value),
                "keyfile" => options.push(format!("-i{value}")),
                // Whoever does not want the host's key checked does not want it written down
                // either.
                "no_verify" if value == "1" => {
                    let unverified =
                        ["-oStrictHostKeyChecking=no", "-oUserKnownHostsFile=/dev/null"];
                    options.extend(unverified.map(str::to_owned));
                }
                _ => {}
            }
        }
        let target =
            place.user.as_ref().map_or_else(|| host.clone(), |user| format!("{user}@{host}"));
        Ok(Reach::Ssh { program, target, options })
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
                command
                    .args(["--target", &pid.to_string(), "--mount", "--net", "--uts", "--"])
                    .args(words);
                command
            }
            Reach::Ssh { program, target, options } => {
                let mut command = Command::new(program);
                let quoted: Vec<String> = words.iter().map(|word| shell_quoted(word)).collect();
                command.args(options).arg("--").arg(target).arg(quoted.join(" "));
                command
            }
        }
    }

    /// Runs a command at the host and returns what it printed.
    ///
    /// # Errors
    /// It cannot be started or fails; with what it said.
    pub fn run(&self, words: &[&str]) -> anyhow::Result<String> {
        self.run_with(words, &[])
    }

    /// The same, with something to read.
    ///
    /// # Errors
    /// As of [`Reach::run`].
    pub fn run_with(&self, words: &[&str], input: &[u8]) -> anyhow::Result<String> {
        let mut command = self.command(words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .with_context(|| format!("`{}` {self} did not start", words.join(" ")))?;
        // One that ends before it has read everything says why.
        let _ = child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(input));
        let output = child.wait_with_output()?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("`{}` {self} failed: {}", words.join(" "), said.trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Whether a program is there, and where.
    pub fn which(&self, program: &str) -> Option<String> {
        self.run(&["sh", "-c", "command -v -- \"$0\"", program])
            .ok()
            .map(|path| path.trim().to_owned())
    }

    /// Puts a file there.
    ///
    /// # Errors
    /// It cannot be written; its folder is not there.
    pub fn write_file(&self, path: &Path, content: &[u8]) -> anyhow::Result<()> {
        let place = path.display().to_string();
        // Its owner alone reads it.
        self.run_with(&["sh", "-c", "umask 077 && cat > \"$0\"", &place], content)
            .with_context(|| format!("{place} could not be written {self}"))?;
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

/// A libvirt URI, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// `ssh` of `qemu+ssh`; empty where the scheme has none.
    pub transport: String,
    /// Before the `@`.
    pub user: Option<String>,
    /// A name or an address, an IPv6 one without its brackets; `None`: this machine.
    pub host: Option<String>,
    /// After the host.
    pub port: Option<u16>,
    /// After the `?`, percent-encoding undone.
    pub parameters: Vec<(String, String)>,
}

impl Place {
    /// Takes a URI apart.
    ///
    /// # Errors
    /// It is no URI of libvirt's, or what it names as user or host is none, and might be taken for
    /// an option.
    pub fn parse(uri: &str) -> anyhow::Result<Place> {
        let whole = Uri::parse(uri).with_context(|| {
            format!(
                "`{}` is not a libvirt URI; it looks like qemu+ssh://USER@HOST/system",
                quoted(uri)
            )
        })?;
        let transport =
            whole.scheme().as_str().split_once('+').map_or("", |(_, transport)| transport);
        let named = |what: &str, text: &str| {
            let fine = |c: char| c.is_ascii_alphanumeric() || "._:-".contains(c);
            if !text.chars().all(fine) || text.starts_with(['-', '.']) {
                bail!(
                    "`{}`: `{}` is no {what}; it takes letters, digits, `.`, `_` and `-`",
                    quoted(uri),
                    quoted(text)
                );
            }
            Ok(text.to_owned())
        };
        let authority = whole.authority().filter(|authority| !authority.host().is_empty());
        let host = authority
            .map(|a| named("host", a.host().trim_start_matches('[').trim_end_matches(']')));
        let user = authority.and_then(|a| a.userinfo()).map(|user| named("user", user.as_str()));
        let port = authority.and_then(|a| a.port()).filter(|port| !port.is_empty());
        let port =
            port.map(|port| port.as_str().parse().with_context(|| format!("`{uri}`: port {port}")));
        let query = whole.query().map_or("", |query| query.as_str());
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        Ok(Place {
            transport: transport.to_owned(),
            user: user.transpose()?,
            host: host.transpose()?,
            port: port.transpose()?,
            parameters: pairs
                .map(|(key, value)| (key.to_owned(), percent_decoded(value)))
                .collect(),
        })
    }

    /// The value of a parameter.
    pub fn parameter(&self, key: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }
}

/// An address as URIs have it: an IPv6 one in brackets.
pub fn bracketed(address: &str) -> String {
    if address.contains(':') { format!("[{address}]") } else { address.to_owned() }
}

fn percent_decoded(text: &str) -> String {
    EStr::<Query>::new(text)
        .map_or_else(|| text.to_owned(), |text| text.decode().to_string_lossy().into_owned())
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
        let reach = Reach::from_uri(
            "qemu+ssh://root@b:2222/system?command=%2Fopt%2Fs&keyfile=/k&no_verify=1",
        )
        .unwrap();
        let Reach::Ssh { program, target, options } = &reach else { panic!("{reach:?}") };
        assert_eq!((program.as_str(), target.as_str()), ("/opt/s", "root@b"));
        assert_eq!(
            options.join(" "),
            "-oBatchMode=yes -p2222 -i/k -oStrictHostKeyChecking=no -oUserKnownHostsFile=/dev/null"
        );
        let reach = Reach::from_uri("qemu+ssh://root@[fd00::2]:22/system").unwrap();
        let Reach::Ssh { target, options, .. } = &reach else { panic!("{reach:?}") };
        assert_eq!(
            (target.as_str(), options.join(" ").as_str()),
            ("root@fd00::2", "-oBatchMode=yes -p22")
        );
        assert_eq!(Place::parse("qemu+tls://[::1]/system").unwrap().host.as_deref(), Some("::1"));
    }

    #[test]
    fn a_uri_that_is_none_or_carries_no_commands_is_refused() {
        for (uri, said) in [
            ("qemu+tcp://b/system", "qemu+ssh://"),
            ("qemu+tls://b/system", "qemu+ssh://"),
            ("qemu://b/system", "qemu+ssh://"),
            ("qemu+ext:///system?command=/x", "where it leads is not said"),
            ("b", "not a libvirt URI"),
            ("", "not a libvirt URI"),
            ("qemu+ssh://a b/system", "not a libvirt URI"),
            ("qemu+ssh://-oProxyCommand=id/system", "is no host"),
            ("qemu+ssh://-oProxyCommand%3Did/system", "is no host"),
            ("qemu+ssh://-l@b/system", "is no user"),
            ("qemu+ssh://$(id)/system", "is no host"),
            ("qemu+ssh://b;id/system", "is no host"),
            ("qemu+ssh://b:99999/system", "port"),
        ] {
            let error = format!("{:#}", Reach::from_uri(uri).unwrap_err());
            assert!(error.contains(said), "{uri}: {error}");
        }
    }

    #[test]
    fn words_survive_a_shell() {
        let reach = Reach::Ssh {
            program: "/bin/sh".to_owned(),
            target: "-c".to_owned(),
            options: Vec::new(),
        };
        // As a shell takes it: `sh -- -c WORDS` would not.
        let Reach::Ssh { program, .. } = &reach else { panic!() };
        let hostile = [
            "a b",
            "it's",
            "$HOME",
            "$(id)",
            "`id`",
            "a;b",
            "a|b&c",
            "\n",
            "\"",
            "\\",
            "*",
            "",
            "-n",
            "é\u{202e}",
        ];
        for word in hostile {
            let command = reach.command(&["printf", "%s", word]);
            let line = command.get_args().last().unwrap();
            let output = Command::new(program).arg("-c").arg(line).output().unwrap();
            assert_eq!(String::from_utf8_lossy(&output.stdout), word);
        }
    }

    #[test]
    fn a_command_that_fails_says_what_it_said() {
        let error = Reach::Here
            .run(&["sh", "-c", "echo no such luck >&2; exit 3"])
            .unwrap_err()
            .to_string();
        assert!(error.contains("no such luck"), "{error}");
    }
}
