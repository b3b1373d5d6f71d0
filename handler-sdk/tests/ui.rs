//! What the macros say to mistakes, and that nothing in the user's scope gets in their way.
//!
//! The compiler's words are pinned: with another toolchain, or when other crates bring types of the same names, they may change.
//! `TRYBUILD=overwrite cargo test -p parlor --no-default-features --test ui` writes them anew; read the difference.
//!
//! Without the broker, which the macros' code does not need: the compiler is run in a build of its own, and the broker takes minutes there.
#![cfg(not(feature = "embedded"))]

#[test]
fn mistakes_are_readable() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}

#[test]
fn surroundings_do_not_matter() {
    trybuild::TestCases::new().pass("tests/pass/*.rs");
}
