//! Every hostile guest ends in a typed outcome, within its deadline, with flat memory, and the next call is fine.

use std::time::{Duration, Instant};

use wasmtime::component::{Component, Linker};

use super::*;
use crate::plugin::call::classify;
use crate::plugin::host;

/// No call takes longer on the wall, however busy the machine is (a deadline here is 100 ms, extended at most twenty times).
const GENEROUS: Duration = Duration::from_secs(5);

fn tolerant() -> Limits {
    // These tests call bad guests in rows, and must end the same way on a machine that is busy with other tests.
    Limits {
        breaker: BreakerSettings { faults: 0, ..BreakerSettings::default() },
        select_deadline: Duration::from_millis(100),
        host_calls: 1000,
        read_total: 1 << 20,
        ..Limits::default()
    }
}

fn outcome(engine: &Engine, name: &str, limits: &Limits) -> Fault {
    let selector = selector(engine, name, limits).unwrap_or_else(|error| panic!("{name} does not load: {error}"));
    let start = Instant::now();
    let outcome = selector.select(&facts(), mail());
    assert!(start.elapsed() < GENEROUS, "{name} took {:?}", start.elapsed());
    outcome.expect_err(name)
}

#[test]
fn every_hostile_selector_ends_in_its_outcome_class_and_the_next_call_is_fine() {
    let engine = engine();
    let good = selector(&engine, "selector", &Limits::default()).expect("it loads");
    for (name, class, detail) in [
        ("endless-loop", "deadline", ""),
        ("realloc-loop", "deadline", ""),
        ("memory-bomb", "memory", ""),
        ("memory-steps", "memory", ""),
        ("recursion", "trap", "call stack exhausted"),
        ("trap", "trap", "`unreachable` instruction executed in decide"),
        ("out-of-bounds", "trap", "out of bounds memory access"),
        ("realloc-calls-host", "trap", "cannot leave component instance"),
        ("log-storm", "host-calls", "host calls"),
        ("log-huge", "host-calls", "octets moved"),
        ("read-storm", "host-calls", "octets read"),
        ("long-string", "host-calls", "octets moved"),
        ("realloc-bad-pointer", "bad-output", ""),
        ("bad-pointer", "bad-output", ""),
        ("misaligned", "bad-output", "aligned"),
        ("keeps-message", "bad-output", "borrow"),
        ("message-after-drop", "bad-output", "handle"),
        ("huge-string", "bad-output", "out"),
        ("huge-list", "bad-output", "out"),
        ("invalid-utf8", "bad-output", "utf-8"),
        ("invalid-case", "bad-output", "discriminant"),
        ("twice", "bad-output", "recipient 0 is in two copies"),
        ("missing", "bad-output", "recipient 0 is in no copy"),
        ("out-of-range", "bad-output", "there is no recipient 1"),
        ("unknown-id", "bad-output", "the signature `ful` was not announced"),
        ("refuses", "refused", "not supported: no such thing"),
    ] {
        let fault = outcome(&engine, name, &tolerant());
        assert_eq!(fault.as_str(), class, "{name}: {fault:?}");
        assert!(fault.to_string().contains(detail), "{name}: {fault}");
        assert!(signs(good.select(&facts(), mail())), "after {name}");
    }
}

#[test]
fn a_hostile_renderer_ends_in_its_outcome_class() {
    let engine = engine();
    for (name, expected) in [
        ("render-loop", Fault::Deadline),
        ("render-large", Fault::BadOutput("the HTML is 262145 octets long; at most 262144 are allowed".to_owned())),
        ("render-image", Fault::BadOutput("the image `full` is not one of the assets".to_owned())),
        ("render-nothing", Fault::BadOutput("the fragment has neither HTML nor text".to_owned())),
    ] {
        let found = renderer(&engine, name).render("full", &person(), "", &now(), Format::Html);
        assert_eq!(found, Err(expected), "{name}");
    }
}

#[test]
fn a_configuration_that_misbehaves_is_refused_in_time() {
    let limits = Limits { configure_deadline: Duration::from_millis(20), ..Limits::default() };
    let engine = engine();
    for (name, expected) in [
        ("start-loop", "the start function did not answer: the plugin exceeded its deadline"),
        ("configure-loop", "configure did not answer: the plugin exceeded its deadline"),
        ("configure-memory", "configure did not answer: the plugin exceeded its memory limit"),
        ("configure-trap", "configure did not answer: the plugin trapped: wasm trap: wasm `unreachable` instruction executed in configure"),
        ("configure-refuses", "the plugin refuses its configuration: rules.toml:7: rule[1].name: a name  X: y"),
        ("bad-description", "the plugin's answer to describe is not usable: `x  y` is not a header field name (RFC 5322 section 3.6.8)"),
    ] {
        let start = Instant::now();
        let error = selector(&engine, name, &limits).map(|_| ()).expect_err(name);
        assert!(start.elapsed() < GENEROUS, "{name} took {:?}", start.elapsed());
        assert_eq!(error.to_string(), expected, "{name}");
    }
}

#[test]
fn lines_beyond_the_cap_are_dropped_and_nothing_else_happens() {
    let selector = selector(&engine(), "log-hundred", &Limits::default()).expect("it loads");
    assert!(signs(selector.select(&facts(), mail())));
}

#[test]
fn nothing_of_one_plugin_reaches_the_next_in_the_same_slot() {
    let engine = engine();
    let fills = selector(&engine, "fills-memory", &tolerant()).expect("it loads");
    let scans = selector(&engine, "scans-memory", &tolerant()).expect("it loads");
    for round in 0..5 {
        assert!(signs(fills.select(&facts(), mail())), "round {round}");
        assert_eq!(reason(scans.select(&facts(), mail())), "clean", "round {round}");
        assert_eq!(reason(scans.select(&facts(), mail())), "clean", "round {round}, the same plugin again");
    }
}

#[test]
fn memory_stays_flat_over_a_thousand_bad_calls() {
    let engine = engine();
    let bad: Vec<_> = ["trap", "memory-steps", "huge-string", "log-hundred", "recursion"]
        .into_iter()
        .map(|name| selector(&engine, name, &tolerant()).expect("it loads"))
        .collect();
    let calls = |times: usize| {
        for selector in bad.iter().cycle().take(times) {
            drop(selector.select(&facts(), mail()));
        }
    };
    calls(50);
    // Other tests run in this process and come and go; a leak shows in every round.
    let flat = (0..5).any(|_| {
        let before = resident();
        calls(1000);
        resident().saturating_sub(before) < 2 << 20
    });
    assert!(flat, "five times a thousand calls each left more than 2 MiB behind");
}

/// Resident octets of this process.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("the kernel tells");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has the field");
    line.split_whitespace().next().and_then(|kib| kib.parse::<usize>().ok()).expect("it is a number") << 10
}

#[test]
fn a_trap_storm_opens_the_breaker_of_that_plugin_only() {
    let engine = engine();
    let limits = Limits { breaker: BreakerSettings { faults: 5, window: GENEROUS, cool_down: GENEROUS * 100 }, ..Limits::default() };
    let bad = selector(&engine, "trap", &limits).expect("it loads");
    let good = selector(&engine, "selector", &limits).expect("it loads");
    let classes: Vec<_> = (0..1000).map(|_| bad.select(&facts(), mail()).expect_err("it traps").as_str()).collect();
    assert_eq!(classes.iter().filter(|class| **class == "trap").count(), 5);
    assert!(classes[5..].iter().all(|class| *class == "breaker-open"));
    assert!(signs(good.select(&facts(), mail())));
}

#[test]
fn errors_that_a_plugin_reports_itself_do_not_open_the_breaker() {
    let limits = Limits { breaker: BreakerSettings { faults: 1, ..BreakerSettings::default() }, ..Limits::default() };
    let selector = selector(&engine(), "refuses", &limits).expect("it loads");
    for _ in 0..3 {
        assert_eq!(selector.select(&facts(), mail()).expect_err("it refuses").as_str(), "refused");
    }
}

#[test]
fn a_panic_of_the_host_is_an_outcome() {
    struct Broken;
    impl MessageView for Broken {
        fn part_count(&self) -> u32 {
            panic!("a defect in the view")
        }
        fn part_info(&self, _: u32) -> Option<PartInfo> {
            None
        }
        fn authored_text(&self, _: usize) -> String {
            String::new()
        }
        fn read_part(&self, _: u32, _: u64, _: usize) -> Vec<u8> {
            panic!("a defect in the view")
        }
    }
    let selector = selector(&engine(), "read-storm", &Limits::default()).expect("it loads");
    let fault = selector.select(&facts(), Arc::new(Broken)).expect_err("it cannot answer");
    assert_eq!(fault, Fault::Host("a defect in the view".to_owned()));
}

/// What admission refuses never runs; these two run it all the same, because the store has a limit of its own.
#[test]
fn the_store_limits_hold_without_admission() {
    let engine = engine();
    for (text, expected) in [
        (
            "(component
               (type $r (resource (rep i32)))
               (core func $new (canon resource.new $r))
               (core module $m
                 (import \"\" \"new\" (func $new (param i32) (result i32)))
                 (func $start (loop $again (drop (call $new (i32.const 1))) (br $again)))
                 (start $start))
               (core instance (instantiate $m (with \"\" (instance (export \"new\" (func $new)))))))",
            "host-calls",
        ),
        (
            "(component
               (core module $m
                 (table $t 1 funcref)
                 (func $start (loop $again (drop (table.grow $t (ref.null func) (i32.const 1000))) (br $again)))
                 (start $start))
               (core instance (instantiate $m)))",
            "memory",
        ),
    ] {
        let component = Component::new(engine.wasm(), wat::parse_str(text).expect("it is valid")).expect("it compiles");
        let limits = tolerant();
        let mut store = host::store(&engine, &limits, limits.memory, limits.select_deadline, None);
        let error = Linker::new(engine.wasm()).instantiate(&mut store, &component).map(|_| ()).expect_err("it is stopped");
        let fault = classify(&error);
        assert_eq!(fault.as_str(), expected, "{fault:?} {error:?}");
    }
}
