//! The answers of the module's own code on this machine: questions on standard input, one a line.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a program for a test")]

fn main() {
    for question in std::io::stdin().lines() {
        println!("{}", migsim_ask::answer(&question.unwrap()));
    }
}
