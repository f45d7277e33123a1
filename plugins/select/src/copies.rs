//! How many copies one message may become.

use signet_plugin_sdk::Recipient;
use signet_plugin_sdk::select::{Explanation, Outcome};

use crate::decide::Obstacle;

/// The reason of the fallback copy.
const LIMIT: &str = "copies-limit";

/// Ways to one outcome that are told apart: those of internal, external and partner recipients, and one more. Each costs as much as
/// explaining a copy does.
const VARIANTS: usize = 4;

/// Recipients with one outcome.
pub(crate) struct Group<'r> {
    pub(crate) recipients: Vec<u32>,
    pub(crate) outcome: Outcome,
    /// The ways in which they came to it, up to [`VARIANTS`].
    pub(crate) variants: Vec<Variant<'r>>,
    /// Recipients who came to it in other ways.
    pub(crate) others: usize,
    /// Trigger words of the rules that applied.
    pub(crate) removes: Vec<&'r str>,
    /// Whether it is there because there were too many.
    pub(crate) is_fallback: bool,
}

/// Recipients of one group for whom the same rules applied, and the others did not for the same reasons.
pub(crate) struct Variant<'r> {
    /// The first of them, who speaks for the others.
    pub(crate) recipient: &'r Recipient,
    pub(crate) size: usize,
    /// What kept each scope that was asked.
    trace: Vec<Option<Obstacle<'r>>>,
}

impl<'r> Group<'r> {
    pub(crate) fn new(outcome: Outcome) -> Self {
        Self { recipients: Vec::new(), outcome, variants: Vec::new(), others: 0, removes: Vec::new(), is_fallback: false }
    }

    /// Counts the recipient to the variant that is returned, or to the others.
    pub(crate) fn count(&mut self, recipient: &'r Recipient, trace: Vec<Option<Obstacle<'r>>>) -> Option<usize> {
        let known = self.variants.iter().position(|variant| variant.trace == trace);
        if known.is_none() && self.variants.len() < VARIANTS {
            self.variants.push(Variant { recipient, size: 1, trace });
            return Some(self.variants.len() - 1);
        }
        self.count_again(known);
        known
    }

    /// Counts one more recipient to the variant, or to the others.
    pub(crate) fn count_again(&mut self, variant: Option<usize>) {
        match variant {
            Some(variant) => self.variants[variant].size += 1,
            None => self.others += 1,
        }
    }

    /// Takes the recipients of an earlier group, and keeps as many variants as one has.
    fn take(&mut self, mut earlier: Self) {
        self.recipients.append(&mut earlier.recipients);
        earlier.variants.append(&mut self.variants);
        let dropped = earlier.variants.split_off(earlier.variants.len().min(VARIANTS));
        self.others += earlier.others + dropped.iter().map(|variant| variant.size).sum::<usize>();
        self.variants = earlier.variants;
    }
}

/// At most `limit` groups. Beyond that the least common outcomes give way: their recipients get one copy without signature, since
/// nothing that was meant for some of them may go to all of them. Of outcomes that are equally common, the later ones give way.
pub(crate) fn limited(mut groups: Vec<Group<'_>>, limit: usize) -> (Vec<Group<'_>>, Option<Explanation>) {
    if groups.len() <= limit {
        return (groups, None);
    }
    let reason = format!("{} different outcomes are more than the {limit} copies that the settings allow", groups.len());
    let mut sizes: Vec<usize> = (0..groups.len()).collect();
    sizes.sort_by_key(|number| std::cmp::Reverse(groups[*number].recipients.len()));
    let mut given_up = sizes.split_off(limit.saturating_sub(1));
    given_up.sort_unstable();
    let mut fallback = Group { is_fallback: true, ..Group::new(Outcome::Skip(LIMIT.to_owned())) };
    for number in given_up.into_iter().rev() {
        fallback.take(groups.remove(number));
    }
    fallback.recipients.sort_unstable();
    groups.push(fallback);
    (groups, Some(Explanation { rule: "(copies)".to_owned(), applied: true, reason }))
}

#[cfg(test)]
mod tests {
    use signet_plugin_sdk::select::{sign, skip};

    use super::*;

    fn groups(sizes: &[u32]) -> Vec<Group<'static>> {
        let mut next = 0;
        let mut group = |(number, size): (usize, &u32)| {
            let recipients = (next..next + size).collect();
            next += size;
            Group { recipients, ..Group::new(sign([format!("s{number}")])) }
        };
        sizes.iter().enumerate().map(&mut group).collect()
    }

    #[test]
    fn the_least_common_outcomes_share_a_copy_without_signature() {
        let (kept, explained) = limited(groups(&[1, 3, 1, 2, 1]), 3);
        let kept: Vec<_> = kept.into_iter().map(|group| (group.recipients, group.outcome)).collect();
        assert_eq!(kept, [(vec![1, 2, 3], sign(["s1"])), (vec![5, 6], sign(["s3"])), (vec![0, 4, 7], skip("copies-limit"))]);
        assert!(explained.expect("it says why").reason.starts_with("5 different outcomes"));
    }

    #[test]
    fn as_many_as_allowed_stay() {
        let (kept, explained) = limited(groups(&[1, 1, 1]), 3);
        assert_eq!((kept.len(), explained), (3, None));
    }
}
