//! The check of a component file before anything is compiled: one pass over its structure, against one world.
//!
//! It admits what the component encoder writes for a guest without WASI (core modules and their instances, lifted and lowered functions,
//! one shell component without code for every exported interface) and refuses the rest, naming what the component has and what the
//! host offers. So the import list is the whole capability list. It does not check types: the engine does, when it links.
//!
//! Not needed here: limits on start functions. They run while the plugin is configured, under its limits, and a snapshot has none.

use std::collections::BTreeSet;

use thiserror::Error;
use wasmparser::{
    BinaryReaderError, CanonicalFunction, CanonicalOption, ComponentAlias, Encoding, FunctionBody, Operator, Parser, Payload, Validator,
    WasmFeatures,
};

/// Largest component file. The default renderer, with its template engine, takes less than half of it.
pub const FILE: usize = 4 << 20;
/// Most functions of all core modules together, so that compiling is a matter of seconds.
const FUNCTIONS: u32 = 50_000;
/// Most octets of one function: register allocation is worse than linear.
const FUNCTION: usize = 512 << 10;
/// Most locals of one function, for the same reason.
const LOCALS: u32 = 10_000;
/// Most targets of one `br_table`, for the same reason.
const BR_TABLE: u32 = 10_000;
/// Most core modules: the plugin and the encoder's two shims.
const MODULES: u32 = 3;
/// Most data segments of all core modules.
const DATA_SEGMENTS: u32 = 10_000;

/// The interfaces of a world: what the host offers and what it calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct World {
    /// Its full name.
    pub name: &'static str,
    /// Interfaces that a plugin may import. Those that only define types are no capability.
    pub imports: &'static [&'static str],
    /// Interfaces that it must export.
    pub exports: &'static [&'static str],
}

/// The world of selector plugins (`wit/select`).
pub const SELECTOR: World = World {
    name: "signet:select/selector-plugin@0.1.0",
    imports: &["signet:mail/types@0.1.0", "signet:mail/message@0.1.0", "signet:plugin/types@0.1.0", "signet:plugin/log@0.1.0"],
    exports: &["signet:plugin/describe@0.1.0", "signet:select/selector@0.1.0"],
};

/// The world of renderer plugins (`wit/render`).
pub const RENDERER: World = World {
    name: "signet:render/renderer-plugin@0.1.0",
    imports: &["signet:mail/types@0.1.0", "signet:plugin/types@0.1.0", "signet:plugin/log@0.1.0"],
    exports: &["signet:plugin/describe@0.1.0", "signet:render/renderer@0.1.0"],
};

/// The world of control plugins (`wit/control`).
pub const CONTROLLER: World = World {
    name: "signet:control/controller-plugin@0.1.0",
    imports: &[
        "signet:plugin/types@0.1.0",
        "signet:plugin/log@0.1.0",
        "signet:control/http@0.1.0",
        "signet:control/state@0.1.0",
        "signet:control/clock@0.1.0",
    ],
    exports: &["signet:plugin/describe@0.1.0", "signet:control/controller@0.1.0"],
};

/// Why a component file is not admitted.
#[derive(Debug, Error)]
pub enum AdmissionError {
    /// Too large to compile in a bounded time.
    #[error("the component is {size} octets long; at most {FILE} are admitted: build it for size, without debug data")]
    Size {
        /// Its length.
        size: usize,
    },
    /// Not WebAssembly, or not valid under the admitted features.
    #[error("the file is not a valid component: {0}; `signet plugin build DIR` makes one")]
    Invalid(#[from] BinaryReaderError),
    /// A core module.
    #[error("the file is a core module, not a component; `signet plugin build DIR` makes one")]
    CoreModule,
    /// Wants something that the host does not give.
    #[error("the component imports `{import}`; world `{}` offers only: {}", .world.name, .world.imports.join(", "))]
    Import {
        /// What it imports.
        import: String,
        /// The world it was loaded for.
        world: World,
    },
    /// The same interface in a version that does not fit.
    #[error("the component was built against `{found}`; the host offers `{offered}`: build it against the wit folder of this version")]
    Version {
        /// In the component.
        found: String,
        /// In the host.
        offered: &'static str,
    },
    /// Built for another world.
    #[error("the component exports {}; world `{}` needs `{missing}`", list(.found), .world.name)]
    Export {
        /// What it lacks.
        missing: &'static str,
        /// What it exports.
        found: Vec<String>,
        /// The world it was loaded for.
        world: World,
    },
    /// Has a part that no component for these worlds needs.
    #[error("the component contains {0}; only what `signet plugin build` writes is admitted")]
    Structure(String),
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "nothing".to_owned() } else { names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ") }
}

/// What a component is and can do, for people and policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// Lower-case hexadecimal SHA-256 of the file.
    pub sha256: String,
    /// Octets.
    pub size: usize,
    /// Interfaces it imports: everything that it can reach.
    pub imports: Vec<String>,
    /// Interfaces it exports.
    pub exports: Vec<String>,
    /// Names of its custom sections, at any depth.
    pub custom_sections: Vec<String>,
    /// Number of core modules.
    pub modules: u32,
    /// Number of functions in them.
    pub functions: u32,
    /// The world whose exports it has, if any.
    pub world: Option<&'static str>,
    /// Its imports and exports with all their types, as interface text; empty when it cannot be written as such.
    pub interface: String,
}

/// Reads a component's structure without judging which world it is for. Anything that no world admits is an error.
pub fn inspect(wasm: &[u8]) -> Result<Inspection, AdmissionError> {
    let outline = outline(wasm)?;
    let world = [SELECTOR, RENDERER, CONTROLLER].into_iter().find(|world| outline.exports_of(world).is_ok()).map(|world| world.name);
    let Outline { imports, exports, custom, modules, functions, .. } = outline;
    let custom_sections = custom.into_iter().collect();
    // The printer is made for trusted files; one that it cannot read is inspected without its text.
    let interface = std::panic::catch_unwind(|| interface(wasm)).ok().flatten().unwrap_or_default();
    Ok(Inspection { sha256: sha256(wasm), size: wasm.len(), imports, exports, custom_sections, modules, functions, world, interface })
}

fn interface(wasm: &[u8]) -> Option<String> {
    let decoded = wit_component::decode(wasm).ok()?;
    let packages: Vec<_> = decoded.resolve().packages.iter().map(|(id, _)| id).filter(|id| *id != decoded.package()).collect();
    let mut printer = wit_component::WitPrinter::default();
    printer.print(decoded.resolve(), decoded.package(), &packages).ok()?;
    Some(printer.output.to_string())
}

/// Lower-case hexadecimal SHA-256, by which the configuration pins component files.
pub fn sha256(octets: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, octets);
    let digits = digest.as_ref().iter().flat_map(|octet| [octet >> 4, octet & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

/// Admits the component to `world`, or says why not.
pub(super) fn admit(wasm: &[u8], world: World) -> Result<(), AdmissionError> {
    let outline = outline(wasm)?;
    outline.exports_of(&world)?;
    for import in &outline.imports {
        match offered(import, world.imports) {
            Offer::Yes => {}
            Offer::OtherVersion(offered) => return Err(AdmissionError::Version { found: import.clone(), offered }),
            Offer::No => return Err(AdmissionError::Import { import: import.clone(), world }),
        }
    }
    Ok(())
}

enum Offer {
    Yes,
    OtherVersion(&'static str),
    No,
}

/// Whether `name` is among `offers`, by the engine's rule: the same track is compatible (0.N for 0.N.x, N for N.x.y).
fn offered(name: &str, offers: &'static [&'static str]) -> Offer {
    let (interface, version) = split(name);
    match offers.iter().find(|offer| split(offer).0 == interface) {
        Some(offer) if track(split(offer).1) == track(version) => Offer::Yes,
        Some(offer) => Offer::OtherVersion(offer),
        None => Offer::No,
    }
}

fn split(name: &str) -> (&str, &str) {
    name.split_once('@').unwrap_or((name, ""))
}

fn track(version: &str) -> &str {
    let parts = if version.starts_with("0.") { 2 } else { 1 };
    version.match_indices('.').nth(parts - 1).map_or(version, |(at, _)| &version[..at])
}

/// What the pass finds.
#[derive(Default)]
struct Outline {
    imports: Vec<String>,
    exports: Vec<String>,
    custom: BTreeSet<String>,
    modules: u32,
    functions: u32,
    segments: u32,
    /// What encloses the section at hand.
    stack: Vec<Level>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Component,
    /// A component inside the component: names and types for an exported interface, no code.
    Shell,
    Module,
}

impl Outline {
    fn exports_of(&self, world: &World) -> Result<(), AdmissionError> {
        for needed in world.exports {
            let (interface, version) = split(needed);
            match self.exports.iter().find(|export| split(export).0 == interface) {
                Some(export) if track(split(export).1) == track(version) => {}
                Some(export) => return Err(AdmissionError::Version { found: export.clone(), offered: needed }),
                None => return Err(AdmissionError::Export { missing: needed, found: self.exports.clone(), world: *world }),
            }
        }
        Ok(())
    }
}

/// The core features that the engine has switched on (`engine`), and the component model without any of its extensions.
fn strict() -> WasmFeatures {
    WasmFeatures::MUTABLE_GLOBAL
        | WasmFeatures::SATURATING_FLOAT_TO_INT
        | WasmFeatures::SIGN_EXTENSION
        | WasmFeatures::REFERENCE_TYPES
        | WasmFeatures::MULTI_VALUE
        | WasmFeatures::BULK_MEMORY
        | WasmFeatures::FLOATS
        | WasmFeatures::EXTENDED_CONST
        | WasmFeatures::COMPONENT_MODEL
}

fn outline(wasm: &[u8]) -> Result<Outline, AdmissionError> {
    if wasm.len() > FILE {
        return Err(AdmissionError::Size { size: wasm.len() });
    }
    let mut outline = Outline::default();
    for payload in Parser::new(0).parse_all(wasm) {
        outline.section(payload?)?;
    }
    // After the structure, because this error names features in the validator's words.
    Validator::new_with_features(strict()).validate_all(wasm)?;
    Ok(outline)
}

fn refuse<T>(what: impl Into<String>) -> Result<T, AdmissionError> {
    Err(AdmissionError::Structure(what.into()))
}

impl Outline {
    fn level(&self) -> Level {
        self.stack.last().copied().unwrap_or(Level::Component)
    }

    fn section(&mut self, payload: Payload<'_>) -> Result<(), AdmissionError> {
        match payload {
            Payload::Version { encoding, .. } => self.open(encoding),
            Payload::End(_) => {
                self.stack.pop();
                Ok(())
            }
            Payload::CustomSection(section) => {
                self.custom.insert(super::text::line(section.name().to_owned(), super::limits::ID));
                Ok(())
            }
            Payload::UnknownSection { id, .. } => refuse(format!("a section of unknown kind {id}")),
            payload if self.level() == Level::Module => self.core_section(payload),
            payload => self.component_section(payload),
        }
    }

    fn open(&mut self, encoding: Encoding) -> Result<(), AdmissionError> {
        let level = match (self.stack.last(), encoding) {
            (None, Encoding::Module) => return Err(AdmissionError::CoreModule),
            (None, Encoding::Component) => Level::Component,
            (Some(Level::Component), Encoding::Component) => Level::Shell,
            (Some(Level::Component), Encoding::Module) => {
                self.modules += 1;
                if self.modules > MODULES {
                    return refuse(format!("more than {MODULES} core modules"));
                }
                Level::Module
            }
            (Some(_), Encoding::Module) => return refuse("a core module inside a nested component"),
            (Some(_), Encoding::Component) => return refuse("components nested more than once"),
        };
        self.stack.push(level);
        Ok(())
    }

    fn component_section(&mut self, payload: Payload<'_>) -> Result<(), AdmissionError> {
        let shell = self.level() == Level::Shell;
        match payload {
            Payload::ComponentImportSection(section) => {
                for import in section {
                    let import = import?;
                    if !shell {
                        self.imports.push(import.name.name.to_owned());
                    }
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section {
                    let export = export?;
                    if !shell {
                        self.exports.push(export.name.name.to_owned());
                    }
                }
            }
            Payload::ComponentAliasSection(section) => {
                for alias in section {
                    // The encoder refers outwards only inside of types, never from a nested component.
                    if let ComponentAlias::Outer { .. } = alias? {
                        return refuse("an alias to an enclosing component");
                    }
                }
            }
            Payload::ComponentTypeSection(_) | Payload::CoreTypeSection(_) => {}
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {}
            _ if shell => return refuse("a nested component that does more than name types"),
            Payload::InstanceSection(_) | Payload::ComponentInstanceSection(_) => {}
            Payload::ComponentCanonicalSection(section) => {
                for function in section {
                    canonical(&function?)?;
                }
            }
            Payload::ComponentStartSection { .. } => return refuse("a component start function"),
            _ => return refuse("a section that components do not have"),
        }
        Ok(())
    }

    fn core_section(&mut self, payload: Payload<'_>) -> Result<(), AdmissionError> {
        match payload {
            Payload::MemorySection(section) => {
                let mut memories = 0;
                for memory in section {
                    let memory = memory?;
                    memories += 1;
                    if memory.memory64 || memory.shared || memory.page_size_log2.is_some() {
                        return refuse("a memory that is shared, 64-bit or of an unusual page size");
                    }
                }
                if memories > 1 {
                    return refuse("a core module with more than one memory");
                }
            }
            Payload::CodeSectionStart { count, .. } => {
                self.functions = self.functions.saturating_add(count);
                if self.functions > FUNCTIONS {
                    return refuse(format!("more than {FUNCTIONS} functions"));
                }
            }
            Payload::CodeSectionEntry(body) => function(&body)?,
            Payload::DataSection(section) => {
                self.segments = self.segments.saturating_add(section.count());
                if self.segments > DATA_SEGMENTS {
                    return refuse(format!("more than {DATA_SEGMENTS} data segments"));
                }
            }
            Payload::TagSection(_) => return refuse("exception tags"),
            // Everything else is core WebAssembly and up to the validator.
            _ => {}
        }
        Ok(())
    }
}

fn canonical(function: &CanonicalFunction) -> Result<(), AdmissionError> {
    let options = match function {
        CanonicalFunction::Lift { options, .. } | CanonicalFunction::Lower { options, .. } => options,
        // Giving the lent message back.
        CanonicalFunction::ResourceDrop { .. } => return Ok(()),
        CanonicalFunction::ResourceNew { .. } | CanonicalFunction::ResourceRep { .. } => return refuse("resources of its own"),
        _ => return refuse("asynchronous or threading functions"),
    };
    for option in options {
        match option {
            CanonicalOption::UTF8 | CanonicalOption::Memory(_) | CanonicalOption::Realloc(_) | CanonicalOption::PostReturn(_) => {}
            CanonicalOption::UTF16 | CanonicalOption::CompactUTF16 => return refuse("strings that are not UTF-8"),
            CanonicalOption::Async | CanonicalOption::Callback(_) => return refuse("asynchronous functions"),
            CanonicalOption::CoreType(_) | CanonicalOption::Gc => return refuse("garbage-collected references"),
        }
    }
    Ok(())
}

fn function(body: &FunctionBody<'_>) -> Result<(), AdmissionError> {
    let size = body.range().len();
    if size > FUNCTION {
        return refuse(format!("a function of {size} octets; at most {FUNCTION} are admitted"));
    }
    let mut locals = 0u32;
    for local in body.get_locals_reader()? {
        locals = locals.saturating_add(local?.0);
    }
    if locals > LOCALS {
        return refuse(format!("a function with {locals} local variables; at most {LOCALS} are admitted"));
    }
    let mut operators = body.get_operators_reader()?;
    while !operators.eof() {
        match operators.read()? {
            Operator::BrTable { targets } if targets.len() > BR_TABLE => {
                return refuse(format!("a branch table of {} targets; at most {BR_TABLE} are admitted", targets.len()));
            }
            // A snapshot holds memory and globals, not tables or which segments were dropped.
            Operator::TableSet { .. } | Operator::TableGrow { .. } | Operator::TableFill { .. } => return refuse("table writes"),
            Operator::TableCopy { .. } | Operator::TableInit { .. } => return refuse("table writes"),
            Operator::ElemDrop { .. } | Operator::DataDrop { .. } => return refuse("dropped segments"),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_on_the_same_track_fit() {
        for (name, expected) in [
            ("signet:plugin/log@0.1.0", "yes"),
            ("signet:plugin/log@0.1.7", "yes"),
            ("signet:plugin/log@0.2.0", "version"),
            ("signet:plugin/log@1.0.0", "version"),
            ("signet:plugin/log", "version"),
            ("signet:plugin/clock@0.1.0", "no"),
            ("wasi:cli/environment@0.2.3", "no"),
        ] {
            let found = match offered(name, RENDERER.imports) {
                Offer::Yes => "yes",
                Offer::OtherVersion(_) => "version",
                Offer::No => "no",
            };
            assert_eq!(found, expected, "{name}");
        }
        assert_eq!(track("1.4.2"), "1");
        assert_eq!(track("0.12.3"), "0.12");
    }

    #[test]
    fn what_is_not_a_component_is_refused() {
        let module = b"\0asm\x01\0\0\0";
        let component = b"\0asm\x0d\0\x01\0";
        assert!(matches!(admit(module, SELECTOR), Err(AdmissionError::CoreModule)));
        assert!(matches!(admit(b"", SELECTOR), Err(AdmissionError::Invalid(_))));
        assert!(matches!(admit(b"PK\x03\x04 not wasm", SELECTOR), Err(AdmissionError::Invalid(_))));
        assert!(matches!(admit(&vec![0; FILE + 1], SELECTOR), Err(AdmissionError::Size { .. })));
        let error = admit(component, SELECTOR).expect_err("it exports nothing").to_string();
        assert_eq!(
            error,
            "the component exports nothing; world `signet:select/selector-plugin@0.1.0` needs `signet:plugin/describe@0.1.0`"
        );
        let mut trailing = component.to_vec();
        trailing.extend_from_slice(b"\x7f\x01\x00");
        assert!(matches!(admit(&trailing, SELECTOR), Err(AdmissionError::Structure(_) | AdmissionError::Invalid(_))));
    }

    #[test]
    fn a_file_is_named_by_its_digest() {
        assert_eq!(sha256(b""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
