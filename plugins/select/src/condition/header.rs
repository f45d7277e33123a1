//! Header fields that mail clients agree on: sensitivity labels, `Sensitivity` (RFC 2156), importance, `Content-Language` (RFC 3282).

/// Where Microsoft 365 leaves the sensitivity label.
pub(crate) const LABELS: &str = "msip_labels";
/// RFC 2156 section 5.3.4.
pub(crate) const SENSITIVITY: &str = "sensitivity";
/// RFC 3282 section 2.
pub(crate) const LANGUAGE: &str = "content-language";
/// Fields that tell the importance; the first that a message has counts.
pub(crate) const IMPORTANCE: [&str; 3] = ["importance", "x-priority", "x-msmail-priority"];

/// The words for `message.sensitivity`; without the field a message is normal.
pub(crate) const SENSITIVITIES: [&str; 4] = ["normal", "personal", "private", "company-confidential"];
/// The words for `message.importance`; without a field a message is normal.
pub(crate) const IMPORTANCES: [&str; 3] = ["high", "normal", "low"];

/// The ids and names, in lower case, of the labels that are switched on in a field such as
/// `MSIP_Label_<id>_Enabled=True; MSIP_Label_<id>_Name=Confidential; ...`.
pub(crate) fn labels(field: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut off = Vec::new();
    for entry in field.split(';') {
        let Some((key, value)) = entry.split_once('=') else { continue };
        let (key, value) = (key.trim().to_lowercase(), value.trim().to_lowercase());
        let Some((id, property)) = key.strip_prefix("msip_label_").and_then(|rest| rest.split_once('_')) else { continue };
        match property {
            "enabled" if value == "false" => off.push(id.to_owned()),
            "enabled" => found.push((id.to_owned(), id.to_owned())),
            "name" => found.push((id.to_owned(), value)),
            _ => (),
        }
    }
    found.into_iter().filter(|(id, _)| !off.contains(id)).map(|(_, text)| text).collect()
}

/// The index into [`SENSITIVITIES`]; nothing for a word that is none of them.
pub(crate) fn sensitivity(field: Option<&str>) -> Option<usize> {
    let Some(field) = field else { return Some(0) };
    SENSITIVITIES.iter().position(|word| field.trim().eq_ignore_ascii_case(word))
}

/// The index into [`IMPORTANCES`] from the value of one of the fields in [`IMPORTANCE`].
pub(crate) fn importance(field: Option<&str>) -> Option<usize> {
    let Some(field) = field else { return Some(1) };
    // `X-Priority: 1 (Highest)`: the number counts, the rest is for people.
    match field.trim().split([' ', '(']).next()?.to_ascii_lowercase().as_str() {
        "high" | "highest" | "1" | "2" => Some(0),
        "normal" | "3" => Some(1),
        "low" | "lowest" | "4" | "5" => Some(2),
        _ => None,
    }
}

/// Whether a language of the field is in the wanted range (RFC 4647 section 3.3.1): equal to it, or more exact. Both in lower case.
pub(crate) fn speaks(field: &str, wanted: &str) -> bool {
    field.split(',').any(|tag| {
        let tag = tag.split('(').next().unwrap_or_default().trim();
        tag.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_told_by_id_and_name_unless_switched_off() {
        let field = "MSIP_Label_a1-b2_Enabled=True; MSIP_Label_a1-b2_SiteId=x; MSIP_Label_a1-b2_Name=Top Secret; \
                     MSIP_Label_c3_Enabled=false; MSIP_Label_c3_Name=Public; nonsense; MSIP_Label_=x";
        assert_eq!(labels(field), ["a1-b2", "top secret"]);
        assert_eq!(labels(""), [""; 0]);
    }

    #[test]
    fn importance_and_sensitivity_know_the_words_of_each_field() {
        for (field, expected) in [
            (None, Some(1)),
            (Some("High"), Some(0)),
            (Some("1 (Highest)"), Some(0)),
            (Some("2"), Some(0)),
            (Some("3"), Some(1)),
            (Some(" low "), Some(2)),
            (Some("5(Lowest)"), Some(2)),
            (Some("urgent!"), None),
            (Some(""), None),
        ] {
            assert_eq!(importance(field), expected, "{field:?}");
        }
        for (field, expected) in [(None, Some(0)), (Some("Company-Confidential"), Some(3)), (Some("private"), Some(2)), (Some("x"), None)] {
            assert_eq!(sensitivity(field), expected, "{field:?}");
        }
    }

    #[test]
    fn a_language_range_includes_what_is_more_exact() {
        for (field, wanted, expected) in [
            ("de", "de", true),
            ("de-at", "de", true),
            ("en, de-ch-1996", "de-ch", true),
            ("de", "de-at", false),
            ("den", "de", false),
            ("fr (french)", "fr", true),
            ("", "de", false),
        ] {
            assert_eq!(speaks(field, wanted), expected, "{field} {wanted}");
        }
    }
}
