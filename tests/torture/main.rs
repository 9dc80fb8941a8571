//! Random questions by the million, with nothing narrowed: `cargo run --profile torture -p migsim
//! --example torture -- --seed 1 --questions 1000000 --fleets 10000`. Prints what is wrong with an
//! answer, and the question; goes on where `--state FILE` says that it stopped. An answer that
//! takes longer than a minute ends it: that is a fault too.
//!
//! `--show N` asks one question alone, and prints it.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program for whoever works on this one: what it cannot do ends it"
)]

mod fleets;
mod questions;
mod unfit;

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use migsim_models::profile::Profile;
use rayon::prelude::*;

/// Random questions by the million.
#[derive(Debug, Parser)]
struct Arguments {
    /// Other questions for another seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// So many questions
    #[arg(long, default_value_t = 1_000_000)]
    questions: u64,
    /// So many fleets
    #[arg(long, default_value_t = 10_000)]
    fleets: u64,
    /// Every so many-th question is asked thoroughly: how sure, what would help, in every format
    #[arg(long, default_value_t = 20)]
    thorough: u64,
    /// Where it is written down how far it has come, and read where to go on
    #[arg(long)]
    state: Option<PathBuf>,
    /// Ask this question alone
    #[arg(long)]
    show: Option<u64>,
    /// Print the first so many questions that can be, as JSON Lines, and answer none
    #[arg(long)]
    print: Option<u64>,
}

/// Work that is made between two notes of how far it has come.
const BATCH: u64 = 10_000;
/// An answer that takes longer will not come.
const HANGS: Duration = Duration::from_secs(60);

/// What is under way on each thread.
static UNDER_WAY: Mutex<Vec<(std::thread::ThreadId, String, Instant)>> = Mutex::new(Vec::new());

fn watched<T>(what: String, work: impl FnOnce() -> T) -> T {
    let me = std::thread::current().id();
    UNDER_WAY.lock().unwrap().push((me, what, Instant::now()));
    let done = work();
    UNDER_WAY.lock().unwrap().retain(|(id, ..)| *id != me);
    done
}

fn main() {
    let arguments = Arguments::parse();
    if let Some(count) = arguments.print {
        let profiles = questions::Profiles::new();
        let questions =
            (0..).filter_map(|index| questions::question(&profiles, arguments.seed, index).ok());
        for question in questions.take(count as usize) {
            println!("{}", serde_json::to_string(&question.keys).unwrap());
        }
        return;
    }
    let Arguments { seed, questions, fleets, thorough, .. } = arguments;
    let profiles = questions::Profiles::new();
    if let Some(index) = arguments.show {
        match questions::question(&profiles, seed, index) {
            Ok(mut question) => {
                println!("{:#?}\n{}", question.case, question.case.guest.workload);
                let (began, outcome) = (Instant::now(), question.answer());
                println!(
                    "{:?} after {} passes, {:?} of work, effort {}",
                    outcome.ending,
                    outcome.iteration_count,
                    began.elapsed(),
                    outcome.effort
                );
                println!("{:?}", questions::faults(&mut question, true));
            }
            Err(why) => println!("refused: {why}"),
        }
        println!(
            "{}\n{:?}",
            fleets::file(seed, index),
            fleets::faults(&Profile::default(), seed, index)
        );
        return;
    }
    std::thread::spawn(|| {
        loop {
            std::thread::sleep(Duration::from_secs(1));
            for (_, what, began) in UNDER_WAY.lock().unwrap().iter() {
                if began.elapsed() > HANGS {
                    println!("HANGS {what}");
                    std::process::exit(3);
                }
            }
        }
    });
    let state = arguments
        .state
        .as_ref()
        .and_then(|file| std::fs::read_to_string(file).ok())
        .unwrap_or_default();
    let mut words = state.split_whitespace().filter_map(|word| word.parse::<u64>().ok());
    let [known, first, first_fleet, before] = [0; 4].map(|_| words.next().unwrap_or(0));
    let same = known == seed;
    let mut next = if same { [first, first_fleet] } else { [0, 0] };
    let (wrong, refused) = (AtomicU64::new(if same { before } else { 0 }), AtomicU64::new(0));
    let began = Instant::now();
    let panicked = AtomicBool::new(false);
    let note = |next: [u64; 2]| {
        if let Some(file) = &arguments.state {
            let text =
                format!("{seed} {} {} {}\n", next[0], next[1], wrong.load(Ordering::Relaxed));
            std::fs::write(file, text).unwrap();
        }
    };
    let tell = |what: &str, index: u64, faults: Vec<String>| {
        for fault in faults {
            wrong.fetch_add(1, Ordering::Relaxed);
            println!("{what} {index}: {fault}");
        }
    };
    while next[0] < questions {
        let end = (next[0] + BATCH).min(questions);
        (next[0]..end).into_par_iter().for_each(|index| {
            let asked = std::panic::catch_unwind(|| {
                watched(format!("question {index}"), || {
                    match questions::question(&profiles, seed, index) {
                        Ok(mut question) => questions::faults(&mut question, index % thorough == 0),
                        Err(_) => {
                            refused.fetch_add(1, Ordering::Relaxed);
                            Vec::new()
                        }
                    }
                })
            });
            match asked {
                Ok(faults) => tell("question", index, faults),
                Err(_) => {
                    panicked.store(true, Ordering::Relaxed);
                    tell("question", index, vec!["PANIC".to_owned()]);
                }
            }
        });
        next[0] = end;
        note(next);
        println!(
            "{end} questions, {} refused, {} faults, {:.0} s",
            refused.load(Ordering::Relaxed),
            wrong.load(Ordering::Relaxed),
            began.elapsed().as_secs_f64()
        );
    }
    let profile = Profile::default();
    let moved = AtomicU64::new(0);
    while next[1] < fleets {
        let end = (next[1] + BATCH / 10).min(fleets);
        (next[1]..end).into_par_iter().for_each(|index| {
            let asked = std::panic::catch_unwind(|| {
                watched(format!("fleet {index}"), || fleets::faults(&profile, seed, index))
            });
            match asked {
                Ok(Some(faults)) => {
                    moved.fetch_add(1, Ordering::Relaxed);
                    tell("fleet", index, faults);
                }
                Ok(None) => {}
                Err(_) => tell("fleet", index, vec!["PANIC".to_owned()]),
            }
        });
        next[1] = end;
        note(next);
        println!(
            "{end} fleets, {} of them moved, {} faults",
            moved.load(Ordering::Relaxed),
            wrong.load(Ordering::Relaxed)
        );
    }
    if wrong.load(Ordering::Relaxed) > 0 || panicked.load(Ordering::Relaxed) {
        std::process::exit(1);
    }
}
