//! The commands that README and docs print, run as they are printed: shared by the tests of both
//! programs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A command of a console block, with what is printed under it.
#[derive(Debug)]
pub(crate) struct Printed {
    /// Where it stands, from the workspace on: pages of two folders may have one name.
    file: String,
    /// As a shell takes it.
    pub(crate) command: String,
    /// What it is said to print; empty: nothing is said.
    pub(crate) output: Vec<String>,
}

/// The folder of the workspace, whichever package the test is of.
pub(crate) fn root() -> PathBuf {
    let mut above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    above.find(|folder| folder.join("Cargo.lock").exists()).unwrap().to_owned()
}

/// All commands of README and docs, but for the generated page, whose commands made it.
fn commands() -> Vec<Printed> {
    let mut files = vec![root().join("README.md")];
    for folder in ["docs", "docs/course"] {
        let pages = fs::read_dir(root().join(folder)).unwrap();
        files.extend(pages.map(|entry| entry.unwrap().path()));
    }
    files.retain(|file| {
        file.extension().is_some_and(|ending| ending == "md") && !file.ends_with("validation.md")
    });
    files.sort();
    let mut found = Vec::new();
    for file in files {
        let mut in_console = false;
        for line in fs::read_to_string(&file).unwrap().lines() {
            if line.trim_start().starts_with("```") {
                in_console = line.trim() == "```console";
            } else if let Some(command) = line
                .trim_start()
                .strip_prefix("$ ")
                .or_else(|| line.strip_prefix("# "))
                .filter(|_| in_console)
            {
                let file = file.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
                found.push(Printed { file, command: command.to_owned(), output: Vec::new() });
            } else if in_console && let Some(last) = found.last_mut() {
                last.output.extend((!line.trim().is_empty()).then(|| line.to_owned()));
            }
        }
    }
    found
}

/// A folder in which printed commands find what they name: a copy of what the repository has, and
/// somebody's files.
fn workshop() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let copy = |from: &str, to: &str| {
        let to = folder.path().join(to);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        let copied = Command::new("cp").arg("-r").arg(root().join(from)).arg(&to).status().unwrap();
        assert!(copied.success(), "{from}");
    };
    copy("scenarios", "scenarios");
    copy("docs/pictures", "docs/pictures");
    copy("tests/data", "tests/data");
    for campaign in ["kvm-lab", "paper", "fresh", "course"] {
        copy(
            &format!("calibrate/data/{campaign}/runs.csv"),
            &format!("calibrate/data/{campaign}/runs.csv"),
        );
    }
    let fresh = fs::read_to_string(root().join("calibrate/data/fresh/runs.csv")).unwrap();
    let few: String = fresh.lines().take(13).map(|line| line.to_owned() + "\n").collect();
    for file in ["runs.csv", "my-runs.csv", "many-runs.csv"] {
        fs::write(folder.path().join(file), &few).unwrap();
    }
    copy("models/src/profile/assumed.toml", "other-hosts.toml");
    folder
}

/// Runs those of the printed commands that `choose` returns, in the order of their page, for one's
/// file is the next one's input; returns how many there were.
pub(crate) fn run_each(program: &str, choose: impl Fn(Printed) -> Option<Printed>) -> usize {
    let workshop = workshop();
    let programs = Path::new(program).parent().unwrap();
    let chosen: Vec<Printed> = commands().into_iter().filter_map(choose).collect();
    chosen.iter().for_each(|one| run(one, programs, workshop.path()));
    chosen.len()
}

/// With `DOCUMENT=1`: writes into the page what a command says now, as many lines of it as stood
/// there.
fn rewrite(printed: &Printed, said: &str) {
    let page = root().join(&printed.file);
    let was = fs::read_to_string(&page).unwrap();
    let mut said = said.lines().filter(|line| !line.trim().is_empty());
    let mut under = false;
    let lines = was.lines().map(|line| {
        let prompt = line.strip_prefix("$ ").or_else(|| line.strip_prefix("# "));
        if prompt.is_some() || line.starts_with("```") {
            under = prompt == Some(printed.command.as_str());
            line
        } else if under && !line.trim().is_empty() {
            said.next().unwrap_or(line)
        } else {
            line
        }
    });
    let text: String = lines.map(|line| format!("{line}\n")).collect();
    fs::write(page, text).unwrap();
}

/// Runs a command as it is printed, with the programs of `folder` in the path; it has to answer,
/// and with what is printed under it.
fn run(printed: &Printed, programs: &Path, workshop: &Path) {
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap_or_default());
    let output = Command::new("bash")
        .args(["-o", "errexit", "-c", &printed.command])
        .env("PATH", path)
        .current_dir(workshop)
        .output()
        .unwrap();
    let (said, error) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let Printed { file, command, output: expected } = printed;
    // Of a fleet, that some guests do not arrive is an answer.
    let answered = output.status.success()
        || command.starts_with("migsim fleet") && output.status.code() == Some(1);
    assert!(answered, "{file}: {command}: {}\n{error}", output.status);
    if std::env::var_os("DOCUMENT").is_some() {
        rewrite(printed, &said);
        return;
    }
    let mut lines = said.lines();
    for line in expected {
        assert!(
            lines.any(|one| one.trim_end() == line.trim_end()),
            "{file}: {command} does not print\n{line}\nbut\n{said}"
        );
    }
}
