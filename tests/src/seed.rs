//! Random tests that can be repeated.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A generator whose seed is shown when the test fails, and is taken from `PARLOR_SEED` when that is set.
///
/// # Panics
/// When `PARLOR_SEED` is not a number.
pub fn seeded() -> ChaCha8Rng {
    let given = std::env::var("PARLOR_SEED").ok().map(|text| text.parse().expect("PARLOR_SEED is a number"));
    let seed: u64 = given.unwrap_or_else(|| rand::rng().random());
    // The test runner shows it only when the test fails.
    println!("to repeat: PARLOR_SEED={seed}");
    ChaCha8Rng::seed_from_u64(seed)
}

/// A generator of its own for one of many tasks, so that their order does not matter.
pub fn fork(rng: &mut ChaCha8Rng) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(rng.random())
}
