//! `sim`: runs a scenario and says what came of it.

fn main() {}
