//! A share of the senders, always the same ones.
//!
//! Who belongs to a share of P percent: take FNV-1a with 64 bits over the sender's address in lower case, one octet 0, and the rule's
//! name; mix the result with the finisher of MurmurHash3 (`fmix64`), because FNV alone spreads similar addresses badly; those whose
//! remainder by 100 is below P belong to it. This is a promise: every version finds the same people, a larger share contains a smaller
//! one, and two rules draw independently.

/// Whether the sender belongs to the share.
pub(crate) fn includes(percent: u8, address: &str, rule: &str) -> bool {
    number(address, rule) < u64::from(percent)
}

/// From 0 to 99.
fn number(address: &str, rule: &str) -> u64 {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let octets = address.bytes().chain([0]).chain(rule.bytes());
    mixed(octets.fold(BASIS, |hash, octet| (hash ^ u64::from(octet)).wrapping_mul(PRIME))) % 100
}

fn mixed(mut hash: u64) -> u64 {
    for factor in [0xff51_afd7_ed55_8ccd, 0xc4ce_b9fe_1a85_ec53] {
        hash ^= hash >> 33;
        hash = hash.wrapping_mul(factor);
    }
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_one_that_was_promised() {
        // FNV-1a of nothing but the separator, from the algorithm's definition.
        assert_eq!((0xcbf2_9ce4_8422_2325_u64).wrapping_mul(0x0000_0100_0000_01b3), 0xaf63_bd4c_8601_b7df);
        assert_eq!(mixed(0), 0);
        assert_eq!(mixed(1), 0xb456_bcfc_34c2_cb2c);
        let known = ["ada@northwind.example", "bob@northwind.example", "eve@northwind.example"];
        assert_eq!(known.map(|address| number(address, "Spring")), PROMISED);
    }

    /// Computed by another program.
    const PROMISED: [u64; 3] = [30, 30, 75];

    #[test]
    fn shares_are_as_large_as_they_say_and_contain_the_smaller_ones() {
        let people: Vec<String> = (0..20_000).map(|n| format!("person{n}@northwind.example")).collect();
        for percent in [1, 5, 20, 50, 80, 99] {
            let chosen = people.iter().filter(|person| includes(percent, person, "Spring")).count();
            let expected = people.len() * usize::from(percent) / 100;
            // Four standard deviations of a binomial distribution at its widest.
            assert!(chosen.abs_diff(expected) < 283, "{percent} %: {chosen} of {expected}");
            assert!(people.iter().all(|person| !includes(percent - 1, person, "Spring") || includes(percent, person, "Spring")));
        }
        assert!(people.iter().all(|person| !includes(0, person, "x") && includes(100, person, "x")));
    }

    #[test]
    fn two_rules_draw_independently() {
        let both = (0..20_000).map(|n| format!("person{n}@northwind.example"));
        let both = both.filter(|person| includes(50, person, "Spring") && includes(50, person, "Summer")).count();
        assert!(both.abs_diff(5_000) < 283, "{both}");
    }
}
