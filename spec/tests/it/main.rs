//! The house rules, each a test. `MESH_BLESS=1` lets the generated tables be written anew.

mod cases;
mod citations;
mod kinds;
mod layers;
mod limits;
mod table;
mod tidy;
mod tree;
