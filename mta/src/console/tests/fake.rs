//! A control plane and a directory that answer what a test tells them, and remember what they were asked.

use std::sync::{Mutex, PoisonError};

use url::Url;

use crate::console::plane::{Answer, Outcome, Plane};
use crate::console::view::{DirectoryView, Found, PersonView, RulesView, SignatureView};
use crate::control::credentials::BrowserBinding;
use crate::control::plane::{Invitation, Return};
use crate::control::report::{
    Choices, Comparison, Overview, People, Senders, Stage, StepRecord, StepState, Synchronised, Trouble, Way, Work,
};
use crate::control::words::{
    Action, Administrator, Difference, Goal, Group, Listed, Organisation, Plan, Progress, SpfAdvice, Standing, Status, Step,
};

pub(super) const ONE: &str = "11111111-2222-4333-8444-555555555555";
pub(super) const TWO: &str = "99999999-2222-4333-8444-555555555555";
/// The invitation that works.
pub(super) const INVITATION: &str = "abcdefghijklmnopqrstuvwxyz0123456789-_ABCDE";
const AT: u64 = 1_790_000_000_000;

#[derive(Default)]
pub(super) struct Fake {
    state: Mutex<State>,
}

struct State {
    overview: Overview,
    asked: Vec<String>,
    trouble: Option<Trouble>,
    redeemed: bool,
    browser: Option<BrowserBinding>,
    /// Stands in every value that comes from elsewhere.
    word: String,
}

impl Default for State {
    fn default() -> Self {
        let overview = overview(Stage::Disconnected, "");
        Self { overview, asked: Vec::new(), trouble: None, redeemed: false, browser: None, word: String::new() }
    }
}

impl Fake {
    /// The tenant is at that stage, with everything that can be known there.
    pub(super) fn set(&self, stage: Stage) {
        self.change(|state| state.overview = overview(stage, &state.word));
    }

    pub(super) fn adjust(&self, change: impl FnOnce(&mut Overview)) {
        self.change(|state| change(&mut state.overview));
    }

    /// A word that stands in every value from elsewhere from now on.
    pub(super) fn say(&self, word: &str) {
        self.change(|state| state.word = word.to_owned());
    }

    /// Everything but looking fails with it from now on.
    pub(super) fn fail(&self, trouble: Option<Trouble>) {
        self.change(|state| state.trouble = trouble);
    }

    /// What was asked since the last time, without questions for overviews.
    pub(super) fn asked(&self) -> Vec<String> {
        self.change(|state| std::mem::take(&mut state.asked))
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn answer<'a, T: Send + 'a>(&'a self, asked: String, answer: impl FnOnce(&mut State) -> T) -> Outcome<'a, T> {
        let (trouble, answered) = self.change(|state| {
            state.asked.push(asked);
            let trouble = state.trouble.clone();
            let answered = trouble.is_none().then(|| answer(state));
            (trouble, answered)
        });
        Box::pin(async move { answered.ok_or_else(|| trouble.expect("there is one or the other")) })
    }
}

fn group(word: &str, id: &str) -> Group {
    Group { id: id.to_owned(), name: format!("Sales{word}"), address: format!("sales{word}@contoso.example") }
}

fn step(word: &str, id: &str, title: &str, action: Action) -> Step {
    Step {
        id: id.to_owned(),
        title: format!("{title}{word}"),
        purpose: format!("It takes mail to Signet, over TLS to a host that proves its name.{word}"),
        action,
        differences: vec![Difference {
            property: format!("SmartHosts{word}"),
            before: format!("old.example{word}"),
            after: format!("mx.signet.example{word}"),
        }],
    }
}

fn plan(word: &str) -> Plan {
    let steps = vec![
        step(word, "certificate-domain", "Certificate domain", Action::Create),
        step(word, "inbound-connector", "Connector from Signet", Action::Change),
        step(word, "outbound-connector", "Connector to Signet", Action::Keep),
        step(word, "rule", "Mail-flow rule", Action::Create),
        step(word, "probe", "Trial", Action::Check),
    ];
    Plan { steps, notes: vec![format!("A rule of another product comes before this one.{word}")] }
}

fn work(word: &str, finished: bool) -> Work {
    let states = [
        StepState::Done,
        StepState::Done,
        StepState::Again { at: AT, reason: format!("The domain has not reached Exchange Online yet.{word}") },
        StepState::ActionNeeded(format!("Enable customization of the organization first.{word}")),
        StepState::Running,
    ];
    let record = |(number, step): (usize, Step)| StepRecord {
        step,
        state: if finished { StepState::Done } else { states[number].clone() },
        changed: vec![format!("Made the connector “Mail from Signet”.{word}")],
        done: Some(AT),
    };
    Work {
        goal: Goal::Connect,
        way: Way::Service,
        notes: vec![format!("It can take an hour.{word}")],
        steps: plan(word).steps.into_iter().enumerate().map(record).collect(),
        begun: AT,
        finished: finished.then_some(AT),
    }
}

pub(super) fn trouble(word: &str) -> Trouble {
    Trouble {
        changed: vec![format!("Made the connector “Mail from Signet”.{word}")],
        steps: vec![format!("Open the roles of the account.{word}"), format!("Assign the role directly.{word}")],
        ..Trouble::new("credential", format!("The sign-in has ended.{word}"), format!("Sign in again.{word}"), AT)
    }
}

fn overview(stage: Stage, word: &str) -> Overview {
    let connected = matches!(stage, Stage::Connected);
    let choices = Choices { people: Some(People::Full), senders: Some(Senders::Group(group(word, "g1"))) };
    let signed_in = stage != Stage::Disconnected;
    Overview {
        tenant: ONE.to_owned(),
        name: format!("Contoso{word}"),
        stage,
        organisation: signed_in.then(|| Organisation {
            id: ONE.to_owned(),
            name: format!("Contoso AG{word}"),
            initial_domain: format!("contoso.onmicrosoft.example{word}"),
            domains: vec![format!("contoso.example{word}")],
        }),
        signed_in: signed_in.then(|| format!("Ada Admin{word}")),
        choices: if matches!(stage, Stage::Authorize | Stage::InProgress) { choices.clone() } else { Choices::default() },
        connected: connected.then_some(choices),
        connected_since: connected.then_some(AT),
        administrator: signed_in.then(|| Administrator {
            standing: Standing::ThroughGroup,
            sufficient: connected || word.is_empty(),
            explanation: format!("The role comes through a group.{word}"),
            steps: vec![format!("Assign it directly.{word}")],
            source: "GET roleManagement".to_owned(),
        }),
        work: matches!(stage, Stage::InProgress | Stage::Connected).then(|| work(word, connected)),
        trouble: None,
        synchronised: Synchronised {
            running: connected,
            progress: connected.then(|| Progress { pages: 2, objects: 1400, expected: Some(5000), subject: format!("People{word}") }),
            seconds_left: Some(240),
            complete: connected.then_some(AT),
            next: connected.then_some(AT),
            people: 4812,
            groups: 37,
            trouble: None,
            notes: vec![format!("Pictures are not read.{word}")],
        },
        warnings: vec![format!("The certificate of the application ends in 12 days.{word}")],
    }
}

impl Plane for Fake {
    fn tenants(&self) -> Vec<(String, String)> {
        vec![(ONE.to_owned(), "Contoso".to_owned())]
    }

    fn overview<'a>(&'a self, tenant: &'a str) -> Outcome<'a, Overview> {
        let known = tenant == ONE || tenant == TWO;
        let outcome = if known {
            Ok(self.change(|state| state.overview.clone()))
        } else {
            Err(Trouble::new("unknown-tenant", "No tenant has this id.", "Look at the start page.", AT))
        };
        Box::pin(async move { outcome })
    }

    fn begin<'a>(&'a self, tenant: &'a str, browser: BrowserBinding) -> Outcome<'a, Url> {
        self.answer(format!("begin {tenant}"), |state| {
            state.browser = Some(browser);
            Url::parse("https://login.example/authorize?state=a&x='\"").unwrap()
        })
    }

    fn returned<'a>(&'a self, query: &'a str, browser: BrowserBinding) -> Outcome<'a, Return> {
        self.answer(format!("returned {query}"), |state| {
            assert!(state.browser.is_none_or(|sent| sent == browser), "the browser that was sent away comes back");
            if query.contains("consent") {
                Return::Onward(Url::parse("https://login.example/consent").unwrap())
            } else {
                Return::Tenant(ONE.to_owned())
            }
        })
    }

    fn find_groups<'a>(&'a self, tenant: &'a str, text: &'a str) -> Outcome<'a, Vec<Group>> {
        self.answer(format!("find_groups {tenant} {text}"), |state| {
            if text.starts_with("zz") { Vec::new() } else { vec![group(&state.word, "g1"), group(&state.word, "g2\"><b>")] }
        })
    }

    fn choose_people<'a>(&'a self, tenant: &'a str, chosen: Option<&'a str>) -> Outcome<'a, People> {
        self.answer(format!("choose_people {tenant} {chosen:?}"), |state| match chosen {
            None => People::Full,
            Some(_) => People::Limited(group(&state.word, "g1")),
        })
    }

    fn choose_routing<'a>(&'a self, tenant: &'a str, chosen: Option<&'a str>) -> Outcome<'a, Senders> {
        self.answer(format!("choose_routing {tenant} {chosen:?}"), |state| match chosen {
            None => Senders::AllUsers,
            Some(_) => Senders::Group(group(&state.word, "g1")),
        })
    }

    fn authorize<'a>(&'a self, tenant: &'a str, goal: Goal, browser: BrowserBinding) -> Outcome<'a, Url> {
        self.answer(format!("authorize {tenant} {goal:?}"), |state| {
            state.browser = Some(browser);
            Url::parse("https://login.example/authorize").unwrap()
        })
    }

    fn plan<'a>(&'a self, tenant: &'a str, goal: Goal) -> Outcome<'a, Plan> {
        self.answer(format!("plan {tenant} {goal:?}"), |state| plan(&state.word))
    }

    fn script<'a>(&'a self, tenant: &'a str, goal: Goal) -> Outcome<'a, String> {
        self.answer(format!("script {tenant} {goal:?}"), |_| "Connect-ExchangeOnline\n".to_owned())
    }

    fn script_was_run<'a>(&'a self, tenant: &'a str, goal: Goal) -> Outcome<'a, ()> {
        self.answer(format!("script_was_run {tenant} {goal:?}"), |_| ())
    }

    fn go_on<'a>(&'a self, tenant: &'a str) -> Outcome<'a, ()> {
        self.answer(format!("go_on {tenant}"), |_| ())
    }

    fn abandon<'a>(&'a self, tenant: &'a str) -> Outcome<'a, ()> {
        self.answer(format!("abandon {tenant}"), |_| ())
    }

    fn invite<'a>(&'a self, tenant: &'a str) -> Outcome<'a, Invitation> {
        self.answer(format!("invite {tenant}"), |_| Invitation { token: INVITATION.to_owned(), expires: AT })
    }

    fn redeem<'a>(&'a self, token: &'a str) -> Outcome<'a, String> {
        let sound = token == INVITATION && !self.change(|state| std::mem::replace(&mut state.redeemed, true));
        let outcome = if sound {
            Ok(ONE.to_owned())
        } else {
            Err(Trouble::new("missing", "This invitation does not work any more.", "Ask for another one.", AT))
        };
        Box::pin(async move { outcome })
    }

    fn status<'a>(&'a self, tenant: &'a str) -> Outcome<'a, Comparison> {
        self.answer(format!("status {tenant}"), |state| {
            let word = &state.word;
            let listed = |name: &str| Listed {
                id: name.to_owned(),
                name: format!("{name}{word}"),
                address: format!("{name}{word}@contoso.example"),
            };
            let status = Status {
                drift: vec![step(word, "rule", "Mail-flow rule", Action::Change)],
                routed_only: vec![listed("Bea"), listed("Cem")],
                routed_only_count: 140,
                synchronised_only: Vec::new(),
                synchronised_only_count: 0,
                notes: vec![format!("The rule is not the first.{word}")],
            };
            Comparison { compared: true, status }
        })
    }

    fn spf<'a>(&'a self, tenant: &'a str) -> Outcome<'a, Vec<SpfAdvice>> {
        self.answer(format!("spf {tenant}"), |state| {
            let word = &state.word;
            vec![
                SpfAdvice {
                    domain: format!("contoso.example{word}"),
                    published: format!("v=spf1 include:spf.protection.outlook.com -all{word}"),
                    publish: format!("v=spf1 include:spf.protection.outlook.com include:spf.signet.example -all{word}"),
                    explanation: format!("The record does not name Signet.{word}"),
                },
                SpfAdvice {
                    domain: "contoso.org".to_owned(),
                    published: "v=spf1 include:spf.signet.example -all".to_owned(),
                    publish: String::new(),
                    explanation: "The record names Signet.".to_owned(),
                },
            ]
        })
    }

    fn synchronise<'a>(&'a self, tenant: &'a str) -> Outcome<'a, ()> {
        self.answer(format!("synchronise {tenant}"), |_| ())
    }

    fn accept_shrink<'a>(&'a self, tenant: &'a str) -> Outcome<'a, ()> {
        self.answer(format!("accept_shrink {tenant}"), |_| ())
    }
}

impl DirectoryView for Fake {
    fn search<'a>(&'a self, tenant: &'a str, text: &'a str, limit: usize) -> Outcome<'a, Vec<Found>> {
        let found = move |state: &mut State| {
            let word = &state.word;
            let person = |number: usize| Found {
                name: format!("Ada Lovelace {number}{word}"),
                address: format!("ada{number}{word}@contoso.example"),
            };
            if text.starts_with("zz") { Vec::new() } else { (0..limit).map(person).collect() }
        };
        self.answer(format!("search {tenant} {text} {limit}"), found)
    }

    fn person<'a>(&'a self, tenant: &'a str, address: &'a str) -> Outcome<'a, Option<PersonView>> {
        self.answer(format!("person {tenant} {address}"), |state| {
            let word = &state.word;
            (!address.starts_with("nobody")).then(|| PersonView {
                address: format!("ada{word}@contoso.example"),
                attributes: vec![
                    ("name".to_owned(), format!("Ada Lovelace{word}")),
                    (format!("title{word}"), format!("Head of Analysis{word}")),
                ],
                groups: vec![format!("Sales{word}")],
            })
        })
    }

    fn signature<'a>(&'a self, tenant: &'a str, address: &'a str, _: u64) -> Outcome<'a, SignatureView> {
        self.answer(format!("signature {tenant} {address}"), |state| {
            let word = &state.word;
            SignatureView {
                ids: vec![format!("standard{word}")],
                html:
                    "<p style=\"font-family:sans-serif\"><b style=\"color:#0f7b5f\">Ada Lovelace</b><br>Head of Analysis<br>Contoso AG</p>"
                        .to_owned(),
                text: format!("Ada Lovelace\nHead of Analysis\nContoso AG{word}"),
                explanation: vec![format!("The rule “standard” matches.{word}")],
            }
        })
    }

    fn rules<'a>(&'a self, _: &'a str) -> Answer<'a, Option<RulesView>> {
        let folder = self.change(|state| format!("tenants/contoso/rules{}", state.word));
        Box::pin(async move { Some(RulesView { folder, signatures: 2 }) })
    }
}
