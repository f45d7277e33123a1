//! Builds components from the WebAssembly text in `tests/guests` (its README describes the format).

use std::path::PathBuf;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{PackageId, Resolve};

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}

fn read(path: PathBuf) -> String {
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Part names and texts of a guest file, in order.
fn parts(name: &str) -> Vec<(String, String)> {
    let text = read(folder("tests/guests").join(format!("{name}.wat")));
    let mut parts: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        match line.strip_prefix(";; part: ") {
            Some(part) => parts.push((part.to_owned(), String::new())),
            None => {
                if let Some((_, text)) = parts.last_mut() {
                    text.push_str(line);
                    text.push('\n');
                }
            }
        }
    }
    parts
}

/// The core module's text: the base with the parts that the variant has.
pub(super) fn text(base: &str, name: &str) -> String {
    let mut module = parts(base);
    if name != base {
        for (part, text) in parts(name) {
            match module.iter_mut().find(|(known, _)| *known == part) {
                Some((_, replaced)) => *replaced = text,
                None => module.push((part, text)),
            }
        }
    }
    let body: String = module.into_iter().map(|(_, text)| text).collect();
    format!("(module\n{body})")
}

/// How a guest is encoded.
pub(super) struct Build<'a> {
    pub(super) world: &'a str,
    /// More interface text, for guests that want more than their world.
    pub(super) extra: Option<&'a str>,
    /// The version in place of 0.1.0.
    pub(super) version: &'a str,
    pub(super) strings: StringEncoding,
}

impl Default for Build<'_> {
    fn default() -> Self {
        Self { world: "signet:select/selector-plugin", extra: None, version: "0.1.0", strings: StringEncoding::UTF8 }
    }
}

impl Build<'_> {
    pub(super) fn component(&self, text: &str) -> Vec<u8> {
        let mut resolve = Resolve::default();
        let mut last: Option<PackageId> = None;
        for package in ["mail", "plugin", "select", "render"] {
            let path = folder("wit").join(package).join(format!("{package}.wit"));
            let source = self.versioned(&read(path.clone()));
            last = Some(resolve.push_str(path, &source).expect("the interface is valid"));
        }
        if let Some(extra) = self.extra {
            last = Some(resolve.push_str("extra.wit", &self.versioned(extra)).expect("the extra interface is valid"));
        }
        let last = last.expect("there are packages");
        let world = if self.extra.is_some() { "extra".to_owned() } else { format!("{}@{}", self.world, self.version) };
        let world = resolve.select_world(&[last], Some(&world)).expect("the world exists");
        let mut module = wat::parse_str(self.versioned(text)).unwrap_or_else(|error| panic!("{error}"));
        embed_component_metadata(&mut module, &resolve, world, self.strings, false).expect("the world can be embedded");
        let mut encoder = ComponentEncoder::default();
        encoder.module(&module).unwrap_or_else(|error| panic!("{error:#}"));
        encoder.encode().unwrap_or_else(|error| panic!("{error:#}"))
    }

    fn versioned(&self, text: &str) -> String {
        text.replace("@0.1.0", &format!("@{}", self.version))
    }
}

pub(super) fn selector(name: &str) -> Vec<u8> {
    Build::default().component(&text("selector", name))
}

pub(super) fn renderer(name: &str) -> Vec<u8> {
    Build { world: "signet:render/renderer-plugin", ..Build::default() }.component(&text("renderer", name))
}
