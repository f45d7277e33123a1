//! One value each: from what was written to what is meant, or what is wrong with it.
//!
//! Durations and sizes need a unit; only zero is the same in all of them.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use bytesize::ByteSize;
use ipnet::IpNet;

use super::raw::Scalar;
use crate::address::Domain;
use crate::locale::Origin;

/// What is wrong with a value: the end of a sentence that begins with it.
pub(super) type Fault = String;

pub(super) fn text(scalar: &Scalar) -> Result<String, Fault> {
    match scalar {
        Scalar::Text(text) if !text.trim().is_empty() && !text.chars().any(char::is_control) => Ok(text.trim().to_owned()),
        Scalar::Text(text) if text.trim().is_empty() => Err("is empty".to_owned()),
        _ => Err("is not a text".to_owned()),
    }
}

/// A word that may stand in a header field and that no mail program folds or recodes.
pub(super) fn word(text: &str) -> Result<(), Fault> {
    let sound = !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_graphic());
    if sound { Ok(()) } else { Err("is not a word of printable ASCII without spaces".to_owned()) }
}

pub(super) fn flag(scalar: &Scalar) -> Result<bool, Fault> {
    match scalar {
        Scalar::Boolean(truth) => Ok(*truth),
        _ => Err("is neither true nor false".to_owned()),
    }
}

pub(super) fn port(scalar: &Scalar) -> Result<u16, Fault> {
    match scalar {
        Scalar::Integer(number) => u16::try_from(*number).ok().filter(|port| *port > 0),
        _ => None,
    }
    .ok_or_else(|| "is not a port".to_owned())
}

pub(super) fn count(scalar: &Scalar, range: &RangeInclusive<usize>) -> Result<usize, Fault> {
    match scalar {
        Scalar::Integer(number) => usize::try_from(*number).ok().filter(|number| range.contains(number)),
        _ => None,
    }
    .ok_or_else(|| format!("is not a whole number from {} to {}", range.start(), range.end()))
}

pub(super) fn duration(scalar: &Scalar, range: &RangeInclusive<Duration>) -> Result<Duration, Fault> {
    let duration = match scalar {
        Scalar::Integer(0) => Duration::ZERO,
        Scalar::Integer(_) | Scalar::Float(_) => return Err("has no unit".to_owned()),
        Scalar::Text(text) if text.trim() == "0" => Duration::ZERO,
        Scalar::Text(text) if is_number(text) => return Err("has no unit".to_owned()),
        Scalar::Text(text) => humantime::parse_duration(text.trim()).map_err(|_| "is not a duration".to_owned())?,
        Scalar::Boolean(_) | Scalar::Other(_) => return Err("is not a duration".to_owned()),
    };
    if range.contains(&duration) {
        return Ok(duration);
    }
    Err(format!("is not between {} and {}", written(*range.start()), written(*range.end())))
}

/// As an operator would write it: `5 min`.
pub(super) fn written(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match duration.subsec_millis() {
        0 if seconds > 0 && seconds.is_multiple_of(86_400) => format!("{} d", seconds / 86_400),
        0 if seconds > 0 && seconds.is_multiple_of(3600) => format!("{} h", seconds / 3600),
        0 if seconds > 0 && seconds.is_multiple_of(60) => format!("{} min", seconds / 60),
        0 => format!("{seconds} s"),
        _ => format!("{} ms", duration.as_millis()),
    }
}

pub(super) fn size(scalar: &Scalar, range: &RangeInclusive<u64>) -> Result<usize, Fault> {
    let size = match scalar {
        Scalar::Integer(0) => 0,
        Scalar::Integer(_) | Scalar::Float(_) => return Err("has no unit".to_owned()),
        Scalar::Text(text) if is_number(text) => return Err("has no unit".to_owned()),
        Scalar::Text(text) => text.trim().parse::<ByteSize>().map_err(|_| "is not a size".to_owned())?.as_u64(),
        Scalar::Boolean(_) | Scalar::Other(_) => return Err("is not a size".to_owned()),
    };
    let fits = usize::try_from(size).ok().filter(|_| range.contains(&size));
    fits.ok_or_else(|| format!("is not between {} and {}", ByteSize(*range.start()), ByteSize(*range.end())))
}

pub(super) fn domain(scalar: &Scalar) -> Result<Domain, Fault> {
    let Scalar::Text(text) = scalar else { return Err("is not a domain name".to_owned()) };
    match Domain::parse(text) {
        Ok(domain) if !domain.as_str().starts_with('[') && domain.as_str().contains('.') => Ok(domain),
        _ => Err("is not a domain name".to_owned()),
    }
}

/// A host name, or an address.
pub(super) fn host(scalar: &Scalar) -> Result<String, Fault> {
    let Scalar::Text(text) = scalar else { return Err("is not a host name".to_owned()) };
    if text.parse::<IpAddr>().is_ok() {
        return Ok(text.clone());
    }
    match Domain::parse(text) {
        Ok(domain) if !domain.as_str().starts_with('[') => Ok(domain.as_str().to_owned()),
        _ => Err("is not a host name".to_owned()),
    }
}

/// A name in a certificate: exact, or `*.` and a suffix.
pub(super) fn certificate_name(scalar: &Scalar) -> Result<String, Fault> {
    let Scalar::Text(text) = scalar else { return Err("is not a certificate name".to_owned()) };
    let (wildcard, name) = text.strip_prefix("*.").map_or(("", text.as_str()), |name| ("*.", name));
    match Domain::parse(name) {
        Ok(domain) if !domain.as_str().starts_with('[') && (wildcard.is_empty() || domain.as_str().contains('.')) => {
            Ok(format!("{wildcard}{}", domain.as_str()))
        }
        _ => Err("is not a certificate name".to_owned()),
    }
}

pub(super) fn socket_address(scalar: &Scalar) -> Result<SocketAddr, Fault> {
    match scalar {
        Scalar::Text(text) => text.parse().ok(),
        _ => None,
    }
    .ok_or_else(|| "is not an address with a port".to_owned())
}

/// A DNS server: an address, with port 53 unless another is named.
pub(super) fn dns_server(scalar: &Scalar) -> Result<SocketAddr, Fault> {
    match scalar {
        Scalar::Text(text) => text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, 53))),
        _ => None,
    }
    .ok_or_else(|| "is not an address of a DNS server".to_owned())
}

/// A network; a single address is the smallest one.
pub(super) fn network(scalar: &Scalar) -> Result<IpNet, Fault> {
    let Scalar::Text(text) = scalar else { return Err("is not a network".to_owned()) };
    let network = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    let network = network.ok_or_else(|| "is not a network".to_owned())?;
    if network.addr() != network.network() {
        return Err(format!("has host bits set; the network is {}", network.trunc()));
    }
    Ok(network)
}

/// A header field name (RFC 5322 section 3.6.8) that an operator may make up: it begins with `X-`.
pub(super) fn header_name(scalar: &Scalar) -> Result<String, Fault> {
    match scalar {
        Scalar::Text(name) if is_extension_field(name) => Ok(name.clone()),
        _ => Err("is not the name of an extension header field".to_owned()),
    }
}

fn is_extension_field(name: &str) -> bool {
    /// Long enough for any name in use, short enough that a value still fits on its line.
    const LONGEST: usize = 64;
    let prefix = name.get(..2).is_some_and(|prefix| prefix.eq_ignore_ascii_case("x-"));
    prefix && (3..=LONGEST).contains(&name.len()) && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
}

/// A DKIM selector (RFC 6376 section 3.1): labels with dots between them.
pub(super) fn selector(scalar: &Scalar) -> Result<String, Fault> {
    match scalar {
        Scalar::Text(text) if is_selector(text) => Ok(text.to_ascii_lowercase()),
        _ => Err("is not a DKIM selector".to_owned()),
    }
}

fn is_selector(text: &str) -> bool {
    text.len() <= 63 && text.split('.').all(|label| !label.is_empty() && label.bytes().all(is_label_octet))
}

fn is_label_octet(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_'
}

/// 64 hexadecimal digits.
pub(super) fn sha256(scalar: &Scalar) -> Result<[u8; 32], Fault> {
    let fault = || "is not a SHA-256 of 64 hexadecimal digits".to_owned();
    let Scalar::Text(text) = scalar else { return Err(fault()) };
    if text.len() != 64 || !text.is_ascii() {
        return Err(fault());
    }
    let mut digest = [0; 32];
    for (octet, pair) in digest.iter_mut().zip(text.as_bytes().as_chunks::<2>().0) {
        let digits = std::str::from_utf8(pair).map_err(|_| fault())?;
        *octet = u8::from_str_radix(digits, 16).map_err(|_| fault())?;
    }
    Ok(digest)
}

/// A BCP 47 language tag, by its form.
pub(super) fn locale(scalar: &Scalar) -> Result<String, Fault> {
    match scalar {
        Scalar::Text(tag) if crate::locale::is_language_tag(tag) => Ok(tag.clone()),
        _ => Err("is not a language tag".to_owned()),
    }
}

/// Where a message's locale comes from.
pub(super) fn locale_origin(scalar: &Scalar) -> Result<Origin, Fault> {
    let Scalar::Text(text) = scalar else { return Err("is not \"message\" or \"person\"".to_owned()) };
    Origin::parse(text).ok_or_else(|| "is not \"message\" or \"person\"".to_owned())
}

fn is_number(text: &str) -> bool {
    !text.trim().is_empty() && text.trim().bytes().all(|octet| octet.is_ascii_digit() || octet == b'.' || octet == b'_')
}
