//! Records in the embedded store: one row a tenant, JSON with a version, so that a newer program can read what an older one wrote.

use serde::{Deserialize, Serialize};

use super::machine::Record;
use crate::store::{Store, StoreError};

/// The form of a record that this program writes.
const VERSION: u32 = 1;

/// Why what was kept cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A row of another program, or a damaged one.
    #[error("the state file's record of the connection of tenant {tenant:?} cannot be read: {source}; restore the file from a backup")]
    Damaged {
        /// Whose.
        tenant: String,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A newer program wrote it.
    #[error(
        "the state file's record of the connection of tenant {tenant:?} has version {found}, this program knows up to {VERSION}; run the newer program"
    )]
    Newer {
        /// Whose.
        tenant: String,
        /// Its version.
        found: u32,
    },
}

#[derive(Serialize)]
struct Written<'a> {
    version: u32,
    record: &'a Record,
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

#[derive(Deserialize)]
struct Read {
    record: Record,
}

/// The record of a tenant; a fresh one when there is none.
pub(super) async fn load(store: &Store, tenant: &str) -> Result<Record, KeepError> {
    let key = tenant.to_owned();
    let row: Option<Vec<u8>> = store
        .run(move |connection| {
            let mut statement = connection.prepare_cached("SELECT record FROM connection WHERE tenant = ?1")?;
            let mut rows = statement.query([&key])?;
            rows.next()?.map(|row| row.get(0)).transpose()
        })
        .await?;
    let Some(row) = row else { return Ok(Record::default()) };
    let damaged = |source| KeepError::Damaged { tenant: tenant.to_owned(), source };
    let Version { version } = serde_json::from_slice(&row).map_err(damaged)?;
    if version > VERSION {
        return Err(KeepError::Newer { tenant: tenant.to_owned(), found: version });
    }
    let Read { record } = serde_json::from_slice(&row).map_err(damaged)?;
    Ok(record)
}

/// Keeps it. When this has answered, it is on disk.
pub(super) async fn save(store: &Store, tenant: &str, record: &Record) -> Result<(), KeepError> {
    let row = serde_json::to_vec(&Written { version: VERSION, record });
    let row = row.map_err(|source| KeepError::Damaged { tenant: tenant.to_owned(), source })?;
    let tenant = tenant.to_owned();
    store
        .run(move |connection| {
            let insert = "INSERT INTO connection VALUES (?1, ?2) ON CONFLICT (tenant) DO UPDATE SET record = excluded.record";
            connection.execute(insert, (&tenant, &row))
        })
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::report::Stage;

    async fn write(store: &Store, row: &'static str) {
        let insert = "INSERT INTO connection VALUES ('north', ?1) ON CONFLICT (tenant) DO UPDATE SET record = excluded.record";
        store.run(move |connection| connection.execute(insert, [row.as_bytes()])).await.expect("written");
    }

    #[tokio::test]
    async fn a_record_comes_back_and_is_one_tenants() {
        let store = Store::in_memory().expect("open");
        let record = Record { stage: Stage::ChooseRouting, consented: true, ..Record::default() };
        save(&store, "north", &record).await.expect("kept");
        assert_eq!(load(&store, "north").await.expect("read"), record);
        assert_eq!(load(&store, "south").await.expect("read"), Record::default());
    }

    #[tokio::test]
    async fn what_this_program_cannot_read_is_refused_by_name() {
        let store = Store::in_memory().expect("open");
        for (row, expected) in [
            ("{\"version\":2,\"future\":true}", "has version 2"),
            ("{\"version\":1}", "missing field `record`"),
            ("nonsense", "cannot be read"),
        ] {
            write(&store, row).await;
            let error = load(&store, "north").await.expect_err("refused").to_string();
            assert!(error.contains(expected) && error.contains("\"north\""), "{error}");
        }
    }
}
