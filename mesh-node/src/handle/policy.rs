//! How much of what there is is to be here: policies, the quota, pins.

use mesh_sync::Policy;
use mesh_wire::ChannelId;

use super::{Mesh, not_followed, report};
use crate::api;
use crate::error::Error;

impl Mesh {
    /// Changes how much of a channel's large files is to be here. The channel, as it is then.
    pub async fn change_policy(
        &self,
        channel: ChannelId,
        change: impl FnOnce(&mut Policy) + Send + 'static,
    ) -> Result<api::ChannelStatus, Error> {
        self.command(move |sync, now| {
            let status = sync.channel(&channel).ok_or_else(not_followed)?;
            let mut policy = status.policy;
            change(&mut policy);
            Ok::<(), Error>(sync.set_policy(now, &channel, policy)?)
        })
        .await??;
        self.channel(channel).await
    }

    /// How much large files take in every channel and in all, and how much they may.
    pub async fn quota(&self) -> Result<api::Quota, Error> {
        self.ask(|node, _, _| report::quota(node.sync())).await
    }

    /// Sets how many bytes the large files of all channels may take; `None` is half of what was
    /// free when the node started.
    pub async fn set_quota(&self, total: Option<u64>) -> Result<api::Quota, Error> {
        self.command(move |sync, now| sync.set_budget(now, total)).await??;
        self.quota().await
    }

    /// Fetches an item's content before all others, if it is not here, and keeps it.
    pub async fn pin(&self, channel: ChannelId, seq: u64) -> Result<(), Error> {
        Ok(self.command(move |sync, now| sync.pin(now, &channel, seq)).await??)
    }

    /// Lets an item's content go when its time has come.
    pub async fn unpin(&self, channel: ChannelId, seq: u64) -> Result<(), Error> {
        Ok(self.command(move |sync, now| sync.unpin(now, &channel, seq)).await??)
    }
}
