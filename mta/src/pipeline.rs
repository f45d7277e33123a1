//! The way of one message: `Accepted` becomes sealed copies, or a refusal. Start reading here.
//!
//! ```text
//! attribute ─ authenticate ─ classify ─ select ─ render and insert ─ seal
//!  550, 554      550, 451                 451           451           451
//! ```
//!
//! Each step consumes the type of the step before it. What a step decides goes into the message's event; every branch that refuses a message is
//! an error in this file. DNS is asked in `authenticate` only; everything after it computes and runs on a processing thread. It knows no
//! socket and no disk.

mod facts;

pub(crate) use facts::view;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use crate::directory::Directory;
use crate::event::{self, MessageEvent};
use crate::message::Accepted;
use crate::mime::{self, Class, Copy, Marks, Message};
use crate::plugin::{Fault, Renderer};
use crate::refusal::Refusal;
use crate::seal::{self, Pass, Sealed};
use crate::service::{FaultPolicy, Plugins, Service, Shared, Site};
use crate::signature::{self, Asset, Choice, CopyPlan, Explanation, Fragment, Outcome, PERSON_PHOTO, Person, Placed};
use crate::verify::{self, Alignment, Decision, Unaligned, Verified};

/// What the handoff takes: every recipient is in exactly one copy.
pub(crate) struct Ready {
    /// The tenant that the message belongs to, as configured when it arrived.
    pub(crate) site: Arc<Site>,
    /// The sealed copies.
    pub(crate) copies: Vec<Sealed>,
}

type Record = Box<MessageEvent>;

/// Runs all steps.
pub(crate) async fn run(
    accepted: Accepted,
    service: &Service,
    shared: &Shared,
    mut event: Record,
) -> Result<(Ready, Record), (Refusal, Record)> {
    let site = match attribute(&accepted, service, &mut event) {
        Ok(site) => site,
        Err(refusal) => return Err((refusal, event)),
    };
    let verified = match authenticate(accepted, &site, shared, &mut event).await {
        Ok(verified) => verified,
        Err(refusal) => return Err((refusal, event)),
    };
    let lost = event.clone();
    let job = {
        let (site, span) = (Arc::clone(&site), tracing::info_span!("message", id = %event.id));
        move || {
            let _entered = span.entered();
            (edit_and_seal(&verified, &site, &mut event), event)
        }
    };
    match shared.cpu.run(job).await {
        Ok((Ok(copies), event)) => Ok((Ready { site, copies }, event)),
        Ok((Err(refusal), event)) => Err((refusal, event)),
        Err(error) => Err((Refusal::Internal(error.to_string()), lost)),
    }
}

/// Whose message is it, and has it been here before too often?
fn attribute(accepted: &Accepted, service: &Service, event: &mut MessageEvent) -> Result<Arc<Site>, Refusal> {
    let begun = Instant::now();
    let attribution = service.registry.attribute(accepted);
    let factors = match &attribution {
        Ok(attribution) => &attribution.factors,
        Err(verdict) => &verdict.factors,
    };
    event.factors = factors.iter().map(|f| event::Factor { name: f.name, agrees: f.agrees, value: f.value.clone() }).collect();
    let tenant = attribution.map_err(|verdict| Refusal::NoTenant(verdict.reason.to_owned()))?.tenant;
    event.tenant = tenant.id.to_string();
    let site = service.site(&tenant.id).ok_or_else(|| Refusal::Internal("the tenant has no site".to_owned()))?;
    let hops = seal::hops(&accepted.content, &site.seal.hostname);
    if hops.received > site.seal.maximum_hops || hops.own > seal::MAX_OWN_PASSES {
        return Err(Refusal::Loop(hops.received));
    }
    event.micros.attribute = micros(begun);
    Ok(site)
}

/// SPF, DKIM, DMARC and ARC, before anything is changed.
async fn authenticate(accepted: Accepted, site: &Site, shared: &Shared, event: &mut MessageEvent) -> Result<Verified, Refusal> {
    let begun = Instant::now();
    let verified = verify::verify(accepted, &shared.resolver, &site.policy).await;
    event.micros.verify = micros(begun);
    let found = verified.authentication();
    event.authentication = event::Authentication { spf: found.spf, dkim: found.dkim, dmarc: found.dmarc, arc: found.arc };
    event.alignment = match verified.alignment() {
        Alignment::By(check) => format!("by {check}"),
        Alignment::Not(reason) => format!("not: {reason}"),
    };
    match verified.decision() {
        Decision::Reject(reason) => Err(Refusal::Unaligned(reason.to_owned())),
        Decision::Defer(reason) => Err(Refusal::Unchecked(reason.to_owned())),
        Decision::Signable | Decision::RelayUnsigned(_) => Ok(verified),
    }
}

fn edit_and_seal(verified: &Verified, site: &Site, event: &mut MessageEvent) -> Result<Vec<Sealed>, Refusal> {
    let classified = classify(verified, site, event);
    // One directory for the whole message, whatever takes its place meanwhile.
    let directory = site.directory();
    let selected = select(classified, verified, (site, &directory), event)?;
    let copies = insert(selected, verified, (site, &directory), event)?;
    seal(copies, verified, site, event)
}

/// The message's structure, and who may choose signatures for it, or why nobody is asked.
struct Classified<'a> {
    message: Arc<Message>,
    plugins: Result<&'a Plugins, String>,
}

fn classify<'a>(verified: &Verified, site: &'a Site, event: &mut MessageEvent) -> Classified<'a> {
    let begun = Instant::now();
    let accepted = verified.accepted();
    let message = Arc::new(Message::parse(accepted.content.clone()));
    let plugins = if let Decision::RelayUnsigned(reason) = verified.decision() {
        Err(format!("unaligned: {reason}"))
    } else if accepted.envelope.reverse_path().mailbox().is_none() {
        Err("null-reverse-path".to_owned())
    } else if is_foreign(verified, site) {
        Err("foreign-author".to_owned())
    } else if came_before(accepted, site, event) {
        Err("already-processed".to_owned())
    } else if let Class::Passed(class) = message.class() {
        Err(class.as_str().to_owned())
    } else {
        site.plugins.as_ref().ok_or_else(|| "no-signatures-configured".to_owned())
    };
    event.kind = facts::kind_word(message.kind());
    event.passed = plugins.as_ref().err().cloned().unwrap_or_default();
    event.micros.classify = micros(begun);
    Classified { message, plugins }
}

/// Whether somebody of another domain wrote it, as in mail that the tenant only forwards: the company's signature would be put under a
/// stranger's words, and the stranger's DKIM signature would break. A tenant that signs unproven mail wants this, too.
fn is_foreign(verified: &Verified, site: &Site) -> bool {
    site.policy.unaligned != Unaligned::Sign && verified.from_domain().is_none_or(|domain| !site.tenant.owns(domain))
}

/// Whether the tenant's loop token proves that we did this one. Look-alikes prove nothing; `seal` removes them.
fn came_before(accepted: &Accepted, site: &Site, event: &mut MessageEvent) -> bool {
    match site.seal.loop_token.as_ref().map(|token| token.check(&accepted.content)) {
        Some(Pass::Proven) => true,
        Some(Pass::LookAlike(fields)) => {
            event.look_alikes = fields.len();
            false
        }
        Some(Pass::Absent) | None => false,
    }
}

/// Who gets which signatures, or why nobody gets any.
struct Selected<'a> {
    message: Arc<Message>,
    choice: Result<(&'a Plugins, signature::Decision), String>,
}

fn select<'a>(
    classified: Classified<'a>,
    verified: &Verified,
    (site, directory): (&Site, &Directory),
    event: &mut MessageEvent,
) -> Result<Selected<'a>, Refusal> {
    let Classified { message, plugins } = classified;
    let plugins = match plugins {
        Ok(plugins) => plugins,
        Err(reason) => return Ok(Selected { message, choice: Err(reason) }),
    };
    let begun = Instant::now();
    let facts = facts::gather(&message, verified, site, directory, &plugins.selector.description().headers);
    let answer = plugins.selector.select(&facts, view(&message));
    event.micros.select = micros(begun);
    let choice = match answer {
        Ok(decision) => Ok((plugins, within(decision, site.maximum_copies))),
        Err(fault) => Err(relay_or_defer(site, &fault, event)?),
    };
    Ok(Selected { message, choice })
}

/// Every copy is a delivery of its own. Beyond `most`, the copies for the fewest recipients become one that gets no signature: a wrong one would be
/// worse than none.
fn within(mut decision: signature::Decision, most: usize) -> signature::Decision {
    if decision.copies.len() <= most {
        return decision;
    }
    decision.copies.sort_by_key(|copy| std::cmp::Reverse(copy.recipients.len()));
    let rest = decision.copies.split_off(most.saturating_sub(1));
    let mut recipients: Vec<usize> = rest.into_iter().flat_map(|copy| copy.recipients).collect();
    recipients.sort_unstable();
    let reason = format!("the message would leave in more than {most} copies");
    let explanation = vec![Explanation { rule: "limits.copies".to_owned(), applied: true, reason }];
    decision.copies.push(CopyPlan { recipients, outcome: Outcome::Skip("copies-limit".to_owned()), explanation });
    decision
}

/// A plugin fault never loses mail: by the tenant's policy it leaves unsigned, or the sender tries again. It is never silent.
fn relay_or_defer(site: &Site, fault: &Fault, event: &mut MessageEvent) -> Result<String, Refusal> {
    fault.as_str().clone_into(&mut event.fault);
    tracing::error!(event = "plugin.fault", tenant = %site.tenant.id, outcome = fault.as_str(), "a plugin gave no answer");
    tracing::debug!(event = "plugin.fault-detail", tenant = %site.tenant.id, detail = %fault, "what the plugin said");
    match site.faults {
        FaultPolicy::RelayUnsigned => Ok(format!("plugin-{}", fault.as_str())),
        FaultPolicy::Defer => Err(Refusal::Plugin(fault.to_string())),
    }
}

/// Renders what was chosen and puts it into the message: one copy a plan.
fn insert(
    selected: Selected<'_>,
    verified: &Verified,
    (site, directory): (&Site, &Directory),
    event: &mut MessageEvent,
) -> Result<Vec<Copy>, Refusal> {
    let Selected { message, choice } = selected;
    let (plugins, decision) = match choice {
        Ok(choice) => choice,
        Err(reason) => {
            let everybody = (0..verified.accepted().envelope.recipients().len()).collect();
            return Ok(vec![unedited(everybody, &message, reason, Vec::new(), event)]);
        }
    };
    let marks = Marks { seed: facts::seed(verified.accepted()), domain: site.content_id_domain.clone() };
    let person = facts::sender(verified, directory);
    let locale = crate::locale::choose(&site.locale_from, &message.headers("content-language"), &person, &site.locale);
    let photo = facts::author(verified).and_then(|author| directory.photo(author)).cloned();
    let mut renderer = Rendering { renderer: &plugins.renderer, person, photo, locale, done: HashMap::new() };
    let mut copies = Vec::with_capacity(decision.copies.len());
    for CopyPlan { recipients, outcome, explanation } in decision.copies {
        let choices = match outcome {
            Outcome::Sign(choices) => choices,
            Outcome::Skip(reason) => {
                copies.push(unedited(recipients, &message, reason, explanation, event));
                continue;
            }
        };
        let placed = match renderer.render(&choices, &message, verified, site, event) {
            Ok(placed) => placed,
            Err(fault) => {
                let reason = relay_or_defer(site, &fault, event)?;
                copies.push(unedited(recipients, &message, reason, explanation, event));
                continue;
            }
        };
        let begun = Instant::now();
        let copy = match mime::insert(&message, &placed, &marks) {
            Ok(edited) => Copy::edited(recipients, edited),
            Err(unedited) => Copy::unedited(recipients, &message, unedited.reason),
        };
        event.micros.insert += micros(begun);
        event.copies.push(facts::describe(&copy, &placed, explanation));
        copies.push(copy);
    }
    for (copy, record) in copies.iter_mut().zip(&mut event.copies) {
        record.subject_changed = !decision.remove_from_subject.is_empty() && copy.without_in_subject(&decision.remove_from_subject);
    }
    Ok(copies)
}

fn unedited(recipients: Vec<usize>, message: &Message, reason: String, explanation: Vec<Explanation>, event: &mut MessageEvent) -> Copy {
    event.copies.push(facts::unsigned(&recipients, &reason, explanation));
    Copy::unedited(recipients, message, reason)
}

/// Renders each chosen signature once, however many copies carry it.
struct Rendering<'a> {
    renderer: &'a Renderer,
    person: Person,
    /// The picture of that person.
    photo: Option<Arc<Asset>>,
    locale: String,
    done: HashMap<String, Fragment>,
}

impl Rendering<'_> {
    fn render(
        &mut self,
        choices: &[Choice],
        message: &Message,
        verified: &Verified,
        site: &Site,
        event: &mut MessageEvent,
    ) -> Result<Vec<Placed>, Fault> {
        let begun = Instant::now();
        let mut stack = Vec::with_capacity(choices.len());
        for choice in choices {
            let fragment = match self.done.get(&choice.id) {
                Some(fragment) => fragment.clone(),
                None => {
                    let now = site.zone.moment(verified.accepted().received);
                    let fragment = self.renderer.render(&choice.id, &self.person, &self.locale, &now, facts::format(message))?;
                    self.done.insert(choice.id.clone(), fragment.clone());
                    fragment
                }
            };
            let asset = |name: &String| if name == PERSON_PHOTO { self.photo.clone() } else { self.renderer.asset(name).cloned() };
            let assets = fragment.images.iter().filter_map(asset).collect();
            stack.push(Placed { id: choice.id.clone(), placement: choice.placement, fragment, assets });
        }
        event.micros.render += micros(begun);
        Ok(stack)
    }
}

/// Trace fields, Authentication-Results, ARC, DKIM: after this nothing can be edited.
fn seal(copies: Vec<Copy>, verified: &Verified, site: &Site, event: &mut MessageEvent) -> Result<Vec<Sealed>, Refusal> {
    let begun = Instant::now();
    let now = SystemTime::now();
    let mut sealed = Vec::with_capacity(copies.len());
    for (copy, record) in copies.into_iter().zip(&mut event.copies) {
        let copy = seal::seal(copy, verified, &site.seal, now).map_err(|error| Refusal::Seal(error.to_string()))?;
        record.seals = copy.seals().to_vec();
        record.unsealed = copy.unsealed().unwrap_or_default();
        sealed.push(copy);
    }
    event.micros.seal = micros(begun);
    Ok(sealed)
}

fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_limit_on_copies_keeps_every_recipient(places in prop::collection::vec(0..40_usize, 1..300), most in 1..40_usize) {
            let mut recipients = vec![Vec::new(); 40];
            places.iter().enumerate().for_each(|(index, place)| recipients[*place].push(index));
            recipients.retain(|copy| !copy.is_empty());
            let whole = recipients.len();
            let choices = vec![Choice { id: "full".to_owned(), placement: signature::Placement::End }];
            let plan = |recipients| CopyPlan { recipients, outcome: Outcome::Sign(choices.clone()), explanation: Vec::new() };
            let decision = signature::Decision { copies: recipients.into_iter().map(plan).collect(), remove_from_subject: Vec::new() };
            let copies = within(decision, most).copies;
            prop_assert_eq!(copies.len(), whole.min(most));
            let mut served = copies.iter().flat_map(|copy| copy.recipients.clone()).collect::<Vec<_>>();
            served.sort_unstable();
            prop_assert!(served.into_iter().eq(0..places.len()));
            // Who is beyond the limit gets no signature, and never another's.
            let unsigned = copies.iter().filter(|copy| matches!(copy.outcome, Outcome::Skip(_))).count();
            prop_assert_eq!(unsigned, usize::from(whole > most));
        }
    }
}
