//! End-to-end tests of Parlor.
