//! Pictures of people: asked for one by one, kept in the store, and held in memory for signatures.
//!
//! No service tells that a picture has changed, so everybody is asked about again after some days.

use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use rusqlite::{Connection as Database, params};

use super::driver::Shared;
use super::seat::{Photos, Seat};
use super::{now, rows};
use crate::control::report::Trouble;
use crate::control::session::CallError;
use crate::control::words::{Connection, Photo};
use crate::plugin::Failed;
use crate::signature::{Asset, PERSON_PHOTO};
use crate::store::StoreError;

/// People who are asked about in one round: some minutes, and a tenth of what the service allows in ten.
const A_ROUND: usize = 1000;

/// Milliseconds after which somebody is asked about again.
const AGE: u64 = 3 * 24 * 3600 * 1000;

/// One question in so many is asked without the tag of the picture that is known: the answer to one with a tag does not tell a picture that is gone from
/// one that is the same.
const WITHOUT_TAG: u64 = 4;

/// People of one piece.
const PIECE: i64 = 2000;

/// Pictures of one piece, of up to 64 KiB each.
const PICTURES: i64 = 100;

/// Somebody who is to be asked about.
struct Due {
    person: String,
    tag: Option<String>,
}

/// The pictures that were read so far, as many as fit.
pub(super) async fn known(shared: &Shared, seat: &Seat) -> Result<Arc<Photos>, StoreError> {
    let held = seat.pictures.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some(photos) = held {
        return Ok(photos);
    }
    let (mut photos, mut room) = (Photos::new(), shared.settings.photo_memory);
    let mut last = String::new();
    loop {
        let (tenant, after) = (seat.tenant.clone(), last.clone());
        let piece = shared.store.run(move |database| stored(database, &tenant, &after)).await?;
        let Some((end, ..)) = piece.last() else { break };
        last.clone_from(end);
        for (person, media_type, content) in piece {
            if let Some(left) = room.checked_sub(content.len()) {
                room = left;
                photos.insert(person, asset(media_type, content));
            }
        }
    }
    Ok(keep(seat, photos))
}

/// Asks about people whose picture is not known or was not asked about for long; whether any picture changed.
pub(super) async fn refresh(shared: &Shared, seat: &Seat, connection: &Connection, notes: &mut Vec<String>) -> Result<bool, StoreError> {
    let of = seat.tenant.clone();
    let round = shared.store.run(move |database| rows::round(database, &of)).await?;
    let Some(layer) = round.and_then(|round| round.base) else { return Ok(false) };
    let mut photos = known(shared, seat).await?.as_ref().clone();
    let tenant = seat.tenant.clone();
    let gone = shared.store.run(move |database| forget_others(database, &tenant, layer)).await?;
    let mut changed = gone.iter().filter(|person| photos.remove(*person).is_some()).count() > 0;
    let mut used: usize = photos.values().map(|asset| asset.content.len()).sum();
    let (mut asked, mut without_room) = (0, 0);
    let mut last = String::new();
    'people: while asked < A_ROUND {
        let (tenant, after) = (seat.tenant.clone(), last.clone());
        let (end, due) = shared.store.run(move |database| due(database, &tenant, layer, &after)).await?;
        let Some(end) = end else { break };
        last = end;
        for Due { person, tag } in due.into_iter().take(A_ROUND - asked) {
            asked += 1;
            let found = match shared.caller.read_photo(connection, &person, tag.as_deref()).await {
                Ok(found) => found,
                Err(CallError::Store(error)) => return Err(error),
                Err(CallError::Failed(failed)) => {
                    notes.push(format!("Pictures could not be read to the end ({}); it goes on in the next round.", kind(&failed)));
                    break 'people;
                }
            };
            let held = photos.get(&person).map_or(0, |asset| asset.content.len());
            let fits = |photo: &Photo| used - held + photo.content.len() <= shared.settings.photo_memory;
            without_room += usize::from(found.as_ref().is_some_and(|photo| !fits(photo)));
            let found = found.filter(fits);
            used += found.as_ref().map_or(0, |photo| photo.content.len());
            used -= if found.is_some() || tag.is_none() { held } else { 0 };
            changed |= match (&found, &tag) {
                (Some(photo), _) => {
                    photos.insert(person.clone(), asset(photo.media_type.clone(), photo.content.clone()));
                    true
                }
                // The same one.
                (None, Some(_)) => false,
                (None, None) => photos.remove(&person).is_some(),
            };
            let tenant = seat.tenant.clone();
            shared.store.run(move |database| write(database, &tenant, &person, found.as_ref(), tag.is_some())).await?;
        }
    }
    if without_room > 0 {
        notes.push(format!("{without_room} pictures are not used: they would need more memory than `control.photo_memory` allows."));
    }
    keep(seat, photos);
    Ok(changed)
}

fn keep(seat: &Seat, photos: Photos) -> Arc<Photos> {
    let photos = Arc::new(photos);
    *seat.pictures.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&photos));
    photos
}

fn asset(media_type: String, content: Vec<u8>) -> Arc<Asset> {
    Arc::new(Asset { name: PERSON_PHOTO.to_owned(), media_type, content: Bytes::from(content) })
}

/// What kind of failure; its words could name somebody.
fn kind(failed: &Failed) -> String {
    match failed {
        Failed::Problem(problem) => Trouble::of(problem, now()).kind,
        Failed::Fault(_) => "fault".to_owned(),
    }
}

fn stored(database: &mut Database, tenant: &str, last: &str) -> rusqlite::Result<Vec<(String, String, Vec<u8>)>> {
    let mut statement = database.prepare_cached(
        "SELECT person, media_type, content FROM directory_photo
         WHERE tenant = ?1 AND person > ?2 AND content IS NOT NULL ORDER BY person LIMIT ?3",
    )?;
    statement.query_map(params![tenant, last, PICTURES], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
}

/// Removes the pictures of people who are not in the layer; who they were.
fn forget_others(database: &mut Database, tenant: &str, layer: i64) -> rusqlite::Result<Vec<String>> {
    let mut statement = database.prepare_cached(
        "DELETE FROM directory_photo WHERE tenant = ?1 AND person IN
         (SELECT person FROM directory_photo WHERE tenant = ?1 EXCEPT SELECT id FROM directory_person WHERE layer = ?2) RETURNING person",
    )?;
    statement.query_map(params![tenant, layer], |row| row.get(0))?.collect()
}

/// Those of the next people after `last` who are to be asked about, and who was the last one looked at.
fn due(database: &mut Database, tenant: &str, layer: i64, last: &str) -> rusqlite::Result<(Option<String>, Vec<Due>)> {
    let mut statement = database.prepare_cached(
        "SELECT person.id, photo.asked, photo.tag FROM directory_person AS person
         LEFT JOIN directory_photo AS photo ON photo.tenant = ?1 AND photo.person = person.id
         WHERE person.layer = ?2 AND person.id > ?3 AND person.addresses IS NOT NULL ORDER BY person.id LIMIT ?4",
    )?;
    let mut found = statement.query(params![tenant, layer, last, PIECE])?;
    let (mut end, mut due) = (None, Vec::new());
    let now = now();
    while let Some(row) = found.next()? {
        let person: String = row.get(0)?;
        end = Some(person.clone());
        let asked = row.get::<_, Option<i64>>(1)?.map(i64::unsigned_abs);
        if asked.is_none_or(|asked| asked.saturating_add(AGE) < now || asked > now) {
            let tag = row.get::<_, Option<String>>(2)?.filter(|_| asked.is_some_and(|asked| !asked.is_multiple_of(WITHOUT_TAG)));
            due.push(Due { person, tag });
        }
    }
    Ok((end, due))
}

fn write(database: &mut Database, tenant: &str, person: &str, found: Option<&Photo>, had_tag: bool) -> rusqlite::Result<()> {
    let asked = i64::try_from(now()).unwrap_or(i64::MAX);
    if found.is_none() && had_tag {
        let sql = "UPDATE directory_photo SET asked = ?3 WHERE tenant = ?1 AND person = ?2";
        return database.prepare_cached(sql)?.execute(params![tenant, person, asked]).map(drop);
    }
    let sql = "INSERT OR REPLACE INTO directory_photo (tenant, person, asked, tag, media_type, content) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let (tag, media_type, content) = match found {
        Some(photo) => (Some(&photo.tag), Some(&photo.media_type), Some(&photo.content)),
        None => (None, None, None),
    };
    database.prepare_cached(sql)?.execute(params![tenant, person, asked, tag, media_type, content]).map(drop)
}
