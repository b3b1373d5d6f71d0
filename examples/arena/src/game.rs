//! The whole game: discs steer, collect orbs, grow, dash and bump. It knows nothing of sockets, pages or bots.
//!
//! The server alone decides. A client says which way it steers; twenty times a second every disc moves, and one compact `frame`
//! tells everybody where all of them are. What happens more rarely (a meal, a robbery, a win) is a message of its own.

#[cfg(test)]
mod tests;

use parlor::prelude::*;

use crate::messages::{
    Away, Dashed, Eaten, Frame, Joined, Left, Map, NextRound, Options, Orb, Ready, Refused, Robbed, Scene, Scored,
    Shown, Steer, Won,
};
use crate::vector::Vector;

const ORBS: u32 = 100;
const GOAL: u32 = 80;
const REST: Duration = Duration::from_secs(6);
const DASH_SPEED: f32 = 900.0;
const DASH_MS: u64 = 220;
const DASH_COOLDOWN_MS: u64 = 2500;
/// What somebody who dashes into another takes.
const LOOT: u32 = 3;

/// A room of the game.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Arena {
    map: Map,
    discs: BTreeMap<PlayerId, Disc>,
    orbs: Vec<Orb>,
    winner: Option<PlayerId>,
}

#[derive(Serialize, Deserialize)]
struct Disc {
    name: String,
    at: Vector,
    speed: Vector,
    steer: Vector,
    score: u32,
    wins: u32,
    dash_until: u64,
    dash_ready: u64,
    away: bool,
}

#[room(kind = "arena", max_players = 32, max_spectators = 32, tick_hz = 20, match_by = ["map"])]
impl Arena {
    #[msg::open]
    fn opened(&mut self, ctx: &mut Ctx, options: Options) {
        self.map = options.map;
        self.orbs = (0..ORBS).map(|_| self.map.orb(ctx)).collect();
    }

    #[msg::join]
    fn joined(&mut self, ctx: &mut Ctx, player: &Player) {
        if player.role == Role::Spectator {
            return;
        }
        let name = player.name.chars().take(16).collect();
        let (at, still) = (self.map.spot(ctx), Vector::ZERO);
        let disc =
            Disc { name, at, speed: still, steer: still, score: 0, wins: 0, dash_until: 0, dash_ready: 0, away: false };
        ctx.broadcast(&Joined { disc: disc.shown(player.id) });
        self.discs.insert(player.id, disc);
    }

    #[msg::view]
    fn view(&self, _to: &Player) -> Scene {
        let Vector { x: width, y: height } = self.map.size();
        let discs = self.discs.iter().map(|(id, disc)| disc.shown(*id)).collect();
        Scene { map: self.map, width, height, goal: GOAL, winner: self.winner, discs, orbs: self.orbs.clone() }
    }

    /// Nobody steers it: it stands still until its player is back, or has left.
    #[msg::drop]
    fn dropped(&mut self, ctx: &mut Ctx, player: &Player) {
        if let Some(disc) = self.discs.get_mut(&player.id) {
            (disc.steer, disc.away) = (Vector::ZERO, true);
            ctx.broadcast(&Away { id: player.id, away: true });
        }
    }

    #[msg::resume]
    fn resumed(&mut self, ctx: &mut Ctx, player: &Player) {
        if let Some(disc) = self.discs.get_mut(&player.id) {
            disc.away = false;
            ctx.broadcast(&Away { id: player.id, away: false });
        }
    }

    #[msg::leave]
    fn left(&mut self, ctx: &mut Ctx, player: &Player, why: Leave) {
        if self.discs.remove(&player.id).is_some() {
            ctx.broadcast(&Left { id: player.id, lost: why == Leave::Disconnected });
        }
    }

    #[msg::route("steer")]
    fn steer(&mut self, _ctx: &mut Ctx, from: PlayerId, to: Steer) -> Result<(), Refused> {
        let way = Vector::new(to.x, to.y);
        // Also false for a length that overflows, or is not a number.
        if !way.length().is_finite() {
            return Err(Refused::NoDirection);
        }
        if let Some(disc) = self.discs.get_mut(&from) {
            disc.steer = way.at_most(1.0);
        }
        Ok(())
    }

    #[msg::route("dash")]
    fn dash(&mut self, ctx: &mut Ctx, from: PlayerId) -> Result<Ready, Refused> {
        let now = ctx.now_ms();
        if let Some(disc) = self.discs.get_mut(&from) {
            if now < disc.dash_ready {
                return Err(Refused::Cooling { ready_in_ms: disc.dash_ready - now });
            }
            let way = if disc.steer == Vector::ZERO { disc.speed } else { disc.steer }.unit();
            if way == Vector::ZERO {
                return Err(Refused::NoDirection);
            }
            disc.speed = way * DASH_SPEED;
            (disc.dash_until, disc.dash_ready) = (now + DASH_MS, now + DASH_COOLDOWN_MS);
            ctx.broadcast(&Dashed { id: from });
        }
        Ok(Ready { ready_in_ms: DASH_COOLDOWN_MS })
    }

    #[msg::tick]
    fn tick(&mut self, ctx: &mut Ctx, dt: Duration) {
        // A late tick may not let anybody jump through another.
        let dt = dt.as_secs_f32().min(0.1);
        for disc in self.discs.values_mut() {
            disc.advance(dt, ctx.now_ms(), self.map);
        }
        self.bump(ctx);
        self.collect(ctx);
        let discs = self.discs.iter().map(|(id, disc)| (*id, tenths(disc.at.x), tenths(disc.at.y))).collect();
        ctx.broadcast(&Frame { now: ctx.now_ms(), discs });
    }

    #[msg::event]
    fn next_round(&mut self, ctx: &mut Ctx, next: NextRound) {
        self.winner = None;
        for (id, disc) in &mut self.discs {
            disc.score = 0;
            ctx.broadcast(&disc.scored(*id));
        }
        ctx.broadcast(&next);
    }
}

impl Arena {
    /// Discs that overlap push each other away; who dashes takes points.
    fn bump(&mut self, ctx: &mut Ctx) {
        let (now, counts) = (ctx.now_ms(), self.winner.is_none());
        let mut others: Vec<_> = self.discs.iter_mut().collect();
        while let Some((&a, one)) = others.pop() {
            for (b, other) in &mut others {
                let touch = collide(one, other);
                match (one.dashes(now), other.dashes(now)) {
                    (true, false) if touch && counts => rob(ctx, (a, one), (**b, other)),
                    (false, true) if touch && counts => rob(ctx, (**b, other), (a, one)),
                    _ => {}
                }
            }
        }
    }

    fn collect(&mut self, ctx: &mut Ctx) {
        for (&id, disc) in &mut self.discs {
            for (n, orb) in self.orbs.iter_mut().enumerate() {
                if self.winner.is_some() || (orb.at - disc.at).length() > disc.radius() + 6.0 {
                    continue;
                }
                disc.score += orb.worth;
                *orb = self.map.orb(ctx);
                ctx.broadcast(&Eaten { by: id, orb: n, next: orb.clone() });
                ctx.broadcast(&disc.scored(id));
                if disc.score >= GOAL {
                    disc.wins += 1;
                    self.winner = Some(id);
                    ctx.broadcast(&Won { id, wins: disc.wins });
                    ctx.set_property("champion", &disc.name);
                    ctx.after(REST, NextRound {});
                }
            }
        }
    }
}

impl Map {
    fn size(self) -> Vector {
        match self {
            Self::Dust => Vector::new(2400.0, 1600.0),
            Self::Ice => Vector::new(1800.0, 1800.0),
        }
    }

    /// How much of the difference to the wanted speed is made up for in a second.
    fn grip(self) -> f32 {
        match self {
            Self::Dust => 7.0,
            Self::Ice => 1.6,
        }
    }

    fn spot(self, ctx: &mut Ctx) -> Vector {
        const EDGE: f32 = 40.0;
        let Vector { x, y } = self.size();
        Vector::new(ctx.rng().random_range(EDGE..x - EDGE), ctx.rng().random_range(EDGE..y - EDGE))
    }

    fn orb(self, ctx: &mut Ctx) -> Orb {
        Orb { at: self.spot(ctx), worth: if ctx.rng().random_ratio(1, 12) { 3 } else { 1 } }
    }
}

impl Disc {
    fn radius(&self) -> f32 {
        18.0 + (self.score as f32).sqrt() * 3.5
    }

    fn dashes(&self, now: u64) -> bool {
        now < self.dash_until
    }

    fn advance(&mut self, dt: f32, now: u64, map: Map) {
        if !self.dashes(now) {
            // The large are slower.
            let wanted = self.steer * (340.0 - self.radius() * 2.0);
            self.speed += (wanted - self.speed) * (map.grip() * dt).min(1.0);
        }
        self.at += self.speed * dt;
        let (size, radius) = (map.size(), self.radius());
        let inside = Vector::new(self.at.x.clamp(radius, size.x - radius), self.at.y.clamp(radius, size.y - radius));
        if inside.x != self.at.x {
            self.speed.x *= -0.5;
        }
        if inside.y != self.at.y {
            self.speed.y *= -0.5;
        }
        self.at = inside;
    }

    fn shown(&self, id: PlayerId) -> Shown {
        let (name, radius) = (self.name.clone(), self.radius());
        Shown { id, name, at: self.at, score: self.score, radius, wins: self.wins, away: self.away }
    }

    fn scored(&self, id: PlayerId) -> Scored {
        Scored { id, score: self.score, radius: self.radius() }
    }
}

/// Whether two discs touch; then they are moved apart and thrown back.
fn collide(one: &mut Disc, other: &mut Disc) -> bool {
    let way = other.at - one.at;
    let overlap = one.radius() + other.radius() - way.length();
    if overlap <= 0.0 {
        return false;
    }
    // Two on the very same spot have no direction between them: any will do.
    let away = if way == Vector::ZERO { Vector::new(1.0, 0.0) } else { way.unit() };
    one.at -= away * (overlap / 2.0);
    other.at += away * (overlap / 2.0);
    let closing = (one.speed - other.speed).dot(away).max(0.0);
    one.speed -= away * (closing * 0.8);
    other.speed += away * (closing * 0.8);
    true
}

/// A dash hits once.
fn rob(ctx: &mut Ctx, (by, robber): (PlayerId, &mut Disc), (whom, victim): (PlayerId, &mut Disc)) {
    robber.dash_until = 0;
    let loot = victim.score.min(LOOT);
    victim.score -= loot;
    // Only an orb wins: the last point cannot be taken.
    robber.score = (robber.score + loot).min(GOAL - 1).max(robber.score);
    ctx.broadcast(&Robbed { by, whom });
    ctx.broadcast(&robber.scored(by));
    ctx.broadcast(&victim.scored(whom));
}

fn tenths(length: f32) -> u16 {
    (length * 10.0).round() as u16
}
