//! Moves a room to another version of its kind, between two inputs.
//!
//! The handler in the present version stays where it is until the one in the other has said that it can go on from the state. So a move that
//! fails has changed nothing, and what was handled before a move is never handled again by another version.

use std::future::poll_fn;
use std::sync::Arc;

use parlor_protocol::{ErrorCode, Failure, Seq};
use tracing::info;

use super::{Keeper, Setback, Upset, check_size, worse};
use crate::host::{Begin, Gone, Host, Owing, SavedState, Unsaved};
use crate::room::journal::Journal;
use crate::room::kind::Kind;

/// How often a move is tried while processes end over it.
pub(super) const TRIES: u32 = 3;

impl Keeper {
    /// Has the handler go on in another version. Outside work that is pending is lost then, and told to be.
    ///
    /// # Errors
    /// Why everything is as it was.
    pub(in crate::room) async fn move_to(
        &mut self,
        to: &Arc<Kind>,
        now_us: u64,
    ) -> (Result<(), Failure>, Option<Upset>) {
        let (mut moved, mut upset) = (Err(nobody(to)), None);
        for _ in 0..TRIES {
            if to.maker().workers() == Some(0) {
                break;
            }
            // Where nobody is left who could make the handler anew, its state may do as it was saved.
            if self.kind.maker().workers() != Some(0) {
                upset = worse(upset, self.ready().await);
            }
            if let Some(Upset::Fail(failure)) = &upset {
                moved = Err((**failure).clone());
                break;
            }
            match self.try_move(to).await {
                Ok((host, state)) => {
                    self.settle(host, to, state, now_us);
                    moved = Ok(());
                    break;
                }
                Err(Setback::Failed(why)) => {
                    moved = Err(why);
                    break;
                }
                Err(Setback::Lost(_)) => info!(room = %self.room, to = %to.version, "a process was lost in a move"),
            }
        }
        (moved, upset)
    }

    /// A handler in the other version, and the state from which it goes on.
    async fn try_move(&mut self, to: &Arc<Kind>) -> Result<(Box<dyn Host>, SavedState), Setback> {
        let state = self.state_for(&to.version).await?;
        let state = check_size(state, to.policy.max_snapshot_bytes).map_err(Setback::Failed)?;
        let behind = self.journal.as_ref().map_or(Seq(0), Journal::last);
        match to.maker().make(&self.room, Begin::Moved(behind, state.clone())).await {
            Ok(host) => Ok((host, state)),
            Err(why) if why.code == ErrorCode::NoWorker.as_str() => Err(Setback::Lost(Owing::Among)),
            Err(why) => Err(Setback::Failed(why)),
        }
    }

    /// The state, in that version's form if the handler knows it.
    async fn state_for(&mut self, version: &str) -> Result<SavedState, Setback> {
        let Some(journal) = &self.journal else {
            return Err(failed("what its handlers were given is not kept"));
        };
        let Some(host) = &mut self.host else {
            let saved = journal.snapshot().filter(|_| journal.is_empty());
            return saved.map(|(_, state)| state.clone()).ok_or_else(|| failed("nobody can save its state"));
        };
        host.save(Some(version));
        match poll_fn(|cx| host.poll_saved(cx)).await {
            Ok(state) => Ok(state),
            Err(Unsaved::Failed(why) | Unsaved::Gone(Gone::Broken(why))) => Err(Setback::Failed(why)),
            Err(Unsaved::Gone(Gone::Lost(owing))) => {
                self.lose();
                Err(Setback::Lost(owing))
            }
        }
    }

    fn settle(&mut self, host: Box<dyn Host>, to: &Arc<Kind>, state: SavedState, now_us: u64) {
        self.lose();
        (self.host, self.kind) = (Some(host), to.clone());
        (self.leaving, self.asleep) = (false, false);
        if let Some(journal) = &mut self.journal {
            journal.moved(&to.policy, state, now_us);
        }
    }
}

fn nobody(to: &Kind) -> Failure {
    Failure::from(ErrorCode::NoWorker).with("kind", &*to.name).with("version", &*to.version)
}

fn failed(why: &'static str) -> Setback {
    Setback::Failed(Failure::from(ErrorCode::Internal).because(why))
}
