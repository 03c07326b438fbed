//! Whether an address is one of the internet, by IANA's registries of special-purpose addresses (RFC 6890).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The blocks that no server of the internet is in, by their first address and the length of the prefix.
const NOT_GLOBAL: [(Ipv4Addr, u32); 15] = [
    // "This network", and `0.0.0.0`, by which many systems mean themselves (RFC 791 section 3.2).
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    // Behind a provider's own translation (RFC 6598).
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    // Link-local: where clouds keep the credentials of their machines.
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    // Multicast.
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    // Kept for later, and the broadcast address.
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

pub(super) fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_global_v4(address),
        IpAddr::V6(address) => is_global_v6(address),
    }
}

fn is_global_v4(address: Ipv4Addr) -> bool {
    let is_within = |(block, length): &(Ipv4Addr, u32)| {
        let mask = u32::MAX << (32 - length);
        address.to_bits() & mask == block.to_bits()
    };
    !NOT_GLOBAL.iter().any(is_within)
}

/// Global unicast is `2000::/3` (RFC 4291 section 2.4), but for the blocks in it that are for something else.
/// What stands for an address of the older kind is as good as that one.
fn is_global_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        // Mapped (RFC 4291 section 2.5.5.2), and translated by NAT64 (RFC 6052 section 2.1).
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            is_global_v4(v4(high, low))
        }
        // 6to4 (RFC 3056 section 2).
        [0x2002, high, low, ..] => is_global_v4(v4(high, low)),
        // Protocols, Teredo and benchmarks among them (RFC 2928); documentation (RFC 3849, RFC 9637).
        [0x2001, second, ..] if second < 0x200 || second == 0xdb8 => false,
        [0x3fff, second, ..] if second < 0x1000 => false,
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

fn v4(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::is_global;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_blocks_of_the_registries_are_not_global_from_their_first_address_to_their_last() {
        // I5
        for (before, first, last, after) in [
            ("", "0.0.0.0", "0.255.255.255", "1.0.0.0"),
            ("9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0"),
            (
                "100.63.255.255",
                "100.64.0.0",
                "100.127.255.255",
                "100.128.0.0",
            ),
            (
                "126.255.255.255",
                "127.0.0.0",
                "127.255.255.255",
                "128.0.0.0",
            ),
            (
                "169.253.255.255",
                "169.254.0.0",
                "169.254.255.255",
                "169.255.0.0",
            ),
            (
                "172.15.255.255",
                "172.16.0.0",
                "172.31.255.255",
                "172.32.0.0",
            ),
            ("191.255.255.255", "192.0.0.0", "192.0.0.255", "192.0.1.0"),
            ("192.0.1.255", "192.0.2.0", "192.0.2.255", "192.0.3.0"),
            (
                "192.88.98.255",
                "192.88.99.0",
                "192.88.99.255",
                "192.88.100.0",
            ),
            (
                "192.167.255.255",
                "192.168.0.0",
                "192.168.255.255",
                "192.169.0.0",
            ),
            (
                "198.17.255.255",
                "198.18.0.0",
                "198.19.255.255",
                "198.20.0.0",
            ),
            (
                "198.51.99.255",
                "198.51.100.0",
                "198.51.100.255",
                "198.51.101.0",
            ),
            (
                "203.0.112.255",
                "203.0.113.0",
                "203.0.113.255",
                "203.0.114.0",
            ),
            ("223.255.255.255", "224.0.0.0", "255.255.255.255", ""),
            ("", "::", "::1", ""),
            ("", "fc00::", "fdff:ffff::", ""),
            ("", "fe80::", "febf:ffff::", ""),
            ("", "ff00::", "ffff:ffff::", ""),
            ("", "64:ff9b:1::", "64:ff9b:1:ffff::", ""),
            ("", "::7f00:1", "::a00:1", ""),
            ("2000:ffff::", "2001::", "2001:1ff:ffff::", "2001:200::"),
            (
                "2001:db7:ffff::",
                "2001:db8::",
                "2001:db8:ffff::",
                "2001:db9::",
            ),
            ("3ffe:ffff::", "3fff::", "3fff:fff:ffff::", "3fff:1000::"),
            ("", "4000::", "5f00::", ""),
        ] {
            for inside in [first, last] {
                assert!(!is_global(address(inside)), "{inside}");
            }
            for outside in [before, after] {
                assert!(
                    outside.is_empty() || is_global(address(outside)),
                    "{outside}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn an_address_in_another_form_is_as_global_as_it_is_itself(bits in any::<u32>()) {
            // I5
            let plain = std::net::Ipv4Addr::from_bits(bits);
            let [a, b, c, d] = plain.octets();
            let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            for form in [
                format!("::ffff:{plain}"),
                format!("64:ff9b::{plain}"),
                format!("2002:{high:x}:{low:x}::1"),
            ] {
                prop_assert_eq!(is_global(address(&form)), is_global(IpAddr::V4(plain)), "{}", form);
            }
        }
    }
}
