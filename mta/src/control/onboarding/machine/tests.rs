//! States and events.

use super::*;
use crate::control::words::{Group, Standing, Step};

const AT: u64 = 1000;

fn group(name: &str) -> Group {
    Group { id: format!("id of {name}"), name: name.to_owned(), address: format!("{name}@northwind.example") }
}

fn administrator(sufficient: bool) -> Administrator {
    let standing = if sufficient { Standing::Direct } else { Standing::ThroughGroup };
    let steps = vec!["Assign the role directly.".to_owned()];
    Administrator { standing, sufficient, explanation: "The role comes from a group.".to_owned(), steps, source: String::new() }
}

fn organisation() -> Organisation {
    Organisation { id: "north".to_owned(), name: "Northwind".to_owned(), initial_domain: String::new(), domains: Vec::new() }
}

fn plan(steps: &[(&str, Action)]) -> Plan {
    let step = |(id, action): &(&str, Action)| Step {
        id: (*id).to_owned(),
        title: (*id).to_owned(),
        purpose: String::new(),
        action: action.clone(),
        differences: Vec::new(),
    };
    Plan { steps: steps.iter().map(step).collect(), notes: vec!["A note.".to_owned()] }
}

fn trouble(kind: &str) -> Trouble {
    Trouble::new(kind, "It failed.", "Try again.", AT)
}

fn done(step: &str) -> Event {
    Event::Done { step: step.to_owned(), changed: vec![format!("Made {step}.")] }
}

fn everything() -> Choices {
    Choices { people: Some(People::Full), senders: Some(Senders::AllUsers) }
}

/// The record after those events, each of which is taken.
fn after(events: impl IntoIterator<Item = Event>) -> Record {
    let mut record = Record::default();
    for event in events {
        let shown = format!("{event:?}");
        record.on(event, AT).unwrap_or_else(|refused| panic!("{shown}: {refused}"));
    }
    record
}

fn chosen() -> Vec<Event> {
    vec![
        Event::SignedIn(Some("astrid".to_owned())),
        Event::Consented,
        Event::DirectoryRead(organisation()),
        Event::PeopleChosen(People::Full),
        Event::SendersChosen(Senders::AllUsers),
    ]
}

fn connected() -> Vec<Event> {
    let work =
        [Event::Authorized(Goal::Connect, administrator(true)), Event::Planned(plan(&[("a", Action::Create)])), done("a"), Event::Finished];
    chosen().into_iter().chain(work).collect()
}

fn with(mut events: Vec<Event>, more: impl IntoIterator<Item = Event>) -> Vec<Event> {
    events.extend(more);
    events
}

#[test]
fn every_event_leads_to_its_stage_and_effects() {
    let authorized = |goal| Event::Authorized(goal, administrator(true));
    for (before, event, stage, effects) in [
        (vec![], Event::SignedIn(None), Stage::SignedIn, vec![Effect::Halt]),
        (connected(), Event::SignedIn(None), Stage::SignedIn, vec![Effect::Halt]),
        (vec![Event::SignedIn(None)], Event::Consented, Stage::SignedIn, vec![Effect::Prove]),
        (vec![Event::SignedIn(None), Event::Consented], Event::DirectoryRead(organisation()), Stage::ChoosePeople, vec![]),
        (chosen()[..3].to_vec(), Event::PeopleChosen(People::Limited(group("a"))), Stage::ChooseRouting, vec![]),
        (chosen()[..4].to_vec(), Event::SendersChosen(Senders::AllUsers), Stage::Authorize, vec![]),
        (chosen(), Event::PeopleChosen(People::Full), Stage::ChooseRouting, vec![]),
        (chosen(), authorized(Goal::Connect), Stage::InProgress, vec![Effect::Synchronise, Effect::Apply]),
        (connected(), authorized(Goal::Connect), Stage::InProgress, vec![Effect::Synchronise, Effect::Apply]),
        (connected(), authorized(Goal::Disconnect), Stage::InProgress, vec![Effect::Synchronise, Effect::Apply]),
        (chosen(), Event::RoleShort(administrator(false)), Stage::Authorize, vec![Effect::ForgetAdministrator]),
        (
            chosen(),
            Event::GroupGone(Choice::Senders, trouble("missing")),
            Stage::ChooseRouting,
            vec![Effect::Halt, Effect::ForgetAdministrator, Effect::Synchronise],
        ),
        (
            with(chosen(), [authorized(Goal::Connect)]),
            Event::GroupGone(Choice::People, trouble("missing")),
            Stage::ChoosePeople,
            vec![Effect::Halt, Effect::ForgetAdministrator, Effect::Synchronise],
        ),
        (with(chosen(), [authorized(Goal::Connect)]), Event::GoOn, Stage::InProgress, vec![Effect::Apply]),
        (vec![Event::SignedIn(None), Event::Consented], Event::GoOn, Stage::SignedIn, vec![Effect::Prove]),
        (with(chosen(), [authorized(Goal::Connect)]), Event::Finished, Stage::Connected, vec![Effect::ForgetAdministrator]),
        (with(connected(), [authorized(Goal::Disconnect)]), Event::Finished, Stage::Disconnected, vec![Effect::ForgetAdministrator]),
        (
            chosen(),
            Event::ScriptRan(Goal::Connect, None),
            Stage::Connected,
            vec![Effect::Halt, Effect::ForgetAdministrator, Effect::Synchronise],
        ),
        (chosen(), Event::Abandoned, Stage::Disconnected, vec![Effect::Halt, Effect::ForgetAdministrator, Effect::Synchronise]),
        (connected(), Event::Abandoned, Stage::Connected, vec![Effect::Halt, Effect::ForgetAdministrator, Effect::Synchronise]),
        (vec![], Event::Started, Stage::Disconnected, vec![]),
        (connected(), Event::Started, Stage::Connected, vec![Effect::Synchronise]),
        (vec![Event::SignedIn(None), Event::Consented], Event::Started, Stage::SignedIn, vec![Effect::Prove]),
        (with(chosen(), [authorized(Goal::Connect)]), Event::Started, Stage::InProgress, vec![Effect::Synchronise]),
    ] {
        let mut record = after(before);
        let shown = format!("{:?} + {event:?}", record.stage);
        let found = record.on(event, AT).unwrap_or_else(|refused| panic!("{shown}: {refused}"));
        assert_eq!((record.stage, found), (stage, effects), "{shown}");
    }
}

#[test]
fn what_does_not_fit_is_refused_with_the_next_step_and_changes_nothing() {
    let authorized = |goal| Event::Authorized(goal, administrator(true));
    for (before, event, next) in [
        (vec![], Event::Consented, "Choose Connect and sign in."),
        (vec![], Event::PeopleChosen(People::Full), "Choose Connect and sign in."),
        (vec![], authorized(Goal::Connect), "Choose Connect and sign in."),
        (vec![], Event::GoOn, "Choose Connect and sign in."),
        (chosen()[..3].to_vec(), Event::SendersChosen(Senders::AllUsers), "Choose whose people are synchronised."),
        (chosen()[..4].to_vec(), authorized(Goal::Connect), "Choose whose mail is routed."),
        (chosen()[..4].to_vec(), Event::ScriptRan(Goal::Connect, None), "Choose whose mail is routed."),
        (chosen(), Event::Running("a".to_owned()), "Choose Authorize."),
        (chosen(), Event::Failed(trouble("fault")), "Choose Authorize."),
        (connected(), Event::PeopleChosen(People::Full), "Choose Re-connect to change it."),
        (connected(), Event::DirectoryRead(organisation()), "Choose Re-connect to change it."),
        (with(chosen(), [authorized(Goal::Connect)]), Event::SignedIn(None), "Wait until the plan is applied, or give it up first."),
        (with(connected(), [authorized(Goal::Disconnect)]), authorized(Goal::Connect), "Wait until it is done, or give it up first."),
    ] {
        let mut record = after(before);
        let (was, shown) = (record.clone(), format!("{event:?}"));
        let refused = record.on(event, AT).expect_err(&shown);
        assert_eq!((refused.kind.as_str(), refused.next_step.as_str()), ("stage", next), "{shown}");
        assert_eq!(record, was, "{shown}");
    }
}

#[test]
fn what_is_connected_stays_until_another_plan_is_through() {
    let mut record = after(connected());
    for event in with(
        chosen()[..4].to_vec(),
        [Event::SendersChosen(Senders::Group(group("a"))), Event::Authorized(Goal::Connect, administrator(true))],
    ) {
        record.on(event, AT).expect("taken");
        assert_eq!(record.connected, Some(everything()));
    }
    record.on(Event::Finished, 2000).expect("taken");
    let routed = Choices { senders: Some(Senders::Group(group("a"))), ..everything() };
    assert_eq!((record.connected, record.connected_since), (Some(routed), Some(2000)));
}

#[test]
fn nothing_but_the_history_is_left_after_disconnect() {
    let (_, kept) = Kept::fresh(AT).expect("randomness");
    let events = [
        Event::Invited(kept),
        Event::Authorized(Goal::Disconnect, administrator(true)),
        Event::Planned(plan(&[("a", Action::Remove)])),
        done("a"),
        Event::Finished,
    ];
    let record = after(with(connected(), events));
    let work = record.work.clone().expect("the history");
    assert_eq!((work.goal, work.finished), (Goal::Disconnect, Some(AT)));
    assert_eq!(record, Record { work: Some(work), ..Record::default() });
}

#[test]
fn a_plan_that_is_made_again_keeps_what_is_done_and_repeats_from_the_first_step_that_is_not() {
    use Action::{Check, Create, Keep};
    let first = plan(&[("a", Create), ("b", Create), ("c", Check), ("d", Create)]);
    for (told, again, expected) in [
        (vec![], plan(&[("a", Create), ("b", Create), ("c", Check), ("d", Create)]), "a"),
        (vec!["a", "b"], plan(&[("a", Keep), ("b", Keep), ("c", Check), ("d", Create)]), "c"),
        // The end of `c` was not kept: it is done again, although nothing is left to do.
        (vec!["a", "b"], plan(&[("a", Keep), ("b", Keep), ("c", Keep), ("d", Keep)]), "c"),
        // Somebody removed what `a` had made.
        (vec!["a", "b", "c"], plan(&[("a", Create), ("b", Keep), ("c", Keep), ("d", Create)]), "a"),
        // A new step in the middle.
        (vec!["a", "b", "c"], plan(&[("a", Keep), ("x", Keep), ("b", Keep), ("c", Keep), ("d", Create)]), "x"),
        (vec!["a", "b", "c", "d"], plan(&[("a", Keep), ("b", Keep), ("c", Keep), ("d", Keep)]), ""),
    ] {
        let mut events = with(chosen(), [Event::Authorized(Goal::Connect, administrator(true)), Event::Planned(first.clone())]);
        events.extend(told.iter().map(|step| done(step)));
        events.extend([Event::Started, Event::Authorized(Goal::Connect, administrator(true)), Event::Planned(again)]);
        let work = after(events).work.expect("work");
        let next = work.steps.iter().find(|step| step.state != StepState::Done).map_or("", |step| step.step.id.as_str());
        assert_eq!(next, expected, "{told:?}");
        let changed: Vec<String> = told.iter().map(|step| format!("Made {step}.")).collect();
        assert_eq!(work.changed(), changed, "what was changed is not forgotten");
        assert_eq!(work.notes, ["A note."]);
    }
}

#[test]
fn trouble_says_what_was_changed_so_far_and_is_over_with_the_next_step_that_succeeds() {
    let begun = with(
        chosen(),
        [
            Event::Authorized(Goal::Connect, administrator(true)),
            Event::Planned(plan(&[("a", Action::Create), ("b", Action::Create)])),
            done("a"),
            Event::Running("b".to_owned()),
        ],
    );
    for (event, kind) in [
        (Event::Failed(trouble("conflict")), "conflict"),
        (Event::Started, "credential"),
        (Event::GroupGone(Choice::Senders, trouble("missing")), "missing"),
    ] {
        let record = after(with(begun.clone(), [event]));
        let found = record.trouble.expect("trouble");
        assert_eq!((found.kind.as_str(), found.changed), (kind, vec!["Made a.".to_owned()]));
        assert_eq!(record.work.expect("work").steps[1].state == StepState::Running, kind == "missing");
    }
    let record = after(with(begun, [Event::Failed(trouble("conflict")), done("b")]));
    assert_eq!(record.trouble, None);
}

#[test]
fn people_are_synchronised_from_the_beginning_of_the_plan_and_as_connected_again_when_it_is_given_up() {
    let limited = |events: Vec<Event>| {
        let again = [
            Event::SignedIn(None),
            Event::Consented,
            Event::DirectoryRead(organisation()),
            Event::PeopleChosen(People::Limited(group("a"))),
            Event::SendersChosen(Senders::AllUsers),
        ];
        with(events, again)
    };
    let authorized = Event::Authorized(Goal::Connect, administrator(true));
    let people = |record: &Record| record.synchronised_by().and_then(|choices| choices.people.clone());
    assert_eq!(people(&after(chosen())), None);
    assert_eq!(people(&after(with(chosen(), [authorized.clone()]))), Some(People::Full));
    let reconnected = limited(connected());
    assert_eq!(people(&after(reconnected.clone())), Some(People::Full));
    let begun = with(reconnected, [authorized]);
    assert_eq!(people(&after(begun.clone())), Some(People::Limited(group("a"))));
    let record = after(with(begun, [Event::Abandoned]));
    assert_eq!((people(&record), &record.choices), (Some(People::Full), &everything()));
    assert!(record.work.expect("history").notes.iter().any(|note| note.contains("given up")));
    let leaving = Event::Authorized(Goal::Disconnect, administrator(true));
    assert_eq!(people(&after(with(connected(), [leaving]))), Some(People::Full), "until the end mail is signed");
}

#[test]
fn an_invitation_works_once_and_for_a_day() {
    let (token, kept) = Kept::fresh(AT).expect("randomness");
    let mut record = after([Event::Invited(kept)]);
    let day = 24 * 60 * 60 * 1000;
    for (token, at, works) in [("other", AT, false), (token.as_str(), AT + day, false), (&token, AT + day - 1, true), (&token, AT, false)] {
        let found = record.on(Event::Redeemed(token.to_owned()), at);
        assert_eq!(found.is_ok(), works);
        assert!(works || found.is_err_and(|refused| refused.kind == "state" && refused.next_step == "Ask for a new link."));
    }
}

#[test]
fn what_a_plan_changed_that_was_given_up_is_told_until_a_plan_is_through() {
    let authorized = || Event::Authorized(Goal::Connect, administrator(true));
    let begun = |before: Vec<Event>, changes: bool| {
        let two = plan(&[("a", Action::Change), ("b", Action::Create)]);
        with(before, [authorized(), Event::Planned(two)].into_iter().chain(changes.then(|| done("a"))))
    };
    let again = "Authorise again, so that what is connected is set up as it says; or disconnect.";
    let first = "Connect again to go on, or disconnect to take it away again.";
    for (before, stage, expected) in [
        (begun(connected(), true), Stage::Connected, Some(again)),
        (begun(chosen(), true), Stage::Disconnected, Some(first)),
        (begun(connected(), false), Stage::Connected, None),
        (begun(chosen(), false), Stage::Disconnected, None),
        (chosen(), Stage::Disconnected, None),
        (connected(), Stage::Connected, None),
    ] {
        let mut record = after(with(before, [Event::Abandoned]));
        let told = |record: &Record| record.told().map(|trouble| (trouble.kind, trouble.next_step, trouble.changed));
        let half = expected.map(|next| ("half-made".to_owned(), next.to_owned(), vec!["Made a.".to_owned()]));
        assert_eq!((record.stage, told(&record)), (stage, half.clone()));
        record.on(Event::Started, AT).expect("taken");
        for event in chosen() {
            record.on(event, AT).expect("taken");
            assert_eq!(told(&record), half, "{:?}", record.stage);
        }
        record.on(Event::Troubled(trouble("declined")), AT).expect("taken");
        let found = record.told().expect("told");
        assert_eq!((found.kind.as_str(), found.changed.len()), ("declined", usize::from(half.is_some())));
        record.on(authorized(), AT).expect("taken");
        assert_eq!(told(&record), None, "it is being mended");
        record.on(Event::Abandoned, AT).expect("taken");
        assert_eq!(told(&record), half, "a plan that changed nothing mends nothing");
        for event in with(chosen(), [authorized(), Event::Finished]) {
            record.on(event, AT).expect("taken");
        }
        assert_eq!((record.stage, told(&record)), (Stage::Connected, None));
    }
}

#[test]
fn a_group_that_is_gone_half_way_leaves_what_was_changed_told() {
    let begun = [Event::Authorized(Goal::Connect, administrator(true)), Event::Planned(plan(&[("a", Action::Create)])), done("a")];
    let mut record = after(with(chosen(), begun.into_iter().chain([Event::GroupGone(Choice::Senders, trouble("missing"))])));
    for kind in ["missing", "half-made"] {
        let told = record.told().expect("told");
        assert_eq!((told.kind.as_str(), told.changed), (kind, vec!["Made a.".to_owned()]));
        record.on(Event::SendersChosen(Senders::AllUsers), AT).expect("taken");
    }
}

#[test]
fn what_a_step_did_before_it_waits_for_somebody_is_kept_once() {
    let needed = || Event::ActionNeeded { step: "a".to_owned(), what: "Created it, switched off. Publish the record.".to_owned() };
    for (action, changes) in [(Action::Create, true), (Action::Change, true), (Action::Check, false), (Action::Remove, false)] {
        let begun = with(chosen(), [Event::Authorized(Goal::Connect, administrator(true)), Event::Planned(plan(&[("a", action.clone())]))]);
        let record = after(with(begun, [needed(), Event::Running("a".to_owned()), needed(), Event::Started]));
        let expected = if changes { vec!["Created it, switched off. Publish the record.".to_owned()] } else { Vec::new() };
        assert_eq!(record.work.expect("work").changed(), expected, "{action:?}");
        assert_eq!(record.trouble.expect("of the start").changed, expected, "{action:?}");
    }
}
