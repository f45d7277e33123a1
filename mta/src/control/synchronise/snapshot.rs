//! From the rows of the layer in use to the directory that mail is served with.
//!
//! Rows are read a piece at a time, so that the store's thread is free for the mail path in between. Only rounds of the tenant change the layer in use,
//! and those do not go on before the directory is there.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use tokio::runtime::Handle;

use super::rows;
use super::seat::Photos;
use crate::directory::{Directory, Row, Rows};
use crate::store::{Store, StoreError};

/// Rows of one piece: some milliseconds of the store's time.
const PIECE: i64 = 2000;

/// The directory of a layer, and what an operator should know about it. Takes about a second for a hundred thousand people.
pub(super) async fn build(store: &Store, layer: i64, pictures: Arc<Photos>) -> Result<(Directory, Vec<String>), StoreError> {
    let (store, runtime) = (store.clone(), Handle::current());
    let built = tokio::task::spawn_blocking(move || read(&store, &runtime, layer, &pictures)).await;
    built.map_err(|_| StoreError::Ended)?
}

fn read(store: &Store, runtime: &Handle, layer: i64, pictures: &Photos) -> Result<(Directory, Vec<String>), StoreError> {
    let mut rows = Rows::default();
    let mut last = String::new();
    loop {
        let after = last.clone();
        let people = runtime.block_on(store.run(move |database| rows::people(database, layer, &after, PIECE)))?;
        let Some(end) = people.last() else { break };
        last.clone_from(&end.id);
        for person in &people {
            let manager = person.manager.as_deref().map(parsed::<Vec<String>>).and_then(|addresses| addresses.into_iter().next());
            rows.person(&Row {
                id: &person.id,
                addresses: &parsed::<Vec<String>>(&person.addresses),
                attributes: &parsed::<Attributes>(&person.attributes),
                manager: manager.as_deref(),
                photo: pictures.get(&person.id),
            });
        }
    }
    last.clear();
    loop {
        let after = last.clone();
        let groups = runtime.block_on(store.run(move |database| rows::groups(database, layer, &after, PIECE)))?;
        let Some((end, ..)) = groups.last() else { break };
        last.clone_from(end);
        for (id, addresses, attributes) in &groups {
            let attributes: Attributes = parsed(attributes);
            let name = attributes.iter().find(|(name, _)| name == NAME).map_or("", |(_, value)| value.as_str());
            rows.group(id, &parsed::<Vec<String>>(addresses), name);
        }
    }
    let mut last = (String::new(), String::new());
    loop {
        let after = last.clone();
        let members = runtime.block_on(store.run(move |database| rows::members(database, layer, &after, PIECE)))?;
        let Some(end) = members.last() else { break };
        last.clone_from(end);
        for (group, member) in &members {
            rows.member(group, member);
        }
    }
    let (directory, ambiguous) = rows.finish();
    let note = format!("{ambiguous} names belong to several groups each; rules can name those groups by address or id only.");
    Ok((directory, if ambiguous > 0 { vec![note] } else { Vec::new() }))
}

type Attributes = Vec<(String, String)>;

/// The attribute of a group that is its name (`wit/control`).
const NAME: &str = "displayName";

/// What `rows` wrote.
fn parsed<T: DeserializeOwned + Default>(text: &str) -> T {
    serde_json::from_str(text).unwrap_or_default()
}
