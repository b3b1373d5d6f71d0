//! Makes a handler anew: from the state as it was last saved, and a replay of what came since.

use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

use parlor_protocol::policy::OnDivergence;
use parlor_protocol::room::Fault;
use parlor_protocol::{ErrorCode, Failure};
use tracing::{error, info, warn};

use super::{Keeper, Setback, Upset};
use crate::host::{Begin, Gone, Owing, Parting};
use crate::room::journal::Answer;

/// How often a replay that fails is begun again before the room is given up: what is not deterministic may work the next time.
const REPLAYS: u32 = 3;
/// The same for replays whose process ends: it may have had other reasons than this room.
const LOSSES: u32 = 8;
/// How many processes may end over a replay in all: the rooms of one that has ended find each other in the next.
const MOST_LOSSES: u32 = 16;
/// Bytes of outputs that a divergence shows in the log.
const SHOWN: usize = 2_000;

/// Whether a replay said what was said before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Same {
    Yes,
    No,
}

impl Keeper {
    /// Makes the handler anew as it was after the last entry.
    pub(super) async fn restore(&mut self) -> Option<Upset> {
        if !std::mem::take(&mut self.asleep) {
            self.kept.restored += 1;
        }
        let (mut failures, mut losses, mut all) = (0, 0, 0);
        loop {
            match self.replay().await {
                Ok(Same::Yes) => return None,
                Ok(Same::No) => return Some(self.diverged()),
                Err(Setback::Lost(owing)) => {
                    (losses, all) = (losses + u32::from(owing == Owing::Alone), all + 1);
                    info!(room = %self.room, kind = %self.kind.name, "the handler's process was lost in a replay");
                    if losses == LOSSES || all == MOST_LOSSES {
                        let why = format!("{all} processes have ended over a replay");
                        return Some(Upset::Fail(Failure::from(ErrorCode::RoomFailed).because(why).into()));
                    }
                }
                Err(Setback::Failed(why)) => {
                    failures += 1;
                    error!(room = %self.room, kind = %self.kind.name, failure = %why, "the handler cannot be made anew");
                    if failures == REPLAYS || why.code == ErrorCode::NoWorker.as_str() {
                        return Some(Upset::Fail(Failure::from(ErrorCode::RoomFailed).because(why.text).into()));
                    }
                }
            }
        }
    }

    async fn replay(&mut self) -> Result<Same, Setback> {
        let Some(journal) = &mut self.journal else {
            return Err(Setback::Failed(Failure::from(ErrorCode::RoomFailed).because("its handler was not kept")));
        };
        let begin = match journal.snapshot() {
            Some((seq, state)) => Begin::From(*seq, state.clone()),
            None => Begin::Again,
        };
        let mut host = self.kind.maker().make(&self.room, begin).await.map_err(Setback::Failed)?;
        let mut others = Vec::new();
        for (i, entry) in journal.entries().iter().enumerate() {
            let Answer::Said(before) = &entry.answer else {
                host.skip(&entry.input);
                continue;
            };
            host.submit(&entry.input);
            let again = poll_fn(|cx| host.poll_outcome(cx)).await.map_err(|gone| match gone {
                Gone::Lost(owing) => Setback::Lost(owing),
                Gone::Broken(why) => Setback::Failed(why),
            })?;
            if let Err(Fault::Panicked(text)) = again.result {
                let why = Failure::from(ErrorCode::HandlerPanicked).because(format!("in a replay: {text}"));
                return Err(Setback::Failed(why));
            }
            let now = again.result.map(|()| again.outputs);
            if now == *before {
                continue;
            }
            if others.is_empty() {
                let (before, now) = (shown(before), shown(&now));
                let (room, kind, seq) = (&self.room, &self.kind.name, entry.input.seq);
                warn!(%room, %kind, %seq, before, now, "the handler is not deterministic: a replay has other outputs");
            }
            others.push((i, now));
        }
        // Where there was nothing to replay, this is how it shows.
        match host.poll_parting(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Parting::Lost) => return Err(Setback::Lost(Owing::Among)),
            Poll::Ready(Parting::Asked) => self.leaving = true,
            Poll::Pending => {}
        }
        self.host = Some(host);
        if !journal.is_empty() {
            journal.want();
        }
        let same = if others.is_empty() { Same::Yes } else { Same::No };
        for (entry, said) in others {
            journal.correct(entry, said);
        }
        Ok(same)
    }

    /// What was released cannot be taken back. The room goes on from what the handler remembers now, or not at all.
    fn diverged(&mut self) -> Upset {
        self.kept.diverged += 1;
        match self.kind.policy.on_divergence {
            OnDivergence::Resync => Upset::Resync,
            OnDivergence::Stop => {
                Upset::Fail(Failure::from(ErrorCode::RoomFailed).because("a replay had other outputs").into())
            }
        }
    }
}

fn shown(outputs: &impl std::fmt::Debug) -> String {
    let mut text = format!("{outputs:?}");
    if let Some((end, _)) = text.char_indices().nth(SHOWN) {
        text.truncate(end);
    }
    text
}
