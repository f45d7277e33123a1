//! The plugin host against guests built from source (`tests/guests`): what good ones get, and how bad ones end.

mod admitted;
mod guest;
mod hostile;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::*;
use crate::signature::{Authentication, Decision, Facts, Format, Kind, Moment, Outcome, Person, Placement, Recipient, RecipientClass};

/// A message of one part whose content is a megabyte of `m`.
struct Mail;

impl MessageView for Mail {
    fn part_count(&self) -> u32 {
        1
    }

    fn part_info(&self, index: u32) -> Option<PartInfo> {
        (index == 0).then(|| PartInfo { media_type: "text/plain".to_owned(), name: None, size: 1 << 20, attachment: false })
    }

    fn authored_text(&self, max: usize) -> String {
        "m".repeat(max.min(1 << 20))
    }

    fn read_part(&self, _: u32, offset: u64, max: usize) -> Vec<u8> {
        let rest = (1u64 << 20).saturating_sub(offset);
        vec![b'm'; max.min(usize::try_from(rest).unwrap_or(usize::MAX))]
    }
}

fn mail() -> Arc<dyn MessageView> {
    Arc::new(Mail)
}

fn person() -> Person {
    let attributes = vec![("displayName".to_owned(), "Ada King".to_owned())];
    Person { local: "ada".to_owned(), domain: "example.com".to_owned(), attributes, groups: vec!["sales".to_owned()] }
}

fn now() -> Moment {
    Moment { unix_milliseconds: 1_790_000_000_000, offset_minutes: 60, zone: "Europe/Berlin".to_owned() }
}

fn facts() -> Facts {
    let recipient =
        Recipient { local: "bob".to_owned(), domain: "example.org".to_owned(), class: RecipientClass::External, groups: Vec::new() };
    Facts {
        tenant: "example".to_owned(),
        sender: person(),
        recipients: vec![recipient],
        subject: "Hello".to_owned(),
        headers: vec![("x-priority".to_owned(), "1".to_owned())],
        kind: Kind::New,
        authentication: Authentication { spf: "pass", dkim: "pass", dmarc: "pass", arc: "none", aligned: true },
        size: 10_000,
        attachments: 0,
        format: Format::Alternative,
        already_signed: false,
        now: now(),
        seed: 42,
        delegate: None,
        in_thread: false,
        explain_every_rule: false,
    }
}

/// One slot, so that every call gets the memory that the last one left.
fn engine() -> Engine {
    Engine::new(&EngineSettings { instances: 1, ..EngineSettings::default() }).expect("the engine starts")
}

fn selector(engine: &Engine, name: &str, limits: &Limits) -> Result<Selector, LoadError> {
    Selector::load(engine, &guest::selector(name), &[], limits)
}

fn renderer(engine: &Engine, name: &str) -> Renderer {
    Renderer::load(engine, &guest::renderer(name), &[], Vec::new(), &Limits::default()).expect("the renderer loads")
}

fn signs(decision: Result<Decision, Fault>) -> bool {
    let Ok(Decision { copies, .. }) = decision else { return false };
    let [copy] = copies.as_slice() else { return false };
    matches!(&copy.outcome, Outcome::Sign(choices) if choices.len() == 1 && choices[0].id == "full" && choices[0].placement == Placement::NewestReply)
}

fn reason(decision: Result<Decision, Fault>) -> String {
    match decision.expect("it decides").copies.into_iter().next().map(|copy| copy.outcome) {
        Some(Outcome::Skip(reason)) => reason,
        other => panic!("it does not skip: {other:?}"),
    }
}

#[test]
fn a_selector_announces_and_decides() {
    let selector = selector(&engine(), "selector", &Limits::default()).expect("it loads");
    assert_eq!((selector.description().name.as_str(), selector.description().version.as_str()), ("guest", "guest"));
    assert_eq!(selector.summary(), &SelectorSummary { rules: 1, signatures: vec!["full".to_owned()], warnings: Vec::new() });
    assert!(signs(selector.select(&facts(), mail())));
}

#[test]
fn a_renderer_announces_and_renders() {
    let renderer = renderer(&engine(), "renderer");
    assert_eq!(renderer.summary().signatures, ["full"]);
    let fragment = renderer.render("full", &person(), "de-DE", &now(), Format::Alternative).expect("it renders");
    assert_eq!((fragment.html.as_deref(), fragment.text.as_deref()), (Some("<b>full</b>"), Some("full")));
}

#[test]
fn a_call_starts_from_the_configured_memory_and_leaves_nothing() {
    let selector = selector(&engine(), "snapshot", &Limits::default()).expect("it loads");
    for call in 0..3 {
        assert_eq!(reason(selector.select(&facts(), mail())), "fresh", "call {call}");
    }
}

#[test]
fn the_same_component_with_other_files_is_another_plugin() {
    fn shareable<T: Send + Sync>(_: &T) {}
    let engine = engine();
    let wasm = guest::selector("configured");
    let load = |content: &str| {
        let file = File { name: "rules".to_owned(), content: content.to_owned() };
        Selector::load(&engine, &wasm, &[file], &Limits::default()).expect("it loads")
    };
    let (north, south) = (load("north"), load("south"));
    shareable(&north);
    for _ in 0..3 {
        assert_eq!(reason(north.select(&facts(), mail())), "north");
        assert_eq!(reason(south.select(&facts(), mail())), "south");
    }
}

#[test]
fn calls_run_at_the_same_time() {
    let engine = Engine::new(&EngineSettings { instances: 4, ..EngineSettings::default() }).expect("the engine starts");
    let selector = selector(&engine, "snapshot", &Limits::default()).expect("it loads");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..50).for_each(|_| assert_eq!(reason(selector.select(&facts(), mail())), "fresh")));
        }
    });
}

#[test]
fn not_a_number_has_the_same_bits_everywhere() {
    let selector = selector(&engine(), "nan-bits", &Limits::default()).expect("it loads");
    assert_eq!(reason(selector.select(&facts(), mail())), "aaaaa", "the canonical NaN has an empty payload");
}

#[test]
fn too_many_calls_at_once_are_our_fault_and_not_the_plugins() {
    /// Asks for a second call while the only instance is in use.
    struct Nested(Arc<Selector>, Mutex<Option<Result<Decision, Fault>>>);
    impl MessageView for Nested {
        fn part_count(&self) -> u32 {
            1
        }
        fn part_info(&self, _: u32) -> Option<PartInfo> {
            None
        }
        fn authored_text(&self, _: usize) -> String {
            String::new()
        }
        fn read_part(&self, _: u32, _: u64, _: usize) -> Vec<u8> {
            *self.1.lock().expect("nobody panics") = Some(self.0.select(&facts(), mail()));
            Vec::new()
        }
    }
    let engine = engine();
    let limits = Limits { host_calls: 1, ..Limits::default() };
    let selector = Arc::new(selector(&engine, "read-storm", &limits).expect("it loads"));
    let nested = Arc::new(Nested(Arc::clone(&selector), Mutex::new(None)));
    assert_eq!(
        selector.select(&facts(), Arc::clone(&nested) as Arc<dyn MessageView>).expect_err("it has one host call").as_str(),
        "host-calls"
    );
    let inner = nested.1.lock().expect("nobody panics").take();
    assert!(matches!(inner, Some(Err(Fault::Host(_)))), "{inner:?}");
}

#[test]
fn an_endless_loop_ends_soon_after_its_deadline() {
    let selector = selector(&engine(), "endless-loop", &Limits::default()).expect("it loads");
    let start = std::time::Instant::now();
    assert_eq!(selector.select(&facts(), mail()), Err(Fault::Deadline));
    let wall = start.elapsed();
    assert!(wall > Duration::from_millis(4) && wall < Duration::from_secs(1), "a deadline of 5 ms took {wall:?}");
}

#[test]
fn the_engine_ends_with_its_last_clone() {
    let engine = engine();
    let weak = engine.wasm().weak();
    let clone = engine.clone();
    drop(engine);
    assert!(weak.upgrade().is_some());
    drop(clone);
    assert!(weak.upgrade().is_none(), "neither the ticker nor anything else keeps it");
}

#[test]
fn the_engine_itself_refuses_what_no_plugin_needs() {
    let engine = engine();
    for (what, text) in [
        ("vectors", "(module (func (result v128) (v128.const i64x2 0 0)))"),
        ("tail calls", "(module (func $f return_call $f))"),
        ("64-bit memories", "(module (memory i64 1))"),
        ("several memories", "(module (memory 1) (memory 1))"),
        ("shared memories", "(module (memory 1 1 shared))"),
        ("garbage collection", "(module (type (struct (field i32))))"),
        ("external references", "(module (table 1 externref))"),
        ("exceptions", "(module (tag))"),
        ("typed function references", "(module (type $f (func)) (func (param (ref $f))))"),
        ("wide arithmetic", "(module (func (result i64 i64) (i64.add128 (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 0))))"),
        ("asynchronous components", "(component (core func (canon backpressure.inc)))"),
    ] {
        let wasm = wat::parse_str(text).expect("it is text");
        let module = wasmtime::Module::new(engine.wasm(), &wasm).is_ok();
        let component = wasmtime::component::Component::new(engine.wasm(), &wasm).is_ok();
        assert!(!module && !component, "{what}");
    }
    let plain = wat::parse_str("(module (memory 1) (func (memory.fill (i32.const 0) (i32.const 0) (i32.const 0))))").expect("it is text");
    assert!(wasmtime::Module::new(engine.wasm(), &plain).is_ok());
}
