//! The attribute macros of the parlor crate.
