//! Recordings: one call of the control plugin in one file, as JSON lines, and its replay into a plugin without network or state.
//!
//! A plugin has no other inputs than those of [`Outside`], so a recording repeats a call to the octet: what a customer's service answered can be
//! looked at, and a new version of the plugin can be held against it. Secrets are replaced (`secrets`); names and addresses of people are not,
//! so files are readable by their owner only. It does not record when the next call is made.

mod secrets;

use std::collections::VecDeque;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::words::{Answer, Call, Connection, HttpError, Problem, Request, Response, octets, some_octets};
use crate::plugin::{Broken, Controller, Failed, Outside};
use secrets::Secrets;

/// Octets of bodies and values kept of one call; a page of the directory takes 2 MiB. What is longer is cut, and cannot be replayed.
const LARGEST: usize = 32 << 20;
/// Files kept in a folder; the oldest make room.
const KEPT: usize = 1000;
/// The format; a replay refuses another one.
const VERSION: u32 = 1;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The first: what was asked.
    Call {
        /// Of the format.
        version: u32,
        /// What the clock said during the call.
        now: u64,
        /// About what.
        connection: Box<Connection>,
        /// What.
        call: Call,
    },
    /// A request and its answer.
    Request {
        /// Sent, or refused.
        request: Request,
        /// What came back.
        answer: Result<Response, HttpError>,
    },
    /// A value that was read.
    Read {
        /// Its key.
        key: String,
        /// None when there is none.
        #[serde(with = "some_octets")]
        value: Option<Vec<u8>>,
    },
    /// A value that was written.
    Write {
        /// Its key.
        key: String,
        /// What.
        #[serde(with = "octets")]
        value: Vec<u8>,
        /// Whether it was kept.
        answer: Result<(), String>,
    },
    /// A key that was removed.
    Remove {
        /// Which.
        key: String,
    },
    /// Keys that were listed.
    Keys {
        /// Those that begin so.
        prefix: String,
        /// Which there are.
        answer: Vec<String>,
    },
    /// A line of the log.
    Log {
        /// How important.
        level: String,
        /// What it says.
        line: String,
    },
    /// The call was longer than what is kept; what follows is missing.
    Cut {},
    /// The last: how it ended.
    Ended(Ended),
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// With an answer.
    Answer(Answer),
    /// With a problem.
    Problem(Problem),
    /// Without either; the outcome class.
    Fault(String),
}

impl From<&Result<Answer, Failed>> for Ended {
    fn from(outcome: &Result<Answer, Failed>) -> Self {
        match outcome {
            Ok(answer) => Self::Answer(answer.clone()),
            Err(Failed::Problem(problem)) => Self::Problem(problem.clone()),
            Err(Failed::Fault(fault)) => Self::Fault(fault.as_str().to_owned()),
        }
    }
}

/// Surroundings that take down what goes through them.
pub struct Recorder<O> {
    outside: O,
    /// None when nothing is to be recorded.
    events: Option<Vec<Event>>,
    size: usize,
}

impl<O: Outside> Recorder<O> {
    /// Around `outside`; takes nothing down unless `recording`.
    pub fn new(outside: O, recording: bool) -> Self {
        Self { outside, events: recording.then(Vec::new), size: 0 }
    }

    /// What it was around, and what it took down.
    pub fn finish(self) -> (O, Vec<Event>) {
        (self.outside, self.events.unwrap_or_default())
    }

    fn take_down(&mut self, size: usize, event: impl FnOnce() -> Event) {
        let Some(events) = &mut self.events else { return };
        if self.size > LARGEST {
            return;
        }
        self.size = self.size.saturating_add(size);
        events.push(if self.size > LARGEST { Event::Cut {} } else { event() });
    }
}

impl<O: Outside> Outside for Recorder<O> {
    fn send(&mut self, request: Request) -> Result<Response, HttpError> {
        let sent = self.events.is_some().then(|| request.clone());
        let answer = self.outside.send(request);
        if let Some(request) = sent {
            let size = request.body.as_ref().map_or(0, Vec::len) + answer.as_ref().map_or(0, |response| response.body.len());
            self.take_down(size, || Event::Request { request, answer: answer.clone() });
        }
        answer
    }

    fn read(&mut self, key: &str) -> Result<Option<Vec<u8>>, Broken> {
        let value = self.outside.read(key)?;
        self.take_down(value.as_ref().map_or(0, Vec::len), || Event::Read { key: key.to_owned(), value: value.clone() });
        Ok(value)
    }

    fn write(&mut self, key: &str, value: Vec<u8>) -> Result<Result<(), String>, Broken> {
        let written = self.events.is_some().then(|| value.clone());
        let answer = self.outside.write(key, value)?;
        if let Some(value) = written {
            self.take_down(value.len(), || Event::Write { key: key.to_owned(), value, answer: answer.clone() });
        }
        Ok(answer)
    }

    fn remove(&mut self, key: &str) -> Result<(), Broken> {
        self.outside.remove(key)?;
        self.take_down(0, || Event::Remove { key: key.to_owned() });
        Ok(())
    }

    fn keys(&mut self, prefix: &str) -> Result<Vec<String>, Broken> {
        let answer = self.outside.keys(prefix)?;
        self.take_down(0, || Event::Keys { prefix: prefix.to_owned(), answer: answer.clone() });
        Ok(answer)
    }

    fn now(&mut self) -> u64 {
        self.outside.now()
    }

    fn log(&mut self, level: &'static str, line: &str) {
        self.outside.log(level, line);
        self.take_down(line.len(), || Event::Log { level: level.to_owned(), line: line.to_owned() });
    }
}

/// Writes one call into a new file of the folder, which is made if need be, and returns its path.
pub fn write(
    folder: &Path,
    now: u64,
    connection: &Connection,
    call: &Call,
    events: Vec<Event>,
    outcome: &Result<Answer, Failed>,
) -> io::Result<PathBuf> {
    static SEQUENCE: AtomicU32 = AtomicU32::new(0);
    let lines = redacted(now, connection, call, events, outcome)?;
    private_folder(folder)?;
    make_room(folder)?;
    let sequence = SEQUENCE.fetch_add(1, Ordering::Relaxed);
    let path = folder.join(format!("{now:014}-{}-{sequence:06}-{}.jsonl", std::process::id(), call.as_str()));
    private_file(&path)?.write_all(lines.as_bytes())?;
    Ok(path)
}

/// All lines without secrets. They are looked for in the whole call before any is replaced, since a token may be stored bare before it is
/// seen in a link.
fn redacted(now: u64, connection: &Connection, call: &Call, events: Vec<Event>, outcome: &Result<Answer, Failed>) -> io::Result<String> {
    let first = Event::Call { version: VERSION, now, connection: Box::new(connection.clone()), call: call.clone() };
    let events = std::iter::once(first).chain(events).chain([Event::Ended(outcome.into())]);
    let mut values = events.map(serde_json::to_value).collect::<Result<Vec<_>, _>>()?;
    let mut secrets = Secrets::default();
    secrets.add(&connection.processed.value);
    if let Some(identification) = &connection.identification {
        secrets.add(&identification.value);
    }
    values.iter().for_each(|value| secrets.find(value));
    let replacer = secrets.replacer();
    let mut lines = String::new();
    for value in &mut values {
        replacer.replace(value);
        lines.push_str(&value.to_string());
        lines.push('\n');
    }
    Ok(lines)
}

#[cfg(unix)]
fn private_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(not(unix))]
fn private_folder(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)
}

#[cfg(unix)]
fn private_file(path: &Path) -> io::Result<fs::File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(not(unix))]
fn private_file(path: &Path) -> io::Result<fs::File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

/// Removes the oldest recordings so that one more fits. Their names begin with the time.
fn make_room(folder: &Path) -> io::Result<()> {
    let entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    let mut recordings: Vec<PathBuf> = entries
        .into_iter()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .collect();
    recordings.sort_unstable();
    let superfluous = (recordings.len() + 1).saturating_sub(KEPT);
    recordings.iter().take(superfluous).try_for_each(fs::remove_file)
}

/// Why a recording cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// It cannot be read.
    #[error("cannot read the recording {}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// It is not one.
    #[error("{}, line {line}: {reason}; a recording is what Signet wrote, whole", path.display())]
    Line {
        /// Which.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
}

/// Repeats a recorded call and says how it went differently; an empty list is the same call to the octet. Blocks while the plugin works.
pub fn replay(path: &Path, controller: &Controller) -> Result<Vec<String>, ReplayError> {
    let text = fs::read_to_string(path).map_err(|source| ReplayError::Read { path: path.to_owned(), source })?;
    let wrong = |line: usize, reason: &str| ReplayError::Line { path: path.to_owned(), line, reason: reason.to_owned() };
    let mut events = VecDeque::new();
    for (index, line) in text.lines().enumerate() {
        events.push_back(serde_json::from_str(line).map_err(|error| wrong(index + 1, &error.to_string()))?);
    }
    let count = events.len();
    let Some(Event::Call { version: VERSION, now, connection, call }) = events.pop_front() else {
        return Err(wrong(1, &format!("not a call in version {VERSION} of the format")));
    };
    let Some(Event::Ended(ended)) = events.pop_back() else { return Err(wrong(count, "the end of the call is missing")) };
    if events.contains(&Event::Cut {}) {
        return Err(wrong(count, "the call was too long and is not whole"));
    }
    let player = Arc::new(Mutex::new(Player { events, now, at: 1, differences: Vec::new() }));
    let outcome = Ended::from(&controller.call(&connection, &call, Box::new(Arc::clone(&player))));
    let mut player = player.lock().unwrap_or_else(PoisonError::into_inner);
    let mut differences = std::mem::take(&mut player.differences);
    differences.extend(player.events.iter().map(|event| format!("it did not: {}", shown(event))));
    if outcome != ended {
        differences.push(format!("it ended otherwise: {}; recorded: {}", shown(&outcome), shown(&ended)));
    }
    Ok(differences)
}

/// An event for people: cut where it is longer than a few lines.
fn shown<T: Serialize>(value: &T) -> String {
    let mut text = serde_json::to_string(value).unwrap_or_else(|error| error.to_string());
    text.truncate(text.floor_char_boundary(1000));
    text
}

/// Surroundings out of a recording.
struct Player {
    events: VecDeque<Event>,
    now: u64,
    at: usize,
    differences: Vec<String>,
}

impl Player {
    /// The next recorded event, when it is what the plugin does now; `same` compares all but the answer.
    fn next(&mut self, doing: &Event, same: impl FnOnce(&Event) -> bool) -> Option<Event> {
        self.at += 1;
        match self.events.pop_front() {
            Some(event) if same(&event) => Some(event),
            recorded => {
                let recorded = recorded.map_or_else(|| "nothing more".to_owned(), |event| shown(&event));
                self.differences.push(format!("line {}: it does {}; recorded: {recorded}", self.at, shown(doing)));
                None
            }
        }
    }
}

impl Outside for Player {
    fn send(&mut self, request: Request) -> Result<Response, HttpError> {
        let unknown = || Err(HttpError::Other("this request is not in the recording".to_owned()));
        let doing = Event::Request { request, answer: unknown() };
        let Event::Request { request, .. } = &doing else { return unknown() };
        match self.next(&doing, |event| matches!(event, Event::Request { request: recorded, .. } if recorded == request)) {
            Some(Event::Request { answer, .. }) => answer,
            _ => unknown(),
        }
    }

    fn read(&mut self, key: &str) -> Result<Option<Vec<u8>>, Broken> {
        let doing = Event::Read { key: key.to_owned(), value: None };
        match self.next(&doing, |event| matches!(event, Event::Read { key: recorded, .. } if recorded == key)) {
            Some(Event::Read { value, .. }) => Ok(value),
            _ => Ok(None),
        }
    }

    fn write(&mut self, key: &str, value: Vec<u8>) -> Result<Result<(), String>, Broken> {
        let doing = Event::Write { key: key.to_owned(), value: value.clone(), answer: Ok(()) };
        let same = |event: &Event| matches!(event, Event::Write { key: k, value: v, .. } if k == key && *v == value);
        match self.next(&doing, same) {
            Some(Event::Write { answer, .. }) => Ok(answer),
            _ => Ok(Ok(())),
        }
    }

    fn remove(&mut self, key: &str) -> Result<(), Broken> {
        let doing = Event::Remove { key: key.to_owned() };
        self.next(&doing, |event| *event == doing);
        Ok(())
    }

    fn keys(&mut self, prefix: &str) -> Result<Vec<String>, Broken> {
        let doing = Event::Keys { prefix: prefix.to_owned(), answer: Vec::new() };
        match self.next(&doing, |event| matches!(event, Event::Keys { prefix: recorded, .. } if recorded == prefix)) {
            Some(Event::Keys { answer, .. }) => Ok(answer),
            _ => Ok(Vec::new()),
        }
    }

    fn now(&mut self) -> u64 {
        self.now
    }

    fn log(&mut self, level: &'static str, line: &str) {
        let doing = Event::Log { level: level.to_owned(), line: line.to_owned() };
        self.next(&doing, |event| *event == doing);
    }
}
