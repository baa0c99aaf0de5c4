//! The items of a channel by the numbers under which its owner reads them: in the order in which
//! they came in, whatever log they are of. Where they came in the order of a log, a whole run takes
//! one row.

use mesh_wire::ChannelId;

use super::Library;
use crate::channel::LogId;
use crate::store::{Store, StoreError, Table, key};

impl<S: Store> Library<S> {
    /// Where the item with this number stands.
    pub(crate) fn place(
        &self,
        channel: &ChannelId,
        number: u64,
    ) -> Result<Option<(LogId, u64)>, StoreError> {
        let mut found = None;
        self.store.scan(Table::Arrivals, &key::arrival(channel, number), &mut |key, value| {
            if let Some((owner, first)) = key::read_arrival(key)
                && owner == *channel
                && let Some((log, seq)) = value.split_first_chunk()
                && let Ok(seq) = seq.try_into()
            {
                let at = LogId { channel: *channel, log: u32::from_be_bytes(*log) };
                found = Some((at, u64::from_be_bytes(seq) + (number - first)));
            }
            false
        })?;
        Ok(found)
    }

    /// Items of a log from `seq` on come in, and are numbered from `number` on.
    pub(super) fn arrive(&mut self, at: &LogId, seq: u64, number: u64) -> Result<(), StoreError> {
        let before = match number.checked_sub(1) {
            Some(last) => self.place(&at.channel, last)?,
            None => None,
        };
        if before.is_some_and(|(log, last)| log == *at && last + 1 == seq) {
            return Ok(());
        }
        let place = [&at.log.to_be_bytes()[..], &seq.to_be_bytes()].concat();
        self.put(Table::Arrivals, &key::arrival(&at.channel, number), &place)
    }
}
