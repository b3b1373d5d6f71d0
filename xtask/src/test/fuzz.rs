//! The fuzzers: in a long run each of them looks for something new, otherwise what they have found is replayed.

use crate::proc::{self, Failure, find_program};
use std::fs;

/// How long each one looks.
const SECONDS: u32 = 30;

/// What is saved, once more.
pub(super) fn replay() -> Result<(), Failure> {
    proc::run(&mut proc::cargo(&["test", "--workspace", "--test", "replay"]))
}

/// All fuzzers, one after the other.
pub(super) fn search() -> Result<(), Failure> {
    if find_program("cargo-fuzz").is_none() {
        println!("the fuzzers need cargo-fuzz, which is not found: installing it");
        proc::run(&mut proc::cargo(&["install", "cargo-fuzz", "--version", "^0.13", "--locked"]))?;
    }
    let mut targets = Vec::new();
    for entry in fs::read_dir(proc::root().join("fuzz/fuzz_targets"))? {
        targets.extend(entry?.path().file_stem().and_then(|name| Some(name.to_str()?.to_owned())));
    }
    targets.sort();
    let time = format!("-max_total_time={SECONDS}");
    for target in &targets {
        // What is found goes to a folder of its own: only what is worth keeping is kept with the sources.
        let found = proc::target_dir().join("fuzz-corpus").join(target);
        fs::create_dir_all(&found)?;
        let found = found.to_str().ok_or("the target directory's path is no text")?;
        let saved = format!("fuzz/corpus/{target}");
        // Without a sanitizer it works with the stable compiler; there is no unsafe code of ours for one to look at.
        let run = ["fuzz", "run", "-s", "none", target, found, &saved, "--", &time, "-timeout=10"];
        proc::run(&mut proc::cargo(&run))?;
    }
    println!("{} fuzzers, {SECONDS} s each, found nothing", targets.len());
    Ok(())
}
