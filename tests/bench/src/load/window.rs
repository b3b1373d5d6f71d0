//! The measured window: what the server, the generator and the machine had used when it began, and when it ended.

use super::Failure;
use super::pacing::Plan;
use super::report::{ServerCost, thousandths};
use super::sample::{Sample, machine_seconds};

/// Beyond this share of a core the generator counts as full.
const FULL: f64 = 0.95;

/// The samples at both ends.
#[derive(Default)]
pub(super) struct Window {
    server: Option<String>,
    begun: Option<Moment>,
    ended: Option<Moment>,
}

struct Moment {
    at_ns: u64,
    /// Messages received or cycles played so far.
    done: u64,
    server: Option<Sample>,
    own: Sample,
    machine_seconds: f64,
}

/// What a window cost.
pub(super) struct Cost {
    /// Messages received or cycles played.
    pub(super) done: u64,
    pub(super) done_per_s: f64,
    pub(super) server: Option<ServerCost>,
    pub(super) client_cpu_s: f64,
    pub(super) others_cpu_s: f64,
    pub(super) generator_full: bool,
}

impl Window {
    pub(super) fn new(server_pid: Option<u32>) -> Self {
        Self { server: server_pid.map(|pid| pid.to_string()), ..Self::default() }
    }

    /// Takes the samples when the window begins and ends.
    pub(super) fn mark(&mut self, plan: &Plan, now: u64, done: u64) -> Result<(), Failure> {
        let due = match (&self.begun, &self.ended) {
            (None, _) => now >= plan.warmup_ns,
            (_, None) => now >= plan.end_ns(),
            _ => false,
        };
        if !due {
            return Ok(());
        }
        let server = self.server.as_deref().map(Sample::take).transpose()?;
        let own = Sample::take("self")?;
        let moment = Some(Moment { at_ns: now, done, server, own, machine_seconds: machine_seconds()? });
        if self.begun.is_none() {
            self.begun = moment;
        } else {
            self.ended = moment;
        }
        Ok(())
    }

    /// When a sample is due, if one still is.
    pub(super) fn next_due(&self, plan: &Plan) -> Option<u64> {
        match (&self.begun, &self.ended) {
            (None, _) => Some(plan.warmup_ns),
            (_, None) => Some(plan.end_ns()),
            _ => None,
        }
    }

    /// Whether it is past.
    pub(super) fn is_over(&self) -> bool {
        self.ended.is_some()
    }

    /// What it cost, when each of what was done came to so many deliveries.
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    pub(super) fn cost(&self, deliveries_each: u64) -> Result<Cost, Failure> {
        let (begun, ended) = self.begun.as_ref().zip(self.ended.as_ref()).ok_or("the window was not measured")?;
        let done = ended.done - begun.done;
        let seconds = (ended.at_ns - begun.at_ns) as f64 / 1e9;
        let server = begun.server.zip(ended.server);
        let server = server.map(|(before, after)| ServerCost::between(before, after, done * deliveries_each));
        let own = ended.own.cpu_seconds() - begun.own.cpu_seconds();
        let ours = own + server.map_or(0.0, |server| server.cpu_s);
        let machine = ended.machine_seconds - begun.machine_seconds;
        Ok(Cost {
            done,
            done_per_s: thousandths(done as f64 / seconds),
            server,
            client_cpu_s: thousandths(own),
            others_cpu_s: thousandths((machine - ours).max(0.0)),
            generator_full: own >= FULL * seconds,
        })
    }
}
