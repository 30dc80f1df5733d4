//! Which addresses others reach this server at. Where it listens is `listener`'s affair.

use std::net::{IpAddr, SocketAddr};

/// An address the server listens on: as it was set, and as the system gave it.
#[derive(Clone, Debug)]
pub struct Listening {
    /// What the settings say: `HOST:PORT`.
    pub set: String,
    /// What it became, with the real port.
    pub real: SocketAddr,
}

impl Listening {
    /// `HOST:PORT` for others: the host as it was set, or `own`, the machine's address, if it was
    /// set to all addresses. `None` if that is needed and there is none.
    pub fn for_others(&self, own: Option<IpAddr>) -> Option<String> {
        match self.host() {
            Some(host) => Some(format!("{host}:{}", self.real.port())),
            None => Some(SocketAddr::new(own?, self.real.port()).to_string()),
        }
    }

    /// What tells this server from the others of its machine.
    pub fn on_this_machine(&self) -> String {
        match self.host() {
            Some(host) => format!("{host}:{}", self.real.port()),
            None => self.real.port().to_string(),
        }
    }

    /// Whether nobody on another machine can connect.
    pub fn is_loopback(&self) -> bool {
        self.real.ip().is_loopback()
    }

    /// The host that was set; `None` for all addresses of the machine.
    fn host(&self) -> Option<&str> {
        let host = self.set.rsplit_once(':').map_or("", |(host, _)| host);
        (!host.is_empty() && !self.real.ip().is_unspecified()).then_some(host)
    }
}

/// The machine's own address as kratos picks it: that of the interface with the lowest index,
/// IPv4 before IPv6. `None` if it has no address that other machines could reach.
pub fn own() -> Option<IpAddr> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let up = interfaces.iter().filter(|interface| interface.is_oper_up());
    first(up.map(|interface| (interface.index.unwrap_or(u32::MAX), interface.ip())))
}

fn first(addresses: impl Iterator<Item = (u32, IpAddr)>) -> Option<IpAddr> {
    let reachable = addresses.filter(|(_, ip)| is_global_unicast(ip));
    reachable.min_by_key(|(index, ip)| (*index, ip.is_ipv6())).map(|(_, ip)| ip)
}

fn is_global_unicast(ip: &IpAddr) -> bool {
    let link_local = match ip {
        IpAddr::V4(ip) => ip.is_link_local() || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    !(link_local || ip.is_unspecified() || ip.is_loopback() || ip.is_multicast())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listening(set: &str, real: &str) -> Listening {
        Listening { set: set.to_owned(), real: real.parse().unwrap() }
    }

    #[test]
    fn a_host_that_was_set_is_told_as_it_is_with_the_real_port() {
        let own = Some("10.0.0.5".parse().unwrap());
        for (set, real, told) in [
            ("chat-1.example.org:0", "10.0.0.9:4321", "chat-1.example.org:4321"),
            ("127.0.0.1:9000", "127.0.0.1:9000", "127.0.0.1:9000"),
            ("[::1]:0", "[::1]:77", "[::1]:77"),
            ("0.0.0.0:9000", "0.0.0.0:9000", "10.0.0.5:9000"),
            (":9000", "[::]:9000", "10.0.0.5:9000"),
            ("[::]:9000", "[::]:9000", "10.0.0.5:9000"),
        ] {
            assert_eq!(listening(set, real).for_others(own).as_deref(), Some(told), "{set}");
        }
        let ipv6 = Some("fd00::2".parse().unwrap());
        assert_eq!(listening(":1", "[::]:1").for_others(ipv6).as_deref(), Some("[fd00::2]:1"));
        assert_eq!(listening(":1", "[::]:1").for_others(None), None);
        assert!(listening("a:1", "10.0.0.9:1").for_others(None).is_some());
    }

    #[test]
    fn the_machines_address_is_the_first_that_others_reach_ipv4_before_ipv6() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        for (addresses, picked) in [
            (&[(1, "127.0.0.1"), (1, "::1")][..], None),
            (&[(2, "169.254.1.1"), (2, "fe80::1")], None),
            (&[(3, "10.1.0.1"), (2, "192.168.0.2"), (1, "127.0.0.1")], Some("192.168.0.2")),
            (&[(2, "fd00::2"), (2, "192.0.2.2")], Some("192.0.2.2")),
            (&[(2, "fd00::2"), (3, "192.0.2.2")], Some("fd00::2")),
            (&[(2, "224.0.0.1"), (2, "255.255.255.255"), (2, "0.0.0.0")], None),
        ] {
            let addresses = addresses.iter().map(|(index, text)| (*index, ip(text)));
            assert_eq!(first(addresses), picked.map(ip));
        }
    }
}
