//! What the macros say to mistakes, and that nothing in the user's scope gets in their way.

#[test]
fn mistakes_are_readable() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}

#[test]
fn surroundings_do_not_matter() {
    trybuild::TestCases::new().pass("tests/pass/*.rs");
}
