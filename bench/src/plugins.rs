//! The two plugin calls of one message, in this process, each through a fresh instance; without queues, sockets and cryptography.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use signet::plugin::{Engine, EngineSettings, File, Limits, MessageView, PartInfo, Renderer, Selector};
use signet::signature::{Asset, Authentication, Facts, Format, Kind, Moment, Outcome, Person, Recipient, RecipientClass};

use crate::measure::percentile;
use crate::stage;

/// The first calls fill caches and the pool.
const WARM_UP: usize = 2_000;

/// Times of one call, in microseconds.
pub(crate) struct Times {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

/// Select, render, both one after the other.
pub(crate) struct Plugins {
    pub(crate) select: Times,
    pub(crate) render: Times,
    pub(crate) both: Times,
}

/// Makes `calls` pairs of calls with the demo's rules and templates.
pub(crate) fn measure(calls: usize) -> Result<Plugins> {
    let engine = Engine::new(&EngineSettings::default())?;
    let limits = Limits::default();
    let rules = [File { name: "rules.toml".to_owned(), content: stage::text("rules.toml")? }];
    let selector = Selector::load(&engine, signet::DEFAULT_SELECTOR, &rules, &limits)?;
    let mut templates = Vec::new();
    for (name, content) in stage::files("templates")? {
        let name = name.trim_start_matches("templates/").to_owned();
        templates.push(File { name, content: String::from_utf8(content)? });
    }
    let assets = stage::files("assets")?.into_iter().map(|(name, content)| {
        let name = name.trim_start_matches("assets/").to_owned();
        Arc::new(Asset { name, media_type: "image/png".to_owned(), content: content.into() })
    });
    let renderer = Renderer::load(&engine, signet::DEFAULT_RENDERER, &templates, assets.collect(), &limits)?;
    let (facts, view) = (facts(), Arc::new(Nothing));
    let mut times: [Vec<Duration>; 3] = Default::default();
    for call in 0..calls + WARM_UP {
        let begun = Instant::now();
        let decision = selector.select(&facts, Arc::clone(&view) as Arc<dyn MessageView>).context("select")?;
        let selected = begun.elapsed();
        let choices = match decision.copies.first().map(|copy| &copy.outcome) {
            Some(Outcome::Sign(choices)) => choices,
            other => bail!("the demo's rules choose no signature for the benchmark's message: {other:?}"),
        };
        let choice = choices.first().context("an empty stack")?;
        let rendering = Instant::now();
        let fragment = renderer.render(&choice.id, &facts.sender, "en-GB", &facts.now, facts.format).context("render")?;
        let (rendered, whole) = (rendering.elapsed(), begun.elapsed());
        ensure!(fragment.html.is_some_and(|html| html.contains("Sofia Brandt")), "the fragment is not the sender's");
        if call >= WARM_UP {
            for (series, time) in times.iter_mut().zip([selected, rendered, whole]) {
                series.push(time);
            }
        }
    }
    let [select, render, both] = times.map(|mut series| {
        series.sort_unstable();
        Times { p50: percentile(&series, 50), p99: percentile(&series, 99) }
    });
    Ok(Plugins { select, render, both })
}

pub(crate) fn facts() -> Facts {
    let attribute = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Facts {
        tenant: "3f1c9a52-7d0e-4b86-9c41-5e2a8d6b7f10".to_owned(),
        sender: Person {
            local: "sofia.brandt".to_owned(),
            domain: "northwind.example".to_owned(),
            attributes: vec![
                attribute("displayName", "Sofia Brandt"),
                attribute("givenName", "Sofia"),
                attribute("surname", "Brandt"),
                attribute("jobTitle", "Berth Planner"),
                attribute("companyName", "Northwind Harbour"),
                attribute("businessPhone", "+494055501430"),
                attribute("city", "Hamburg"),
            ],
            groups: vec!["everyone".to_owned(), "harbour-office".to_owned()],
        },
        recipients: vec![Recipient {
            local: "petersen".to_owned(),
            domain: "elbwerft.example".to_owned(),
            class: RecipientClass::External,
            groups: Vec::new(),
        }],
        subject: "AW: Liegezeit der Albatros".to_owned(),
        headers: Vec::new(),
        kind: Kind::Reply,
        authentication: Authentication { spf: "pass", dkim: "pass", dmarc: "pass", arc: "none", aligned: true },
        size: 10 * 1024,
        attachments: 0,
        format: Format::Alternative,
        already_signed: false,
        now: Moment { unix_milliseconds: 1_795_424_748_000, offset_minutes: 60, zone: "Europe/Berlin".to_owned() },
        seed: 1,
        delegate: None,
        in_thread: false,
        explain_every_rule: false,
    }
}

/// The demo's rules do not look into the message.
pub(crate) struct Nothing;

impl MessageView for Nothing {
    fn part_count(&self) -> u32 {
        0
    }

    fn part_info(&self, _: u32) -> Option<PartInfo> {
        None
    }

    fn authored_text(&self, _: usize) -> String {
        String::new()
    }

    fn read_part(&self, _: u32, _: u64, _: usize) -> Vec<u8> {
        Vec::new()
    }
}
