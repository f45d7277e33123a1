//! Reads the sources' paths and fails when a module names what it must not know (DESIGN section 4: dependencies run one way).

use std::fs;
use std::path::{Path, PathBuf};

/// A folder or file below `mta/src`, what it must not name, and why.
const RULES: &[(&str, &[&str], &str)] = &[
    ("address.rs", &["tokio", "rustls", "crate::"], "words know nobody"),
    ("header.rs", &["tokio", "rustls", "crate::smtp", "crate::mime"], "words know nobody"),
    ("signature.rs", &["tokio", "rustls", "crate::"], "words know nobody"),
    ("event.rs", &["tokio", "rustls", "crate::"], "words know nobody"),
    ("smtp/command.rs", LEAF, "protocol parsing does no I/O"),
    ("smtp/reply.rs", LEAF, "protocol parsing does no I/O"),
    ("smtp/data.rs", LEAF, "protocol parsing does no I/O"),
    ("smtp/proxy.rs", LEAF, "protocol parsing does no I/O"),
    ("smtp/session", LEAF, "the session's sockets, clocks and waits are the server's"),
    ("mime", LEAF, "MIME editing is a function from octets to octets"),
    (
        "tenant",
        &["tokio", "rustls::", "crate::plugin", "crate::mime", "crate::seal", "crate::handoff", "crate::control"],
        "attribution needs the peer and the header only",
    ),
    ("verify", &["crate::plugin", "crate::mime", "crate::seal::", "crate::handoff", "crate::control"], "a stage names earlier stages only"),
    ("seal", &["tokio", "crate::plugin", "crate::handoff", "crate::pipeline", "crate::control"], "a stage names earlier stages only"),
    ("handoff", &["crate::plugin", "crate::pipeline", "crate::verify", "crate::control"], "a stage names earlier stages only"),
    (
        "plugin",
        &["crate::smtp", "crate::handoff", "crate::pipeline", "crate::seal", "tokio", "reqwest"],
        "plugins get values, not a network",
    ),
    ("plugin/control.rs", BUT_WORDS, "a control plugin is given its surroundings"),
    ("plugin/control", BUT_WORDS, "a control plugin is given its surroundings"),
    ("plugin/select.rs", &["crate::control"], "the mail path does not know the control plugin"),
    ("plugin/render.rs", &["crate::control"], "the mail path does not know the control plugin"),
    ("smtp", &["crate::control", "crate::plugin"], "the mail path does not know the control plugin"),
    ("directory", &["crate::control"], "the mail path does not know the control plugin"),
    ("store.rs", &["crate::control"], "the store does not know what it keeps"),
    ("pipeline.rs", &["std::net", "tokio::net", "rustls", "rusqlite", "crate::control"], "the pipeline knows no socket and no disk"),
    ("pipeline", &["crate::control"], "the mail path does not know the control plugin"),
    (
        "console",
        &["crate::pipeline", "crate::handoff", "crate::seal", "crate::mime", "crate::smtp::session", "crate::verify"],
        "the console shows what it is given",
    ),
    ("control/words.rs", &["tokio", "rustls", "crate::"], "words know nobody"),
    ("control/egress/rule.rs", &["tokio", "reqwest", "crate::"], "the list is compared without I/O"),
    ("control/egress/address.rs", &["tokio", "reqwest", "crate::"], "the list is compared without I/O"),
    ("control/credentials", &["crate::", "rusqlite", "std::net::Tcp"], "tokens need the settings and the way to the service only"),
    ("control", &["crate::pipeline", "crate::handoff", "crate::seal", "crate::mime", "crate::verify"], "the control plugin has no mail"),
];

const BUT_WORDS: &[&str] = &["crate::control::egress", "crate::control::state", "crate::control::session", "crate::control::recording"];

const LEAF: &[&str] = &[
    "tokio",
    "rustls::",
    "std::net::Tcp",
    "std::fs",
    "SystemTime::now",
    "Instant::now",
    "crate::handoff",
    "crate::pipeline",
    "crate::plugin",
    "crate::config",
];

/// A crate and the only folders or files below `mta/src` that may name it.
const OWNERS: &[(&str, &[&str])] = &[
    ("wasmtime::", &["plugin"]),
    ("reqwest::", &["control/egress.rs", "control/credentials", "demo/cloud.rs", "remote.rs"]),
    ("rusqlite::", &["store.rs", "store", "handoff/ledger.rs", "control/synchronise", "control/onboarding/keep.rs"]),
    ("toml::", &["config", "config.rs", "directory.rs", "directory", "signatures"]),
    ("oauth2::", &["control/credentials"]),
    ("jsonwebtoken::", &["control/credentials"]),
    ("unsafe {", &[]),
    ("unsafe fn", &[]),
];

#[test]
fn no_module_names_what_it_must_not_know() {
    let mut breaches = Vec::new();
    for (place, forbidden, reason) in RULES {
        for (file, text) in sources().iter().filter(|(file, _)| within(file, place)) {
            for (number, line) in code_lines(text) {
                for name in forbidden.iter().filter(|name| line.contains(**name)) {
                    breaches.push(format!("{file}:{number} names {name}: {reason}"));
                }
            }
        }
    }
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

#[test]
fn each_library_with_power_has_one_owner() {
    let mut breaches = Vec::new();
    for (library, owners) in OWNERS {
        for (file, text) in sources() {
            if owners.iter().any(|owner| within(&file, owner)) {
                continue;
            }
            for (number, line) in code_lines(&text).filter(|(_, line)| line.contains(library)) {
                breaches.push(format!("{file}:{number} names {library}, which only {owners:?} may: {line}"));
            }
        }
    }
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

/// Whether `file` is `place`, or lies in it when `place` is a folder or a module with submodules.
fn within(file: &str, place: &str) -> bool {
    let folder = place.strip_suffix(".rs").unwrap_or(place);
    file == place || file == format!("{folder}.rs") && !place.contains(".rs") || file.starts_with(&format!("{place}/"))
}

/// Lines of code before the file's test module, with their numbers; comments are left out.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .take_while(|(_, line)| !line.starts_with("#[cfg(test)]"))
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .map(|(index, line)| (index + 1, line))
}

/// Every source file of the server but test modules: path below `mta/src` and text.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the source folder can be listed") {
            let path: PathBuf = entry.expect("the entry can be read").path();
            let is_test = path.components().any(|part| part.as_os_str() == "tests") || path.ends_with("tests.rs");
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !is_test {
                let name = path.strip_prefix(&root).expect("the file lies below the root").display().to_string();
                found.push((name, fs::read_to_string(&path).expect("sources are UTF-8")));
            }
        }
    }
    found
}
