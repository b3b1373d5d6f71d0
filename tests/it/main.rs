//! End to end, over real sockets. One module a behaviour.

mod smoke;
