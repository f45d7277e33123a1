//! One command line to one typed command.
//!
//! RFC 5321 section 4.1 (commands, line limits in 4.5.3.1), RFC 1870 (SIZE), RFC 6152 (BODY), RFC 3030 (BDAT), RFC 3461 (RET, ENVID, NOTIFY,
//! ORCPT), RFC 6531 (SMTPUTF8), RFC 3207 (STARTTLS), RFC 4954 (AUTH), RFC 2034 (enhanced codes in refusals). Whether a command is
//! in sequence is the session's business.
//!
//! Two liberties are taken because common clients need them and no meaning is lost: white space at the end of a line (RFC 5321
//! section 4.1.1 asks for it) and white space after the colon in `MAIL FROM:` and `RCPT TO:`.

use crate::address::{AddressError, Domain, ForwardPath, ReversePath, split_path};
use crate::message::{Body, MailParameters, Recipient, Ret};
use crate::smtp::reply::{EnhancedCode, Reply};

/// RFC 5321 section 4.5.3.1.4, CRLF included: every command but those below.
pub const MAX_COMMAND: usize = 512;
/// MAIL and RCPT, CRLF included. 512 plus what the extensions add: SIZE 26, BODY 17, AUTH 500, RET and ENVID 117, SMTPUTF8 10, NOTIFY 28,
/// ORCPT 508; rounded up so that a longer path in UTF-8 fits.
pub const MAX_PATH_COMMAND: usize = 2048;
/// RFC 4954 section 4: AUTH and its continuation lines, CRLF included.
pub const MAX_AUTH_LINE: usize = 12288;
/// RFC 3461 section 4.4: characters of ENVID.
const MAX_ENVID: usize = 100;
/// RFC 3461 section 4.2: characters of ORCPT.
const MAX_ORCPT: usize = 500;

/// A well-formed command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// `EHLO` with the peer's name as it wrote it.
    Ehlo(String),
    /// `HELO` with the peer's name as it wrote it.
    Helo(String),
    /// `MAIL FROM:`
    Mail {
        /// From whom.
        reverse_path: ReversePath,
        /// What travels on.
        parameters: MailParameters,
        /// Whether there was any parameter; they belong to EHLO.
        extended: bool,
    },
    /// `RCPT TO:`
    Rcpt {
        /// To whom.
        recipient: Recipient,
        /// Whether there was any parameter; they belong to EHLO.
        extended: bool,
    },
    /// `DATA`
    Data,
    /// `BDAT`
    Bdat {
        /// Octets that follow the command.
        size: u64,
        /// Whether they end the message.
        last: bool,
    },
    /// `RSET`
    Rset,
    /// `NOOP`, its argument is ignored.
    Noop,
    /// `QUIT`
    Quit,
    /// `VRFY`
    Vrfy,
    /// `HELP`, its argument is ignored.
    Help,
    /// `STARTTLS`
    StartTls,
    /// `AUTH`
    Auth {
        /// The SASL mechanism in upper case.
        mechanism: String,
        /// The initial response in Base64, or `=` for an empty one.
        initial: Option<String>,
    },
}

/// Why a line is no command that we carry out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// A NUL, CR, LF or octets outside UTF-8.
    #[error("command contains a control character or octets outside UTF-8")]
    Octets,
    /// No verb that SMTP knows.
    #[error("command not recognized")]
    Unknown,
    /// A verb of another protocol: someone lets a browser or a proxy talk to us.
    #[error("this is SMTP")]
    OtherProtocol,
    /// Known, but not carried out here.
    #[error("command not implemented")]
    NotImplemented,
    /// Over its limit.
    #[error("command line of more than {0} octets")]
    Long(usize),
    /// The arguments do not fit; the text is the right form.
    #[error("syntax: {0}")]
    Syntax(&'static str),
    /// BDAT whose announced size cannot be read, so that nobody knows where its chunk ends.
    #[error("syntax: BDAT size [LAST], closing the connection")]
    ChunkSize,
    /// A reverse-path that is none.
    #[error("sender: {0}")]
    Sender(AddressError),
    /// A forward-path that is none.
    #[error("recipient: {0}")]
    Recipient(AddressError),
    /// A parameter that we do not offer.
    #[error("parameter {0} not recognized")]
    Parameter(String),
    /// A parameter that we offer, with a value that we do not.
    #[error("parameter {0} not implemented with this value")]
    Unoffered(&'static str),
    /// A parameter with a value that is none.
    #[error("parameter {0} has an invalid value")]
    Value(&'static str),
    /// The same parameter twice.
    #[error("parameter {0} occurs twice")]
    Twice(&'static str),
    /// UTF-8 in the reverse-path without SMTPUTF8.
    #[error("address needs SMTPUTF8")]
    NeedsUtf8,
}

impl CommandError {
    /// What the peer gets.
    pub fn reply(&self) -> Reply {
        let (code, enhanced) = self.code();
        // An address may contain what must not be echoed and the peer knows it anyway.
        let text = match self {
            Self::Sender(error) | Self::Recipient(error) => address_text(error).to_owned(),
            Self::Parameter(_) => "parameter not recognized".to_owned(),
            other => other.to_string(),
        };
        Reply::new(code, enhanced, text)
    }

    fn code(&self) -> (u16, EnhancedCode) {
        match self {
            Self::Octets | Self::Unknown => (500, (5, 5, 2)),
            Self::OtherProtocol => (421, (4, 7, 0)),
            Self::NotImplemented => (502, (5, 5, 1)),
            Self::Long(_) => (500, (5, 5, 6)),
            Self::Syntax(_) | Self::ChunkSize | Self::Value(_) | Self::Twice(_) => (501, (5, 5, 4)),
            Self::Sender(AddressError::Brackets(_)) | Self::Recipient(AddressError::Brackets(_)) => (501, (5, 5, 4)),
            Self::Sender(AddressError::LongPath(_)) => (501, (5, 1, 7)),
            Self::Recipient(AddressError::LongPath(_)) => (501, (5, 1, 3)),
            Self::Sender(_) => (553, (5, 1, 7)),
            Self::Recipient(_) => (553, (5, 1, 3)),
            Self::Parameter(_) | Self::Unoffered(_) => (555, (5, 5, 4)),
            Self::NeedsUtf8 => (553, (5, 6, 7)),
        }
    }
}

fn address_text(error: &AddressError) -> &'static str {
    match error {
        AddressError::NoAt(_) => "address has no domain",
        AddressError::LongLocalPart(_) => "local-part too long",
        AddressError::LongDomain(_) => "domain too long",
        AddressError::LongPath(_) => "path too long",
        AddressError::LocalPart(_) => "local-part syntax incorrect",
        AddressError::Domain(_) => "domain syntax incorrect",
        AddressError::Literal(_) => "address literal syntax incorrect",
        AddressError::Brackets(_) => "syntax: path in angle brackets expected",
        AddressError::SourceRoute(_) => "source route syntax incorrect",
    }
}

/// Reads one line without its CRLF.
pub fn parse(line: &[u8]) -> Result<Command, CommandError> {
    let line = std::str::from_utf8(line).map_err(|_| CommandError::Octets)?;
    if line.chars().any(|character| character.is_control() && character != '\t') {
        return Err(CommandError::Octets);
    }
    let line = line.trim_end_matches([' ', '\t']);
    let (verb, arguments) = line.split_once(' ').unwrap_or((line, ""));
    let verb = verb.to_ascii_uppercase();
    let limit = line_limit(&verb);
    if line.len() + 2 > limit {
        return Err(CommandError::Long(limit));
    }
    let arguments = arguments.trim_start_matches(' ');
    let alone = |command: Command, form| if arguments.is_empty() { Ok(command) } else { Err(CommandError::Syntax(form)) };
    match verb.as_str() {
        "EHLO" => hello(arguments).map(Command::Ehlo).ok_or(CommandError::Syntax("EHLO domain")),
        "HELO" => hello(arguments).map(Command::Helo).ok_or(CommandError::Syntax("HELO domain")),
        "MAIL" => mail(arguments),
        "RCPT" => rcpt(arguments),
        "DATA" => alone(Command::Data, "DATA without arguments"),
        "BDAT" => bdat(arguments).ok_or(CommandError::ChunkSize),
        "RSET" => alone(Command::Rset, "RSET without arguments"),
        "NOOP" => Ok(Command::Noop),
        "QUIT" => alone(Command::Quit, "QUIT without arguments"),
        "VRFY" if arguments.is_empty() => Err(CommandError::Syntax("VRFY address")),
        "VRFY" => Ok(Command::Vrfy),
        "HELP" => Ok(Command::Help),
        "STARTTLS" => alone(Command::StartTls, "STARTTLS without arguments"),
        "AUTH" => auth(arguments).ok_or(CommandError::Syntax("AUTH mechanism [initial-response]")),
        "EXPN" | "TURN" | "SEND" | "SOML" | "SAML" | "ETRN" | "ATRN" | "BURL" => Err(CommandError::NotImplemented),
        "GET" | "POST" | "PUT" | "HEAD" | "OPTIONS" | "CONNECT" | "DELETE" | "PATCH" | "PRI" => Err(CommandError::OtherProtocol),
        _ => Err(CommandError::Unknown),
    }
}

fn line_limit(verb: &str) -> usize {
    match verb {
        "MAIL" | "RCPT" => MAX_PATH_COMMAND,
        "AUTH" => MAX_AUTH_LINE,
        _ => MAX_COMMAND,
    }
}

/// A name that the peer may give itself. Underscores are let through: Windows machines have them and RFC 5321 section 4.1.4 forbids
/// to refuse mail because of a name. UTF-8 is not: names are A-labels here (RFC 6531 section 3.7.1).
fn hello(name: &str) -> Option<String> {
    if name.starts_with('[') {
        return Domain::parse(name).ok().map(|_| name.to_owned());
    }
    let valid = (1..=crate::address::MAX_DOMAIN).contains(&name.len())
        && name.strip_suffix('.').unwrap_or(name).split('.').all(|label| !label.is_empty())
        && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_'));
    valid.then(|| name.to_owned())
}

/// `FROM:` or `TO:`, the path, and the parameters.
fn path_and_parameters<'a>(arguments: &'a str, keyword: &str) -> Option<Result<(&'a str, &'a str), AddressError>> {
    let (head, tail) = arguments.split_at_checked(keyword.len())?;
    if !head.eq_ignore_ascii_case(keyword) {
        return None;
    }
    let split = split_path(tail.trim_start_matches(' '));
    match split {
        Ok((_, rest)) if !rest.is_empty() && !rest.starts_with(' ') => None,
        other => Some(other),
    }
}

/// Keyword in upper case, and value.
fn parameters(text: &str) -> impl Iterator<Item = Result<(String, Option<&str>), CommandError>> {
    text.split(' ').filter(|word| !word.is_empty()).map(|word| {
        let (keyword, value) = word.split_once('=').map_or((word, None), |(keyword, value)| (keyword, Some(value)));
        let valid = keyword.bytes().enumerate().all(|(index, octet)| octet.is_ascii_alphanumeric() || index > 0 && octet == b'-');
        if keyword.is_empty() || !valid || value.is_some_and(str::is_empty) {
            return Err(CommandError::Syntax("parameter keyword[=value]"));
        }
        Ok((keyword.to_ascii_uppercase(), value))
    })
}

fn set<T>(slot: &mut Option<T>, name: &'static str, value: Option<T>) -> Result<(), CommandError> {
    let value = value.ok_or(CommandError::Value(name))?;
    if slot.replace(value).is_some() {
        return Err(CommandError::Twice(name));
    }
    Ok(())
}

fn mail(arguments: &str) -> Result<Command, CommandError> {
    const FORM: &str = "MAIL FROM:<address> [parameters]";
    let (path, rest) = path_and_parameters(arguments, "FROM:").ok_or(CommandError::Syntax(FORM))?.map_err(CommandError::Sender)?;
    let reverse_path = ReversePath::parse(path).map_err(CommandError::Sender)?;
    let mut read = MailParameters::default();
    let (mut smtputf8, mut auth) = (None, None);
    for parameter in parameters(rest) {
        let (keyword, value) = parameter?;
        match keyword.as_str() {
            "SIZE" => set(&mut read.size, "SIZE", value.and_then(size))?,
            "BODY" => set(&mut read.body, "BODY", body(value)?)?,
            "RET" => set(&mut read.ret, "RET", value.and_then(ret))?,
            "ENVID" => set(&mut read.envid, "ENVID", value.filter(|value| is_envid(value)).map(str::to_owned))?,
            "SMTPUTF8" => set(&mut smtputf8, "SMTPUTF8", value.is_none().then_some(()))?,
            // RFC 4954 section 5: who submitted it first. We trust no peer that far, so it goes on as if it were "<>".
            "AUTH" => set(&mut auth, "AUTH", value.filter(|value| *value == "<>" || is_xtext(value)).map(drop))?,
            _ => return Err(CommandError::Parameter(keyword)),
        }
    }
    read.smtputf8 = smtputf8.is_some();
    if !read.smtputf8 && !reverse_path.is_ascii() {
        return Err(CommandError::NeedsUtf8);
    }
    Ok(Command::Mail { reverse_path, parameters: read, extended: !rest.is_empty() })
}

fn rcpt(arguments: &str) -> Result<Command, CommandError> {
    const FORM: &str = "RCPT TO:<address> [parameters]";
    let (path, rest) = path_and_parameters(arguments, "TO:").ok_or(CommandError::Syntax(FORM))?.map_err(CommandError::Recipient)?;
    let path = ForwardPath::parse(path).map_err(CommandError::Recipient)?;
    let mut recipient = Recipient { path, notify: None, orcpt: None };
    for parameter in parameters(rest) {
        let (keyword, value) = parameter?;
        match keyword.as_str() {
            "NOTIFY" => set(&mut recipient.notify, "NOTIFY", value.and_then(notify))?,
            "ORCPT" => set(&mut recipient.orcpt, "ORCPT", value.filter(|value| is_orcpt(value)).map(str::to_owned))?,
            _ => return Err(CommandError::Parameter(keyword)),
        }
    }
    Ok(Command::Rcpt { recipient, extended: !rest.is_empty() })
}

/// RFC 1870 section 5: up to 20 digits.
fn size(value: &str) -> Option<u64> {
    (value.len() <= 20 && value.bytes().all(|octet| octet.is_ascii_digit())).then(|| value.parse().ok()).flatten()
}

fn body(value: Option<&str>) -> Result<Option<Body>, CommandError> {
    match value.map(str::to_ascii_uppercase).as_deref() {
        Some("7BIT") => Ok(Some(Body::SevenBit)),
        Some("8BITMIME") => Ok(Some(Body::EightBitMime)),
        // RFC 3030: without the BINARYMIME extension on both sides its octets cannot be carried.
        Some("BINARYMIME") => Err(CommandError::Unoffered("BODY")),
        _ => Ok(None),
    }
}

fn ret(value: &str) -> Option<Ret> {
    match value.to_ascii_uppercase().as_str() {
        "FULL" => Some(Ret::Full),
        "HDRS" => Some(Ret::Hdrs),
        _ => None,
    }
}

/// `NEVER`, or a list of the other words without repetition, in upper case.
fn notify(value: &str) -> Option<String> {
    let upper = value.to_ascii_uppercase();
    if upper == "NEVER" {
        return Some(upper);
    }
    let words: Vec<&str> = upper.split(',').collect();
    let known = words.iter().all(|word| matches!(*word, "SUCCESS" | "FAILURE" | "DELAY"));
    let once = words.iter().enumerate().all(|(index, word)| !words[..index].contains(word));
    (known && once).then_some(upper)
}

/// RFC 3461 section 4: printable US-ASCII in which `+` and `=` occur as `+` and two upper-case hexadecimal digits.
fn is_xtext(value: &str) -> bool {
    xtext_octets(value).is_some()
}

/// The decoded octets of xtext.
fn xtext_octets(value: &str) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(value.len());
    let mut octets = value.bytes();
    while let Some(octet) = octets.next() {
        match octet {
            b'+' => decoded.push(upper_hex(octets.next()?)? << 4 | upper_hex(octets.next()?)?),
            b'=' => return None,
            b'!'..=b'~' => decoded.push(octet),
            _ => return None,
        }
    }
    Some(decoded)
}

fn upper_hex(octet: u8) -> Option<u8> {
    match octet {
        b'0'..=b'9' => Some(octet - b'0'),
        b'A'..=b'F' => Some(octet - b'A' + 10),
        _ => None,
    }
}

/// RFC 3461 section 4.4: what the xtext stands for is printable, because it comes back in a notification's header.
fn is_envid(value: &str) -> bool {
    value.len() <= MAX_ENVID && xtext_octets(value).is_some_and(|decoded| decoded.iter().all(|octet| matches!(octet, b' '..=b'~')))
}

/// RFC 3461 section 4.2 `addr-type ";" xtext`; RFC 6533 section 3 lets the type `utf-8` carry UTF-8 as it is.
fn is_orcpt(value: &str) -> bool {
    let Some((kind, address)) = value.split_once(';') else { return false };
    let is_atom = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'.' | b'/');
    let ascii: String =
        if kind.eq_ignore_ascii_case("utf-8") { address.chars().filter(char::is_ascii).collect() } else { address.to_owned() };
    value.chars().count() <= MAX_ORCPT && !kind.is_empty() && kind.bytes().all(is_atom) && !address.is_empty() && is_xtext(&ascii)
}

fn bdat(arguments: &str) -> Option<Command> {
    let mut words = arguments.split(' ').filter(|word| !word.is_empty());
    let size = words.next().and_then(size)?;
    let last = match words.next() {
        None => false,
        Some(word) if word.eq_ignore_ascii_case("LAST") => true,
        Some(_) => return None,
    };
    words.next().is_none().then_some(Command::Bdat { size, last })
}

fn auth(arguments: &str) -> Option<Command> {
    let mut words = arguments.split(' ').filter(|word| !word.is_empty());
    let mechanism = words.next()?.to_ascii_uppercase();
    let initial = words.next().map(str::to_owned);
    // RFC 4422 section 3.1: mechanism names.
    let named = mechanism.len() <= 20 && mechanism.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_'));
    (named && words.next().is_none()).then_some(Command::Auth { mechanism, initial })
}

#[cfg(test)]
mod tests;
