//! Pictures of people.

use serde_json::{Value, json};

use super::errors::Refusal;
use super::request::{Request, context};
use super::segment_missing;
use crate::call::Answer;
use crate::tenant::Kind;
use crate::world::World;

const SIZES: [u32; 9] = [48, 64, 96, 120, 240, 360, 432, 504, 648];
/// The size in which the stand-in keeps pictures.
const KEPT: u32 = 240;

/// `/users/{key}/photo`, `/photo/$value`, `/photos`, `/photos/{size}` and `/photos/{size}/$value`.
pub(crate) fn answer(world: &World, request: &Request<'_>, key: &str, parts: &[&str]) -> Result<Answer, Refusal> {
    let user = request.tenant(world)?.find(key, Kind::User).ok_or_else(|| Refusal::missing(key))?;
    let none = || {
        Refusal::new(404, "ImageNotFound", "Exception of type 'Microsoft.Fast.Profile.Core.Exception.ImageNotFoundException' was thrown.")
    };
    let (tag, picture) = user.photo.as_ref().ok_or_else(none)?;
    let shown = |size: u32| -> Value {
        json!({
            "@odata.mediaContentType": "image/jpeg", "@odata.mediaEtag": format!("W/\"{tag}\""), "id": format!("{size}x{size}"),
            "width": size, "height": size,
        })
    };
    let size = |text: &str| {
        let number = text.split_once('x').filter(|(width, height)| width == height).and_then(|(width, _)| width.parse().ok());
        number.filter(|size| SIZES.contains(size)).ok_or_else(|| Refusal::bad(format!("Invalid photo size '{text}'.")))
    };
    let body = match parts {
        ["photo"] => shown(KEPT),
        ["photos"] => {
            let all: Vec<Value> = SIZES.iter().filter(|size| **size <= KEPT).map(|size| shown(*size)).collect();
            return Ok(Answer::json(200, &json!({"@odata.context": context(world, "users/photos"), "value": all})));
        }
        ["photos", text] => shown(size(text)?),
        ["photo", "$value"] | ["photos", _, "$value"] => {
            if let ["photos", text, _] = parts {
                size(text)?;
            }
            let mut answer = Answer::status(200).header("content-type", "image/jpeg").header("etag", &format!("\"{tag}\""));
            answer.body.clone_from(picture);
            return Ok(answer);
        }
        _ => return Err(segment_missing(parts)),
    };
    let mut body = body;
    body["@odata.context"] = json!(context(world, "users/photo/$entity"));
    Ok(Answer::json(200, &body))
}
