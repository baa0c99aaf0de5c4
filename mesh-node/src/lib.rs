//! A mesh node: everything below put together, and the program `mesh`.
//!
//! ```no_run
//! # async fn example(link: mesh_node::ChannelLink) -> Result<(), mesh_node::Error> {
//! let (mesh, run) = mesh_node::start(mesh_node::Config::at("/tmp/mesh-home"))?;
//! let app = mesh.app("org.example.news")?;
//! # let _ = run; // spawn it on any executor
//! let mut feed = app.follow(link)?;
//! while let Some(item) = feed.next().await {
//!     println!("{} {}", item.seq, item.name);
//! }
//! # Ok(()) }
//! ```
//!
//! | to know | read |
//! |---|---|
//! | how the layers become one machine | [`node`] |
//! | what an app calls | [`handle`] |
//! | how frames move | [`driver`] |
//! | where state lies | [`home`], [`store`] |
//! | how files come in and go out | [`import`], [`export`] |
//! | what other programs are told, and people | [`api`], [`control`], [`words`] |
//! | the rest of the edge | [`config`], [`clock`], [`entropy`], [`cipher`], [`identity`] |
//! | what can go wrong | [`error`] |
#![cfg_attr(not(any(feature = "driver", test)), no_std)]

extern crate alloc;

pub mod node;

#[cfg(feature = "driver")]
pub mod api;
#[cfg(feature = "driver")]
pub mod cipher;
#[cfg(feature = "driver")]
pub mod clock;
#[cfg(feature = "driver")]
pub mod config;
#[cfg(feature = "driver")]
pub mod control;
#[cfg(feature = "driver")]
pub mod driver;
#[cfg(feature = "driver")]
pub mod entropy;
#[cfg(feature = "driver")]
pub mod error;
#[cfg(feature = "driver")]
pub mod export;
#[cfg(feature = "driver")]
pub mod handle;
#[cfg(feature = "driver")]
pub mod home;
#[cfg(feature = "driver")]
pub mod identity;
#[cfg(feature = "driver")]
pub mod import;
#[cfg(feature = "driver")]
pub mod store;
#[cfg(feature = "driver")]
mod web;
#[cfg(feature = "driver")]
pub mod words;

#[cfg(feature = "driver")]
pub use config::{Beacons, Config};
#[cfg(feature = "driver")]
pub use error::{Error, ErrorKind};
#[cfg(feature = "driver")]
pub use handle::{App, Feed, Mesh, start};
#[cfg(feature = "driver")]
pub use mesh_sync::Visibility;
pub use mesh_wire::invite::{ChannelLink, WriterLink};
pub use mesh_wire::message::sync::Right;
pub use mesh_wire::origin::OriginUrl;
pub use node::{Internet, Relaying};
