//! `signet signatures diff OLD NEW --mail DIR`: which of these messages would leave otherwise with the new rules and templates.
//!
//! Both folders are asked about each message at the same time, so that only what changed in them can make a difference.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::time::SystemTime;

use super::expectations::difference;
use super::explain::outcome;
use super::folder::{files, octets};
use super::{Question, Workbench, WorkbenchError};

/// Compares two folders over all message files of a folder, at the time `at`, and prints what would change; how many messages would.
pub fn compare(old: &Workbench, new: &Workbench, mail: &Path, at: SystemTime, out: &mut dyn Write) -> Result<usize, WorkbenchError> {
    let (mut same, mut changed, mut unasked) = (0_usize, 0_usize, 0_usize);
    for (path, name) in files(mail, "")?.into_iter().filter(|(_, name)| name.ends_with(".eml")) {
        let question = Question { message: Some(octets(&path)?), ..Question::at(at) };
        let (before, after) = match (outcomes(old, &question), outcomes(new, &question)) {
            (Ok(before), Ok(after)) => (before, after),
            (Err(error), _) | (_, Err(error)) => {
                unasked += 1;
                writeln!(out, "{name}: cannot be asked about: {error}")?;
                continue;
            }
        };
        if before == after {
            same += 1;
            continue;
        }
        changed += 1;
        writeln!(out, "{name}:")?;
        for (recipient, old) in &before {
            let Some(new) = after.get(recipient).filter(|new| *new != old) else { continue };
            writeln!(out, "  {recipient}: {}", if old.0 == new.0 { old.0.clone() } else { format!("{} -> {}", old.0, new.0) })?;
            let lines = difference(&old.1, &new.1);
            lines.lines().filter(|line| !line.starts_with("@@")).try_for_each(|line| writeln!(out, "    {line}"))?;
        }
    }
    writeln!(
        out,
        "{changed} of {} messages would leave otherwise, {same} as before, {unasked} could not be asked about",
        changed + same + unasked
    )?;
    Ok(changed)
}

/// For each recipient: what is decided, and the signatures as they would be seen.
fn outcomes(workbench: &Workbench, question: &Question) -> Result<BTreeMap<String, (String, String)>, WorkbenchError> {
    let answered = workbench.answer(question)?;
    let mut outcomes = BTreeMap::new();
    for answer in &answered.copies {
        let mut seen = String::new();
        for placed in answer.placed.iter().filter(|_| answer.copy.reason().is_none()) {
            for form in [&placed.fragment.html, &placed.fragment.text].into_iter().flatten() {
                seen.push_str(form.trim_end());
                seen.push('\n');
            }
            placed.assets.iter().for_each(|asset| seen.push_str(&format!("image {} ({} octets)\n", asset.name, asset.content.len())));
        }
        let placements: Vec<&str> = answer.copy.report().iter().map(|report| report.rule).collect();
        let decided = match placements.first() {
            Some(rule) => format!("{} (placed: {rule})", outcome(answer)),
            None => outcome(answer),
        };
        for index in &answer.plan.recipients {
            let recipient = &answered.facts.recipients[*index];
            outcomes.insert(super::explain::address(&recipient.local, &recipient.domain), (decided.clone(), seen.clone()));
        }
    }
    Ok(outcomes)
}
