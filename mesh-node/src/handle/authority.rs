//! Who may write in a channel: what its owner and its writers do about it.

use std::time::Duration;

use mesh_wire::message::sync::Right;
use mesh_wire::{ChannelId, Label, UnixTime};

use super::{Mesh, report};
use crate::error::{Error, ErrorKind};
use crate::{WriterLink, api};

impl Mesh {
    /// What to give to a channel's owner so that this node may write in it, as `name`; or so that
    /// it becomes the owner.
    pub async fn request_right(
        &self,
        channel: ChannelId,
        name: &str,
        right: Right,
    ) -> Result<WriterLink, Error> {
        let name = Label::new(name).map_err(|bad| {
            Error::new(ErrorKind::Usage, format!("{name:?} cannot be a writer's name: {bad}"))
        })?;
        let asked = self.command(move |sync, now| sync.request_right(now, &channel, (name, right)));
        Ok(asked.await??)
    }

    /// Gives a writer what it asks for, until a time in milliseconds since 1970, if there is one.
    pub async fn grant(&self, writer: WriterLink, until_ms: Option<u64>) -> Result<(), Error> {
        let until = until_ms.map(|ms| UnixTime(ms).min(UnixTime::MAX));
        self.command(move |sync, now| sync.grant(now, &writer, until)).await??;
        Ok(())
    }

    /// Has a new key of this node say from now on who may write, in place of the one so far.
    pub async fn rotate(&self, channel: ChannelId) -> Result<(), Error> {
        self.command(move |sync, now| sync.rotate(now, &channel)).await??;
        Ok(())
    }

    /// Ends a writer's right. It goes by its name or the first digits of its key.
    pub async fn revoke(&self, channel: ChannelId, who: &str) -> Result<api::Writer, Error> {
        let writers = self.writers(channel).await?;
        let is_meant = |writer: &api::Writer| {
            let is_named = !writer.name.is_empty() && writer.name == who;
            writer.state != "ended" && (is_named || (who.len() >= 4 && writer.key.starts_with(who)))
        };
        let mut meant = (0..).zip(writers).filter(|(_, writer)| is_meant(writer));
        match (meant.next(), meant.next()) {
            (Some((log, writer)), None) => {
                self.command(move |sync, now| sync.revoke(now, &channel, log)).await??;
                Ok(writer)
            }
            (Some(_), Some(_)) => {
                let why = format!("several writers are called {who:?}: say which by its key");
                Err(Error::new(ErrorKind::Usage, why))
            }
            (None, _) => {
                let why = format!("nobody called {who:?} may write: see `mesh channel status`");
                Err(Error::new(ErrorKind::NotFound, why))
            }
        }
    }

    /// Says in the channel how far every writer is, and ends the rights whose time is over.
    pub async fn checkpoint(&self, channel: ChannelId) -> Result<(), Error> {
        self.command(move |sync, now| sync.checkpoint(now, &channel)).await??;
        Ok(())
    }

    /// The same, and does so again at least every so many hours while it runs, so that readers see
    /// when what they have may be out of date; or, with 0 hours, no more.
    pub async fn promise(&self, channel: ChannelId, hours: u16) -> Result<(), Error> {
        let within = (hours > 0).then(|| Duration::from_hours(u64::from(hours)));
        self.command(move |sync, now| sync.promise(now, &channel, within)).await??;
        Ok(())
    }

    /// Everybody who may write in a channel, or could: whoever made it first, then as they were
    /// let in.
    pub async fn writers(&self, channel: ChannelId) -> Result<Vec<api::Writer>, Error> {
        self.ask(move |node, _, _| report::writers(node.sync(), &channel)).await?
    }
}
