//! Write a multiplayer game server as message handlers.
