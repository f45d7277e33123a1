//! A next hop on loopback for tests: it follows a script of faults and remembers every command and every message that it took.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::tls::ServerTls;

/// Where the script may intervene.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Instead of the greeting.
    Greeting,
    /// Instead of the answer to the first EHLO.
    Hello,
    /// Instead of the answer to STARTTLS.
    StartTls,
    /// Instead of the TLS handshake.
    Handshake,
    /// Instead of the answer to EHLO after STARTTLS.
    HelloAgain,
    Mail,
    Rcpt,
    /// Instead of 354; with BDAT, after the command line was read.
    Data,
    /// After some of the content was read.
    Content,
    /// The content was read and is not taken.
    Final,
    /// The content was read and is taken, but this happens instead of the answer.
    Unanswered,
    /// After the answer.
    Afterwards,
    Rset,
}

#[derive(Clone, Debug)]
pub(crate) enum Act {
    Close,
    Silence,
    Say(&'static str),
    /// Say it and close.
    Leave(&'static str),
}

/// What happens the `nth` time (from 1) that a step is reached, on whatever connection; always, for 0.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) step: Step,
    pub(crate) nth: usize,
    pub(crate) act: Act,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) mail: String,
    pub(crate) recipients: Vec<String>,
    pub(crate) content: Vec<u8>,
    pub(crate) connection: usize,
    /// Names of the client certificate.
    pub(crate) names: Vec<String>,
}

#[derive(Default)]
struct State {
    faults: Vec<Fault>,
    reached: Vec<Step>,
    connections: usize,
    commands: Vec<String>,
    deliveries: Vec<Delivery>,
}

pub(crate) struct Hop {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

pub(crate) const ALL: &[&str] = &["PIPELINING", "SIZE 100000", "8BITMIME", "SMTPUTF8", "CHUNKING", "DSN", "ENHANCEDSTATUSCODES"];

impl Hop {
    pub(crate) async fn start(tls: Option<Arc<ServerTls>>, extensions: &'static [&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("address");
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            let mut sessions = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let mut session = Session { state: Arc::clone(&shared), connection: 0, extensions, names: Vec::new(), secured: false };
                session.connection = {
                    let mut state = shared.lock().expect("state");
                    state.connections += 1;
                    state.connections
                };
                let tls = tls.clone();
                sessions.spawn(async move {
                    let _ended = session.serve(stream, tls).await;
                });
            }
        });
        Self { address, state, task }
    }

    pub(crate) fn fault(&self, step: Step, nth: usize, act: Act) {
        self.state.lock().expect("state").faults.push(Fault { step, nth, act });
    }

    pub(crate) fn heal(&self) {
        self.state.lock().expect("state").faults.clear();
    }

    pub(crate) fn deliveries(&self) -> Vec<Delivery> {
        self.state.lock().expect("state").deliveries.clone()
    }

    /// Every recipient with the body that it got, sorted.
    pub(crate) fn mailboxes(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for delivery in self.deliveries() {
            let content = String::from_utf8_lossy(&delivery.content).into_owned();
            let body = content.split_once("\r\n\r\n").map(|(_, body)| body.trim_end().to_owned()).unwrap_or_default();
            found.extend(delivery.recipients.iter().map(|recipient| (recipient.clone(), body.clone())));
        }
        found.sort();
        found
    }

    pub(crate) fn commands(&self) -> Vec<String> {
        self.state.lock().expect("state").commands.clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.state.lock().expect("state").connections
    }
}

impl Drop for Hop {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Session {
    state: Arc<Mutex<State>>,
    connection: usize,
    extensions: &'static [&'static str],
    names: Vec<String>,
    secured: bool,
}

/// The session is over.
struct Over;

impl From<std::io::Error> for Over {
    fn from(_: std::io::Error) -> Self {
        Self
    }
}

type Ongoing<T> = Result<T, Over>;

impl Session {
    async fn serve(&mut self, stream: tokio::net::TcpStream, tls: Option<Arc<ServerTls>>) -> Ongoing<()> {
        let mut stream = BufReader::new(stream);
        self.answer(&mut stream, Step::Greeting, "220 next.example ESMTP").await?;
        if !self.converse(&mut stream, tls.is_some()).await? {
            return Ok(());
        }
        if let Some(act) = self.reach(Step::Handshake) {
            self.act(&mut stream, act).await?;
        }
        let tls = tls.ok_or(Over)?;
        let (secure, session) = tls.accept(stream.into_inner(), std::time::SystemTime::now()).await?;
        self.names = session.client.map(|client| client.names).unwrap_or_default();
        self.secured = true;
        self.converse(&mut BufReader::new(secure), false).await.map(|_| ())
    }

    /// Until the end, or until STARTTLS.
    async fn converse<S: AsyncRead + AsyncWrite + Unpin>(&mut self, stream: &mut BufReader<S>, start_tls: bool) -> Ongoing<bool> {
        let (mut mail, mut recipients) = (None, Vec::new());
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(false);
            }
            let line = line.trim_end().to_owned();
            self.state.lock().expect("state").commands.push(line.clone());
            let word = line.split(' ').next().unwrap_or_default().to_ascii_uppercase();
            match word.as_str() {
                "EHLO" => self.hello(stream, start_tls).await?,
                "STARTTLS" => {
                    self.answer(stream, Step::StartTls, "220 2.0.0 go ahead").await?;
                    return Ok(true);
                }
                "MAIL" => {
                    if mail.is_some() {
                        self.write(stream, "503 5.5.1 nested MAIL").await?;
                    } else if self.answer(stream, Step::Mail, "250 2.1.0 sender ok").await? {
                        mail = Some(line);
                    }
                }
                "RCPT" => {
                    if mail.is_none() {
                        self.write(stream, "503 5.5.1 need MAIL").await?;
                    } else if self.answer(stream, Step::Rcpt, "250 2.1.5 recipient ok").await? {
                        recipients.push(line["RCPT TO:<".len()..].split('>').next().unwrap_or_default().to_owned());
                    }
                }
                "DATA" | "BDAT" => {
                    if let Some(content) = self.content(stream, &line, !recipients.is_empty()).await? {
                        self.take(stream, mail.take().unwrap_or_default(), std::mem::take(&mut recipients), content).await?;
                    }
                }
                "RSET" => {
                    (mail, recipients) = (None, Vec::new());
                    self.answer(stream, Step::Rset, "250 2.0.0 reset").await?;
                }
                "QUIT" => {
                    self.write(stream, "221 2.0.0 bye").await?;
                    return Ok(false);
                }
                _ => self.write(stream, "500 5.5.2 what").await?,
            }
        }
    }

    async fn hello<S: AsyncWrite + Unpin>(&mut self, stream: &mut S, start_tls: bool) -> Ongoing<()> {
        let mut lines = vec!["next.example".to_owned()];
        lines.extend(self.extensions.iter().map(|line| (*line).to_owned()));
        if start_tls {
            lines.push("STARTTLS".to_owned());
        }
        let last = lines.len() - 1;
        let text: Vec<String> =
            lines.iter().enumerate().map(|(index, line)| format!("250{}{line}", if index == last { ' ' } else { '-' })).collect();
        let step = if self.secured { Step::HelloAgain } else { Step::Hello };
        self.answer(stream, step, &text.join("\r\n")).await.map(|_| ())
    }

    async fn content<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        stream: &mut BufReader<S>,
        line: &str,
        ready: bool,
    ) -> Ongoing<Option<Vec<u8>>> {
        let fault = self.reach(Step::Data);
        let middle = self.reach(Step::Content);
        let mut content = Vec::new();
        if let Some(length) = line.strip_prefix("BDAT ") {
            let length: usize = length.trim_end_matches(" LAST").parse().expect("length");
            let half = length / 2;
            content.resize(length, 0);
            if let (None, Some(act)) = (&fault, middle) {
                stream.read_exact(&mut content[..half]).await?;
                self.act(stream, act).await?;
                return Ok(None);
            }
            if let Some(act @ (Act::Close | Act::Silence | Act::Leave(_))) = fault {
                self.act(stream, act).await?;
                return Ok(None);
            }
            stream.read_exact(&mut content).await?;
            if let Some(act) = fault {
                self.act(stream, act).await?;
                return Ok(None);
            }
            if !ready {
                self.write(stream, "503 5.5.1 need RCPT").await?;
                return Ok(None);
            }
            return Ok(Some(content));
        }
        if let Some(act) = fault {
            self.act(stream, act).await?;
            return Ok(None);
        }
        if !ready {
            self.write(stream, "503 5.5.1 need RCPT").await?;
            return Ok(None);
        }
        self.write(stream, "354 go on").await?;
        if let Some(act) = middle {
            stream.read_until(b'\n', &mut content).await?;
            self.act(stream, act).await?;
            return Ok(None);
        }
        loop {
            let start = content.len();
            if stream.read_until(b'\n', &mut content).await? == 0 {
                return Err(Over);
            }
            if &content[start..] == b".\r\n" {
                content.truncate(start);
                return Ok(Some(content));
            }
            if content[start] == b'.' {
                content.remove(start);
            }
        }
    }

    async fn take<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        mail: String,
        recipients: Vec<String>,
        content: Vec<u8>,
    ) -> Ongoing<()> {
        if let Some(act) = self.reach(Step::Final) {
            return self.act(stream, act).await;
        }
        let delivery = Delivery { mail, recipients, content, connection: self.connection, names: self.names.clone() };
        let count = {
            let mut state = self.state.lock().expect("state");
            state.deliveries.push(delivery);
            state.deliveries.len()
        };
        self.answer(stream, Step::Unanswered, &format!("250 2.6.0 queued as {count}")).await?;
        match self.reach(Step::Afterwards) {
            Some(act) => self.act(stream, act).await,
            None => Ok(()),
        }
    }

    /// The fault that the script has for this step now.
    fn reach(&self, step: Step) -> Option<Act> {
        let mut state = self.state.lock().expect("state");
        state.reached.push(step);
        let count = state.reached.iter().filter(|reached| **reached == step).count();
        state.faults.iter().find(|fault| fault.step == step && (fault.nth == 0 || fault.nth == count)).map(|fault| fault.act.clone())
    }

    /// Answers as usual, unless the script says otherwise.
    async fn answer<S: AsyncWrite + Unpin>(&self, stream: &mut S, step: Step, usual: &str) -> Ongoing<bool> {
        match self.reach(step) {
            Some(act) => self.act(stream, act).await.map(|()| false),
            None => self.write(stream, usual).await.map(|()| true),
        }
    }

    async fn act<S: AsyncWrite + Unpin>(&self, stream: &mut S, act: Act) -> Ongoing<()> {
        match act {
            Act::Close => Err(Over),
            Act::Silence => {
                tokio::time::sleep(Duration::from_secs(60)).await;
                Err(Over)
            }
            Act::Say(text) => self.write(stream, text).await,
            Act::Leave(text) => {
                self.write(stream, text).await?;
                Err(Over)
            }
        }
    }

    async fn write<S: AsyncWrite + Unpin>(&self, stream: &mut S, text: &str) -> Ongoing<()> {
        stream.write_all(format!("{text}\r\n").as_bytes()).await?;
        Ok(stream.flush().await?)
    }
}
