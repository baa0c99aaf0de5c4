//! The ordered index in redb: one transaction open at a time, every value sealed with a tag.

use std::cell::RefCell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use mesh_sync::{StoreError, Table};
use redb::{
    Builder, Database, DatabaseError, ReadOnlyTable, ReadableDatabase, ReadableTable,
    TableDefinition, WriteTransaction,
};

use super::disk_error;

/// Memory for pages: a quarter of the 64 MiB that a node promises to fit in. With 10⁵ small rows,
/// half of it would make a read two times slower; bulk lies in files and not here.
const CACHE_BYTES: usize = 16 << 20;
/// Bytes of BLAKE3 behind every value: a flipped bit anywhere in a record is found when it is
/// read, with odds of 2⁻⁶⁴ to the contrary.
const TAG_BYTES: usize = 8;
const TAG_CONTEXT: &str = "mesh 2026-11 index record";

/// How the database is opened, again after every error: redb refuses work after a failed one.
pub(super) type Opener = Box<dyn Fn(&mut Builder) -> Result<Database, DatabaseError> + Send>;

type Definition = TableDefinition<'static, &'static [u8], &'static [u8]>;
type Committed = ReadOnlyTable<&'static [u8], &'static [u8]>;

/// redb with tags, whole or not at all.
///
/// What its disk does to it: a flipped bit in a value or in a key that is read is
/// [`StoreError::Damaged`]; so is a page that redb cannot make sense of. A flipped bit in an inner
/// page or in a key that is looked for may make a record missing: sync then fetches it again.
pub(super) struct Index {
    opener: Opener,
    view: RefCell<View>,
    tagger: blake3::Hasher,
}

/// What reads see.
enum View {
    /// Nothing is open: the first use opens it.
    Closed,
    /// The last commit, by table number.
    Committed { tables: Vec<Committed>, database: Database },
    /// The last commit and the changes since.
    Changing { transaction: Box<WriteTransaction>, database: Database },
}

impl Index {
    pub(super) fn open(opener: Opener) -> Result<Self, StoreError> {
        let tagger = blake3::Hasher::new_derive_key(TAG_CONTEXT);
        let index = Self { opener, view: RefCell::new(View::Closed), tagger };
        index.reopen()?;
        Ok(index)
    }

    pub(super) fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.reopen()?;
        guarded(|| match &*self.view.borrow() {
            View::Closed => Err(closed()),
            View::Committed { tables, .. } => self.find(&tables[table as usize], table, key),
            View::Changing { transaction, .. } => {
                self.find(&transaction.open_table(definition(table))?, table, key)
            }
        })
    }

    /// `visit` may not turn back to this table.
    pub(super) fn scan(
        &self,
        table: Table,
        from: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        self.reopen()?;
        match &*self.view.borrow() {
            View::Closed => guarded(|| Err(closed())),
            View::Committed { tables, .. } => {
                self.walk(&tables[table as usize], (table, from), visit)
            }
            View::Changing { transaction, .. } => {
                let rows = guarded(|| Ok(transaction.open_table(definition(table))?))?;
                self.walk(&rows, (table, from), visit)
            }
        }
    }

    pub(super) fn put(&self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        let tag = self.tag(table, key, value);
        self.change(table, |rows| {
            let mut room = rows.insert_reserve(key, value.len() + TAG_BYTES)?;
            let (record, seal) = room.as_mut().split_at_mut(value.len());
            record.copy_from_slice(value);
            seal.copy_from_slice(&tag);
            Ok(())
        })
    }

    pub(super) fn remove(&self, table: Table, key: &[u8]) -> Result<(), StoreError> {
        self.change(table, |rows| rows.remove(key).map(drop).map_err(Into::into))
    }

    pub(super) fn commit(&self) -> Result<(), StoreError> {
        guarded(|| {
            let mut view = self.view.borrow_mut();
            match std::mem::replace(&mut *view, View::Closed) {
                View::Changing { transaction, database } => {
                    transaction.commit()?;
                    *view = View::committed(database)?;
                }
                unchanged @ (View::Closed | View::Committed { .. }) => *view = unchanged,
            }
            Ok(())
        })
    }

    /// Lets go of everything since the last commit.
    pub(super) fn roll_back(&self) {
        // A visitor of `scan` may be asking; then the outermost call does it.
        if let Ok(mut view) = self.view.try_borrow_mut() {
            let open = std::mem::replace(&mut *view, View::Closed);
            // Closing may fail too, on the same damage that brought us here: nothing is lost then.
            let _ = guarded(move || {
                drop(open);
                Ok(())
            });
        }
    }

    fn reopen(&self) -> Result<(), StoreError> {
        if !matches!(&*self.view.borrow(), View::Closed) {
            return Ok(());
        }
        guarded(|| {
            let database = (self.opener)(Builder::new().set_cache_size(CACHE_BYTES))?;
            *self.view.borrow_mut() = View::committed(database)?;
            Ok(())
        })
    }

    fn change(
        &self,
        table: Table,
        apply: impl FnOnce(&mut redb::Table<'_, &[u8], &[u8]>) -> Result<(), Fail>,
    ) -> Result<(), StoreError> {
        self.reopen()?;
        guarded(|| {
            let mut view = self.view.borrow_mut();
            if let View::Committed { .. } = &*view {
                let View::Committed { tables, database } =
                    std::mem::replace(&mut *view, View::Closed)
                else {
                    return Err(closed());
                };
                // A reader of the last commit would keep its pages from being used again.
                drop(tables);
                *view = View::Changing { transaction: Box::new(begin(&database)?), database };
            }
            let View::Changing { transaction, .. } = &*view else { return Err(closed()) };
            apply(&mut transaction.open_table(definition(table))?)
        })
    }

    fn find(
        &self,
        rows: &impl ReadableTable<&'static [u8], &'static [u8]>,
        table: Table,
        key: &[u8],
    ) -> Result<Option<Bytes>, Fail> {
        let Some(sealed) = rows.get(key)? else { return Ok(None) };
        self.unseal(table, key, sealed.value()).map(|value| Some(Bytes::copy_from_slice(value)))
    }

    fn walk(
        &self,
        rows: &impl ReadableTable<&'static [u8], &'static [u8]>,
        (table, from): (Table, &[u8]),
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        let mut rows = guarded(|| Ok(rows.range::<&[u8]>(from..)?))?;
        loop {
            let row = guarded(|| {
                let Some((key, sealed)) = rows.next().transpose()? else { return Ok(None) };
                let length = self.unseal(table, key.value(), sealed.value())?.len();
                Ok(Some((key, sealed, length)))
            })?;
            let Some((key, sealed, length)) = row else { return Ok(()) };
            // Outside of the guard: a panic of the visitor is not damage on the disk.
            if !visit(key.value(), &sealed.value()[..length]) {
                return Ok(());
            }
        }
    }

    fn unseal<'a>(&self, table: Table, key: &[u8], sealed: &'a [u8]) -> Result<&'a [u8], Fail> {
        let value = sealed.split_last_chunk::<TAG_BYTES>();
        match value {
            Some((value, tag)) if *tag == self.tag(table, key, value) => Ok(value),
            Some(_) | None => {
                let start = &key[..key.len().min(8)];
                let text =
                    format!("a record of table {table:?} changed on disk, key {start:02x?}…");
                Err(Fail(StoreError::Damaged(text)))
            }
        }
    }

    /// Binds a value to its place. The value comes first: BLAKE3 is fastest on one long piece.
    pub(super) fn tag(&self, table: Table, key: &[u8], value: &[u8]) -> [u8; TAG_BYTES] {
        let mut tag = [0; TAG_BYTES];
        self.tagger
            .clone()
            .update(value)
            .update(key)
            .update(&(key.len() as u64).to_le_bytes())
            .update(&[table as u8])
            .finalize_xof()
            .fill(&mut tag);
        tag
    }
}

impl View {
    fn committed(database: Database) -> Result<Self, Fail> {
        if !has_tables(&database)? {
            let transaction = begin(&database)?;
            for table in Table::ALL {
                transaction.open_table(definition(table))?;
            }
            transaction.commit()?;
        }
        let transaction = database.begin_read()?;
        let tables = Table::ALL.map(|table| transaction.open_table(definition(table))).into_iter();
        Ok(Self::Committed { tables: tables.collect::<Result<_, _>>()?, database })
    }
}

fn has_tables(database: &Database) -> Result<bool, Fail> {
    Ok(database.begin_read()?.list_tables()?.count() == Table::ALL.len())
}

fn begin(database: &Database) -> Result<WriteTransaction, Fail> {
    let mut transaction = database.begin_write()?;
    // Two flushes per commit: no reordering of writes can leave half of one behind.
    transaction.set_two_phase_commit(true);
    // Each commit also keeps the map of free pages: after a crash the store opens at once, and
    // not after a walk through all of it.
    transaction.set_quick_repair(true);
    Ok(transaction)
}

/// The names are part of the format on disk.
const fn definition(table: Table) -> Definition {
    TableDefinition::new(match table {
        Table::Channels => "channels",
        Table::Items => "items",
        Table::Nodes => "nodes",
        Table::Blobs => "blobs",
        Table::Cvs => "cvs",
        Table::Groups => "groups",
        Table::References => "references",
        Table::Secrets => "secrets",
        Table::Missing => "missing",
        Table::Forks => "forks",
        Table::Logs => "logs",
        Table::Charters => "charters",
        Table::Arrivals => "arrivals",
        Table::Epochs => "epochs",
        Table::Origins => "origins",
        Table::Kept => "kept",
        Table::Accounts => "accounts",
        Table::Gone => "gone",
        Table::Lacking => "lacking",
        Table::Expiries => "expiries",
        Table::Hidden => "hidden",
        Table::Notes => "notes",
    })
}

fn closed() -> Fail {
    Fail(StoreError::Failed("the index is closed".into()))
}

/// Runs `act` on redb, which panics on some damaged pages: here that is an error like any other.
fn guarded<T>(act: impl FnOnce() -> Result<T, Fail>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(act))
        .unwrap_or_else(|_| {
            Err(Fail(StoreError::Damaged("a page of the index makes no sense".into())))
        })
        .map_err(|Fail(error)| error)
}

/// A [`StoreError`] on its way out, so that `?` takes every error of redb.
struct Fail(StoreError);

impl<E: Into<redb::Error>> From<E> for Fail {
    fn from(error: E) -> Self {
        let error = error.into();
        Self(if let redb::Error::Io(error) = &error {
            disk_error("index", error)
        } else if is_damage(&error) {
            StoreError::Damaged(error.to_string())
        } else {
            StoreError::Failed(error.to_string())
        })
    }
}

/// Whether the file is not what we wrote; all else is a failure of the moment.
fn is_damage(error: &redb::Error) -> bool {
    use redb::Error::{
        Corrupted, TableDoesNotExist, TableIsMultimap, TableTypeMismatch, TypeDefinitionChanged,
        UpgradeRequired,
    };
    matches!(
        error,
        Corrupted(_)
            | TableDoesNotExist(_)
            | TableIsMultimap(_)
            | TableTypeMismatch { .. }
            | TypeDefinitionChanged { .. }
            | UpgradeRequired(_)
    )
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index").finish_non_exhaustive()
    }
}
