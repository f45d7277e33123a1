//! The PROXY protocol header, version 2, that a load balancer puts in front of a connection.
//!
//! HAProxy's `proxy-protocol.txt` section 2.2 (binary format): PROXY and LOCAL, TCP over IPv4 and IPv6. Additional fields (TLVs) are skipped; a
//! CRC32c among them is not checked, because the header comes over a connection of our own network. Version 1 (text) is refused. Whether a
//! peer may send a header at all is the listener's business.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

/// The twelve octets that no other protocol begins with.
const PREFIX: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// The prefix, version and command, family, length.
const FIXED: usize = 16;
/// Octets of addresses and TLVs together. The longest addresses have 216; TLVs of TLS details and cloud balancers a few hundred.
pub const MAX_REST: usize = 2048;

/// Why octets are no acceptable header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// The text form.
    #[error("PROXY protocol version 1 is not supported; configure the proxy to send version 2")]
    VersionOne,
    /// Another beginning.
    #[error("connection does not begin with a PROXY protocol header; remove this network from the proxy networks if it is no proxy")]
    NoHeader,
    /// A version other than 2.
    #[error("PROXY protocol version {0} is not supported; configure the proxy to send version 2")]
    Version(u8),
    /// Neither LOCAL nor PROXY.
    #[error("PROXY protocol command {0} is unknown")]
    Command(u8),
    /// Neither TCP over IPv4 nor over IPv6.
    #[error("PROXY protocol family and transport {0:#04x} is not TCP")]
    Family(u8),
    /// Addresses cut short.
    #[error("PROXY protocol header announces {0} octets, too few for its addresses")]
    Short(usize),
    /// Over [`MAX_REST`].
    #[error("PROXY protocol header announces {0} octets, more than {MAX_REST}")]
    Long(usize),
}

/// What is known of the header so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// At least so many octets more are needed.
    NeedMore(usize),
    /// A proxied connection. The header has `length` octets.
    Header {
        /// Who connected to the proxy.
        source: SocketAddr,
        /// To which address.
        destination: SocketAddr,
        /// Octets of the header.
        length: usize,
    },
    /// The proxy speaks for itself (a health check) or knows no addresses: those of the socket hold. The header has `length` octets.
    Local {
        /// Octets of the header.
        length: usize,
    },
}

/// Reads the header at the start of a connection's octets; call again with more of them after [`Progress::NeedMore`].
pub fn parse(octets: &[u8]) -> Result<Progress, ProxyError> {
    let known = octets.len().min(PREFIX.len());
    if octets[..known] != PREFIX[..known] {
        return Err(if octets.starts_with(b"PROXY") { ProxyError::VersionOne } else { ProxyError::NoHeader });
    }
    let Some((fixed, rest)) = octets.split_at_checked(FIXED) else {
        return Ok(Progress::NeedMore(FIXED - octets.len()));
    };
    let (version, command, family) = (fixed[12] >> 4, fixed[12] & 0x0f, fixed[13]);
    let announced = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if version != 2 {
        return Err(ProxyError::Version(version));
    }
    if command > 1 {
        return Err(ProxyError::Command(command));
    }
    if announced > MAX_REST {
        return Err(ProxyError::Long(announced));
    }
    let Some(rest) = rest.get(..announced) else {
        return Ok(Progress::NeedMore(FIXED + announced - octets.len()));
    };
    let length = FIXED + announced;
    if command == 0 || family == 0 {
        return Ok(Progress::Local { length });
    }
    let (source, destination) = match family {
        0x11 => addresses_v4(rest),
        0x21 => addresses_v6(rest),
        other => return Err(ProxyError::Family(other)),
    }
    .ok_or(ProxyError::Short(announced))?;
    Ok(Progress::Header { source, destination, length })
}

fn addresses_v4(octets: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    let (source, rest) = octets.split_first_chunk::<4>()?;
    let (destination, rest) = rest.split_first_chunk::<4>()?;
    let (source_port, destination_port) = ports(rest)?;
    Some((SocketAddr::from((Ipv4Addr::from(*source), source_port)), SocketAddr::from((Ipv4Addr::from(*destination), destination_port))))
}

fn addresses_v6(octets: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    let (source, rest) = octets.split_first_chunk::<16>()?;
    let (destination, rest) = rest.split_first_chunk::<16>()?;
    let (source_port, destination_port) = ports(rest)?;
    Some((SocketAddr::from((Ipv6Addr::from(*source), source_port)), SocketAddr::from((Ipv6Addr::from(*destination), destination_port))))
}

fn ports(octets: &[u8]) -> Option<(u16, u16)> {
    let (source, rest) = octets.split_first_chunk::<2>()?;
    let destination = rest.first_chunk::<2>()?;
    Some((u16::from_be_bytes(*source), u16::from_be_bytes(*destination)))
}

#[cfg(test)]
mod tests;
