//! An example game for Parlor.
