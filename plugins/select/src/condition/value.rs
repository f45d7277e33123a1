//! What is asked of one value: addresses with wildcards, domains, keywords, attributes, ranges; and values in words.

/// Characters of one found or wanted value in an explanation, so that every value of a line has room in its 1 KiB.
const SHOWN: usize = 120;

/// What is asked about a named value. Where the name has several values, one that fits is enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    OneOf(Vec<String>),
    Contains(String),
    StartsWith(String),
    EndsWith(String),
    Present,
    Absent,
}

impl Want {
    pub(crate) fn holds<'v>(&self, mut values: impl Iterator<Item = &'v str>) -> bool {
        match self {
            Self::Present => values.next().is_some(),
            Self::Absent => values.next().is_none(),
            _ => values.any(|value| self.fits(&value.to_lowercase())),
        }
    }

    /// Whether one value in lower case is as wanted.
    pub(crate) fn fits(&self, value: &str) -> bool {
        match self {
            Self::OneOf(wanted) => wanted.iter().any(|wanted| wanted == value),
            Self::Contains(wanted) => value.contains(wanted),
            Self::StartsWith(wanted) => value.starts_with(wanted),
            Self::EndsWith(wanted) => value.ends_with(wanted),
            Self::Present => true,
            Self::Absent => false,
        }
    }

    pub(crate) fn in_words(&self, name: &str) -> String {
        match self {
            Self::OneOf(wanted) => match wanted.as_slice() {
                [wanted] => format!("{name} = {}", quoted(wanted)),
                _ => format!("{name} {}", one_of(wanted.iter().map(String::as_str))),
            },
            Self::Contains(wanted) => format!("{name} containing {}", quoted(wanted)),
            Self::StartsWith(wanted) => format!("{name} starting with {}", quoted(wanted)),
            Self::EndsWith(wanted) => format!("{name} ending with {}", quoted(wanted)),
            Self::Present => format!("{name} present"),
            Self::Absent => format!("{name} absent"),
        }
    }
}

/// An address in lower case, in which `*` stands for any number of characters. No `*` reaches across the last `@`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    pub(crate) text: String,
    at: usize,
}

impl Pattern {
    /// Nothing when one side of the last `@` is empty.
    pub(crate) fn new(text: String) -> Option<Self> {
        let at = text.rfind('@').filter(|at| *at > 0 && at + 1 < text.len())?;
        Some(Self { text, at })
    }

    /// Whether it names one address.
    pub(crate) fn is_exact(&self) -> bool {
        !self.text.contains('*')
    }

    /// What is right of the `@`.
    pub(crate) fn domain(&self) -> &str {
        &self.text[self.at + 1..]
    }

    /// Whether `address`, in lower case, is meant.
    pub(crate) fn matches(&self, address: &str) -> bool {
        if self.is_exact() {
            return self.text == address;
        }
        address.rsplit_once('@').is_some_and(|(local, domain)| glob(&self.text[..self.at], local) && glob(self.domain(), domain))
    }
}

/// `*` stands for any octets. Of several ways to match, the shortest for each `*` is enough to try.
fn glob(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(start) else { return false };
    let Some((middles, end)) = rest.rsplit_once('*') else { return text.ends_with(rest) };
    for middle in middles.split('*') {
        let Some(at) = text.find(middle) else { return false };
        text = &text[at + middle.len()..];
    }
    text.ends_with(end)
}

/// Whether `domain` is in the list, or is a subdomain of one written `*.domain`.
pub(crate) fn in_domains(domain: &str, list: &[String]) -> bool {
    list.iter().any(|wanted| match wanted.strip_prefix('*') {
        Some(suffix) => domain.len() > suffix.len() && domain.ends_with(suffix),
        None => domain == wanted,
    })
}

/// Texts of which one must occur, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Keywords {
    pub(crate) parts: Vec<String>,
    /// Whether a letter or digit next to it makes it another word.
    pub(crate) whole: bool,
}

impl Keywords {
    /// Whether one occurs in `text`, which is in lower case.
    pub(crate) fn occur_in(&self, text: &str) -> bool {
        self.parts.iter().any(|part| if self.whole { has_word(text, part) } else { text.contains(part) })
    }
}

/// Whether `word` is in `text` without a letter, digit or `_` directly before or after it.
pub(crate) fn has_word(text: &str, word: &str) -> bool {
    let joins = |neighbour: Option<char>| neighbour.is_some_and(|neighbour| neighbour.is_alphanumeric() || neighbour == '_');
    let mut from = 0;
    if word.is_empty() {
        return false;
    }
    while let Some(at) = text[from..].find(word).map(|at| from + at) {
        if !joins(text[..at].chars().next_back()) && !joins(text[at + word.len()..].chars().next()) {
            return true;
        }
        from = at + text[at..].chars().next().map_or(1, char::len_utf8);
    }
    false
}

/// From the least to the most that is allowed, where either may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) least: Option<u64>,
    pub(crate) most: Option<u64>,
}

impl Range {
    pub(crate) fn includes(self, value: u64) -> bool {
        self.least.is_none_or(|least| least <= value) && self.most.is_none_or(|most| value <= most)
    }

    pub(crate) fn in_words(self) -> String {
        let least = self.least.map(|least| format!("at least {least}"));
        let most = self.most.map(|most| format!("at most {most}"));
        least.into_iter().chain(most).collect::<Vec<_>>().join(" and ")
    }
}

pub(crate) fn shares(own: &[String], wanted: &[String]) -> bool {
    wanted.iter().any(|wanted| own.contains(wanted))
}

pub(crate) fn one_of<'v>(values: impl ExactSizeIterator<Item = &'v str>) -> String {
    if values.len() == 1 { listed(values) } else { format!("one of {}", listed(values)) }
}

pub(crate) fn listed<'v>(values: impl Iterator<Item = &'v str>) -> String {
    let mut list = String::new();
    for value in values {
        if list.len() + value.len() > SHOWN {
            list.push_str(if list.is_empty() { "..." } else { ", ..." });
            break;
        }
        if !list.is_empty() {
            list.push_str(", ");
        }
        list.push_str(&quoted(value));
    }
    if list.is_empty() { "none".to_owned() } else { list }
}

/// With escapes, so that a value cannot look like part of the explanation.
pub(crate) fn quoted(value: &str) -> String {
    format!("{:?}", cut(value))
}

pub(crate) fn cut(value: &str) -> String {
    if value.chars().count() <= SHOWN { value.to_owned() } else { value.chars().take(SHOWN).chain("...".chars()).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters_on_its_side_of_the_at() {
        for (pattern, address, expected) in [
            ("*@sales.example", "ada@sales.example", true),
            ("*@sales.example", "ada@x.sales.example", false),
            ("*@*.example", "ada@x.sales.example", true),
            ("info-*@x.example", "info-de@x.example", true),
            ("info-*@x.example", "info-@x.example", true),
            ("info-*@x.example", "info@x.example", false),
            ("*-x-*@x.example", "a-x-b@x.example", true),
            ("*-x-*@x.example", "a-x@x.example", false),
            ("a*b*c@x.example", "abbc@x.example", true),
            ("a*a@x.example", "a@x.example", false),
            ("a*bc*c@x.example", "abc@x.example", false),
            ("ada@*", "ada@anything.example", true),
            ("*@b.example", "\"a@b.example\"@c.example", false),
            ("ada@x.example", "ada@x.example", true),
        ] {
            let pattern = Pattern::new(pattern.to_owned()).expect("it is a pattern");
            assert_eq!(pattern.matches(address), expected, "{pattern:?} {address}");
        }
        for text in ["", "ada", "@x.example", "ada@"] {
            assert_eq!(Pattern::new(text.to_owned()), None, "{text}");
        }
    }

    #[test]
    fn a_whole_word_has_no_letter_beside_it() {
        for (text, word, expected) in [
            ("the offer is", "offer", true),
            ("offer", "offer", true),
            ("(offer)", "offer", true),
            ("offers", "offer", false),
            ("préoffer", "offer", false),
            ("offers and an offer", "offer", true),
            ("xa-a-a", "a-a", true),
            ("now #promo: x", "#promo", true),
            ("#promotion", "#promo", false),
            ("snake_offer", "offer", false),
            ("öö ö", "ö", true),
            ("anything", "", false),
        ] {
            assert_eq!(has_word(text, word), expected, "{text:?} {word:?}");
        }
    }
}
