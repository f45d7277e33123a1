//! Compiles the default plugins and leaves their components in `OUT_DIR`, from where they are embedded; and lists the demo's files, which are
//! embedded as well.

#![allow(clippy::print_stdout, reason = "standard output is how a build script talks to Cargo")]

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[path = "src/plugin/component.rs"]
pub mod component;

/// The plugins that are part of the binary: a folder each in `plugins/`, a component each in `OUT_DIR`.
const PLUGINS: [&str; 3] = ["select", "render", "control"];

/// What the components depend on, from the workspace's root.
const SOURCES: [&str; 7] =
    ["plugins/sdk", "plugins/select", "plugins/render", "plugins/control", "wit", "Cargo.lock", "rust-toolchain.toml"];

/// What the demo's tenant is configured with: files and folders in `config/demo`. A new file in one of them is embedded by itself.
const DEMO: [&str; 5] = ["people.toml", "rules.toml", "rules", "templates", "assets"];

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set: this program is for Cargo to run")?);
    let package =
        PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or("CARGO_MANIFEST_DIR is not set: this program is for Cargo to run")?);
    let root = package.parent().ok_or("the package has no workspace around it")?;
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=src/plugin/component.rs");
    for source in SOURCES {
        println!("cargo:rerun-if-changed={}", root.join(source).display());
    }
    for plugin in PLUGINS {
        let component = component::build(&root.join("plugins").join(plugin), &guests(&out))?;
        fs::write(out.join(plugin).with_extension("wasm"), component)?;
    }
    fs::write(out.join("demo.rs"), demo(&root.join("config/demo"))?)?;
    Ok(())
}

/// An array expression of names and contents.
fn demo(folder: &Path) -> Result<String, Box<dyn Error>> {
    let mut files = Vec::new();
    for name in DEMO {
        println!("cargo:rerun-if-changed={}", folder.join(name).display());
        list(folder, name, &mut files)?;
    }
    files.sort();
    let entries = files.iter().map(|name| format!("    ({name:?}, include_bytes!({:?})),\n", folder.join(name)));
    Ok(format!("&[\n{}]\n", entries.collect::<String>()))
}

/// The file of that name, or the files below the folder of that name.
fn list(root: &Path, name: &str, files: &mut Vec<String>) -> Result<(), Box<dyn Error>> {
    if root.join(name).is_file() {
        files.push(name.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(root.join(name))? {
        let entry = entry?.file_name();
        let entry = entry.to_str().ok_or("a file of the demo has a name that is no text")?;
        if !entry.starts_with('.') {
            list(root, &format!("{name}/{entry}"), files)?;
        }
    }
    Ok(())
}

/// A target folder for the guests beside the folders of the profiles, so that a rebuild finds what the last one compiled. It is not the
/// folder that Cargo has locked while it waits for this program.
fn guests(out: &Path) -> PathBuf {
    // <target>/<profile>/build/<package>/out
    out.ancestors().nth(4).unwrap_or(out).join("guests")
}
