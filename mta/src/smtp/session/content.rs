//! DATA and BDAT: from the command to the complete message.
//!
//! RFC 5321 section 4.1.1.4, RFC 3030. Whatever is wrong, the octets that the peer has announced or will send are read to their end before the
//! next command is, within a bound.

use bytes::{Buf, BytesMut};

use super::{ContentRequest, Message, Session, State, Step, Transaction};
use crate::message::Envelope;
use crate::smtp::data::{Chunks, Decoder, Limits, Violation};
use crate::smtp::reply::Reply;

/// Octets that are always read of a refused message, so that a small limit on messages does not cut clients off.
const MIN_DRAINED: u64 = 1 << 20;

impl Session {
    fn content_limits(&self) -> Limits {
        Limits { size: self.settings.maximum_size, line: self.settings.maximum_line }
    }

    /// Octets of one message that are read although it is refused. A peer with a message of up to twice the limit gets its answer; one that
    /// never ends is cut off.
    fn drain_limit(&self) -> u64 {
        self.settings.maximum_size.saturating_mul(2).saturating_add(MIN_DRAINED)
    }

    /// The envelope of a transaction that has a recipient, or why there is none.
    fn addressed(&mut self) -> Result<Envelope, Reply> {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Transaction(Transaction::Addressed(envelope)) => Ok(envelope),
            other => {
                let refused = matches!(&other, State::Transaction(Transaction::Opened(opened)) if opened.refused);
                self.state = other;
                Err(if refused {
                    Reply::new(554, (5, 5, 1), "no valid recipients")
                } else {
                    Reply::new(503, (5, 5, 1), "send MAIL and RCPT first")
                })
            }
        }
    }

    /// `hasty` says that the peer sent something behind DATA without waiting for the answer, which RFC 2920 section 3.1 forbids. When DATA is
    /// refused, that could be a message, whose lines must not be read as commands: the connection ends.
    pub(super) fn data_command(&mut self, hasty: bool) -> Step {
        match self.addressed() {
            Ok(envelope) => {
                self.state = State::Awaiting(None);
                Step::Content(ContentRequest { envelope, chunk: None, hasty })
            }
            Err(reply) if hasty => self.close(reply),
            Err(reply) => self.refuse(reply),
        }
    }

    pub(super) fn bdat(&mut self, size: u64, last: bool, unprotected: bool) -> Option<Step> {
        if size > self.drain_limit() {
            return Some(self.close(Violation::Size.reply()));
        }
        if unprotected {
            return self.refuse_chunk(size, Reply::new(530, (5, 7, 0), "must issue a STARTTLS command first"));
        }
        if let State::BetweenChunks(..) = &self.state {
            let State::BetweenChunks(envelope, mut chunks) = std::mem::replace(&mut self.state, State::Idle) else { return None };
            if chunks.received() + size > self.settings.maximum_size {
                chunks.oversize();
            }
            self.state = State::Chunk(envelope, chunks, size, last);
            return None;
        }
        match self.addressed() {
            Ok(envelope) => {
                self.state = State::Awaiting(None);
                Some(Step::Content(ContentRequest { envelope, chunk: Some((size, last)), hasty: false }))
            }
            Err(reply) => self.refuse_chunk(size, reply),
        }
    }

    /// Reads a chunk that nobody wants; the state afterwards is the one now.
    fn refuse_chunk(&mut self, size: u64, reply: Reply) -> Option<Step> {
        let state = std::mem::replace(&mut self.state, State::Idle);
        let step = self.refuse(reply);
        if !matches!(step, Step::Close(_)) {
            self.state = State::Discard(size, Box::new(step), Box::new(state));
            return None;
        }
        Some(step)
    }

    /// The answer to [`Step::Content`]: room for the message, or what the peer gets instead.
    pub fn answer_content(&mut self, request: ContentRequest, answer: Result<(), Reply>) {
        let ContentRequest { envelope, chunk, hasty } = request;
        let declared = envelope.parameters().size.unwrap_or(0);
        let limits = self.content_limits();
        self.refusal = None;
        self.state = State::Idle;
        match (answer, chunk) {
            (Ok(()), None) => {
                self.state = State::Data(envelope, Decoder::new(limits, declared));
                self.pending = Some(Step::Reply(Reply::plain(354, ["end data with <CR><LF>.<CR><LF>"])));
            }
            (Ok(()), Some((size, last))) => {
                let mut chunks = Chunks::new(limits, declared.max(size));
                if size > limits.size {
                    chunks.oversize();
                }
                self.state = State::Chunk(envelope, chunks, size, last);
            }
            (Err(reply), _) if hasty || reply.code == 421 => self.pending = Some(self.close(reply)),
            (Err(reply), None) => self.pending = Some(Step::Abort(reply)),
            (Err(reply), Some((size, _))) => self.state = State::Discard(size, Box::new(Step::Abort(reply)), Box::new(State::Idle)),
        }
    }

    pub(super) fn data(&mut self, input: &mut BytesMut) -> Option<Step> {
        let State::Data(_, decoder) = &mut self.state else { return None };
        let (used, ended) = decoder.feed(input);
        input.advance(used);
        let received = decoder.received();
        if !ended {
            return (received > self.drain_limit()).then(|| self.close(Violation::Size.reply()));
        }
        let State::Data(envelope, decoder) = std::mem::replace(&mut self.state, State::Idle) else { return None };
        Some(self.complete(envelope, decoder.finish()))
    }

    pub(super) fn chunk(&mut self, input: &mut BytesMut) -> Option<Step> {
        let State::Chunk(_, chunks, missing, _) = &mut self.state else { return None };
        let take = usize::try_from(*missing).map_or(input.len(), |missing| missing.min(input.len()));
        chunks.feed(&input[..take]);
        input.advance(take);
        *missing -= take as u64;
        if *missing > 0 {
            return None;
        }
        let State::Chunk(envelope, chunks, _, last) = std::mem::replace(&mut self.state, State::Idle) else { return None };
        if last {
            return Some(self.complete(envelope, chunks.finish()));
        }
        // RFC 3030 section 4.2: after a refused chunk the message is dead, and the chunks that follow get 503.
        if let Some(reply) = self.refusal.take().or_else(|| chunks.violation().map(Violation::reply)) {
            return Some(Step::Abort(reply));
        }
        let reply = Reply::new(250, (2, 0, 0), format!("{} octets received", chunks.received()));
        self.state = State::BetweenChunks(envelope, chunks);
        Some(Step::Reply(reply))
    }

    fn complete(&mut self, envelope: Envelope, content: Result<bytes::Bytes, Violation>) -> Step {
        match (self.refusal.take(), content) {
            (Some(reply), _) if reply.code == 421 => self.close(reply),
            (Some(reply), _) => Step::Abort(reply),
            (None, Err(violation)) => Step::Abort(violation.reply()),
            (None, Ok(content)) => {
                self.state = State::Awaiting(None);
                Step::Message(Message { envelope, content })
            }
        }
    }

    pub(super) fn discard(&mut self, input: &mut BytesMut) -> Option<Step> {
        let State::Discard(missing, ..) = &mut self.state else { return None };
        let take = usize::try_from(*missing).map_or(input.len(), |missing| missing.min(input.len()));
        input.advance(take);
        *missing -= take as u64;
        if *missing > 0 {
            return None;
        }
        let State::Discard(_, step, state) = std::mem::replace(&mut self.state, State::Idle) else { return None };
        self.state = *state;
        Some(*step)
    }
}
