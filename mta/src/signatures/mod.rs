//! The workbench for rules and templates: `signet signatures check`, `explain`, `preview`, `test` and `diff`.
//!
//! Everything is asked of the same plugins, in the same sandbox, as on the mail path, and placed by the same code; only who sends what to whom is
//! made up, or read from a message file. So what is shown here is what happens to mail. [`Folder`] is what an operator edits, [`Question`]
//! asks about one message. It sends nothing, and needs no configuration file, key or network.
//!
//! # A folder
//!
//! | file | is |
//! |---|---|
//! | `rules.toml`, and all of `rules/` | what the selector is configured with |
//! | `templates/`, `assets/` | templates and images |
//! | `people.toml` or `people.csv` | the directory |
//! | `tenant.toml` | optional: `domains`, `partners`, `time_zone`, `locale`, and `selector`, `renderer` (component files) |
//! | `tests/*.toml` | the operator's expectations ([`expectations`]) |

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;

use crate::plugin::{Diagnostic, Engine, EngineError, EngineSettings, Fault, Limits, LoadError, Renderer, Selector, Severity};
use crate::service::{RENDERER, SELECTOR};

pub mod check;
pub mod difference;
pub mod expectations;
pub mod explain;
mod folder;
pub mod preview;
mod question;

pub use folder::Folder;
pub(crate) use question::content as made_up;
pub use question::{Answer, Answered, Question};

/// Why the workbench cannot be used.
#[derive(Debug, Error)]
pub enum WorkbenchError {
    /// A file or folder.
    #[error("{path} cannot be read: {source}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("{path} cannot be written: {source}")]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The folder has mistakes.
    #[error("{}", lines(.0))]
    Mistakes(Vec<Diagnostic>),
    /// A plugin does not load for another reason than its configuration.
    #[error("the {plugin} plugin does not load: {error}")]
    Plugin {
        /// `selector` or `renderer`.
        plugin: &'static str,
        /// Why.
        error: Box<LoadError>,
    },
    /// A plugin gave no answer.
    #[error("{0}")]
    Fault(#[from] Fault),
    /// The sandbox does not start.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// What was asked cannot be asked.
    #[error("{0}")]
    Question(String),
    /// Standard output.
    #[error("the result cannot be written: {0}")]
    Output(#[from] io::Error),
}

fn lines(findings: &[Diagnostic]) -> String {
    findings.iter().map(finding).collect::<Vec<_>>().join("\n")
}

/// One finding as it is printed.
pub fn finding(finding: &Diagnostic) -> String {
    let severity = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    format!("{severity}: {finding}")
}

/// A folder, with its plugins configured.
#[derive(Debug)]
pub struct Workbench {
    pub(crate) folder: Folder,
    pub(crate) selector: Arc<Selector>,
    pub(crate) renderer: Arc<Renderer>,
    /// What the plugins and the directory have to say about the folder, short of refusing it.
    pub(crate) findings: Vec<Diagnostic>,
}

impl Workbench {
    /// Opens a folder. All mistakes are found at once: those of the directory, of the rules and of the templates.
    pub fn open(path: PathBuf) -> Result<Self, WorkbenchError> {
        let folder = Folder::read(path)?;
        let engine = Engine::new(&EngineSettings::default())?;
        let limits = Limits::default();
        let component = |own: &Option<Vec<u8>>, embedded: &'static [u8]| own.clone().unwrap_or_else(|| embedded.to_vec());
        let selector = Selector::load(&engine, &component(&folder.selector, SELECTOR), &folder.rules, &limits);
        let renderer = Renderer::load(&engine, &component(&folder.renderer, RENDERER), &folder.templates, folder.assets.clone(), &limits);
        let mut findings = folder.findings.clone();
        let selector = configured("selector", "", selector, &mut findings)?;
        let renderer = configured("renderer", folder::TEMPLATES, renderer, &mut findings)?;
        let broken = findings.iter().any(|finding| finding.severity == Severity::Error);
        let (Some(selector), Some(renderer), false) = (selector, renderer, broken) else {
            return Err(WorkbenchError::Mistakes(findings));
        };
        findings.extend(in_folder("", selector.summary().warnings.clone()));
        findings.extend(in_folder(folder::TEMPLATES, renderer.summary().warnings.clone()));
        Ok(Self { folder, selector: Arc::new(selector), renderer: Arc::new(renderer), findings })
    }
}

/// The plugin; or nothing, and why it refuses its configuration among the findings.
fn configured<T>(
    plugin: &'static str,
    folder: &str,
    loaded: Result<T, LoadError>,
    findings: &mut Vec<Diagnostic>,
) -> Result<Option<T>, WorkbenchError> {
    match loaded {
        Ok(loaded) => Ok(Some(loaded)),
        Err(LoadError::Diagnostics(found)) => {
            findings.extend(in_folder(folder, found));
            Ok(None)
        }
        Err(error) => Err(WorkbenchError::Plugin { plugin, error: Box::new(error) }),
    }
}

/// A plugin knows its files by the names it was given; people look for them from the folder on.
fn in_folder(folder: &str, findings: Vec<Diagnostic>) -> impl Iterator<Item = Diagnostic> {
    findings.into_iter().map(move |finding| match folder {
        "" => finding,
        folder if finding.file.is_empty() => Diagnostic { file: folder.to_owned(), ..finding },
        folder => Diagnostic { file: format!("{folder}/{}", finding.file), ..finding },
    })
}
