//! What a crowd has seen: latencies, those who came back, and what was wrong.

use super::super::Failure;
use super::pauses::Pauses;
use hdrhistogram::Histogram;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many violations are told in words; the rest is only counted.
const TOLD: usize = 20;

/// A part of a run, by which latencies are kept apart. One thread says which it is, others look.
#[derive(Debug, Clone, Default)]
pub(super) struct Phase(Arc<AtomicUsize>);

impl Phase {
    /// Nothing is measured.
    pub(super) const NONE: usize = 0;
    /// Before what is done to the crowd.
    pub(super) const BEFORE: usize = 1;
    /// While it goes on.
    pub(super) const DURING: usize = 2;
    /// Everybody is to stop.
    pub(super) const OVER: usize = 3;

    pub(super) fn set(&self, phase: usize) {
        self.0.store(phase, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Everything that was seen.
#[derive(Debug)]
pub(super) struct Tally {
    phase: Phase,
    before: Histogram<u64>,
    during: Histogram<u64>,
    pub(super) pauses: Pauses,
    /// When somebody last was in its room and up to date.
    pub(super) last_in_ns: u64,
    pub(super) views: u64,
    pub(super) recovered: u64,
    /// Connections of clients that did not read, ended by the server.
    pub(super) cut: u64,
    /// Connections of clients in their rooms that they did not end themselves.
    pub(super) disconnected: u64,
    /// Attempts to connect that came to nothing, and the last one in words.
    pub(super) failed: u64,
    pub(super) failure: String,
    /// Sessions or memberships that were not to be had again.
    pub(super) lost: u64,
    violations: u64,
    told: Vec<String>,
}

impl Tally {
    pub(super) fn new(phase: Phase) -> Result<Self, Failure> {
        let histogram = || Histogram::new_with_bounds(1, 600_000_000_000, 3);
        Ok(Self {
            phase,
            before: histogram()?,
            during: histogram()?,
            pauses: Pauses::new()?,
            last_in_ns: 0,
            views: 0,
            recovered: 0,
            cut: 0,
            disconnected: 0,
            failed: 0,
            failure: String::new(),
            lost: 0,
            violations: 0,
            told: Vec::new(),
        })
    }

    pub(super) fn measure(&mut self, latency_ns: u64) {
        match self.phase.get() {
            Phase::BEFORE => self.before.saturating_record(latency_ns),
            Phase::DURING => self.during.saturating_record(latency_ns),
            _ => {}
        }
    }

    pub(super) fn is_in(&mut self, now_ns: u64) {
        self.last_in_ns = now_ns;
    }

    pub(super) fn outcome(&mut self, number: u32, outcome: &str) {
        match outcome {
            "recovered" => self.recovered += 1,
            // Counted when it comes.
            "view" => {}
            _ => self.lost(number, outcome),
        }
    }

    pub(super) fn lost(&mut self, number: u32, why: &str) {
        self.lost += 1;
        self.violation(|| format!("client {number} has lost its session or its room: {why}"));
    }

    pub(super) fn failed(&mut self, why: &str) {
        self.failed += 1;
        why.clone_into(&mut self.failure);
    }

    pub(super) fn violation(&mut self, what: impl FnOnce() -> String) {
        self.violations += 1;
        if self.told.len() < TOLD {
            self.told.push(what());
        }
    }

    pub(super) fn violations(&self) -> (u64, Vec<String>) {
        (self.violations, self.told.clone())
    }

    pub(super) fn before(&self) -> &Histogram<u64> {
        &self.before
    }

    pub(super) fn during(&self) -> &Histogram<u64> {
        &self.during
    }
}
