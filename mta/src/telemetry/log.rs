//! Log lines: one JSON object an event, written by a thread of its own.
//!
//! The queue to that thread is bounded. When its reader is slower than the events, lines are dropped and counted, so that a full pipe never
//! stops mail; the next line that gets through says how many are missing.

use std::fmt::{self, Write as _};
use std::io::{self, BufWriter, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;

use super::{LONGEST_VALUE, clean, field};

/// Lines that may wait for the writer: a few seconds of busy traffic, and a few megabytes.
const QUEUE: usize = 8192;
/// Lines of this time are written together: waking the writer for each line costs those who log more than the line itself.
const GATHER: Duration = Duration::from_millis(5);
/// A record of a message with many copies; longer ones are replaced by a word.
const LONGEST_RECORD: usize = 64 * 1024;

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people at a terminal.
    Text,
}

/// What is logged and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// Filter directives: `info`, or `info,signet::smtp=debug`.
    pub level: String,
    /// How a line looks.
    pub format: LogFormat,
}

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Not a list of filter directives.
    #[error("log level {0:?} is not a list of filter directives; write for example \"info,signet::smtp=debug\"")]
    Level(String),
    /// The operating system gives no thread.
    #[error("the log's thread does not start: {0}")]
    Thread(#[from] io::Error),
}

/// Keeps the log's thread; dropping it writes what is still queued.
pub struct LogGuard {
    sender: SyncSender<Message>,
    dropped: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl LogGuard {
    /// Lines dropped since the start.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        if self.sender.send(Message::End).is_ok()
            && let Some(thread) = self.thread.take()
        {
            // A panic of the log's thread has been reported by its hook already.
            drop(thread.join());
        }
    }
}

/// A subscriber that writes events to `output`. The caller installs it.
pub fn subscriber(
    settings: &LogSettings,
    output: impl Write + Send + 'static,
) -> Result<(Box<dyn Subscriber + Send + Sync>, LogGuard), LogError> {
    let filter = EnvFilter::builder().parse(&settings.level).map_err(|_| LogError::Level(settings.level.clone()))?;
    let (sender, receiver) = sync_channel(QUEUE);
    let dropped = Arc::new(AtomicU64::new(0));
    let thread = {
        let dropped = Arc::clone(&dropped);
        std::thread::Builder::new().name("log".to_owned()).spawn(move || write(&receiver, output, &dropped))?
    };
    let queue = Queue { sender: sender.clone(), dropped: Arc::clone(&dropped) };
    let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(queue);
    let subscriber: Box<dyn Subscriber + Send + Sync> = match settings.format {
        LogFormat::Json => Box::new(tracing_subscriber::registry().with(filter).with(layer.event_format(JsonLines))),
        LogFormat::Text => Box::new(tracing_subscriber::registry().with(filter).with(layer.compact())),
    };
    Ok((subscriber, LogGuard { sender, dropped, thread: Some(thread) }))
}

enum Message {
    Line(Vec<u8>),
    End,
}

fn write(receiver: &Receiver<Message>, output: impl Write, dropped: &AtomicU64) {
    let mut output = BufWriter::new(output);
    let mut reported = 0;
    // Nobody can be told when the log itself cannot be written.
    while let Ok(first) = receiver.recv() {
        for message in std::iter::once(first).chain(receiver.try_iter()) {
            let Message::Line(line) = message else {
                drop(output.flush());
                return;
            };
            drop(output.write_all(&line));
            let missing = dropped.load(Ordering::Relaxed);
            if missing > reported {
                drop(writeln!(
                    output,
                    r#"{{"level":"warn","message":"log lines were dropped","event":"log.dropped","dropped":{missing}}}"#
                ));
                reported = missing;
            }
        }
        drop(output.flush());
        std::thread::sleep(GATHER);
    }
}

#[derive(Clone)]
struct Queue {
    sender: SyncSender<Message>,
    dropped: Arc<AtomicU64>,
}

impl<'a> MakeWriter<'a> for Queue {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line { octets: Vec::new(), queue: self.clone() }
    }
}

struct Line {
    octets: Vec<u8>,
    queue: Queue,
}

impl Write for Line {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.octets.extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let line = std::mem::take(&mut self.octets);
        if let Err(TrySendError::Full(_)) = self.queue.sender.try_send(Message::Line(line)) {
            self.queue.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// One JSON object an event: time, level, message, the event's own fields, and the fields of the spans around it: a plugin's log line does not
/// know for which message it was called.
struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let metadata = event.metadata();
        let mut fields = Fields { message: String::new(), rest: String::new() };
        event.record(&mut fields);
        let time = humantime::format_rfc3339_micros(SystemTime::now());
        let level = metadata.level().as_str().to_ascii_lowercase();
        let message = quoted(&fields.message);
        let spans = spans(context);
        let within = if spans.is_empty() { String::new() } else { format!(r#","within":{}"#, quoted(&spans)) };
        writeln!(
            writer,
            r#"{{"time":"{time}","level":"{level}","message":{message}{}{within},"module":{}}}"#,
            fields.rest,
            quoted(metadata.target())
        )
    }
}

/// Names and fields of the spans around an event, outermost first: `message id=6a1.0`.
fn spans<S, N>(context: &FmtContext<'_, S, N>) -> String
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    let mut text = String::new();
    for span in context.event_scope().into_iter().flat_map(tracing_subscriber::registry::Scope::from_root) {
        let extensions = span.extensions();
        let fields = extensions.get::<FormattedFields<N>>().map_or("", |fields| fields.fields.as_str());
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push_str(span.name());
        text.push(' ');
        text.push_str(fields);
    }
    text
}

struct Fields {
    message: String,
    rest: String,
}

impl Fields {
    fn text(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message = clean(value, LONGEST_VALUE).into_owned();
        } else {
            let value = quoted(&clean(value, LONGEST_VALUE));
            self.raw(field, &value);
        }
    }

    /// `value` is JSON already.
    fn raw(&mut self, field: &Field, value: &str) {
        let name = quoted(field.name());
        let _infallible = write!(self.rest, ",{name}:{value}");
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() != field::RECORD {
            return self.text(field, value);
        }
        let sound = value.len() <= LONGEST_RECORD && serde_json::from_str::<serde::de::IgnoredAny>(value).is_ok();
        self.raw(field, if sound { value } else { r#""too long""# });
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.raw(field, &value.to_string());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.raw(field, &value.to_string());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        let value = serde_json::Number::from_f64(value).map_or_else(|| "null".to_owned(), |number| number.to_string());
        self.raw(field, &value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.raw(field, if value { "true" } else { "false" });
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
