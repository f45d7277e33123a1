//! What is wrong with a configuration: one error a finding, all of them together.

use std::fmt;
use std::path::{Path, PathBuf};

/// One finding: where, which key, what is wrong and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// The file, as its path was given.
    pub file: PathBuf,
    /// From 1; 0 when the finding concerns the whole file.
    pub line: usize,
    /// In characters, from 1; 0 when only the line is known.
    pub column: usize,
    /// The dotted key, without the indexes of repeated tables; empty when there is none.
    pub key: String,
    /// What is wrong, with the value.
    pub message: String,
    /// A valid line.
    pub example: Option<String>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        for number in [self.line, self.column].into_iter().take_while(|number| *number > 0) {
            write!(f, ":{number}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.message)?;
        match &self.example {
            Some(example) => write!(f, "; for example {example}"),
            None => Ok(()),
        }
    }
}

/// Everything that is wrong with a configuration, in the order of the files; never empty. Displays one finding a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigErrors {
    /// Findings about `main` come first.
    pub(super) fn new(mut errors: Vec<ConfigError>, main: &Path) -> Self {
        let place = |error: &ConfigError| (error.file != main, error.file.clone(), error.line, error.column);
        errors.sort_by_cached_key(place);
        errors.dedup();
        Self(errors)
    }

    /// The findings.
    pub fn errors(&self) -> &[ConfigError] {
        &self.0
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}
