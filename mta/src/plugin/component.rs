//! A guest crate in, component bytes out: what `signet plugin build` does, and what `build.rs` does with the default plugins.
//!
//! Cargo compiles the crate for wasm32-unknown-unknown, which leaves a core module that carries its interface in a custom section;
//! `wit-component` turns that into a component with exactly the imports that the module uses. The guest's own release profile is
//! replaced, so that every plugin is built alike and the same source gives the same bytes wherever it lies.
//!
//! This file is compiled a second time into the build script: it names nothing of this crate. It does not load or judge the component.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use wit_component::ComponentEncoder;

/// The target: no WASI, so nothing can be imported but what the interface says.
const TARGET: &str = "wasm32-unknown-unknown";

/// The release profile of every plugin. Speed before size: code that does not run costs nothing after loading, and with opt-level "s" a
/// whole call takes 8 % longer for a sixth less code. Function names stay, in a section that is not loaded, for readable backtraces.
const PROFILE: [&str; 6] = [
    "profile.release.opt-level=3",
    "profile.release.lto='fat'",
    "profile.release.panic='abort'",
    "profile.release.codegen-units=1",
    "profile.release.strip='debuginfo'",
    "profile.release.debug=false",
];

/// Variables of Cargo's that a nested Cargo needs as they are: where its cache is and how it reaches a registry. All others are about
/// the build that we may be part of.
const KEPT: [&str; 6] = ["CARGO_HOME", "CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTRIES_", "CARGO_REGISTRY_", "CARGO_SOURCE_"];

/// Variables that another build, or its wrapper, leaves for its children.
const REMOVED: [&str; 16] = [
    "RUSTC",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_LINKER",
    "RUSTDOC",
    "RUSTDOCFLAGS",
    "RUSTFLAGS",
    "CLIPPY_ARGS",
    "MAKEFLAGS",
    "MFLAGS",
    "TARGET",
    "HOST",
    "OUT_DIR",
    "PROFILE",
    "OPT_LEVEL",
    "DEBUG",
];

/// Lines of the compiler's output that an error quotes: enough for the first message with its source excerpt.
const QUOTED_LINES: usize = 40;

/// Why a guest crate did not become a component.
#[derive(Debug, thiserror::Error)]
pub enum ComponentError {
    /// There is no crate there.
    #[error("{dir} has no Cargo.toml; name the folder of a guest crate, for example `signet plugin build plugins/select`")]
    NoCrate {
        /// The folder.
        dir: PathBuf,
    },
    /// Cargo could not be started.
    #[error("cannot run `{command}` in {dir}: {source}; install Rust with rustup (https://rustup.rs)")]
    NoCargo {
        /// The folder.
        dir: PathBuf,
        /// The command line.
        command: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The toolchain lacks the standard library for the target.
    #[error("`{command}` in {dir}: the toolchain has no wasm target; run `rustup target add wasm32-unknown-unknown` there")]
    NoTarget {
        /// The folder.
        dir: PathBuf,
        /// The command line.
        command: String,
    },
    /// The crate does not compile.
    #[error("`{command}` in {dir} failed; the compiler's last lines:\n{output}")]
    Compile {
        /// The folder.
        dir: PathBuf,
        /// The command line.
        command: String,
        /// The end of what Cargo wrote.
        output: String,
    },
    /// It compiles, but not to a module.
    #[error("{dir} is not a cdylib: its Cargo.toml needs\n[lib]\ncrate-type = [\"cdylib\"]")]
    NotACdylib {
        /// The folder.
        dir: PathBuf,
    },
    /// The module is there and cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The module.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The module does not say which interface it has.
    #[error(
        "{dir} does not use the SDK: its module has no component-type section; depend on signet-plugin-sdk and call `selector!` or \
         `renderer!` once"
    )]
    NoInterface {
        /// The folder.
        dir: PathBuf,
    },
    /// The module does not fit the interface it claims.
    #[error("{dir} compiles, but cannot be encoded as a component: {reason}; it may import only what the SDK's interfaces offer")]
    Encode {
        /// The folder.
        dir: PathBuf,
        /// What the encoder found.
        reason: String,
    },
}

/// Compiles the guest crate in `dir` and encodes it as a component. `target_dir` is Cargo's folder for intermediate results, which must
/// not be that of a Cargo that waits for this call.
pub fn build(dir: &Path, target_dir: &Path) -> Result<Vec<u8>, ComponentError> {
    if !dir.join("Cargo.toml").is_file() {
        return Err(ComponentError::NoCrate { dir: dir.to_owned() });
    }
    let module = compile(dir, target_dir)?;
    let module = fs::read(&module).map_err(|source| ComponentError::Read { path: module, source })?;
    encode(dir, &module)
}

/// The path of the core module.
fn compile(dir: &Path, target_dir: &Path) -> Result<PathBuf, ComponentError> {
    let mut cargo = command(dir, target_dir);
    let line = shown(&cargo);
    let output = cargo.output().map_err(|source| ComponentError::NoCargo { dir: dir.to_owned(), command: line.clone(), source })?;
    let messages = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        if messages.contains("target may not be installed") {
            return Err(ComponentError::NoTarget { dir: dir.to_owned(), command: line });
        }
        return Err(ComponentError::Compile { dir: dir.to_owned(), command: line, output: last_lines(&messages) });
    }
    artifact(&String::from_utf8_lossy(&output.stdout)).ok_or_else(|| ComponentError::NotACdylib { dir: dir.to_owned() })
}

fn command(dir: &Path, target_dir: &Path) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(dir).args(["build", "--lib", "--release", "--target", TARGET, "--message-format=json-render-diagnostics"]);
    cargo.arg("--target-dir").arg(std::path::absolute(target_dir).unwrap_or_else(|_| target_dir.to_owned()));
    for setting in PROFILE {
        cargo.args(["--config", setting]);
    }
    for (name, _) in env::vars_os() {
        if foreign(&name) {
            cargo.env_remove(name);
        }
    }
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags(dir)).env("CARGO_TERM_COLOR", "never");
    cargo
}

/// Whether the variable belongs to a build around us.
fn foreign(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    let ours = name == "CARGO" || KEPT.iter().any(|kept| name.starts_with(kept));
    REMOVED.contains(&&*name) || (name.starts_with("CARGO") && !ours) || name.starts_with("DEP_")
}

/// Compiler flags, which take the place of any that the machine's own configuration has: paths in panic messages must not depend on
/// where the sources lie, or the same source would give different components.
fn flags(dir: &Path) -> OsString {
    let mut flags = OsString::new();
    let home = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(env::home_dir()?.join(".cargo")));
    let workspace = dir.canonicalize().ok();
    let roots = workspace.iter().flat_map(|dir| dir.ancestors()).filter(|dir| dir.join("Cargo.toml").is_file()).last();
    for (path, name) in [(roots, "plugin"), (home.as_deref(), "cargo")] {
        let Some(path) = path else { continue };
        if !flags.is_empty() {
            flags.push("\u{1f}");
        }
        flags.push("--remap-path-prefix=");
        flags.push(path);
        flags.push("=");
        flags.push(name);
    }
    flags
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

fn last_lines(output: &str) -> String {
    let lines: Vec<&str> = output.lines().collect();
    lines[lines.len().saturating_sub(QUOTED_LINES)..].join("\n")
}

/// The module's path from Cargo's messages: one JSON object a line, the crate itself last.
///
/// Only one string is wanted of them, and a JSON parser would be one more dependency of the build script: a path in quotes that ends in
/// `.wasm`, with JSON's escapes undone.
fn artifact(messages: &str) -> Option<PathBuf> {
    let line = messages.lines().rfind(|line| line.contains(r#""reason":"compiler-artifact""#) && line.contains(r#".wasm""#))?;
    let (_, names) = line.split_once(r#""filenames":["#)?;
    let (names, _) = names.split_once(']')?;
    let path = names.trim_matches('"').split("\",\"").find(|name| name.ends_with(".wasm"))?;
    Some(path.replace(r"\\", r"\").replace(r#"\""#, "\"").into())
}

fn encode(dir: &Path, module: &[u8]) -> Result<Vec<u8>, ComponentError> {
    if !has_interface(module) {
        return Err(ComponentError::NoInterface { dir: dir.to_owned() });
    }
    let encoded = ComponentEncoder::default().validate(true).module(module).and_then(|encoder| encoder.encode());
    // The alternate form has the whole chain of causes on one line.
    encoded.map_err(|error| ComponentError::Encode { dir: dir.to_owned(), reason: format!("{error:#}") })
}

/// Whether the module carries the section that `wit-bindgen` writes. Section names are plain text and this one occurs nowhere else.
fn has_interface(module: &[u8]) -> bool {
    const NAME: &[u8] = b"component-type:";
    module.windows(NAME.len()).any(|window| window == NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that is removed at the end.
    struct Crate(PathBuf);

    impl Crate {
        fn new(name: &str, manifest: &str, source: &str) -> Self {
            let dir = env::temp_dir().join(format!("signet-component-{}-{name}", std::process::id()));
            fs::create_dir_all(dir.join("src")).unwrap();
            let manifest = format!("[package]\nname = \"guest\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n{manifest}");
            fs::write(dir.join("Cargo.toml"), manifest).unwrap();
            fs::write(dir.join("src/lib.rs"), source).unwrap();
            Self(dir)
        }

        fn build(&self) -> Result<Vec<u8>, ComponentError> {
            build(&self.0, &self.0.join("target"))
        }
    }

    impl Drop for Crate {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    const CDYLIB: &str = "[lib]\ncrate-type = [\"cdylib\"]\n";

    #[test]
    fn every_way_to_fail_names_the_folder_and_the_way_out() {
        for (name, manifest, source, expected) in [
            ("lib", "", "", "is not a cdylib"),
            ("bare", CDYLIB, "", "does not use the SDK"),
            ("broken", CDYLIB, "fn f() { missing() }", "cannot find function `missing`"),
        ] {
            let guest = Crate::new(name, manifest, source);
            let error = guest.build().unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains(&*guest.0.to_string_lossy()), "{name}: {error}");
        }
    }

    #[test]
    fn a_folder_without_a_crate_is_named() {
        let error = build(Path::new("/nowhere"), Path::new("/nowhere")).unwrap_err();
        assert!(error.to_string().starts_with("/nowhere has no Cargo.toml"), "{error}");
    }

    #[test]
    fn the_module_is_found_in_cargos_messages() {
        let messages = r#"{"reason":"compiler-artifact","package_id":"a","filenames":["/t/liba.rlib"],"executable":null}
{"reason":"compiler-artifact","package_id":"b","filenames":["/t/libb.rlib","/t, x/b.wasm"],"executable":null,"fresh":true}
{"reason":"build-finished","success":true}"#;
        assert_eq!(artifact(messages), Some(PathBuf::from("/t, x/b.wasm")));
        assert_eq!(artifact("{\"reason\":\"build-finished\",\"success\":true}"), None);
    }

    #[test]
    fn a_build_around_us_does_not_leak_in() {
        for (name, expected) in [
            ("CARGO_ENCODED_RUSTFLAGS", true),
            ("CARGO_TARGET_DIR", true),
            ("CARGO_PKG_NAME", true),
            ("RUSTC_WORKSPACE_WRAPPER", true),
            ("DEP_Z_ROOT", true),
            ("CARGO", false),
            ("CARGO_HOME", false),
            ("CARGO_REGISTRIES_MIRROR_INDEX", false),
            ("PATH", false),
            ("RUSTUP_TOOLCHAIN", false),
        ] {
            assert_eq!(foreign(OsStr::new(name)), expected, "{name}");
        }
    }
}
