//! What a neighbour says is handed to the room it concerns. Decoded whole, checked, then applied: a
//! message that is refused leaves everything as it was.

use alloc::vec::Vec;

use mesh_wire::codec::List;
use mesh_wire::message::SyncMessage;
use mesh_wire::message::sync::{Branch, Cvs, Fork, GroupData, PageAsk, PageHave};
use mesh_wire::{Fault, LinkId, Time, limits};

use crate::blob::{Bitmap, BlobId, PageId};
use crate::channel::account::Source;
use crate::channel::{Channel, LogId, fork};
use crate::event::Event;
use crate::fetch::Landed;
use crate::library::Trouble;
use crate::peer::Told;
use crate::store::{Store, StoreError};
use crate::sync::Sync;

impl<S: Store> Sync<S> {
    /// Takes a message, or blames who sent it.
    pub(crate) fn receive(
        &mut self,
        now: Time,
        link: LinkId,
        message: SyncMessage,
    ) -> Result<(), StoreError> {
        if self.health.closed().is_some() || !self.peers.contains_key(&link) {
            return Ok(());
        }
        match self.take(now, link, message) {
            Ok(()) => Ok(()),
            Err(Trouble::Store(error)) => Err(error),
            Err(Trouble::Fault(fault)) => {
                self.blame(now, link, fault);
                Ok(())
            }
        }
    }

    /// Nothing of a message that breaks the rules is taken; who forges is asked for nothing more.
    // spec: SYNC-24
    fn blame(&mut self, now: Time, link: LinkId, fault: Fault) {
        self.events.tell(Event::PeerFault { link, fault });
        let Fault::Forged(_) = fault else { return };
        let Some(peer) = self.peers.get_mut(&link) else { return };
        peer.trusted = false;
        peer.forget_requests();
        self.fetch.lost(link, &mut self.peers);
        self.fetch.news();
        self.seek_all(now);
        self.blame_origin(now, link);
    }

    fn take(&mut self, now: Time, link: LinkId, message: SyncMessage) -> Result<(), Trouble> {
        match message {
            SyncMessage::Share(share) => self.take_share(now, link, &share),
            SyncMessage::Heard(heard) => {
                if let Some(peer) = self.peers.get_mut(&link) {
                    heard.serials.iter().for_each(|serial| peer.was_heard(serial));
                }
            }
            SyncMessage::Summary(summary) => self.take_summary(now, link, &summary)?,
            SyncMessage::Want(want) => self.take_want(link, &want),
            SyncMessage::Items(items) => self.take_items(now, link, &items)?,
            SyncMessage::PageAsk(ask) => self.take_ask(link, &ask)?,
            SyncMessage::PageHave(have) => self.take_have(now, link, &have)?,
            SyncMessage::GroupsWant(want) => {
                if let Some(peer) = self.peers.get_mut(&link) {
                    peer.served.want_groups(want.handle, want.groups.iter());
                }
            }
            SyncMessage::CvsWant(want) => {
                if let Some(peer) = self.peers.get_mut(&link) {
                    peer.served.want_cvs(want.handle, want.level);
                }
            }
            SyncMessage::Cvs(cvs) => self.take_cvs(link, &cvs)?,
            SyncMessage::GroupData(data) => self.take_group(now, link, &data)?,
            SyncMessage::PageDrop(page) => {
                if let Some(peer) = self.peers.get_mut(&link) {
                    peer.acknowledge(page.serial);
                    peer.served.drop(page.handle);
                }
            }
            SyncMessage::Blinded(question) => self.take_question(now, link, &question)?,
            SyncMessage::Evaluated(answer) => self.take_answer(link, &answer)?,
            SyncMessage::Fork(fork) => self.take_fork(link, fork)?,
            SyncMessage::Reconcile(step) => self.take_reconcile(now, link, step)?,
            SyncMessage::Notes(notes) => self.take_notes(now, link, &notes)?,
        }
        Ok(())
    }

    /// A neighbour shows what was signed about a log.
    // spec: SYNC-34
    fn take_fork(&mut self, link: LinkId, mut fork: Fork) -> Result<(), Trouble> {
        let Some(peer) = self.peers.get_mut(&link) else { return Ok(()) };
        let Some(id) = peer.slots.named(fork.channel) else { return Ok(()) };
        let at = LogId { channel: id, log: fork.log };
        if self.library.log(&at).is_none() || !peer.matched.contains_key(&id) {
            return Ok(());
        }
        let agrees = self.library.sound(&id).zip(peer.matched.get(&id));
        let agrees = agrees.is_some_and(|(channel, it)| it.agrees(&channel.charter, at.log));
        let serial = core::mem::take(&mut fork.serial);
        let count = fork.branches.len();
        // Signatures are looked at only if they may freeze the log; what has ended stands as it is.
        let channel = self.library.sound(&id);
        let is_over =
            channel.is_some_and(|channel| channel.charter.most(at.log) < limits::LOG_ITEMS);
        let is_fork = !is_over
            && self.library.growing(&at).is_some()
            && (count != 1 || self.is_other(&at, &mut fork)?);
        if is_fork {
            match self.verify_fork(&at, &fork) {
                // It is a fork of another writer's log, by other rules.
                Err(Fault::Forged(_)) if !agrees => return Ok(()),
                verified => verified?,
            }
            fork.channel = 0;
            self.library.freeze(&at, &fork)?;
        }
        let is_forked = self.library.sound(&id).is_some_and(|channel| channel.is_forked(at.log));
        let Some(peer) = self.peers.get_mut(&link) else { return Ok(()) };
        peer.acknowledge(serial);
        if let Some(matched) = peer.matched.get_mut(&id) {
            let talk = matched.talk(at.log);
            // As good an answer as a summary.
            talk.pushed.answered();
            if count == 2 && is_forked {
                talk.told = Some(Told::Fork);
            }
        }
        if !is_fork {
            return Ok(());
        }
        self.events.tell(Event::Forked { channel: id });
        let is_frozen = self.library.sound(&id).is_some_and(Channel::is_frozen);
        for peer in self.peers.values_mut() {
            if let Some(matched) = peer.matched.get_mut(&id) {
                let logs = matched.logs.iter_mut();
                for (_, talk) in logs.filter(|(log, _)| is_frozen || **log == at.log) {
                    (talk.incoming, talk.outgoing) = (None, None);
                }
                matched.offer = false;
            }
            peer.changed(&id);
        }
        Ok(())
    }

    fn verify_fork(&self, at: &LogId, fork: &Fork) -> Result<(), Fault> {
        let channel = self.library.sound(&at.channel);
        let writer = channel.and_then(|channel| channel.charter.writer(at.log));
        fork::verify(at, fork, writer.map(|writer| &writer.key))
    }

    /// Whether a history is not how ours begins; if so, ours is put beside it.
    // spec: SYNC-34
    fn is_other(&self, at: &LogId, fork: &mut Fork) -> Result<bool, Trouble> {
        let own = self.library.branch(at, fork.end)?;
        let mut branches: Vec<Branch> = fork.branches.iter().collect();
        let is_same = |own: &Branch| branches.iter().all(|theirs| theirs.peaks == own.peaks);
        let Some(own) = own.filter(|own| !is_same(own)) else { return Ok(false) };
        // What is not genuine is found out beside ours.
        branches.push(own);
        let theirs = core::mem::replace(&mut fork.branches, List::new(&branches));
        if self.verify_fork(at, fork).is_err() {
            // Ours may have rotted: that is not their fault, and proves nothing.
            fork.branches = theirs;
            return Ok(self.verify_fork(at, fork).is_err());
        }
        Ok(true)
    }

    // spec: SYNC-16
    fn take_ask(&mut self, link: LinkId, ask: &PageAsk) -> Result<(), Fault> {
        let page = PageId { blob: BlobId { hash: ask.hash, size: ask.size }, index: ask.page };
        let is_blob = (limits::INLINE_BYTES as u64 + 1..=limits::BLOB_BYTES).contains(&ask.size);
        if !is_blob || page.index >= page.blob.pages() {
            return Err(Fault::Protocol("a page of no blob"));
        }
        let Some(peer) = self.peers.get_mut(&link) else { return Ok(()) };
        peer.served.ask(ask.handle, page, peer.slots.named(ask.channel))
    }

    // spec: SYNC-17
    fn take_have(&mut self, now: Time, link: LinkId, have: &PageHave) -> Result<(), Fault> {
        let groups = Bitmap::from_bytes(have.groups.bytes())
            .ok_or(Fault::Protocol("a bitmap with zeros at its end"))?;
        self.fetch.have(now, link, &mut self.peers, (have, groups))
    }

    fn take_cvs(&mut self, link: LinkId, cvs: &Cvs) -> Result<(), Trouble> {
        let Some(peer) = self.peers.get_mut(&link) else { return Ok(()) };
        let Some(page) = peer.asked.get(&cvs.handle).map(|asked| asked.page) else {
            return Ok(());
        };
        let values: Vec<_> = cvs.cvs.iter().collect();
        peer.pace.unanswered = 0;
        self.fetch.take_cvs(&mut self.library, &page, u32::from(cvs.level), values)?;
        self.peers.values_mut().for_each(|peer| peer.hungry = true);
        Ok(())
    }

    fn take_group(&mut self, now: Time, link: LinkId, data: &GroupData) -> Result<(), Trouble> {
        let peer = self.peers.get(&link).filter(|_| !self.health.is_full(now));
        let asked = peer.and_then(|peer| peer.asked.get(&data.handle));
        let Some(page) = asked.map(|asked| asked.page) else { return Ok(()) };
        let source = peer.map_or_else(Source::default, |peer| peer.source);
        let group = (page, data.group, data.bytes.bytes());
        let landed =
            self.fetch.take_group((now, link), &mut self.library, &mut self.peers, group)?;
        match landed {
            Landed::Nowhere => return Ok(()),
            Landed::Kept(blob) => self.events.tell(Event::BlobProgress { blob }),
            Landed::Whole(blob) => self.is_whole(blob)?,
        }
        self.library.received(&page.blob, source, data.bytes.bytes().len() as u64)?;
        Ok(self.make_room()?)
    }

    /// A blob is here whole: tells the owner and everybody around.
    pub(crate) fn is_whole(&mut self, blob: BlobId) -> Result<(), StoreError> {
        self.events.tell(Event::BlobHere { blob });
        for channel in self.library.channels_naming(&blob)? {
            self.peers.values_mut().for_each(|peer| peer.changed(&channel));
        }
        Ok(())
    }

    /// A group turned out to be rotten: it is missing now, and everybody who was told otherwise
    /// hears of it.
    pub(crate) fn rotted(&mut self, page: &PageId) -> Result<(), StoreError> {
        let here = self.library.page(page)?;
        self.peers.values_mut().for_each(|peer| peer.served.changed(page, &here));
        for channel in self.library.channels_naming(&page.blob)? {
            self.peers.values_mut().for_each(|peer| peer.changed(&channel));
        }
        self.fetch.rotted(page, here);
        Ok(())
    }
}
