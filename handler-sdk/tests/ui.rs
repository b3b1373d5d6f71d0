//! What the macros say to mistakes, and that nothing in the user's scope gets in their way.
//!
//! The compiler's words are pinned: with another toolchain, or when other crates bring types of the same names, they may change.
//! `TRYBUILD=overwrite cargo test -p parlor --test ui` writes them anew; read the difference.
#![cfg(feature = "embedded")]

#[test]
fn mistakes_are_readable() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}

#[test]
fn surroundings_do_not_matter() {
    trybuild::TestCases::new().pass("tests/pass/*.rs");
}
