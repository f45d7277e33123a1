//! Language tags (BCP 47): which is nearest, and which way its script runs.

/// Languages whose script runs from right to left, and the scripts themselves for tags that name one.
const RIGHT_TO_LEFT: [&str; 17] =
    ["ar", "arc", "ckb", "dv", "fa", "he", "iw", "ks", "nqo", "ps", "sd", "syr", "ug", "ur", "yi", "arab", "hebr"];

/// The tag in lower case, then what is left of it without its last subtags, and in the end the empty tag, which is everybody's.
pub(crate) fn chain(tag: &str) -> impl Iterator<Item = String> {
    let tag = tag.to_ascii_lowercase();
    std::iter::successors(Some(tag), |tag| {
        let shorter = || tag[..tag.rfind('-').unwrap_or(0)].to_owned();
        (!tag.is_empty()).then(shorter)
    })
}

/// Whether a text may be a tag.
pub(crate) fn is_tag(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
}

/// Whether the tag's script runs from right to left.
pub(crate) fn is_right_to_left(tag: &str) -> bool {
    let tag = tag.to_ascii_lowercase();
    let mut subtags = tag.split('-');
    let language = subtags.next().unwrap_or_default();
    match subtags.find(|subtag| subtag.len() == 4 && subtag.bytes().all(|octet| octet.is_ascii_alphabetic())) {
        Some(script) => RIGHT_TO_LEFT.contains(&script),
        None => RIGHT_TO_LEFT.contains(&language),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_gets_shorter_until_it_is_everybodys() {
        assert_eq!(chain("de-Latn-AT").collect::<Vec<_>>(), ["de-latn-at", "de-latn", "de", ""]);
        assert_eq!(chain("").collect::<Vec<_>>(), [""]);
    }

    #[test]
    fn scripts_run_one_way_or_the_other() {
        for (tag, expected) in [
            ("he-IL", true),
            ("ar", true),
            ("FA", true),
            ("en-GB", false),
            ("", false),
            ("az-Arab", true),
            ("ur-Latn-PK", false),
            ("de", false),
        ] {
            assert_eq!(is_right_to_left(tag), expected, "{tag}");
        }
    }
}
