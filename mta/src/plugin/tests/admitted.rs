//! Which component files are loaded at all, and what the refusals say.

use wit_component::StringEncoding;

use super::guest::{self, Build};
use super::*;

fn refusal(wasm: &[u8]) -> String {
    match Selector::load(&engine(), wasm, &[], &Limits::default()) {
        Ok(_) => panic!("it loads"),
        Err(LoadError::Admission(error)) => error.to_string(),
        Err(error) => panic!("admission did not refuse it, but: {error}"),
    }
}

#[test]
fn a_refusal_names_both_sides() {
    let wrong_world = guest::renderer("renderer");
    let extra = "package test:guests@1.0.0; interface clock { now: func() -> u64; } \
                 world extra { import clock; include signet:select/selector-plugin@0.1.0; }";
    let extra = Build { extra: Some(extra), ..Build::default() }.component(&guest::text("selector", "extra-import"));
    let version = Build { version: "0.2.0", ..Build::default() }.component(&guest::text("selector", "selector"));
    for (wasm, expected) in [
        (
            wrong_world,
            "the component exports `signet:plugin/describe@0.1.0`, `signet:render/renderer@0.1.0`; \
             world `signet:select/selector-plugin@0.1.0` needs `signet:select/selector@0.1.0`",
        ),
        (
            extra,
            "the component imports `test:guests/clock@1.0.0`; world `signet:select/selector-plugin@0.1.0` offers only: \
             signet:mail/types@0.1.0, signet:mail/message@0.1.0, signet:plugin/types@0.1.0, signet:plugin/log@0.1.0",
        ),
        (
            version,
            "the component was built against `signet:plugin/describe@0.2.0`; the host offers `signet:plugin/describe@0.1.0`: \
             build it against the wit folder of this version",
        ),
    ] {
        assert_eq!(refusal(&wasm), expected);
    }
}

#[test]
fn a_patch_version_is_not_another_version() {
    let wasm = Build { version: "0.1.3", ..Build::default() }.component(&guest::text("selector", "selector"));
    let selector = Selector::load(&engine(), &wasm, &[], &Limits::default()).expect("it loads");
    assert!(signs(selector.select(&facts(), mail())));
}

#[test]
fn what_the_strict_profile_excludes_is_refused_by_name() {
    let wide = guest::text("selector", "wide-branch").replace("TARGETS", &"$out ".repeat(100_000));
    let utf16 = Build { strings: StringEncoding::UTF16, ..Build::default() }.component(&guest::text("selector", "selector"));
    for (name, wasm, expected) in [
        ("wide-branch", Build::default().component(&wide), "a branch table of 99999 targets; at most 10000 are admitted"),
        ("two-memories", guest::selector("two-memories"), "more than one memory"),
        ("table-growth", guest::selector("table-growth"), "table writes"),
        ("simd", guest::selector("simd"), "SIMD support is not enabled"),
        ("tail-call", guest::selector("tail-call"), "tail calls support is not enabled"),
        ("utf-16", utf16, "strings that are not UTF-8"),
        ("own resource", component("(type $r (resource (rep i32))) (core func (canon resource.new $r))"), "resources of its own"),
        ("nested module", component("(component (core module))"), "a core module inside a nested component"),
        ("nested twice", component("(component (component))"), "components nested more than once"),
        (
            "nested code",
            component("(component (type $r (resource (rep i32))) (core func (canon resource.drop $r)))"),
            "does more than name types",
        ),
        ("async", component("(core func (canon backpressure.inc))"), "asynchronous or threading functions"),
        ("many modules", component("(core module) (core module) (core module) (core module)"), "more than 3 core modules"),
        ("memory64", component("(core module (memory i64 1))"), "a memory that is shared, 64-bit"),
        ("shared", component("(core module (memory 1 1 shared))"), "a memory that is shared, 64-bit"),
        (
            "data",
            component(&format!("(core module (memory 1) {})", "(data (i32.const 0) \"x\")".repeat(10_001))),
            "more than 10000 data segments",
        ),
        ("functions", component(&format!("(core module {})", "(func)".repeat(50_001))), "more than 50000 functions"),
        ("locals", component(&format!("(core module (func (local {})))", "i32 ".repeat(10_001))), "10001 local variables"),
        ("large", component(&format!("(core module (func {}))", "nop ".repeat(600_000))), "a function of 600002 octets"),
    ] {
        let found = refusal(&wasm);
        assert!(found.contains(expected), "{name}: {found}");
    }
}

fn component(body: &str) -> Vec<u8> {
    wat::parse_str(format!("(component {body})")).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn damaged_files_are_refused_and_nothing_worse() {
    let whole = guest::selector("selector");
    let engine = engine();
    for cut in (0..whole.len()).step_by(97) {
        assert!(Selector::load(&engine, &whole[..cut], &[], &Limits::default()).is_err(), "cut at {cut}");
    }
    // One octet changed anywhere: most are refused, none panics; some are another good component.
    for at in (8..whole.len()).step_by(61) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x55;
        let outcome = Selector::load(&engine, &damaged, &[], &Limits::default());
        assert!(!matches!(outcome, Err(LoadError::Host(_))), "octet {at}: {outcome:?}");
    }
}

#[test]
fn an_inspection_lists_everything_a_component_can_reach() {
    let inspection = inspect(&guest::selector("selector")).expect("it can be read");
    assert_eq!(inspection.world, Some(SELECTOR.name));
    assert!(inspection.imports.iter().all(|import| SELECTOR.imports.contains(&import.as_str())), "{:?}", inspection.imports);
    assert!(inspection.imports.iter().any(|import| import.contains("message")));
    for expected in [
        "import signet:mail/message@0.1.0;",
        "read-part: func(index: u32, offset: u64, max: u32) -> list<u8>;",
        "export signet:select/selector@0.1.0;",
    ] {
        assert!(inspection.interface.contains(expected), "{expected} is not in\n{}", inspection.interface);
    }
    assert_eq!(inspection.exports, ["signet:plugin/describe@0.1.0", "signet:select/selector@0.1.0"]);
    let inspection = inspect(&guest::renderer("renderer")).expect("it can be read");
    assert_eq!(inspection.world, Some(RENDERER.name));
    assert!(
        !inspection.imports.iter().any(|import| import.contains("message")),
        "a renderer cannot see the message: {:?}",
        inspection.imports
    );
}
