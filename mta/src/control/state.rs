//! What a control plugin keeps between calls: keys and values, one tenant each, in the embedded store.
//!
//! A call sees its own writes at once; they reach the disk in one transaction, and only when the call ended well. So a crash, a fault or a
//! problem leaves what the last finished call left. Two calls of one tenant at the same time do not see each other's writes, and the one that ends
//! last wins, key by key: calls that write are to be made one after the other.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::store::{Store, StoreError};

/// Longest key, in octets (`wit/control`).
pub const KEY: usize = 256;
/// All keys and values of a tenant together, in octets (`wit/control`).
pub const TOTAL: usize = 16 << 20;

/// The state of one tenant as one call sees it.
pub struct State {
    store: Store,
    tenant: String,
    /// Every key and the length of its value, as this call sees it.
    lengths: BTreeMap<String, usize>,
    /// What this call wrote; none is a key that it removed.
    changed: BTreeMap<String, Option<Vec<u8>>>,
}

impl State {
    /// Looks up which keys there are; values are read when they are asked for.
    pub async fn open(store: &Store, tenant: &str) -> Result<Self, StoreError> {
        let of = tenant.to_owned();
        let lengths = store
            .run(move |connection| {
                let mut statement = connection.prepare_cached("SELECT key, length(value) FROM control_state WHERE tenant = ?1")?;
                let rows = statement.query_map([&of], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?;
                rows.map(|row| row.map(|(key, length)| (key, usize::try_from(length).unwrap_or(usize::MAX)))).collect()
            })
            .await?;
        Ok(Self { store: store.clone(), tenant: tenant.to_owned(), lengths, changed: BTreeMap::new() })
    }

    /// The value under that key.
    pub async fn read(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        if let Some(changed) = self.changed.get(key) {
            return Ok(changed.clone());
        }
        if !self.lengths.contains_key(key) {
            return Ok(None);
        }
        let (tenant, key) = (self.tenant.clone(), key.to_owned());
        self.store
            .run(move |connection| {
                let mut statement = connection.prepare_cached("SELECT value FROM control_state WHERE tenant = ?1 AND key = ?2")?;
                let mut rows = statement.query([&tenant, &key])?;
                rows.next()?.map(|row| row.get(0)).transpose()
            })
            .await
    }

    /// Keeps a value, or says what is too large.
    pub fn write(&mut self, key: &str, value: Vec<u8>) -> Result<(), String> {
        if key.is_empty() || key.len() > KEY {
            return Err(format!("a key of {} octets; 1 to {KEY} are allowed", key.len()));
        }
        let kept: usize = self.lengths.iter().filter(|(known, _)| *known != key).map(|(key, length)| key.len() + length).sum();
        let total = kept.saturating_add(key.len()).saturating_add(value.len());
        if total > TOTAL {
            return Err(format!("the tenant's state would have {total} octets; at most {TOTAL} are kept"));
        }
        self.lengths.insert(key.to_owned(), value.len());
        self.changed.insert(key.to_owned(), Some(value));
        Ok(())
    }

    /// Forgets a key; one that is not there is no error.
    pub fn remove(&mut self, key: &str) {
        if self.lengths.remove(key).is_some() {
            self.changed.insert(key.to_owned(), None);
        }
    }

    /// The keys that begin with `prefix`, ascending.
    pub fn keys(&self, prefix: &str) -> Vec<String> {
        let from = self.lengths.range::<str, _>((Bound::Included(prefix), Bound::Unbounded));
        from.map(|(key, _)| key).take_while(|key| key.starts_with(prefix)).cloned().collect()
    }

    /// Writes what the call changed, all or nothing. Without it nothing is written.
    pub async fn commit(&mut self) -> Result<(), StoreError> {
        if self.changed.is_empty() {
            return Ok(());
        }
        let (tenant, changed) = (self.tenant.clone(), std::mem::take(&mut self.changed));
        self.store
            .run(move |connection| {
                let transaction = connection.transaction()?;
                for (key, value) in &changed {
                    match value {
                        Some(value) => transaction.execute(
                            "INSERT INTO control_state VALUES (?1, ?2, ?3) ON CONFLICT (tenant, key) DO UPDATE SET value = excluded.value",
                            (&tenant, key, value),
                        )?,
                        None => transaction.execute("DELETE FROM control_state WHERE tenant = ?1 AND key = ?2", (&tenant, key))?,
                    };
                }
                transaction.commit()
            })
            .await
    }
}

/// Forgets everything of a tenant, for one that was disconnected.
pub async fn forget(store: &Store, tenant: &str) -> Result<(), StoreError> {
    let tenant = tenant.to_owned();
    store.run(move |connection| connection.execute("DELETE FROM control_state WHERE tenant = ?1", [&tenant])).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn open(store: &Store) -> State {
        State::open(store, "north").await.expect("it opens")
    }

    #[tokio::test]
    async fn what_is_not_committed_was_never_written() {
        let store = Store::in_memory().expect("open");
        let mut state = open(&store).await;
        state.write("a", b"1".to_vec()).expect("small");
        assert_eq!(state.read("a").await.expect("read").as_deref(), Some(&b"1"[..]), "a call sees its own writes");
        drop(state);
        assert_eq!(open(&store).await.read("a").await.expect("read"), None);
    }

    #[tokio::test]
    async fn what_is_committed_is_there_for_that_tenant_only() {
        let store = Store::in_memory().expect("open");
        let mut state = open(&store).await;
        for key in ["b/2", "a", "b/1", "c"] {
            state.write(key, key.as_bytes().to_vec()).expect("small");
        }
        state.commit().await.expect("commit");
        let mut state = open(&store).await;
        assert_eq!(state.keys("b/"), ["b/1", "b/2"]);
        assert_eq!(state.keys(""), ["a", "b/1", "b/2", "c"]);
        state.write("b/1", b"new".to_vec()).expect("small");
        state.remove("a");
        state.remove("never");
        assert_eq!(state.read("a").await.expect("read"), None);
        state.commit().await.expect("commit");
        let state = open(&store).await;
        assert_eq!(state.keys(""), ["b/1", "b/2", "c"]);
        assert_eq!(state.read("b/1").await.expect("read").as_deref(), Some(&b"new"[..]));
        let south = State::open(&store, "south").await.expect("it opens");
        assert_eq!((south.keys(""), south.read("c").await.expect("read")), (Vec::new(), None));
        forget(&store, "north").await.expect("forget");
        assert_eq!(open(&store).await.keys(""), Vec::<String>::new());
    }

    #[tokio::test]
    async fn keys_and_the_whole_are_bounded_and_room_comes_back() {
        let store = Store::in_memory().expect("open");
        let mut state = open(&store).await;
        assert!(state.write(&"k".repeat(KEY), Vec::new()).is_ok());
        assert!(state.write(&"k".repeat(KEY + 1), Vec::new()).is_err());
        assert!(state.write("", Vec::new()).is_err());
        state.remove(&"k".repeat(KEY));
        state.write("a", vec![0; TOTAL - 1]).expect("it just fits");
        let error = state.write("b", Vec::new()).expect_err("not an octet more");
        assert_eq!(error, format!("the tenant's state would have {} octets; at most {TOTAL} are kept", TOTAL + 1));
        state.write("a", vec![0; 1]).expect("it takes the place of the old one");
        state.write("b", vec![0; 1000]).expect("there is room again");
        state.commit().await.expect("commit");
        assert!(open(&store).await.write("c", vec![0; TOTAL]).is_err(), "what is on disk counts");
    }
}
