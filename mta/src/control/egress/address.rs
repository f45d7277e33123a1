//! Which addresses may be connected to. Pure.
//!
//! Everything that the special-purpose registries (RFC 6890 and its updates at IANA) do not call globally reachable is refused, and so is
//! every form in which an IPv6 address carries an IPv4 address, because what is at its end cannot be seen in it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// Whether that address may be connected to: it is public, or one of the operator's networks has it.
pub(super) fn allowed(address: IpAddr, private_networks: &[IpNet]) -> bool {
    is_public(address) || private_networks.iter().any(|network| network.contains(&address))
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = match (a, b, c) {
        // This network, private use, loopback, multicast and what is reserved.
        (0 | 10 | 127 | 224.., _, _) => true,
        // Shared address space of carriers (RFC 6598).
        (100, 64..=127, _) => true,
        // Link-local, where clouds keep their metadata services; private use.
        (169, 254, _) | (172, 16..=31, _) | (192, 168, _) => true,
        // IETF protocol assignments, documentation, the old 6to4 relay.
        (192, 0, 0 | 2) | (192, 88, 99) | (198, 51, 100) | (203, 0, 113) => true,
        // Benchmarks (RFC 2544).
        (198, 18 | 19, _) => true,
        _ => false,
    };
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    // Only 2000::/3 is global unicast: that leaves out the unspecified address, loopback, v4-mapped and v4-compatible addresses, NAT64
    // (64:ff9b::/96, 64:ff9b:1::/48), discard-only, unique local, link-local, site-local and multicast.
    let global = a & 0xe000 == 0x2000;
    let special = match (a, b) {
        // IETF protocol assignments with Teredo and ORCHID.
        (0x2001, 0..=0x01ff) => true,
        // Documentation.
        (0x2001, 0x0db8) | (0x3fff, 0..=0x0fff) => true,
        // 6to4 carries an IPv4 address.
        (0x2002, _) => true,
        _ => false,
    };
    global && !special
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn only_public_addresses_are_allowed() {
        for public in ["1.1.1.1", "20.190.128.1", "52.96.0.1", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1", "192.0.1.1"] {
            assert!(allowed(address(public), &[]), "{public}");
        }
        for public in ["2606:4700::1", "2a01:111::1", "2603:1006::1", "2001:200::1", "2001:4860::8888"] {
            assert!(allowed(address(public), &[]), "{public}");
        }
        for special in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:1.1.1.1",
            "::ffff:0:7f00:1",
            "64:ff9b::7f00:1",
            "64:ff9b::1.1.1.1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:10::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!allowed(address(special), &[]), "{special}");
        }
    }

    #[test]
    fn the_operators_networks_are_allowed_and_nothing_beside_them() {
        let networks: Vec<IpNet> = ["10.1.0.0/16", "::1/128"].map(|text| text.parse().expect("a network")).to_vec();
        for (text, expected) in
            [("10.1.2.3", true), ("10.2.0.1", false), ("::1", true), ("127.0.0.1", false), ("::ffff:10.1.2.3", false), ("1.1.1.1", true)]
        {
            assert_eq!(allowed(address(text), &networks), expected, "{text}");
        }
    }
}
