//! Checks of what `configure` and `describe` answer, shared by both worlds. Pure.

use super::bindings::plugin;
use super::fault::{Description, Diagnostic, LoadError};
use super::limits::{ATTRIBUTES, DIAGNOSTICS, HEADERS, ID, IDS, REASON};
use super::text;

/// Cleaned diagnostics; more than [`DIAGNOSTICS`] are dropped.
pub(super) fn diagnostics(found: Vec<plugin::Diagnostic>) -> Vec<Diagnostic> {
    found.into_iter().take(DIAGNOSTICS).map(Into::into).collect()
}

/// Signature ids that can be compared, logged and looked up.
pub(super) fn ids(ids: Vec<String>) -> Result<Vec<String>, String> {
    if ids.len() > IDS {
        return Err(format!("{} signature ids; at most {IDS} are allowed", ids.len()));
    }
    match ids.iter().find(|id| !text::is_id(id, ID)) {
        Some(id) => {
            Err(format!("the signature id `{}` is empty, longer than {ID} octets or has control characters", text::line(id.clone(), ID)))
        }
        None => Ok(ids),
    }
}

/// A description whose names can be used as they are.
pub(super) fn describe(description: Description) -> Result<Description, LoadError> {
    let Description { name, version, mut headers, attributes } = description;
    let wrong = |detail: String| Err(LoadError::Answer { call: "describe", detail });
    if !text::is_id(&name, ID) {
        return wrong(format!("a name of 1 to {ID} octets without control characters is needed"));
    }
    if headers.len() > HEADERS || attributes.len() > ATTRIBUTES {
        let (asked, more) = (headers.len(), attributes.len());
        return wrong(format!("it wants {asked} header fields and {more} attributes; at most {HEADERS} and {ATTRIBUTES} are given"));
    }
    if let Some(header) = headers.iter().find(|header| !is_field_name(header)) {
        return wrong(format!("`{}` is not a header field name (RFC 5322 section 3.6.8)", text::line(header.clone(), ID)));
    }
    if let Some(attribute) = attributes.iter().find(|attribute| !text::is_id(attribute, ID)) {
        return wrong(format!("`{}` is not an attribute name", text::line(attribute.clone(), ID)));
    }
    headers.iter_mut().for_each(|header| header.make_ascii_lowercase());
    Ok(Description { name, version: text::line(version, REASON), headers, attributes })
}

/// RFC 5322 section 3.6.8: printable US-ASCII without the colon.
fn is_field_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= ID && name.bytes().all(|b| b.is_ascii_graphic() && b != b':')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(name: &str, headers: &[&str]) -> Result<Description, String> {
        let headers = headers.iter().map(|header| (*header).to_owned()).collect();
        describe(Description { name: name.to_owned(), headers, ..Description::default() }).map_err(|error| error.to_string())
    }

    #[test]
    fn a_description_is_checked_and_its_headers_are_lower_case() {
        assert_eq!(described("rules", &["X-Priority"]).expect("it is fine").headers, ["x-priority"]);
        for (name, headers) in
            [("", &[][..]), ("a\nb", &[]), ("rules", &["a:b"]), ("rules", &["a b"]), ("rules", &[""]), ("rules", &["x"; HEADERS + 1])]
        {
            assert!(described(name, headers).is_err(), "{name:?} {headers:?}");
        }
    }

    #[test]
    fn ids_are_short_and_printable() {
        assert!(ids(vec!["standard".to_owned(), "Größe 1".to_owned()]).is_ok());
        for id in ["", "a\r\nb", &"x".repeat(ID + 1)] {
            assert!(ids(vec![id.to_owned()]).is_err(), "{id:?}");
        }
        assert!(ids(vec!["a".to_owned(); IDS + 1]).is_err());
    }
}
