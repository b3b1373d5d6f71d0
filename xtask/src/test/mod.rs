//! `cargo xtask test`: everything that must hold before a change is taken, in named steps.
//!
//! A failing step does not stop the others; only what cannot be installed does.

mod autobahn;
mod fuzz;
mod install;
mod steps;

use crate::proc::Failure;
use clap::Args;
use std::time::{Duration, Instant};
use steps::{Setting, Step};

#[derive(Args)]
pub(crate) struct Options {
    /// Also run what takes minutes.
    #[arg(long)]
    long: bool,
    /// Run only this step; may be given more than once.
    #[arg(long, value_enum, value_name = "STEP")]
    only: Vec<Step>,
}

struct Outcome {
    step: Step,
    took: Duration,
    error: Option<String>,
}

/// Whether every step passed.
pub(crate) fn run(options: &Options) -> Result<bool, Failure> {
    let chosen = |step: &Step| match options.only.is_empty() {
        true => options.long || !step.is_long(),
        false => options.only.contains(step),
    };
    let steps: Vec<_> = Step::ALL.into_iter().filter(chosen).collect();
    let setting = Setting { long: options.long, chromium: install::prepare(&steps)? };
    let outcomes: Vec<_> = steps.into_iter().map(|step| run_step(step, &setting)).collect();
    Ok(tell(&outcomes))
}

fn run_step(step: Step, setting: &Setting) -> Outcome {
    println!("\n=== {}: {}", step.name(), step.meaning());
    let start = Instant::now();
    let error = step.run(setting).err().map(|error| error.to_string());
    let took = start.elapsed();
    match &error {
        None => println!("=== {}: passed in {:.1} s", step.name(), took.as_secs_f64()),
        Some(error) => println!("=== {}: FAILED in {:.1} s: {error}", step.name(), took.as_secs_f64()),
    }
    Outcome { step, took, error }
}

/// The table of all steps and the count; whether none failed.
fn tell(outcomes: &[Outcome]) -> bool {
    println!("\n{:<12} {:>9}  result", "step", "seconds");
    for Outcome { step, took, error } in outcomes {
        let result = error.as_ref().map_or("passed".to_owned(), |error| format!("FAILED: {error}"));
        println!("{:<12} {:>9.1}  {result}", step.name(), took.as_secs_f64());
    }
    let failed = outcomes.iter().filter(|outcome| outcome.error.is_some()).count();
    println!("{} passed, {failed} failed", outcomes.len() - failed);
    failed == 0
}
