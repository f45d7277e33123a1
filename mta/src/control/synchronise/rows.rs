//! What a service told of a tenant's directory, as rows of the store, and how far a round is. Pages and their cursor are written together.
//!
//! Rows lie in **layers**. One layer is in use: what the last complete round left. A round writes to another one: one that reads everything begins an
//! empty layer, which takes the place of the one in use when the round is complete, so that whatever the round did not name is gone with
//! the old one; one that reads changes notes them (with what is gone) and puts them over the layer in use when it is complete. So nothing of an
//! unfinished round, or of one that is held back, is ever in use, and a crash loses at most the page that was under way.
//!
//! Rows of layers that no round names any more are removed a piece at a time: the store has one thread, and the mail path's ledger waits for it, too.

use rusqlite::{Connection as Database, OptionalExtension as _, Transaction, params};

use crate::control::words::{Change, Entry, Page};

/// Fewer missing people than this are never held back: in a small company, that many leave when a team is closed.
pub const FEW: u64 = 10;

/// Rows of one table that are removed at once: some milliseconds.
const PIECE: i64 = 2000;

/// In the place of a member's id, which is never empty: the members that the layer in use has are forgotten.
const ALL: &str = "";

/// How far a tenant is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Round {
    /// The layer in use; none before the first complete round.
    pub(super) base: Option<i64>,
    /// Whose people that has.
    base_scope: String,
    /// The layer that is written to.
    top: i64,
    /// Whether that takes the place of the one in use.
    whole: bool,
    /// Whose people are read.
    pub(super) scope: String,
    /// Where to go on.
    pub(super) cursor: Vec<u8>,
    /// Whether the round is complete and held back.
    complete: bool,
    /// Why the last complete round was held back.
    pub(super) held: Option<Shrink>,
    /// So many missing people are accepted.
    accepted: u64,
    /// When the last round was taken over, in milliseconds since 1970.
    pub(super) ended: Option<u64>,
}

/// People who are missing in a complete round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shrink {
    pub(super) missing: u64,
    /// So many are in use.
    pub(super) of: u64,
}

impl Shrink {
    /// Whether that many are more than `limit` percent, and more than a few.
    fn exceeds(self, limit: usize) -> bool {
        let percent = u64::try_from(limit).unwrap_or(u64::MAX);
        self.missing >= FEW && self.missing.saturating_mul(100) > self.of.saturating_mul(percent)
    }
}

/// What a page came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Applied {
    /// The round goes on.
    Going,
    /// The round is complete and in use; whether it changed anything.
    Taken(bool),
    /// It is complete and held back.
    Held(Shrink),
}

/// Somebody as the layer in use has them, with the manager's addresses in place of the id.
pub(super) struct PersonRow {
    pub(super) id: String,
    pub(super) addresses: String,
    pub(super) attributes: String,
    pub(super) manager: Option<String>,
}

/// How far that tenant is; none before its first page.
pub(super) fn round(database: &Database, tenant: &str) -> rusqlite::Result<Option<Round>> {
    let mut statement = database.prepare_cached(
        "SELECT base, base_scope, top, whole, scope, cursor, complete, missing, of_people, accepted, ended
         FROM directory_round WHERE tenant = ?1",
    )?;
    let read = |row: &rusqlite::Row<'_>| {
        let (missing, of): (Option<i64>, Option<i64>) = (row.get(7)?, row.get(8)?);
        Ok(Round {
            base: row.get(0)?,
            base_scope: row.get(1)?,
            top: row.get(2)?,
            whole: row.get(3)?,
            scope: row.get(4)?,
            cursor: row.get(5)?,
            complete: row.get(6)?,
            held: missing.zip(of).map(|(missing, of)| Shrink { missing: missing.unsigned_abs(), of: of.unsigned_abs() }),
            accepted: row.get::<_, i64>(9)?.unsigned_abs(),
            ended: row.get::<_, Option<i64>>(10)?.map(i64::unsigned_abs),
        })
    };
    statement.query_row([tenant], read).optional()
}

/// Writes a page, its cursor and, when it is the last one, what the round comes to: all or nothing. `scope` is whose people are read; another one
/// than before begins anew, like a page that says so.
pub(super) fn apply(
    database: &mut Database,
    tenant: &str,
    scope: &str,
    page: &Page,
    (limit, now): (usize, u64),
) -> rusqlite::Result<Applied> {
    let transaction = database.transaction()?;
    let known = round(&transaction, tenant)?;
    let mut round = match known {
        Some(round) if !page.restarted && round.scope == scope => round,
        known => Round::begin(&transaction, tenant, scope, known)?,
    };
    for change in &page.changes {
        round.note(&transaction, change)?;
    }
    round.cursor.clone_from(&page.cursor);
    round.complete = page.complete;
    let applied = if page.complete { round.finish(&transaction, tenant, (limit, now))? } else { Applied::Going };
    round.write(&transaction, tenant)?;
    transaction.commit()?;
    Ok(applied)
}

/// Takes a round over that was held back, or remembers that so many missing people are accepted when another one is under way by now; false
/// when nothing was held back.
pub(super) fn accept(database: &mut Database, tenant: &str, now: u64) -> rusqlite::Result<bool> {
    let transaction = database.transaction()?;
    let Some(mut round) = round(&transaction, tenant)? else { return Ok(false) };
    let Some(shrink) = round.held else { return Ok(false) };
    if round.complete {
        round.take(&transaction, tenant, now)?;
    } else {
        round.accepted = shrink.missing;
    }
    round.write(&transaction, tenant)?;
    transaction.commit()?;
    Ok(true)
}

/// Forgets a tenant; its rows are for [`prune`].
pub(super) fn forget(database: &mut Database, tenant: &str) -> rusqlite::Result<()> {
    let transaction = database.transaction()?;
    transaction.execute("DELETE FROM directory_round WHERE tenant = ?1", [tenant])?;
    transaction.execute("DELETE FROM directory_photo WHERE tenant = ?1", [tenant])?;
    transaction.commit()
}

/// Removes some rows that no round names; whether there may be more.
pub(super) fn prune(database: &mut Database) -> rusqlite::Result<bool> {
    let transaction = database.transaction()?;
    let layer: Option<i64> = transaction
        .prepare_cached(
            "SELECT layer FROM directory_layer WHERE layer NOT IN (SELECT top FROM directory_round)
             AND layer NOT IN (SELECT base FROM directory_round WHERE base IS NOT NULL) LIMIT 1",
        )?
        .query_row([], |row| row.get(0))
        .optional()?;
    let Some(layer) = layer else { return Ok(false) };
    let mut removed = 0;
    for sql in [
        "DELETE FROM directory_person WHERE layer = ?1 AND id IN (SELECT id FROM directory_person WHERE layer = ?1 LIMIT ?2)",
        "DELETE FROM directory_group WHERE layer = ?1 AND id IN (SELECT id FROM directory_group WHERE layer = ?1 LIMIT ?2)",
        "DELETE FROM directory_member WHERE (layer, id, member) IN
         (SELECT layer, id, member FROM directory_member WHERE layer = ?1 LIMIT ?2)",
    ] {
        removed += transaction.prepare_cached(sql)?.execute(params![layer, PIECE])?;
    }
    if removed == 0 {
        transaction.execute("DELETE FROM directory_layer WHERE layer = ?1", [layer])?;
    }
    transaction.commit()?;
    Ok(true)
}

/// People of a layer in the order of their ids, after `last`.
pub(super) fn people(database: &Database, layer: i64, last: &str, most: i64) -> rusqlite::Result<Vec<PersonRow>> {
    let mut statement = database.prepare_cached(
        "SELECT person.id, person.addresses, person.attributes, manager.addresses FROM directory_person AS person
         LEFT JOIN directory_person AS manager ON manager.layer = person.layer AND manager.id = person.manager
         WHERE person.layer = ?1 AND person.id > ?2 AND person.addresses IS NOT NULL ORDER BY person.id LIMIT ?3",
    )?;
    let read =
        |row: &rusqlite::Row<'_>| Ok(PersonRow { id: row.get(0)?, addresses: row.get(1)?, attributes: row.get(2)?, manager: row.get(3)? });
    statement.query_map(params![layer, last, most], read)?.collect()
}

/// Groups of a layer in the order of their ids, after `last`: id, addresses, attributes.
pub(super) fn groups(database: &Database, layer: i64, last: &str, most: i64) -> rusqlite::Result<Vec<(String, String, String)>> {
    let mut statement = database.prepare_cached(
        "SELECT id, addresses, attributes FROM directory_group
         WHERE layer = ?1 AND id > ?2 AND addresses IS NOT NULL ORDER BY id LIMIT ?3",
    )?;
    statement.query_map(params![layer, last, most], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
}

/// Groups and members of a layer in their order, after `last`.
pub(super) fn members(database: &Database, layer: i64, last: &(String, String), most: i64) -> rusqlite::Result<Vec<(String, String)>> {
    let mut statement = database.prepare_cached(
        "SELECT id, member FROM directory_member
         WHERE layer = ?1 AND (id, member) > (?2, ?3) AND present ORDER BY id, member LIMIT ?4",
    )?;
    statement.query_map(params![layer, last.0, last.1, most], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

impl Round {
    /// Whether the last round was complete and held back, and no other one was begun.
    pub(super) fn is_held(&self) -> bool {
        self.complete
    }

    /// The beginning of a round that reads everything.
    fn begin(transaction: &Transaction<'_>, tenant: &str, scope: &str, known: Option<Self>) -> rusqlite::Result<Self> {
        let top = new_layer(transaction, tenant)?;
        let known = known.unwrap_or_else(|| Self {
            base: None,
            base_scope: String::new(),
            top,
            whole: true,
            scope: String::new(),
            cursor: Vec::new(),
            complete: false,
            held: None,
            accepted: 0,
            ended: None,
        });
        Ok(Self { top, whole: true, scope: scope.to_owned(), ..known })
    }

    fn note(&self, transaction: &Transaction<'_>, change: &Change) -> rusqlite::Result<()> {
        match change {
            Change::Person(entry) => self.person(transaction, entry),
            Change::PersonRemoved(id) => self.remove(transaction, "directory_person", id),
            Change::Group(entry) => {
                let (addresses, attributes) = texts(entry)?;
                let sql = "INSERT OR REPLACE INTO directory_group (layer, id, addresses, attributes) VALUES (?1, ?2, ?3, ?4)";
                transaction.prepare_cached(sql)?.execute(params![self.top, entry.id, addresses, attributes]).map(drop)
            }
            // Its members stay: they are not told again when it comes back, and mean nothing without it.
            Change::GroupRemoved(id) => self.remove(transaction, "directory_group", id),
            Change::Member { group, member } => self.pair(transaction, group, member, true),
            Change::MemberRemoved { group, member } => self.pair(transaction, group, member, false),
            Change::MembersRestart(group) => {
                transaction
                    .prepare_cached("DELETE FROM directory_member WHERE layer = ?1 AND id = ?2")?
                    .execute(params![self.top, group])?;
                self.pair(transaction, group, ALL, false)
            }
        }
    }

    /// Takes the place of what was known, but for the manager when that is not told.
    fn person(&self, transaction: &Transaction<'_>, entry: &Entry) -> rusqlite::Result<()> {
        let (addresses, attributes) = texts(entry)?;
        let manager = match &entry.manager {
            Some(manager) => Some(manager.clone()),
            None => self.manager(transaction, &entry.id)?,
        };
        let sql = "INSERT OR REPLACE INTO directory_person (layer, id, addresses, attributes, manager) VALUES (?1, ?2, ?3, ?4, ?5)";
        transaction.prepare_cached(sql)?.execute(params![self.top, entry.id, addresses, attributes, manager]).map(drop)
    }

    fn manager(&self, transaction: &Transaction<'_>, id: &str) -> rusqlite::Result<Option<String>> {
        let mut statement = transaction.prepare_cached("SELECT manager FROM directory_person WHERE layer = ?1 AND id = ?2")?;
        let mut of = |layer: i64| statement.query_row(params![layer, id], |row| row.get(0)).optional();
        match (of(self.top)?, self.base) {
            (Some(manager), _) => Ok(manager),
            (None, Some(base)) if !self.whole => Ok(of(base)?.flatten()),
            (None, _) => Ok(None),
        }
    }

    /// A row without addresses takes the row of the layer below away.
    fn remove(&self, transaction: &Transaction<'_>, table: &str, id: &str) -> rusqlite::Result<()> {
        let sql = if self.whole {
            format!("DELETE FROM {table} WHERE layer = ?1 AND id = ?2")
        } else {
            format!("INSERT OR REPLACE INTO {table} (layer, id) VALUES (?1, ?2)")
        };
        transaction.prepare_cached(&sql)?.execute(params![self.top, id]).map(drop)
    }

    fn pair(&self, transaction: &Transaction<'_>, group: &str, member: &str, present: bool) -> rusqlite::Result<()> {
        if self.whole && !present {
            let sql = "DELETE FROM directory_member WHERE layer = ?1 AND id = ?2 AND member = ?3";
            return transaction.prepare_cached(sql)?.execute(params![self.top, group, member]).map(drop);
        }
        let sql = "INSERT OR REPLACE INTO directory_member (layer, id, member, present) VALUES (?1, ?2, ?3, ?4)";
        transaction.prepare_cached(sql)?.execute(params![self.top, group, member, present]).map(drop)
    }

    fn finish(&mut self, transaction: &Transaction<'_>, tenant: &str, (limit, now): (usize, u64)) -> rusqlite::Result<Applied> {
        let shrink = match self.base {
            // Whose people are read was changed on purpose.
            Some(base) if self.base_scope == self.scope => self.shrink(transaction, base)?,
            _ => Shrink { missing: 0, of: 0 },
        };
        if shrink.exceeds(limit) && shrink.missing > self.accepted {
            self.held = Some(shrink);
            return Ok(Applied::Held(shrink));
        }
        self.take(transaction, tenant, now).map(Applied::Taken)
    }

    fn shrink(&self, transaction: &Transaction<'_>, base: i64) -> rusqlite::Result<Shrink> {
        let missing = if self.whole {
            "SELECT count(*) FROM directory_person AS old WHERE old.layer = ?1
             AND NOT EXISTS (SELECT 1 FROM directory_person AS new WHERE new.layer = ?2 AND new.id = old.id)"
        } else {
            "SELECT count(*) FROM directory_person AS new WHERE new.layer = ?2 AND new.addresses IS NULL
             AND EXISTS (SELECT 1 FROM directory_person AS old WHERE old.layer = ?1 AND old.id = new.id)"
        };
        let count = |sql: &str, layers: &[i64]| {
            let counted = transaction.prepare_cached(sql)?.query_row(rusqlite::params_from_iter(layers), |row| row.get::<_, i64>(0));
            counted.map(i64::unsigned_abs)
        };
        let missing = count(missing, &[base, self.top])?;
        let of = if missing < FEW { 0 } else { count("SELECT count(*) FROM directory_person WHERE layer = ?1", &[base])? };
        Ok(Shrink { missing, of })
    }

    /// Puts the round in use; whether that changed anything.
    fn take(&mut self, transaction: &Transaction<'_>, tenant: &str, now: u64) -> rusqlite::Result<bool> {
        let changed = match self.base.filter(|_| !self.whole) {
            Some(base) => merge(transaction, base, self.top)?,
            None => {
                self.base = Some(self.top);
                self.top = new_layer(transaction, tenant)?;
                true
            }
        };
        self.base_scope.clone_from(&self.scope);
        (self.whole, self.complete, self.held, self.accepted, self.ended) = (false, false, None, 0, Some(now));
        Ok(changed)
    }

    fn write(&self, transaction: &Transaction<'_>, tenant: &str) -> rusqlite::Result<()> {
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let sql = "INSERT OR REPLACE INTO directory_round VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
        let (missing, of) = self.held.map(|shrink| (number(shrink.missing), number(shrink.of))).unzip();
        let ended = self.ended.map(number);
        let mut statement = transaction.prepare_cached(sql)?;
        let Self { base, base_scope, top, whole, scope, cursor, complete, .. } = self;
        let accepted = number(self.accepted);
        statement.execute(params![tenant, base, base_scope, top, whole, scope, cursor, complete, missing, of, accepted, ended]).map(drop)
    }
}

fn new_layer(transaction: &Transaction<'_>, tenant: &str) -> rusqlite::Result<i64> {
    transaction.execute("INSERT INTO directory_layer (tenant) VALUES (?1)", [tenant])?;
    Ok(transaction.last_insert_rowid())
}

/// Puts what `top` notes over `base`, and empties it; whether there was anything.
fn merge(transaction: &Transaction<'_>, base: i64, top: i64) -> rusqlite::Result<bool> {
    for sql in [
        "DELETE FROM directory_person WHERE layer = ?1 AND id IN (SELECT id FROM directory_person WHERE layer = ?2 AND addresses IS NULL)",
        "INSERT OR REPLACE INTO directory_person SELECT ?1, id, addresses, attributes, manager
         FROM directory_person WHERE layer = ?2 AND addresses IS NOT NULL",
        "DELETE FROM directory_group WHERE layer = ?1 AND id IN (SELECT id FROM directory_group WHERE layer = ?2 AND addresses IS NULL)",
        "INSERT OR REPLACE INTO directory_group SELECT ?1, id, addresses, attributes
         FROM directory_group WHERE layer = ?2 AND addresses IS NOT NULL",
        "DELETE FROM directory_member WHERE layer = ?1 AND id IN (SELECT id FROM directory_member WHERE layer = ?2 AND member = '')",
        "DELETE FROM directory_member WHERE (layer, id, member) IN
         (SELECT ?1, id, member FROM directory_member WHERE layer = ?2 AND NOT present)",
        "INSERT OR REPLACE INTO directory_member SELECT ?1, id, member, 1 FROM directory_member WHERE layer = ?2 AND present",
    ] {
        transaction.prepare_cached(sql)?.execute([base, top])?;
    }
    let mut noted = 0;
    for sql in [
        "DELETE FROM directory_person WHERE layer = ?1",
        "DELETE FROM directory_group WHERE layer = ?1",
        "DELETE FROM directory_member WHERE layer = ?1",
    ] {
        noted += transaction.prepare_cached(sql)?.execute([top])?;
    }
    Ok(noted > 0)
}

/// Addresses and attributes as the rows keep them.
fn texts(entry: &Entry) -> rusqlite::Result<(String, String)> {
    let text = |json: serde_json::Result<String>| json.map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()));
    Ok((text(serde_json::to_string(&entry.addresses))?, text(serde_json::to_string(&entry.attributes))?))
}

#[cfg(test)]
mod tests;
