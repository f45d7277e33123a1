//! A person's picture ("Get profilePhoto").
//!
//! Its description comes first: it bears the tag and the size, and a description of nothing (one pixel, no tag) is all that some people
//! have. Pictures of the same size as the original and smaller are there; the one asked for is sharp at twice the size that
//! signatures show.

use serde::Deserialize;
use signet_plugin_sdk::control::{Connection, Photo, Problem, Response, Surroundings};

use super::fetch::patient;
use crate::graph;

/// Octets of a picture, as the contract says.
const LIMIT: usize = 64 * 1024;

/// Width of the picture to be had when the original is larger.
const WIDTH: u32 = 240;

/// The next smaller one in use, for when that is not there or has too many octets.
const SMALL_WIDTH: u32 = 96;

#[derive(Deserialize)]
struct Description {
    #[serde(rename = "@odata.mediaEtag")]
    tag: Option<String>,
    width: Option<u32>,
    height: Option<u32>,
}

/// The picture; none when there is none, or when it is the one of `tag`.
pub(crate) fn photo(around: &dyn Surroundings, connection: &Connection, person: &str, tag: Option<&str>) -> Result<Option<Photo>, Problem> {
    let base = format!("/users/{}", graph::encoded(person));
    let request = patient(graph::request(connection, graph::DIRECTORY, "GET", &format!("{base}/photo")));
    let response = around.send(&request).map_err(|error| graph::unsent(&request, &error))?;
    let description: Description = match response.status {
        404 => return Ok(None),
        200..300 => serde_json::from_slice(&response.body).map_err(|_| graph::protocol(&request, "is no description of a picture"))?,
        _ => return Err(graph::refused(&request, &response)),
    };
    let (width, height) = (description.width.unwrap_or(0), description.height.unwrap_or(0));
    let current = description.tag.unwrap_or_default();
    if current.is_empty() || (width == 1 && height == 1) || tag == Some(current.as_str()) {
        return Ok(None);
    }
    let original = format!("{base}/photo/$value");
    let resized = |width: u32| format!("{base}/photos/{width}x{width}/$value");
    let first = if width > WIDTH || height > WIDTH { resized(WIDTH) } else { original };
    for path in [first, resized(SMALL_WIDTH)] {
        if let Some(content) = value(around, connection, &path)?
            && let Some(media_type) = media_type(&content)
        {
            return Ok(Some(Photo { media_type: media_type.to_owned(), content, tag: current }));
        }
    }
    Ok(None)
}

/// The octets at a path; none when there is nothing, or too much.
fn value(around: &dyn Surroundings, connection: &Connection, path: &str) -> Result<Option<Vec<u8>>, Problem> {
    let mut request = patient(graph::request(connection, graph::DIRECTORY, "GET", path));
    request.headers.retain(|(name, _)| name != "Accept");
    request.headers.push(("Accept".to_owned(), "image/*".to_owned()));
    let response = around.send(&request).map_err(|error| graph::unsent(&request, &error))?;
    match response {
        Response { status: 404, .. } => Ok(None),
        Response { status: 200..300, body, .. } => Ok((body.len() <= LIMIT).then_some(body)),
        other => Err(graph::refused(&request, &other)),
    }
}

/// What a picture is, by its first octets: the service's word for it is not always right. None for anything else, and for the single pixel
/// that stands for no picture.
fn media_type(content: &[u8]) -> Option<&'static str> {
    match content {
        [b'G', b'I', b'F', b'8', _, _, 1, 0, 1, 0, ..] => None,
        [b'G', b'I', b'F', b'8', ..] => Some("image/gif"),
        [0xFF, 0xD8, 0xFF, ..] => Some("image/jpeg"),
        [0x89, b'P', b'N', b'G', ..] => Some("image/png"),
        _ => None,
    }
}
