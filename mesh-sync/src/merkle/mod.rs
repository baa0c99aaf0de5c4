//! The tree over a log: how one signature proves a whole run of items to somebody who trusts
//! nobody but its writer.

pub(crate) mod proof;
pub(crate) mod tiles;
pub(crate) mod tree;

#[cfg(test)]
mod tests;
