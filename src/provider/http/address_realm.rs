//! Classification of IP addresses by IANA's special-purpose registries.
//! It separates the public internet from all other networks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Network that an address belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Realm {
    /// Public internet. Addresses for documentation count as public: no host has them, except in tests and examples.
    Public,
    /// Local machine: 127.0.0.0/8, `::1`, and the unspecified address, which connects to this machine as well.
    Loopback,
    /// Private network: RFC 1918, unique local and site-local addresses.
    Private,
    /// Shared network of a carrier behind its NAT, 100.64.0.0/10.
    Shared,
    /// Link-local network: 169.254.0.0/16 and `fe80::/10`.
    LinkLocal,
    /// Benchmark network 198.18.0.0/15, which is also used by local proxies that tunnel all traffic.
    Benchmark,
    /// Address of no single host: multicast, broadcast, reserved.
    Reserved,
}

impl Realm {
    /// Returns the bit of this realm in a set of realms.
    pub(super) const fn bit(self) -> u8 {
        1 << self as u8
    }

    /// Returns a description of the kind of address, for messages.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Public => "a public address",
            Self::Loopback => "an address of this machine",
            Self::Private => "an address of a private network",
            Self::Shared => "an address of a carrier's network",
            Self::LinkLocal => "a link-local address",
            Self::Benchmark => "an address for benchmarks",
            Self::Reserved => "an address of no host",
        }
    }
}

/// Returns true if cloud machines request their credentials at this address. Images are never there.
///
/// The list covers AWS and most others, AWS containers, Alibaba, Azure, and AWS and Google in IPv6.
pub(super) fn is_metadata(address: IpAddr) -> bool {
    const V4: [Ipv4Addr; 4] = [
        Ipv4Addr::new(169, 254, 169, 254),
        Ipv4Addr::new(169, 254, 170, 2),
        Ipv4Addr::new(100, 100, 100, 200),
        Ipv4Addr::new(168, 63, 129, 16),
    ];
    const V6: [Ipv6Addr; 2] =
        [Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)];
    match address {
        IpAddr::V4(address) => V4.contains(&address),
        IpAddr::V6(address) => V6.contains(&address) || embedded(address).is_some_and(|v4| V4.contains(&v4)),
    }
}

/// Classifies an address. An IPv6 address that embeds an IPv4 address has the realm of the latter.
pub(super) fn realm(address: IpAddr) -> Realm {
    match address {
        IpAddr::V4(address) => of_v4(address),
        IpAddr::V6(address) => of_v6(address),
    }
}

const fn of_v4(address: Ipv4Addr) -> Realm {
    match address.octets() {
        [127, ..] | [0, 0, 0, 0] => Realm::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Realm::Private,
        [100, 64..=127, ..] => Realm::Shared,
        [169, 254, ..] => Realm::LinkLocal,
        [198, 18..=19, ..] => Realm::Benchmark,
        // "This network", protocol assignments, the 6to4 relay; multicast, reserved, broadcast.
        [0 | 224..=255, ..] | [192, 0, 0, _] | [192, 88, 99, _] => Realm::Reserved,
        _ => Realm::Public,
    }
}

fn of_v6(address: Ipv6Addr) -> Realm {
    if address.is_unspecified() || address.is_loopback() {
        return Realm::Loopback;
    }
    if let Some(v4) = embedded(address) {
        return of_v4(v4);
    }
    match address.segments() {
        // Unique local, site-local, and NAT64 of a local network.
        [0xfc00..=0xfdff | 0xfec0..=0xfeff, ..] | [0x64, 0xff9b, 1, ..] => Realm::Private,
        [0xfe80..=0xfebf, ..] => Realm::LinkLocal,
        // Protocol assignments.
        [0x2001, 0..=0x1ff, ..] => Realm::Reserved,
        [0x2000..=0x3fff, ..] => Realm::Public,
        _ => Realm::Reserved,
    }
}

/// Returns the IPv4 address that an IPv6 address embeds, in any of the known formats.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match address.segments() {
        // IPv4-mapped, IPv4-translated and IPv4-compatible; NAT64.
        [0, 0, 0, 0, 0, 0xffff | 0, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(v4(high, low)),
        // 6to4.
        [0x2002, high, low, ..] => Some(v4(high, low)),
        // Teredo, which inverts all bits of the client's address.
        [0x2001, 0, _, _, _, _, high, low] => Some(v4(!high, !low)),
        // ISATAP.
        [_, _, _, _, 0 | 0x200, 0x5efe, high, low] => Some(v4(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_has_its_realm() {
        let table = [
            (
                Realm::Public,
                "1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.1 169.253.255.255 \
                 169.255.0.0 172.15.255.255 172.32.0.0 192.167.255.255 192.169.0.0 192.0.1.1 198.17.255.255 198.20.0.0 \
                 223.255.255.255 2606:4700::1111 2a00:1450::1 2001:4860:4860::8888 2001:200::1 3ffe::1 ::ffff:1.1.1.1 \
                 64:ff9b::8.8.8.8 2002:808:808::1 ::ffff:0:8.8.8.8 2a00::5efe:8.8.8.8 \
                 192.0.2.1 198.51.100.1 203.0.113.1 2001:db8::1 3fff::1",
            ),
            (
                Realm::Loopback,
                "127.0.0.1 127.255.255.254 127.1.2.3 0.0.0.0 :: ::1 ::ffff:127.0.0.1 ::127.0.0.1 64:ff9b::127.0.0.1 \
                 ::ffff:0:127.0.0.1 2002:7f00:1::1 ::ffff:0.0.0.0 2001:0:1::80ff:fffe 2a00::5efe:127.0.0.1",
            ),
            (
                Realm::Private,
                "10.0.0.0 10.255.255.255 172.16.0.0 172.31.255.255 192.168.0.0 192.168.255.255 fc00::1 fdff:ffff::1 fec0::1 \
                 ::ffff:10.0.0.1 ::10.1.2.3 64:ff9b::192.168.1.1 64:ff9b:1::1 2002:c0a8:101::1 2002:a00:1::",
            ),
            (Realm::Shared, "100.64.0.0 100.127.255.255 ::ffff:100.100.100.200"),
            (Realm::LinkLocal, "169.254.0.0 169.254.169.254 169.254.255.255 fe80::1 febf::1 ::ffff:169.254.169.254"),
            (Realm::Benchmark, "198.18.0.0 198.19.255.255 ::ffff:198.18.0.1"),
            (
                Realm::Reserved,
                "0.0.0.1 0.255.255.255 192.0.0.1 192.0.0.192 192.88.99.1 224.0.0.1 \
                 239.255.255.255 240.0.0.1 255.255.255.255 ff02::1 ff0e::1 100::1 4000::1 2001:2::1 5f00::1 \
                 ::ffff:255.255.255.255 64:ff9b::224.0.0.1 1::1 e000::1 fe00::1",
            ),
        ];
        for (expected, addresses) in table {
            for address in addresses.split_whitespace() {
                assert_eq!(realm(address.parse().expect("an address")), expected, "{address}");
            }
        }
    }

    #[test]
    fn each_realm_has_a_bit_of_its_own() {
        let all = [
            Realm::Public,
            Realm::Loopback,
            Realm::Private,
            Realm::Shared,
            Realm::LinkLocal,
            Realm::Benchmark,
            Realm::Reserved,
        ];
        assert_eq!(all.iter().fold(0, |set: u8, realm| set ^ realm.bit()), 0x7f);
    }

    #[test]
    fn metadata_services_are_known_in_every_spelling() {
        for address in
            ["169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "fd00:ec2::254", "fd20:ce::254"]
        {
            assert!(is_metadata(address.parse().unwrap()), "{address}");
        }
        for address in ["::ffff:169.254.169.254", "64:ff9b::168.63.129.16", "::100.100.100.200"] {
            assert!(is_metadata(address.parse().unwrap()), "{address}");
        }
        assert!(!is_metadata("169.254.169.253".parse().unwrap()) && !is_metadata("fd00:ec2::253".parse().unwrap()));
    }
}
