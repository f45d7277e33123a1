//! The lent message, as a trait, so that a selector's tests need no host.

use crate::PartInfo;
use crate::bindings::select::signet::mail::message::Message as Lent;

/// The message under decision. Reading it costs a call into the host each time; the facts answer most questions without.
pub trait Message {
    /// Number of MIME leaf parts.
    fn part_count(&self) -> u32;
    /// Describes part `index`, or nothing when there is no such part.
    fn part_info(&self, index: u32) -> Option<PartInfo>;
    /// The text the author wrote in this message, without quoted earlier messages, cut at `max` characters.
    fn authored_text(&self, max: u32) -> String;
    /// Up to 64 KiB of part `index` decoded, from octet `offset` on; empty past its end and for an unknown part.
    fn read_part(&self, index: u32, offset: u64, max: u32) -> Vec<u8>;
}

impl Message for Lent {
    fn part_count(&self) -> u32 {
        Lent::part_count(self)
    }
    fn part_info(&self, index: u32) -> Option<PartInfo> {
        Lent::part_info(self, index)
    }
    fn authored_text(&self, max: u32) -> String {
        Lent::authored_text(self, max)
    }
    fn read_part(&self, index: u32, offset: u64, max: u32) -> Vec<u8> {
        Lent::read_part(self, index, offset, max)
    }
}

/// A message for tests.
#[derive(Clone, Debug, Default)]
pub struct TestMessage {
    /// What [`Message::authored_text`] answers.
    pub text: String,
    /// Each part's description and decoded content.
    pub parts: Vec<(PartInfo, Vec<u8>)>,
}

impl TestMessage {
    /// A message without parts whose author wrote `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), parts: Vec::new() }
    }

    fn part(&self, index: u32) -> Option<&(PartInfo, Vec<u8>)> {
        self.parts.get(usize::try_from(index).ok()?)
    }
}

impl Message for TestMessage {
    fn part_count(&self) -> u32 {
        u32::try_from(self.parts.len()).unwrap_or(u32::MAX)
    }
    fn part_info(&self, index: u32) -> Option<PartInfo> {
        self.part(index).map(|(info, _)| info.clone())
    }
    fn authored_text(&self, max: u32) -> String {
        self.text.chars().take(max as usize).collect()
    }
    fn read_part(&self, index: u32, offset: u64, max: u32) -> Vec<u8> {
        /// As in `read-part`'s interface.
        const CAP: usize = 64 << 10;
        let content = self.part(index).map_or(&[][..], |(_, content)| content);
        let rest = usize::try_from(offset).ok().and_then(|offset| content.get(offset..)).unwrap_or_default();
        rest[..rest.len().min(max as usize).min(CAP)].to_vec()
    }
}
