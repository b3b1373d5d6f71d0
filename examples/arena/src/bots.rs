//! Players that are programs. They are clients like any other and see only what a client sees; just their wire is in memory.

use std::collections::BTreeMap;
use std::time::Duration;

use parlor::Connector;
use parlor::PlayerId;
use parlor_client::{ClientError, Options, Parlor, Room, RoomEvent};
use rand::RngExt;

use crate::messages;
use crate::messages::{Eaten, Frame, Orb, Ready, Scene, Scored, Steer};
use crate::vector::Vector;

const NAMES: [&str; 12] =
    ["Pixel", "Comet", "Mochi", "Turbo", "Nova", "Biscuit", "Zephyr", "Waffle", "Orbit", "Pepper", "Echo", "Sprout"];
/// A bot thinks at every third frame: about as fast as somebody who pays attention.
const THINKS_EVERY: usize = 3;
/// Somebody this near is worth a dash.
const NEAR: f32 = 130.0;

/// Starts bots that play until the broker ends.
pub(crate) fn start(connector: &Connector, count: usize) {
    for n in 0..count {
        let connector = connector.clone();
        let name = match n / NAMES.len() {
            0 => NAMES[n].to_owned(),
            again => format!("{} {}", NAMES[n % NAMES.len()], again + 1),
        };
        tokio::spawn(async move {
            // One that was thrown out for any reason comes back, unless the broker itself is gone.
            while play(&connector, &name).await.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
    }
}

/// One stay in a room, to its end.
async fn play(connector: &Connector, name: &str) -> Result<(), ClientError> {
    let parlor = Parlor::over(connector.connect(), Options::new().name(name)).await?;
    let mut room = parlor.join_or_create("arena", &messages::Options::default()).await?;
    let mut bot = Bot::new(&room)?;
    let mut frames = 0;
    while let Some(event) = room.recv().await {
        bot.sees(&event)?;
        if matches!(&event, RoomEvent::Message { name, .. } if &**name == "frame") {
            frames += 1;
            if frames % THINKS_EVERY == 0 {
                bot.acts(&room)?;
            }
        }
    }
    Ok(())
}

/// What a bot knows.
struct Bot {
    me: PlayerId,
    places: BTreeMap<PlayerId, Vector>,
    scores: BTreeMap<PlayerId, u32>,
    orbs: Vec<Orb>,
    heading: Vector,
    /// How much of the top speed it uses: people need a chance.
    pace: f32,
    /// How much it prefers robbing to collecting, from 0 to 1.
    temper: f32,
}

impl Bot {
    fn new(room: &Room) -> Result<Self, ClientError> {
        let scene: Scene = room.view()?;
        Ok(Self {
            me: room.player(),
            places: scene.discs.iter().map(|disc| (disc.id, disc.at)).collect(),
            scores: scene.discs.iter().map(|disc| (disc.id, disc.score)).collect(),
            orbs: scene.orbs,
            heading: Vector::ZERO,
            pace: rand::rng().random_range(0.55..0.85),
            temper: rand::rng().random(),
        })
    }

    fn sees(&mut self, event: &RoomEvent) -> Result<(), ClientError> {
        let RoomEvent::Message { name, .. } = event else { return Ok(()) };
        match &**name {
            "frame" => {
                let at = |(id, x, y)| (id, Vector::new(f32::from(x), f32::from(y)) * 0.1);
                self.places = event.decode::<Frame>()?.discs.into_iter().map(at).collect();
            }
            "eaten" => {
                let eaten: Eaten = event.decode()?;
                if let Some(orb) = self.orbs.get_mut(eaten.orb) {
                    *orb = eaten.next;
                }
            }
            "scored" => {
                let scored: Scored = event.decode()?;
                self.scores.insert(scored.id, scored.score);
            }
            _ => {}
        }
        Ok(())
    }

    fn acts(&mut self, room: &Room) -> Result<(), ClientError> {
        let Some(&here) = self.places.get(&self.me) else { return Ok(()) };
        let wish = match self.victim(here) {
            Some(victim) => {
                self.dashes(room);
                victim
            }
            None => self.orb(here).unwrap_or(here),
        };
        let heading = (wish - here).unit() * self.pace;
        // Nobody steers for nothing.
        if (heading - self.heading).length() > 0.08 {
            self.heading = heading;
            room.send("steer", &Steer { x: heading.x, y: heading.y })?;
        }
        Ok(())
    }

    /// Somebody near who has something to take, now and then.
    fn victim(&self, here: Vector) -> Option<Vector> {
        if rand::rng().random::<f32>() > self.temper * 0.3 {
            return None;
        }
        let rich = |id: &PlayerId| *id != self.me && self.scores.get(id).is_some_and(|score| *score >= 6);
        let mut near = self.places.iter().filter(|(id, at)| rich(id) && (**at - here).length() < NEAR);
        near.next().map(|(_, at)| *at)
    }

    /// The orb that is worth its way.
    fn orb(&self, here: Vector) -> Option<Vector> {
        let effort = |orb: &Orb| (orb.at - here).length() / orb.worth as f32;
        self.orbs.iter().min_by(|a, b| effort(a).total_cmp(&effort(b))).map(|orb| orb.at)
    }

    fn dashes(&self, room: &Room) {
        let sender = room.sender().clone();
        // In a task of its own: the answer comes only while somebody reads the room's events. Whether the dash was ready does
        // not matter.
        tokio::spawn(async move { sender.request::<Ready>("dash", &()).await });
    }
}

#[cfg(test)]
mod tests {
    use parlor::broker::Config;
    use parlor_client::Role;

    use super::*;
    use crate::game::Arena;

    #[tokio::test]
    async fn bots_come_and_collect() {
        let mut config = Config::default();
        config.auth.guests = true;
        config.listen.set_port(0);
        let app = parlor::App::new().room::<Arena>().on_start(|connector| start(&connector, 3));
        let broker = app.start(&config).await.unwrap();
        let parlor = Parlor::over(broker.connector().connect(), Options::new()).await.unwrap();
        let watching = || {
            let arena = parlor_client::JoinRequest::find_or_create("arena").role(Role::Spectator);
            arena.options(&messages::Options::default())
        };
        // The bots open the room, and may not have come so far.
        let mut room = loop {
            match parlor.join(watching()).await {
                Err(error) if error.code() == "unknown_room" => {}
                joined => break joined.unwrap(),
            }
        };
        let mut bot = Bot::new(&room).unwrap();
        while bot.places.len() < 3 || bot.scores.values().sum::<u32>() == 0 {
            bot.sees(&room.recv().await.unwrap()).unwrap();
        }
        broker.shutdown().await;
    }

    #[tokio::test]
    async fn the_load_test_plays_the_game() {
        let mut config = Config::default();
        config.auth.guests = true;
        config.listen.set_port(0);
        let broker = parlor::App::new().room::<Arena>().start(&config).await.unwrap();
        let load = parlor_load::Load {
            url: format!("ws://{}", broker.addr()),
            script: parlor_load::Script::parse(include_str!("../bench.toml")).unwrap(),
            players: 8,
            rooms: parlor_load::Rooms::Made(2),
            ramp: Duration::from_millis(1),
            warmup: Duration::from_millis(200),
            window: Duration::from_secs(5),
            tokens: Vec::new(),
            fail_p99: None,
        };
        let report = load.run().await;
        assert!(report.is_fine() && report.joined == 8, "{report}");
        let answered = |n: usize| (report.actions[n].delivery.count, report.actions[n].round_trip.count);
        let (steered, (seen, dashed)) = (answered(0), answered(1));
        assert_eq!(steered, (8 * 50, 0));
        assert!(dashed > 0 && seen == dashed, "{report}");
        broker.shutdown().await;
    }
}
