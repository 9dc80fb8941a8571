//! Answers as a page: the explorer with a question, a fleet or runs in it.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use migsim::answer::sweep::Range;
use migsim::fleet::shape::{Findings, WhatIf};
use migsim::fleet::{Changes, parse_beside};
use migsim::input::{InputError, Keys, Mistakes, Scenario, read_file};
use migsim::record::observations;
pub use migsim_explore::Page;
use migsim_explore::{Held, Made, View};
use migsim_models::profile::Manager;
use serde_json::{Value, json};

use crate::fleet::modes;
use crate::program;

/// How a page came about: by this program, now.
pub fn made(seed: Option<u64>, profile: &str, assumed: Option<&str>) -> Made {
    Made {
        seed,
        profile: Some(profile.to_owned()),
        assumed: assumed.map(str::to_owned),
        ..program::made()
    }
}

/// A page about hosts of that profile, a file's or a shipped one's, run by whoever is named.
///
/// # Errors
/// The file cannot be read.
pub fn about(profile: Option<&Path>, manager: Option<Manager>) -> Result<Page, InputError> {
    let mut page = Page::default();
    match profile {
        Some(file) if file.exists() => page.profile = Some(read_file(file)?),
        Some(name) => {
            page.own.insert("profile", name.display().to_string());
        }
        None => {}
    }
    page.own.extend(manager.map(|manager| ("manager", manager.to_string())));
    Ok(page)
}

/// Adds questions.
pub fn ask<'a>(page: &mut Page, all: impl Iterator<Item = &'a Keys>) {
    page.settings = all.map(Keys::flat).collect();
    page.view = Some(if page.settings.len() > 1 { View::Compare } else { View::Time });
}

/// Adds what is varied: one range as lines, two as a map.
pub fn vary(page: &mut Page, ranges: &[Range], said: &[String]) {
    page.view = Some(View::Border);
    for (axis, text) in ["x", "y"].into_iter().zip(said) {
        page.own.insert(axis, text.clone());
    }
    if ranges.len() == 1 {
        page.own.insert("y", "none".to_owned());
    }
}

/// Adds a fleet's file with the tables that it names.
///
/// # Errors
/// Everything that is wrong with them.
pub fn hold_fleet(page: &mut Page, file: &Path) -> Result<(), Mistakes> {
    let text = read_file(file)?;
    let tables: RefCell<Vec<PathBuf>> = RefCell::default();
    let open = |file: &Path| -> std::io::Result<Box<dyn std::io::Read>> {
        tables.borrow_mut().push(file.to_owned());
        Ok(Box::new(std::fs::File::open(file)?))
    };
    parse_beside(file, &text, &Changes::default(), &open)?;
    page.files.push(Held { name: name(file), text });
    for table in tables.into_inner() {
        page.files.push(Held { name: name(&table), text: read_file(&table)? });
    }
    page.view = Some(View::Fleet);
    Ok(())
}

/// Adds what came of the fleet, and to how the page came about how its guests were moved.
pub fn found(page: &mut Page, findings: &Findings) {
    let makespans: Option<Vec<_>> = findings.likely.map(|likely| likely.makespans_s().collect());
    page.result = Some(json!({
        "answer": findings.answer(),
        "use": findings.used(),
        "makespans_s": makespans,
    }));
    if let Some(made) = &mut page.made {
        made.migrations = Some(modes(findings));
    }
}

/// Adds a fleet as it is and with changes; as it is, the page moves it again.
pub fn compared_ways(page: &mut Page, found: &[WhatIf]) {
    page.result = Some(json!({ "what_ifs": found }));
}

/// Adds a file of run records.
///
/// # Errors
/// It cannot be read, or has no rows.
pub fn hold_records(page: &mut Page, file: &Path) -> Result<(), Mistakes> {
    let text = read_file(file)?;
    observations(&file.display().to_string(), text.as_bytes())?;
    page.files.push(Held { name: name(file), text });
    page.view = Some(View::Models);
    Ok(())
}

/// Adds runs that were compared with what was predicted of them, as the page shows them.
pub fn compared(page: &mut Page, result: Value) {
    page.result = Some(result);
    page.view = Some(View::Models);
}

/// Adds a scenario.
///
/// # Errors
/// Everything that is wrong with it.
pub fn hold_scenario(page: &mut Page, scenario: &Scenario) -> Result<(), Mistakes> {
    scenario.cases()?;
    ask(page, scenario.keys());
    Ok(())
}

fn name(file: &Path) -> String {
    file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned()
}
