//! Which addresses may be reached. A provider's URL is data of a tenant: without this check it could point at the
//! machine's own network (server-side request forgery).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// What an address belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reach {
    /// The internet.
    Public,
    /// A private, loopback, link-local, shared, documentation, multicast or reserved range.
    Private,
    /// A cloud's metadata service, which hands out credentials to whoever asks: never reached.
    Metadata,
}

/// Which addresses a URL's host may resolve to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// Public ones.
    Public,
    /// Private ones too: the connection lists the host.
    Private,
}

impl Door {
    /// True when an address may be connected to.
    pub fn admits(self, address: IpAddr) -> bool {
        match reach(address) {
            Reach::Public => true,
            Reach::Private => self == Self::Private,
            Reach::Metadata => false,
        }
    }
}

/// Decides about a URL before anything is resolved; says why not otherwise.
///
/// # Errors
/// The reason, in words, when the URL must not be called.
pub fn door(url: &Url, private_hosts: &[String]) -> Result<Door, &'static str> {
    let door = match url.host_str() {
        Some(host) if is_listed(host, private_hosts) => Door::Private,
        Some(_) => Door::Public,
        None => return Err("the URL has no host"),
    };
    if url.scheme() != "https" && !(url.scheme() == "http" && door == Door::Private) {
        return Err("only https is called, but for hosts the connection allows");
    }
    // A resolver is never asked about addresses.
    let address = match url.host() {
        Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
        _ => None,
    };
    match address {
        Some(address) if !door.admits(address) => Err("the address is private"),
        _ => Ok(door),
    }
}

fn is_listed(host: &str, private_hosts: &[String]) -> bool {
    private_hosts.iter().any(|listed| bare(listed).eq_ignore_ascii_case(bare(host)))
}

fn bare(name: &str) -> &str {
    name.trim_matches(['[', ']']).trim_end_matches('.')
}

/// What an address belongs to, after the IANA special-purpose registries (RFC 6890) and the metadata services of the
/// large clouds. IPv4 addresses inside IPv6 ones count as what they lead to.
pub fn reach(address: IpAddr) -> Reach {
    match address {
        IpAddr::V4(address) => reach_v4(address),
        IpAddr::V6(address) => reach_v6(address),
    }
}

fn reach_v4(address: Ipv4Addr) -> Reach {
    let [a, b, c, d] = address.octets();
    match (a, b, c, d) {
        // Amazon, Azure, Google and others; Azure's wire server; Amazon's containers; Alibaba; Oracle.
        (169, 254, 169, 254) | (168, 63, 129, 16) | (169, 254, 170, 2) | (100, 100, 100, 200) | (192, 0, 0, 192) => {
            Reach::Metadata
        }
        (0 | 10 | 127, ..) => Reach::Private,
        (100, 64..=127, ..) => Reach::Private,
        (169, 254, ..) => Reach::Private,
        (172, 16..=31, ..) => Reach::Private,
        (192, 0, 0 | 2, _) => Reach::Private,
        (192, 88, 99, _) => Reach::Private,
        (192, 168, ..) => Reach::Private,
        (198, 18 | 19, ..) => Reach::Private,
        (198, 51, 100, _) | (203, 0, 113, _) => Reach::Private,
        (224.., ..) => Reach::Private,
        _ => Reach::Public,
    }
}

fn reach_v6(address: Ipv6Addr) -> Reach {
    let parts = address.segments();
    if let [0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254] | [0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254] = parts {
        return Reach::Metadata;
    }
    let tail = v4(parts[6], parts[7]);
    match parts {
        // Mapped, and through a translator (NAT64): what they lead to.
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x0064, 0xff9b, 0, 0, 0, 0, ..] => reach_v4(tail),
        // Compatible, translated and local NAT64 forms have no business here, whatever they lead to.
        [0, 0, 0, 0, 0, 0, ..] | [0, 0, 0, 0, 0xffff, 0, ..] | [0x0064, 0xff9b, 1, ..] => {
            reach_v4(tail).max(Reach::Private)
        }
        // 6to4 carries the address behind its prefix.
        [0x2002, high, low, ..] => reach_v4(v4(high, low)),
        // Teredo carries it inverted at its end.
        [0x2001, 0, ..] => reach_v4(v4(!parts[6], !parts[7])).max(Reach::Private),
        // Documentation, benchmarking, ORCHID.
        [0x2001, 0x0db8 | 2 | 0x10..=0x2f, ..] | [0x3fff, 0..=0x0fff, ..] => Reach::Private,
        [0x2000..=0x3fff, ..] => Reach::Public,
        _ => Reach::Private,
    }
}

fn v4(high: u16, low: u16) -> Ipv4Addr {
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    Ipv4Addr::new(a, b, c, d)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_range_is_known() {
        use Reach::{Metadata, Private, Public};
        #[rustfmt::skip]
        let table = [
            ("8.8.8.8", Public), ("20.190.160.1", Public), ("1.1.1.1", Public), ("223.255.255.255", Public),
            ("0.0.0.0", Private), ("0.1.2.3", Private), ("10.0.0.1", Private), ("10.255.255.255", Private),
            ("9.255.255.255", Public), ("11.0.0.0", Public), ("100.63.255.255", Public), ("100.64.0.0", Private),
            ("100.127.255.255", Private), ("100.128.0.0", Public), ("127.0.0.1", Private), ("127.255.255.254", Private),
            ("169.253.0.1", Public), ("169.254.0.1", Private), ("169.254.169.254", Metadata), ("168.63.129.16", Metadata),
            ("168.63.129.17", Public), ("169.254.170.2", Metadata), ("100.100.100.200", Metadata),
            ("172.15.255.255", Public), ("172.16.0.0", Private), ("172.31.255.255", Private), ("172.32.0.0", Public),
            ("192.0.0.1", Private), ("192.0.0.192", Metadata), ("192.0.2.1", Private), ("192.88.99.1", Private),
            ("192.167.255.255", Public), ("192.168.0.0", Private), ("192.168.255.255", Private), ("192.169.0.0", Public),
            ("198.17.255.255", Public), ("198.18.0.0", Private), ("198.19.255.255", Private), ("198.20.0.0", Public),
            ("198.51.100.7", Private), ("203.0.113.9", Private), ("224.0.0.1", Private), ("239.255.255.255", Private),
            ("240.0.0.1", Private), ("255.255.255.255", Private),
            ("::", Private), ("::1", Private), ("::7f00:1", Private), ("::808:808", Private), ("::a9fe:a9fe", Metadata),
            ("::ffff:8.8.8.8", Public), ("::ffff:127.0.0.1", Private), ("::ffff:10.1.2.3", Private),
            ("::ffff:169.254.169.254", Metadata), ("::ffff:0:127.0.0.1", Private), ("::ffff:0:8.8.8.8", Private),
            ("64:ff9b::8.8.8.8", Public), ("64:ff9b::10.0.0.1", Private), ("64:ff9b::169.254.169.254", Metadata),
            ("64:ff9b:1::1", Private), ("64:ff9b:1::a9fe:a9fe", Metadata),
            ("2002:0808:0808::1", Public), ("2002:7f00:1::1", Private), ("2002:a9fe:a9fe::1", Metadata),
            ("2001::1", Private), ("2001:0:4136:e378:8000:63bf:3fff:fdd2", Private), ("2001:0:1:1:1:1:5601:5601", Metadata),
            ("2001:db8::1", Private), ("2001:2::1", Private), ("2001:10::1", Private), ("2001:20::1", Private),
            ("2001:4860:4860::8888", Public), ("2603:1030::1", Public), ("3fff::1", Private), ("3fff:1000::1", Public),
            ("fc00::1", Private), ("fdff::1", Private), ("fd00:ec2::254", Metadata), ("fd20:ce::254", Metadata),
            ("fe80::1", Private), ("fec0::1", Private), ("ff02::1", Private), ("100::1", Private), ("4000::1", Private),
        ];
        for (text, expected) in table {
            assert_eq!(reach(text.parse().unwrap()), expected, "{text}");
        }
    }

    /// Every way to write an address that a URL knows ends at the same check.
    #[test]
    fn urls_are_read_before_they_are_judged() {
        for host in [
            "127.0.0.1",
            "127.1",
            "127.0.1",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "0177.0.0.1",
            "017700000001",
            "127.0.0.1.",
            "%31%32%37.0.0.1",
            "①②⑦.⓪.⓪.①",
            "127。0。0。1",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[0:0:0:0:0:0:0:1]",
            "0",
            "0.0.0.0",
            "10.1",
            "0xa9fea9fe",
            "2852039166",
            "0251.0376.0251.0376",
            "[::ffff:a9fe:a9fe]",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]",
            "192.168.1",
            "[fe80::1]",
            "[fd00:ec2::254]",
        ] {
            let url: Url = format!("https://{host}/").parse().unwrap();
            assert!(door(&url, &[]).is_err(), "{host}");
        }
    }

    #[test]
    fn listed_hosts_are_reached_but_never_metadata() {
        let listed = ["psa.contoso.local", "127.0.0.1", "[::1]", "169.254.169.254", "::ffff:169.254.169.254"];
        let listed: Vec<String> = listed.map(str::to_owned).into();
        for (url, expected) in [
            ("https://graph.microsoft.com/", Some(Door::Public)),
            ("http://graph.microsoft.com/", None),
            ("ftp://psa.contoso.local/", None),
            ("https://8.8.8.8/", Some(Door::Public)),
            ("http://psa.contoso.local/api", Some(Door::Private)),
            ("https://PSA.contoso.local.:8443/api", Some(Door::Private)),
            ("https://psa.contoso.local.evil.example/", Some(Door::Public)),
            ("http://127.0.0.1:8080/", Some(Door::Private)),
            ("http://2130706433:8080/", Some(Door::Private)),
            ("http://127.0.0.2:8080/", None),
            ("http://[::1]:8080/", Some(Door::Private)),
            ("http://169.254.169.254/latest", None),
            ("http://[::ffff:169.254.169.254]/latest", None),
        ] {
            assert_eq!(door(&url.parse().unwrap(), &listed).ok(), expected, "{url}");
        }
        assert!(!Door::Private.admits("169.254.169.254".parse().unwrap()), "nor by name");
    }

    proptest! {
        #[test]
        fn embedding_an_address_never_makes_it_more_reachable(bits: u32) {
            let plain = Ipv4Addr::from(bits);
            let [a, b, c, d] = plain.octets();
            let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            for embedded in [
                Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, high, low),
                Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, high, low),
                Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
                Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, !high, !low),
            ] {
                prop_assert!(reach(IpAddr::V6(embedded)) >= reach(IpAddr::V4(plain)));
            }
        }
    }
}
