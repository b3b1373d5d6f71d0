//! A client for Parlor rooms.
