//! What is to be here: policies, the quota, pins.

use mesh_sync::{Files, Policy};

use super::{Client, get};
use crate::control::{Answer, ComingFiles, Limit};
use crate::error::Error;
use crate::handle::Mesh;

/// Changes what is said, and leaves the rest.
pub(super) async fn set(
    (node, channel): (&Mesh, &str),
    (files, largest, keep): (Option<ComingFiles>, Option<Limit>, Option<Limit>),
    client: &mut Client<'_>,
) -> Result<(), Error> {
    let channel = node.resolve(channel).await?;
    let change = move |policy: &mut Policy| {
        policy.files = files.map_or(policy.files, |files| match files {
            ComingFiles::All => Files::All,
            ComingFiles::Wanted => Files::Wanted,
        });
        policy.largest = largest.map_or(policy.largest, Limit::bytes);
        policy.keep = keep.map_or(policy.keep, Limit::bytes);
    };
    client.say(&Answer::Channel(node.change_policy(channel, change).await?)).await
}

pub(super) async fn quota(
    node: &Mesh,
    total: Option<Limit>,
    client: &mut Client<'_>,
) -> Result<(), Error> {
    let quota = match total {
        None => node.quota().await?,
        Some(total) => node.set_quota(total.bytes()).await?,
    };
    client.say(&Answer::Quota(quota)).await
}

/// The wish for items to stay.
pub(super) struct Pinned;

pub(super) async fn pin(
    (node, channel): (&Mesh, &str),
    items: Vec<String>,
    pinned: Option<Pinned>,
    client: &mut Client<'_>,
) -> Result<(), Error> {
    let channel = node.resolve(channel).await?;
    for item in items {
        let seq = get::find(node, channel, &item).await?;
        match pinned {
            Some(Pinned) => node.pin(channel, seq).await?,
            None => node.unpin(channel, seq).await?,
        }
        for item in node.items(channel, seq..seq + 1).await?.items {
            client.say(&Answer::Item(item)).await?;
        }
    }
    Ok(())
}
