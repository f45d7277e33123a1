//! Programs that nobody here wrote and that judge what Signet does: where they are, how they are asked, what they answer.
//!
//! `make judges` installs them and `SIGNET_JUDGES` names their folder. Without it, what needs them is skipped, and says so; with it, a missing
//! program is a failure.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::keys;

/// The folder of the judges; [`None`] means that the test is to end here.
pub(crate) fn installed(test: &str) -> Option<Judges> {
    let Some(folder) = std::env::var_os("SIGNET_JUDGES") else {
        eprintln!("SKIPPED: {test}: SIGNET_JUDGES names no folder; run `make judges` and set it to target/judges");
        return None;
    };
    let folder = PathBuf::from(folder);
    assert!(folder.join("bin/python").exists(), "{} has no bin/python: run `make judges`", folder.display());
    Some(Judges { folder })
}

/// What `make judges` has installed.
pub(crate) struct Judges {
    folder: PathBuf,
}

impl Judges {
    /// A source distribution that carries test data.
    pub(crate) fn source(&self, name: &str) -> PathBuf {
        let folder = self.folder.join("sources").join(name);
        assert!(folder.is_dir(), "{} is missing: run `make judges`", folder.display());
        folder
    }

    /// An empty folder that stays when the test ends, so that its content can be looked at.
    pub(crate) fn output(&self, name: &str) -> PathBuf {
        let folder = self.folder.join(name);
        if folder.exists() {
            std::fs::remove_dir_all(&folder).expect("the last run's folder can be removed");
        }
        std::fs::create_dir_all(&folder).expect("the folder can be made");
        folder
    }

    /// Python with the judges' packages.
    pub(crate) fn python(&self) -> Command {
        Command::new(self.folder.join("bin/python"))
    }

    /// One of the scripts beside this file.
    pub(crate) fn script(&self, name: &str) -> Command {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/judges").join(name);
        let mut command = if name.ends_with(".pl") { Command::new("perl") } else { self.python() };
        command.arg(path);
        command
    }

    /// Writes the public keys of all seals as the scripts read them.
    pub(crate) fn write_keys(&self, file: &Path) {
        let records = json!({
            "signet._domainkey.northwind.example": keys().tenant.record,
            "arc._domainkey.signet.example": keys().arc.record,
            "selector1._domainkey.northwind.example": keys().microsoft.record,
        });
        std::fs::write(file, records.to_string()).expect("the keys can be written");
    }
}

/// Runs a program to its end; it must succeed. Its standard output.
pub(crate) fn output(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}: run `make judges`"));
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{out}\n{error}", output.status);
    out.into_owned()
}

/// Runs a program that prints one JSON object a line.
pub(crate) fn objects(command: &mut Command) -> Vec<Value> {
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    output(command).lines().map(parse).collect()
}

/// A process that ends with this value, whatever happens.
pub(crate) struct Running(pub(crate) std::process::Child);

impl Running {
    /// Starts it.
    pub(crate) fn start(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::piped()).spawn().unwrap_or_else(|error| panic!("{command:?}: {error}: run `make judges`")))
    }

    /// Asks it to end as an operator would, and waits.
    pub(crate) fn terminate(&mut self, patience: Duration) {
        output(Command::new("kill").arg(self.0.id().to_string()));
        let begun = Instant::now();
        while self.0.try_wait().expect("it is our child").is_none() {
            assert!(begun.elapsed() < patience, "the process does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already; then both calls fail, and that is well.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
