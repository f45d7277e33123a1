//! One SMTP conversation's octets: replies in, commands and content out, each under a time limit.
//!
//! RFC 5321 section 4.5.2 (transparency), RFC 2920 (pipelining: commands are staged, then sent together). It knows no command's meaning.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{ClientError, Phase};
use crate::smtp::reply::{Parser, Reply, ReplyError};

/// Pieces below this size, that of a TLS record, are gathered into one write: copying them costs less than another system call. Larger ones
/// are written from where they are.
const GATHER: usize = 16 * 1024;

/// The time limit for a data block (RFC 5321 section 4.5.3.2.5) applies to each stretch of this size.
const BLOCK: usize = 256 * 1024;

/// The transport below the conversation.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<tokio_rustls::client::TlsStream<TcpStream>>),
}

pub(super) struct Wire<S> {
    stream: S,
    received: BytesMut,
    parser: Parser,
    staged: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, received: BytesMut::new(), parser: Parser::new(), staged: Vec::new() }
    }

    /// The transport, and whatever was received but not read yet.
    pub(super) fn into_parts(self) -> (S, BytesMut) {
        (self.stream, self.received)
    }

    /// Adds a command line to what [`Self::send`] will write.
    pub(super) fn stage(&mut self, line: &str) -> Result<(), ClientError> {
        if line.bytes().any(|octet| octet.is_ascii_control()) {
            return Err(ClientError::ControlCharacter);
        }
        self.staged.extend_from_slice(line.as_bytes());
        self.staged.extend_from_slice(b"\r\n");
        Ok(())
    }

    /// Writes what was staged.
    pub(super) async fn send(&mut self, phase: Phase, limit: Duration) -> Result<(), ClientError> {
        self.drain(phase, limit).await?;
        within(phase, limit, self.stream.flush()).await
    }

    /// Reads one reply.
    pub(super) async fn reply(&mut self, phase: Phase, limit: Duration) -> Result<Reply, ClientError> {
        match timeout(limit, self.next_reply(phase)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(ClientError::Timeout { phase, limit }),
        }
    }

    async fn next_reply(&mut self, phase: Phase) -> Result<Reply, ClientError> {
        loop {
            let malformed = |error: ReplyError| ClientError::Malformed { phase, reason: error.to_string() };
            let (used, reply) = self.parser.feed(&self.received).map_err(malformed)?;
            self.received.advance(used);
            if let Some(reply) = reply {
                return Ok(reply);
            }
            let count = self.stream.read_buf(&mut self.received).await.map_err(|source| ClientError::Io { phase, source })?;
            if count == 0 {
                return Err(ClientError::Closed { phase });
            }
        }
    }

    /// Whether the other end has closed or said something that nobody asked for. Does not wait.
    pub(super) fn is_disturbed(&mut self) -> bool {
        if !self.received.is_empty() || !self.parser.is_idle() {
            return true;
        }
        let mut octet = [0_u8; 1];
        let mut buffer = ReadBuf::new(&mut octet);
        let mut context = Context::from_waker(Waker::noop());
        !matches!(Pin::new(&mut self.stream).poll_read(&mut context, &mut buffer), Poll::Pending)
    }

    /// Writes content as it is (RFC 3030). Whatever was staged goes first, in the same stretch.
    pub(super) async fn content(&mut self, pieces: &[Bytes], limit: Duration) -> Result<(), ClientError> {
        for piece in pieces {
            self.put(piece, limit).await?;
        }
        self.send(Phase::Content, limit).await
    }

    /// Writes content dot-stuffed, then the end of data.
    pub(super) async fn stuffed_content(&mut self, pieces: &[Bytes], limit: Duration) -> Result<(), ClientError> {
        let mut stuffing = Stuffing::default();
        for piece in pieces {
            let mut rest = &piece[..];
            while let Some(before) = stuffing.next_dot(rest) {
                self.put(&rest[..before], limit).await?;
                self.put(b".", limit).await?;
                stuffing.passed(&rest[..before]);
                // The dot itself goes with what follows it, but is not looked at again.
                stuffing.stuffed = true;
                rest = &rest[before..];
            }
            self.put(rest, limit).await?;
            stuffing.passed(rest);
        }
        let end: &[u8] = if stuffing.at_line_start() { b".\r\n" } else { b"\r\n.\r\n" };
        self.put(end, limit).await?;
        self.send(Phase::Content, limit).await
    }

    async fn put(&mut self, octets: &[u8], limit: Duration) -> Result<(), ClientError> {
        if octets.len() < GATHER {
            self.staged.extend_from_slice(octets);
            return if self.staged.len() < 2 * GATHER { Ok(()) } else { self.drain(Phase::Content, limit).await };
        }
        self.drain(Phase::Content, limit).await?;
        for block in octets.chunks(BLOCK) {
            within(Phase::Content, limit, self.stream.write_all(block)).await?;
        }
        Ok(())
    }

    async fn drain(&mut self, phase: Phase, limit: Duration) -> Result<(), ClientError> {
        if !self.staged.is_empty() {
            within(phase, limit, self.stream.write_all(&self.staged)).await?;
            self.staged.clear();
        }
        Ok(())
    }

    /// Closes the transport in order.
    pub(super) async fn shutdown(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }
}

async fn within(phase: Phase, limit: Duration, write: impl Future<Output = io::Result<()>>) -> Result<(), ClientError> {
    match timeout(limit, write).await {
        Ok(outcome) => outcome.map_err(|source| ClientError::Io { phase, source }),
        Err(_) => Err(ClientError::Timeout { phase, limit }),
    }
}

/// Finds the dots that begin a line, across pieces (RFC 5321 section 4.5.2).
struct Stuffing {
    last: [u8; 2],
    stuffed: bool,
}

impl Default for Stuffing {
    fn default() -> Self {
        Self { last: *b"\r\n", stuffed: false }
    }
}

impl Stuffing {
    fn at_line_start(&self) -> bool {
        self.last == *b"\r\n"
    }

    /// Offset of the next dot that begins a line and has not been stuffed yet.
    fn next_dot(&self, octets: &[u8]) -> Option<usize> {
        if octets.first() == Some(&b'.') && self.at_line_start() && !self.stuffed {
            return Some(0);
        }
        if self.last[1] == b'\r' && octets.starts_with(b"\n.") {
            return Some(1);
        }
        memchr::memmem::find(octets, b"\r\n.").map(|at| at + 2)
    }

    fn passed(&mut self, octets: &[u8]) {
        match octets {
            [] => return,
            [only] => self.last = [self.last[1], *only],
            [.., before, last] => self.last = [*before, *last],
        }
        self.stuffed = false;
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, octets),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, octets),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMIT: Duration = Duration::from_secs(5);

    fn stuffed(pieces: Vec<Vec<u8>>) -> Vec<u8> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        runtime.block_on(async {
            let (near, mut far) = tokio::io::duplex(64 * 1024);
            let pieces: Vec<Bytes> = pieces.into_iter().map(Bytes::from).collect();
            let mut wire = Wire::new(near);
            wire.stuffed_content(&pieces, LIMIT).await.expect("fits the duplex");
            drop(wire);
            let mut seen = Vec::new();
            far.read_to_end(&mut seen).await.expect("closed");
            seen
        })
    }

    #[test]
    fn a_dot_at_the_start_of_a_line_is_doubled_wherever_the_pieces_are_cut() {
        let whole = b".\r\n..\r\na.b\r\n\r\n.end\r\n.";
        let expected = b"..\r\n...\r\na.b\r\n\r\n..end\r\n..\r\n.\r\n";
        for cut in 0..=whole.len() {
            for second in cut..=whole.len() {
                let pieces = vec![whole[..cut].to_vec(), whole[cut..second].to_vec(), whole[second..].to_vec()];
                assert_eq!(stuffed(pieces), expected, "cut at {cut} and {second}");
            }
        }
    }

    #[test]
    fn a_last_line_without_crlf_gets_one_before_the_end_of_data() {
        assert_eq!(stuffed(vec![b"a\r\nb".to_vec()]), b"a\r\nb\r\n.\r\n");
        assert_eq!(stuffed(vec![b"a\r\n".to_vec()]), b"a\r\n.\r\n");
        assert_eq!(stuffed(vec![]), b".\r\n");
    }

    #[test]
    fn a_command_with_a_line_break_is_refused() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        let _guard = runtime.enter();
        let mut wire = Wire::new(tokio::io::duplex(64).0);
        assert!(matches!(wire.stage("RCPT TO:<a@b>\r\nDATA"), Err(ClientError::ControlCharacter)));
    }

    proptest! {
        #[test]
        fn stuffing_is_undone_by_unstuffing(pieces in proptest::collection::vec("(\r\n|\\.|[a-c]|\r\n\\.)*", 0..5)) {
            let whole: String = pieces.concat();
            let seen = stuffed(pieces.into_iter().map(String::into_bytes).collect());
            let seen = String::from_utf8(seen).expect("ascii");
            let body = seen.strip_suffix(".\r\n").expect("end of data");
            let early_end = format!("\r\n{body}").contains("\r\n.\r\n");
            prop_assert!(!early_end);
            let lines: Vec<&str> = body.split("\r\n").map(|line| line.strip_prefix('.').unwrap_or(line)).collect();
            let expected = if whole.is_empty() || whole.ends_with("\r\n") { whole } else { whole + "\r\n" };
            prop_assert_eq!(lines.join("\r\n"), expected);
        }
    }
}
