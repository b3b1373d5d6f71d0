//! The Parlor broker: sessions, rooms, queues and fan-out.
