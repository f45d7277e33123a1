//! How many copies one message may become.

use signet_plugin_sdk::select::{Explanation, Outcome};

/// The reason of the fallback copy.
const LIMIT: &str = "copies-limit";

/// Recipients with one outcome.
pub(crate) struct Group<'r> {
    pub(crate) recipients: Vec<u32>,
    pub(crate) outcome: Outcome,
    /// Trigger words of the rules that applied.
    pub(crate) removes: Vec<&'r str>,
    /// Whether it is there because there were too many.
    pub(crate) is_fallback: bool,
}

impl Group<'_> {
    pub(crate) fn new(outcome: Outcome) -> Self {
        Self { recipients: Vec::new(), outcome, removes: Vec::new(), is_fallback: false }
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
        fallback.recipients.append(&mut groups.remove(number).recipients);
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
