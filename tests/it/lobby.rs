//! The lobby: rooms over REST, and who is let into which.

mod hall;
mod pages;
mod rest;
mod seats;
