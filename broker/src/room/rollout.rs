//! The versions of one kind, and which of them new rooms are of. A version on which rooms fail is left by itself.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA256, digest};
use serde::Serialize;

use super::kind::Kind;

/// Versions that are known although they are of no use any more.
const REMEMBERED: usize = 16;
/// Rooms that must have failed before a version is left: one may have had bad luck.
const LEAST_FAILED: u64 = 3;
/// Of a hundred rooms that were opened since, so many.
const FAILED_PERCENT: u64 = 10;

/// What becomes of the rooms that are open when a version is rolled out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpenRooms {
    /// They end in the version in which they are.
    Stay,
    /// They go on in the other, and back again if it has to be left.
    Move,
}

/// A kind in all its versions.
#[derive(Debug, Default)]
pub(super) struct Versions {
    /// In the order in which they were first offered.
    known: Vec<Arc<Kind>>,
    /// Where new rooms go, once somebody has said so.
    course: Option<Course>,
    left: Option<Left>,
}

#[derive(Debug)]
struct Course {
    to: Arc<str>,
    /// Of a hundred accounts.
    percent: u8,
    /// Where the others go, and all if that version fails.
    rest: Option<Arc<str>>,
    open_rooms: OpenRooms,
    /// Rooms that `to` had had when this began.
    opened: u64,
    /// Those that it has had since and that have failed.
    failed: u64,
}

/// A version that was left because rooms failed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Left {
    /// Which.
    pub version: Arc<str>,
    /// How many of how many rooms.
    pub why: String,
    /// Milliseconds since 1970.
    pub at_ms: u64,
}

/// A kind as the lobby shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KindInfo {
    /// Its name.
    pub kind: Arc<str>,
    /// The version that new rooms are of; none when there is just one, of the broker's own program.
    pub to: Arc<str>,
    /// For how many of a hundred accounts.
    pub weight: u8,
    /// The version of the others' rooms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rest: Option<Arc<str>>,
    /// The version that was left last because rooms failed on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left: Option<Left>,
    /// All that are known.
    pub versions: Vec<VersionInfo>,
}

/// A version as the lobby shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VersionInfo {
    /// Its label.
    pub version: Arc<str>,
    /// Connections of workers that offer it; none where the broker runs it itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workers: Option<usize>,
    /// Rooms that are open.
    pub rooms: usize,
    /// Rooms that were opened, or have moved to it.
    pub opened: u64,
    /// Those of them whose handler has panicked, or ended the room.
    pub failed: u64,
}

impl Versions {
    pub(super) fn of(kind: Kind) -> Self {
        Self { known: vec![kind.into()], ..Self::default() }
    }

    pub(super) fn known(&self) -> &[Arc<Kind>] {
        &self.known
    }

    /// Takes in one more version. The oldest that is of no use any more is forgotten when there are many. `rooms` counts those that are open.
    pub(super) fn add(&mut self, kind: Kind, rooms: impl Fn(&Arc<Kind>) -> usize) {
        self.known.push(kind.into());
        if self.known.len() <= REMEMBERED {
            return;
        }
        let of_use = |version: &Arc<str>| {
            self.course.as_ref().is_some_and(|course| course.to == *version || course.rest.as_ref() == Some(version))
        };
        let idle = |kind: &Arc<Kind>| kind.maker().workers() == Some(0) && rooms(kind) == 0 && !of_use(&kind.version);
        let older = self.known.len() - 1;
        if let Some(oldest) = self.known[..older].iter().position(idle) {
            self.known.remove(oldest);
        }
    }

    /// The version for a room that somebody wants: as was said, or else the oldest that is offered now.
    pub(super) fn choose(&self, account: Option<&str>) -> Option<&Arc<Kind>> {
        if let Some(course) = &self.course {
            let others = course.rest.as_ref().filter(|_| share(account) >= course.percent);
            return self.version(others.unwrap_or(&course.to));
        }
        self.known.iter().find(|kind| kind.maker().workers() != Some(0)).or(self.known.last())
    }

    /// Sends so many percent of new rooms to a version, and the rest to where all went before.
    ///
    /// # Errors
    /// In one line, when nobody has offered that version yet, or only some of the rooms that are open would have to move.
    pub(super) fn roll_out(&mut self, to: &str, percent: u8, open_rooms: OpenRooms) -> Result<(), String> {
        if open_rooms == OpenRooms::Move && percent != 100 {
            return Err("open rooms move when all new ones are of that version, too: with a weight of 100".to_owned());
        }
        let Some(kind) = self.version(to) else {
            let known: Vec<_> = self.known.iter().map(|kind| format!("`{}`", kind.version)).collect();
            return Err(format!("version `{to}` was never offered; known are {}", known.join(", ")));
        };
        let (opened, failed) = match &self.course {
            // Another share of the same is judged by all of it.
            Some(course) if course.to == kind.version => (course.opened, course.failed),
            _ => (kind.opened.get(), 0),
        };
        let to = kind.version.clone();
        let before = match &self.course {
            Some(course) if course.to == to => course.rest.clone(),
            Some(course) => Some(course.to.clone()),
            None => self.choose(None).map(|kind| kind.version.clone()),
        };
        let rest = before.filter(|before| *before != to);
        self.course = Some(Course { to, percent, rest, open_rooms, opened, failed });
        Ok(())
    }

    /// Takes in that a version's room of this ordinal has failed, and goes back from the version if too many have that were opened since it was
    /// rolled out; says why.
    pub(super) fn judge(&mut self, kind: &Kind, ordinal: u64) -> Option<Left> {
        let course = self.course.as_mut().filter(|course| course.to == kind.version && ordinal > course.opened)?;
        course.failed += 1;
        let back = course.rest.clone()?;
        let (opened, failed) = (kind.opened.get().saturating_sub(course.opened), course.failed);
        if failed < LEAST_FAILED || failed * 100 < opened * FAILED_PERCENT {
            return None;
        }
        let at_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
        let why = format!("{failed} of the {opened} rooms that were opened since have failed");
        let left = Left { version: kind.version.clone(), why, at_ms };
        let open_rooms = course.open_rooms;
        self.course = Some(Course { to: back, percent: 100, rest: None, open_rooms, opened: 0, failed: 0 });
        self.left = Some(left.clone());
        Some(left)
    }

    /// Where a room of this kind is to go on, if not in its own version.
    pub(super) fn moves(&self, kind: &Arc<Kind>) -> Option<&Arc<Kind>> {
        let course = self.course.as_ref().filter(|course| course.open_rooms == OpenRooms::Move)?;
        self.version(&course.to).filter(|to| !Arc::ptr_eq(to, kind))
    }

    /// What the lobby shows. `rooms` counts those of a version that are open.
    pub(super) fn info(&self, rooms: impl Fn(&Arc<Kind>) -> usize) -> Option<KindInfo> {
        let first = self.known.first()?;
        let version = |kind: &Arc<Kind>| VersionInfo {
            version: kind.version.clone(),
            workers: kind.maker().workers(),
            rooms: rooms(kind),
            opened: kind.opened.get(),
            failed: kind.failed.get(),
        };
        let course = self.course.as_ref();
        let percent = course.map_or(100, |course| course.percent);
        let to = course.map(|course| &course.to).or_else(|| self.choose(None).map(|kind| &kind.version));
        Some(KindInfo {
            kind: first.name.clone(),
            to: to.cloned().unwrap_or_default(),
            weight: percent,
            rest: course.and_then(|course| course.rest.clone()).filter(|_| percent < 100),
            left: self.left.clone(),
            versions: self.known.iter().map(version).collect(),
        })
    }

    fn version(&self, version: &str) -> Option<&Arc<Kind>> {
        self.known.iter().find(|kind| *kind.version == *version)
    }
}

/// Where an account stands among a hundred: always in the same place. Nobody's wish is anywhere.
fn share(account: Option<&str>) -> u8 {
    let Some(account) = account else { return rand::random_range(0..100) };
    let hash = digest(&SHA256, account.as_bytes());
    let number = hash.as_ref().iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    (number % 100) as u8
}

#[cfg(test)]
mod tests {
    use super::OpenRooms::{Move, Stay};
    use super::*;
    use crate::host::{Begin, HostMaker, Making, MayFail, relay};
    use parlor_protocol::RoomId;

    fn versions() -> Versions {
        let mut versions = Versions::default();
        for version in ["1", "2"] {
            versions.add(relay::kind("k", Default::default()).of_version(version.into()), |_| 0);
        }
        versions
    }

    fn chosen(versions: &Versions, account: &str) -> String {
        versions.choose(Some(account)).unwrap().version.to_string()
    }

    fn on_two(versions: &Versions) -> usize {
        (0..1_000).filter(|account| chosen(versions, &account.to_string()) == "2").count()
    }

    #[test]
    fn accounts_are_shared_out_by_weight_and_keep_their_side() {
        let mut versions = versions();
        assert_eq!(
            (on_two(&versions), versions.roll_out("3", 100, Stay)),
            (0, Err("version `3` was never offered; known are `1`, `2`".into()))
        );
        versions.roll_out("2", 10, Stay).unwrap();
        let few = on_two(&versions);
        assert!((60..140).contains(&few), "{few}");
        let then: Vec<_> = (0..100).map(|account| chosen(&versions, &account.to_string())).collect();
        versions.roll_out("2", 50, Stay).unwrap();
        let more = on_two(&versions);
        assert!((420..580).contains(&more), "{more}");
        for (account, before) in then.iter().enumerate() {
            assert!(before == "1" || chosen(&versions, &account.to_string()) == "2", "nobody goes back");
        }
        versions.roll_out("2", 100, Stay).unwrap();
        assert_eq!(on_two(&versions), 1_000);
        versions.roll_out("1", 100, Stay).unwrap();
        assert_eq!(on_two(&versions), 0);
    }

    #[test]
    fn a_version_is_left_when_enough_of_its_rooms_have_failed_since() {
        let mut versions = versions();
        let two = versions.version("2").unwrap().clone();
        two.opened.inc_by(1_000);
        versions.roll_out("2", 10, Stay).unwrap();
        two.opened.inc_by(10);
        for older in 0..50 {
            assert_eq!(versions.judge(&two, older), None, "it was there before");
        }
        for room in [1_001, 1_010] {
            assert_eq!(versions.judge(&two, room), None, "two may have had bad luck");
        }
        versions.roll_out("2", 100, Stay).unwrap();
        two.opened.inc_by(20);
        let left = versions.judge(&two, 1_005).unwrap();
        assert_eq!((&*left.version, &*left.why), ("2", "3 of the 30 rooms that were opened since have failed"));
        let info = versions.info(|_| 0).unwrap();
        assert_eq!((&*info.to, info.weight, info.rest, info.left), ("1", 100, None, Some(left)));
        assert_eq!(versions.judge(&two, 1_030), None, "it is left already");
    }

    /// Of workers that have gone.
    struct Gone;

    impl HostMaker for Gone {
        fn make(&self, _: &RoomId, _: Begin) -> Making {
            unreachable!("nobody opens a room here")
        }

        fn may_fail(&self) -> MayFail {
            MayFail::Dies
        }

        fn workers(&self) -> Option<usize> {
            Some(0)
        }
    }

    #[test]
    fn versions_of_no_use_are_forgotten_when_there_are_many() {
        let mut versions = Versions::default();
        let name = |number: usize| number.to_string();
        for number in 0..30 {
            let kind = Kind::new("k", Default::default(), &[], &[], Box::new(Gone)).of_version(name(number).into());
            // One has a room still.
            versions.add(kind, |kind| usize::from(&*kind.version == "3"));
            if number == 1 {
                versions.roll_out("1", 100, Stay).unwrap();
            }
        }
        let known: Vec<_> = versions.known().iter().map(|kind| kind.version.to_string()).collect();
        let newest = (30 - (REMEMBERED - 2)..30).map(name);
        assert_eq!(known, ["1", "3"].map(str::to_owned).into_iter().chain(newest).collect::<Vec<_>>());
    }

    #[test]
    fn open_rooms_move_where_all_go_and_back_from_a_version_that_is_left() {
        let mut versions = versions();
        let [one, two] = ["1", "2"].map(|version| versions.version(version).unwrap().clone());
        let to = |versions: &Versions, kind| versions.moves(kind).map(|to| to.version.to_string());
        versions.roll_out("2", 100, Stay).unwrap();
        assert_eq!((to(&versions, &one), to(&versions, &two)), (None, None));
        versions.roll_out("2", 50, Move).unwrap_err();
        versions.roll_out("2", 100, Move).unwrap();
        assert_eq!((to(&versions, &one), to(&versions, &two)), (Some("2".into()), None));
        two.opened.inc_by(3);
        let left: Vec<_> = (1..=3).filter_map(|room| versions.judge(&two, room)).collect();
        assert_eq!(left.len(), 1);
        assert_eq!((to(&versions, &one), to(&versions, &two)), (None, Some("1".into())));
    }

    #[test]
    fn few_failures_among_many_rooms_are_not_the_versions_fault() {
        let mut versions = versions();
        let two = versions.version("2").unwrap().clone();
        versions.roll_out("2", 100, Stay).unwrap();
        two.opened.inc_by(100);
        for room in 1..=9 {
            assert_eq!(versions.judge(&two, room), None);
        }
    }
}
