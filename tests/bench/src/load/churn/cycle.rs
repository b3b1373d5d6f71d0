//! One cycle: two come into a room of their own, one says ten things which both hear, both go. Bytes in, bytes out; no socket and
//! no clock.

use super::super::connect::move_type;
use crate::frames::{self, KIND, MoveType, Publish, SUBPROTOCOL, ServerFrame, send_header};
use crate::moves::Move;
use crate::websocket::{self, Masker, Opcode};

/// What is said in each cycle.
pub(super) const MESSAGES: u32 = 10;
/// Those who come in each cycle.
pub(super) const PLAYERS: usize = 2;

/// How far a player has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
enum Stage {
    Upgrading,
    Greeting,
    /// For the other, who opens the room.
    Waiting,
    Joining,
    In,
    Leaving,
    Gone,
}

#[derive(Debug)]
struct Player {
    stage: Stage,
    room: u64,
    moves: MoveType,
    /// The message that must come next, and the sequence number that the first came under.
    next: u32,
    first_seq: Option<u64>,
    masker: Masker,
    partial: Vec<u8>,
    outgoing: Vec<u8>,
}

/// A cycle that is being played.
#[derive(Debug)]
pub(super) struct Cycle {
    number: u32,
    players: [Player; PLAYERS],
}

impl Cycle {
    pub(super) fn new(number: u32, host: &str) -> Self {
        let player = |place: u32| Player {
            stage: Stage::Upgrading,
            room: 0,
            moves: MoveType::Name,
            next: 0,
            first_seq: None,
            masker: Masker::new(number.wrapping_mul(2_654_435_761) ^ place),
            partial: Vec::new(),
            outgoing: websocket::upgrade_request(host, SUBPROTOCOL).into_bytes(),
        };
        Self { number, players: [player(0), player(1)] }
    }

    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// What a player has yet to write.
    pub(super) fn outgoing(&mut self, place: usize) -> &mut Vec<u8> {
        &mut self.players[place].outgoing
    }

    /// Whether a player's connection is over, as it should be.
    pub(super) fn is_gone(&self, place: usize) -> bool {
        self.players[place].stage == Stage::Gone
    }

    /// Whether both have gone, after they heard everything.
    pub(super) fn is_over(&self) -> bool {
        (0..PLAYERS).all(|place| self.is_gone(place))
    }

    /// Where it stands, in words.
    pub(super) fn describe(&self) -> String {
        let [one, other] = &self.players;
        format!("cycle {}: {:?} and {:?}, heard {} and {}", self.number, one.stage, other.stage, one.next, other.next)
    }

    /// A player's connection has ended. An error is what is wrong with that.
    pub(super) fn ended(&mut self, place: usize) -> Result<(), String> {
        if self.players[place].stage < Stage::Leaving {
            return Err(format!("{}: the server ended a connection", self.describe()));
        }
        self.players[place].stage = Stage::Gone;
        Ok(())
    }

    /// A player has read so much. An error is what is wrong with it; the cycle is spoilt then.
    pub(super) fn hear(&mut self, place: usize, fresh: &[u8]) -> Result<(), String> {
        let mut bytes = std::mem::take(&mut self.players[place].partial);
        bytes.extend_from_slice(fresh);
        let used = self.hear_all(place, &bytes).map_err(|error| format!("{}: {error}", self.describe()))?;
        bytes.drain(..used);
        self.players[place].partial = bytes;
        Ok(())
    }

    fn hear_all(&mut self, place: usize, bytes: &[u8]) -> Result<usize, String> {
        let mut used = 0;
        if self.players[place].stage == Stage::Upgrading {
            let head = websocket::upgrade_response(bytes, SUBPROTOCOL).map_err(|error| error.to_string())?;
            let Some(head) = head else { return Ok(0) };
            used = head;
            self.players[place].say(&frames::hello());
            self.players[place].stage = Stage::Greeting;
        }
        while let Some(frame) = websocket::parse(&bytes[used..]).map_err(|error| error.to_string())? {
            used += frame.consumed;
            match frame.opcode {
                Opcode::Binary => self.handle_frame(place, frame.payload)?,
                Opcode::Ping => {
                    let player = &mut self.players[place];
                    player.masker.pong(&mut player.outgoing, frame.payload);
                }
                Opcode::Pong => {}
                Opcode::Close => self.ended(place)?,
            }
        }
        Ok(used)
    }

    fn handle_frame(&mut self, place: usize, frame: &[u8]) -> Result<(), String> {
        let stage = self.players[place].stage;
        match (ServerFrame::parse(frame).map_err(|error| error.to_string())?, stage) {
            (ServerFrame::Welcome { .. }, Stage::Greeting) if place == 0 || self.players[0].stage == Stage::In => {
                self.join(place);
            }
            (ServerFrame::Welcome { .. }, Stage::Greeting) => self.players[place].stage = Stage::Waiting,
            (ServerFrame::Joined(joined), Stage::Joining) => {
                let player = &mut self.players[place];
                (player.room, player.moves, player.stage) = (joined.room, move_type(&joined), Stage::In);
                if self.players[1].stage == Stage::Waiting {
                    self.join(1);
                } else if self.players[1].stage == Stage::In {
                    self.speak();
                }
            }
            (ServerFrame::Publish(publish), _) => self.publish(place, &publish)?,
            (ServerFrame::Types | ServerFrame::Other, _) => {}
            (other, _) => return Err(format!("an answer that was not to come: {other:?}")),
        }
        Ok(())
    }

    fn join(&mut self, place: usize) {
        let join = frames::join(1, KIND, &format!("churn-{}", self.number), &[]);
        self.players[place].say(&join);
        self.players[place].stage = Stage::Joining;
    }

    fn speak(&mut self) {
        let mut frame = Vec::new();
        for number in 0..MESSAGES {
            frame.clear();
            send_header(&mut frame, self.players[0].room, self.players[0].moves);
            Move { client: self.number, number, intended_ns: 0 }.encode(&mut frame);
            self.players[0].say(&frame);
        }
    }

    fn publish(&mut self, place: usize, publish: &Publish<'_>) -> Result<(), String> {
        let message = Move::decode(publish.payload).map_err(|error| error.to_string())?;
        let player = &mut self.players[place];
        let Move { client, number, .. } = message;
        let first = *player.first_seq.get_or_insert(publish.seq);
        if player.stage != Stage::In || client != self.number || number != player.next {
            return Err(format!("player {place} got message {number} of cycle {client} (lost, doubled or reordered)"));
        }
        if publish.seq != first + u64::from(number) {
            return Err(format!(
                "player {place} got message {number} at seq {}, and the first at {first}",
                publish.seq
            ));
        }
        player.next += 1;
        if self.players.iter().all(|player| player.next == MESSAGES) {
            if self.players[0].first_seq != self.players[1].first_seq {
                return Err("the two got the messages under different numbers".to_owned());
            }
            self.players.iter_mut().for_each(Player::leave);
        }
        Ok(())
    }
}

impl Player {
    fn say(&mut self, frame: &[u8]) {
        self.masker.binary(&mut self.outgoing, frame);
    }

    fn leave(&mut self) {
        self.masker.close(&mut self.outgoing);
        self.stage = Stage::Leaving;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::{joined_answer, publish, welcome};

    /// A server's frame, as it comes.
    fn frame(payload: &[u8]) -> Vec<u8> {
        [&[0x82, u8::try_from(payload.len()).unwrap()], payload].concat()
    }

    fn message(seq: u64, number: u32) -> Vec<u8> {
        let mut payload = Vec::new();
        Move { client: 7, number, intended_ns: 0 }.encode(&mut payload);
        frame(&publish(3, seq, &payload))
    }

    /// Two in their room, with nothing owed but the ten messages.
    fn joined() -> Cycle {
        let mut cycle = Cycle::new(7, "host");
        let head = "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
        let head = format!("{head}Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n");
        let answer = joined_answer(1, 3, "churn-7", 0, 0);
        let answer = [&[0x82, 126, 0, u8::try_from(answer.len()).unwrap()], answer.as_slice()].concat();
        let welcome = welcome();
        let welcome = frame(&welcome);
        for place in [1, 0] {
            cycle.hear(place, head.as_bytes()).unwrap();
            cycle.hear(place, &welcome).unwrap();
        }
        assert_eq!(cycle.players[1].stage, Stage::Waiting);
        for place in [0, 1] {
            let (one, other) = answer.split_at(5);
            cycle.hear(place, one).unwrap();
            cycle.hear(place, other).unwrap();
        }
        cycle
    }

    #[test]
    fn two_that_hear_everything_leave_and_are_done() {
        let mut cycle = joined();
        for place in [0, 1] {
            assert!(cycle.players[0].stage == Stage::In);
            (0..MESSAGES).for_each(|number| cycle.hear(place, &message(u64::from(number) + 5, number)).unwrap());
        }
        cycle.hear(0, &[0x88, 0]).unwrap();
        assert!(cycle.is_gone(0) && !cycle.is_over());
        cycle.ended(1).unwrap();
        assert!(cycle.is_over());
    }

    #[test]
    fn what_is_lost_doubled_or_reordered_is_found() {
        for wrong in [[0, 2], [0, 0], [1, 0]] {
            let mut cycle = joined();
            let heard: Result<Vec<()>, String> =
                (5..).zip(wrong).map(|(seq, n)| cycle.hear(1, &message(seq, n))).collect();
            assert!(heard.is_err(), "{wrong:?}");
        }
        let mut cycle = joined();
        cycle.hear(0, &message(5, 0)).unwrap();
        assert!(cycle.hear(0, &message(7, 1)).is_err(), "a hole in the numbers");
    }

    #[test]
    fn what_comes_after_the_tenth_or_too_early_an_end_is_found() {
        let mut cycle = joined();
        assert!(cycle.ended(0).is_err());
        let mut cycle = joined();
        (0..2 * MESSAGES).for_each(|n| cycle.hear(n as usize % 2, &message(u64::from(n / 2) + 5, n / 2)).unwrap());
        assert!(cycle.hear(0, &message(15, 10)).is_err());
    }
}
