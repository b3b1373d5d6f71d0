//! Rooms that go on in another version of the game, with what the macros make of migrations.
#![cfg(feature = "embedded")]

use parlor::prelude::*;
use parlor::testing::TestRoom;
use parlor::{Kind, Payload};

/// Coins were one number.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct First {
    coins: u32,
}

#[room(kind = "purse", tick_hz = 1)]
impl First {
    #[msg::route("earn")]
    fn earn(&mut self, _: &mut Ctx, _: PlayerId, n: u32) -> u32 {
        self.coins += n;
        self.coins
    }
}

/// A field more: nothing has to be written for that.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Second {
    coins: u32,
    #[serde(default)]
    taxes: u32,
}

#[room(kind = "purse", tick_hz = 1)]
impl Second {
    #[msg::route("earn")]
    fn earn(&mut self, _: &mut Ctx, _: PlayerId, n: u32) -> u32 {
        self.coins += n;
        self.taxes += n / 10;
        self.coins
    }
}

/// Gold and silver: another shape.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Third {
    gold: u32,
    silver: u32,
    taxes: u32,
}

#[derive(Debug, Refusal)]
enum Unfit {
    Unknown { version: String },
    TooRich,
}

#[room(kind = "purse", tick_hz = 4, max_players = 1)]
impl Third {
    #[msg::route("earn")]
    fn earn(&mut self, _: &mut Ctx, _: PlayerId, n: u32) -> u32 {
        let coins = self.coins() + n;
        (self.gold, self.silver) = (coins / 10, coins % 10);
        coins
    }

    #[msg::migrate]
    fn from_older(from: &str, state: Payload) -> Result<Self, Unfit> {
        let unknown = |_| Unfit::Unknown { version: from.to_owned() };
        let Second { coins, taxes } = match from {
            "1" => {
                let First { coins } = state.decode().map_err(unknown)?;
                Second { coins, taxes: 0 }
            }
            "2" => state.decode().map_err(unknown)?,
            _ => return Err(Unfit::Unknown { version: from.to_owned() }),
        };
        Ok(Self { gold: coins / 10, silver: coins % 10, taxes })
    }

    #[msg::migrate_back]
    fn for_older(&self, to: &str) -> Result<Option<Second>, Unfit> {
        if to == "2" && self.coins() > 1_000 {
            return Err(Unfit::TooRich);
        }
        Ok((to == "2").then(|| Second { coins: self.coins(), taxes: self.taxes }))
    }
}

impl Third {
    fn coins(&self) -> u32 {
        self.gold * 10 + self.silver
    }
}

/// The shortest forms.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Fourth(u32);

#[room(kind = "purse")]
impl Fourth {
    #[msg::migrate]
    fn from_older(_: &str, old: Third) -> Self {
        assert!(old.gold < 100, "a mistake");
        Self(old.coins())
    }

    #[msg::migrate_back]
    fn for_older(&self, to: &str) -> Option<Third> {
        (to == "3").then_some(Third { gold: self.0 / 10, silver: self.0 % 10, taxes: 0 })
    }
}

#[test]
fn a_room_goes_through_all_versions_and_back() {
    let mut room = TestRoom::<First>::open(&());
    let ann = room.join("ann");
    assert_eq!(room.request::<u32>(ann, "earn", &25), Ok(25));
    room.advance(Duration::from_millis(900));
    let mut room = room.move_to::<Second>("1", "2").unwrap();
    assert_eq!(room.request::<u32>(ann, "earn", &10), Ok(35));
    assert_eq!(room.state(), Second { coins: 35, taxes: 1 });
    let mut room = room.move_to::<Third>("2", "3").unwrap();
    assert_eq!(room.state(), Third { gold: 3, silver: 5, taxes: 1 });
    assert_eq!((room.members(), room.request::<u32>(ann, "earn", &1)), (1, Ok(36)));
    assert_eq!(room.try_join("bob", &()).unwrap_err().code, "room_full", "the new version's policy holds");
    let room = room.move_to::<Fourth>("3", "4").unwrap();
    assert_eq!(room.state(), Fourth(36));
    let room = room.move_to::<Third>("4", "3").unwrap();
    let mut room = room.move_to::<Second>("3", "2").unwrap();
    assert_eq!(room.state(), Second { coins: 36, taxes: 0 });
    assert_eq!(room.request::<u32>(ann, "earn", &4), Ok(40));
    // A version that was never told of a newer one reads what it knows.
    assert_eq!(room.move_to::<First>("2", "1").unwrap().state(), First { coins: 40 });
}

#[test]
fn what_cannot_be_read_or_written_says_why() {
    let rich = || {
        let mut room = TestRoom::<Third>::open(&());
        let ann = room.join("ann");
        assert_eq!(room.request::<u32>(ann, "earn", &2_000), Ok(2_000));
        room
    };
    assert_eq!(rich().move_to::<Second>("3", "2").unwrap_err().code, "app.too_rich");
    let failure = TestRoom::<Fourth>::open(&()).move_to::<Second>("4", "2").unwrap_err();
    assert_eq!(&*failure.code, "bad_payload");
    assert!(failure.text.starts_with("from version `4`: "), "{failure}");
    let failure = TestRoom::<First>::open(&()).move_to::<Third>("1.1", "3").unwrap_err();
    assert_eq!((&*failure.code, failure.params["version"].as_str()), ("app.unknown", Some("1.1")));
}

#[test]
fn a_migration_that_panics_is_one_that_fails() {
    let mut room = TestRoom::<Third>::open(&());
    let ann = room.join("ann");
    assert_eq!(room.request::<u32>(ann, "earn", &1_000), Ok(1_000));
    let failure = room.move_to::<Fourth>("3", "4").unwrap_err();
    assert_eq!((&*failure.code, &*failure.text), ("internal", "from version `3`: snapshot: a mistake"));
}

/// A handler that is written by hand has the same two functions.
#[test]
fn without_a_migration_the_state_is_read_as_it_is() {
    let first = Kind::of::<First>().runner();
    assert_eq!(first.snapshot_for("0"), Ok(None));
    let third = Kind::of::<Third>().runner();
    assert!(third.snapshot_for("2").unwrap().is_some() && third.snapshot_for("9").unwrap().is_none());
    assert!(Kind::of::<Second>().migrate("1", &first.snapshot().unwrap()).is_ok());
    assert!(Kind::of::<Second>().migrate("1", b"no snapshot").is_err());
}
