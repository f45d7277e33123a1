//! Repeatable chance: names, identifiers and tokens that are the same for the same seed. Not for secrets that matter.

use std::fmt::{self, Write as _};

/// An identifier of a directory object.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(pub u128);

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = format!("{:032x}", self.0);
        write!(f, "{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Id {
    /// Reads the form with hyphens.
    pub fn parse(text: &str) -> Option<Self> {
        let groups: Vec<&str> = text.split('-').collect();
        let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
        if lengths != [8, 4, 4, 4, 12] || !text.bytes().all(|octet| octet == b'-' || octet.is_ascii_hexdigit()) {
            return None;
        }
        u128::from_str_radix(&groups.concat(), 16).ok().map(Self)
    }
}

/// SplitMix64.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `limit`, which is not 0.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap_or_default()
    }

    pub(crate) fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    /// A GUID of version 4.
    pub(crate) fn id(&mut self) -> Id {
        let value = (u128::from(self.next()) << 64) | u128::from(self.next());
        let version = (value & !(0xf_u128 << 76)) | (4_u128 << 76);
        Id((version & !(0x3_u128 << 62)) | (2_u128 << 62))
    }

    /// Letters and digits for a token or a code.
    pub(crate) fn token(&mut self, words: usize) -> String {
        (0..words).fold(String::new(), |mut text, _| {
            if write!(text, "{:016x}", self.next()).is_err() {
                text.clear();
            }
            text
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_survives_its_text() {
        let id = Random::new(7).id();
        assert_eq!(Id::parse(&id.to_string()), Some(id));
        assert_eq!(&id.to_string()[14..15], "4");
        for wrong in ["", "3f1c9a52", "3f1c9a527d0e4b869c415e2a8d6b7f10", "+f1c9a52-7d0e-4b86-9c41-5e2a8d6b7f10"] {
            assert_eq!(Id::parse(wrong), None, "{wrong}");
        }
    }
}
