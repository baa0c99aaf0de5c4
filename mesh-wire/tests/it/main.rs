//! Tests of mesh-wire from outside: what an application or another crate can see.

mod handshake;
