//! What Ctrl-C and a service manager's request to stop do.

use std::thread;

use async_signal::{Signal, Signals};
use futures_lite::StreamExt;
use mesh_node::Error;

use crate::say::failed;

/// The exit code of a command that was interrupted.
pub(crate) const INTERRUPTED: i32 = 130;

/// Calls `stop` at the first Ctrl-C, request to stop, or closing of the terminal; ends the process
/// at the second.
pub(crate) fn on_signal(stop: impl FnOnce() + Send + 'static) -> Result<(), Error> {
    let mut signals = Signals::new([Signal::Int, Signal::Term, Signal::Hup]).map_err(failed)?;
    let listen = async move {
        let mut stop = Some(stop);
        while signals.next().await.is_some() {
            match stop.take() {
                Some(stop) => stop(),
                None => std::process::exit(INTERRUPTED),
            }
        }
    };
    thread::spawn(move || async_io::block_on(listen));
    Ok(())
}
