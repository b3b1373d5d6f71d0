//! Whose connection it is (the peer's, or the one that a trusted proxy names), and how many each address has.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::http::HeaderMap;
use ipnet::IpNet;
use parking_lot::Mutex;

/// What a proxy is asked for, beside the address.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// Peers whose word about others is believed.
#[derive(Debug)]
pub(crate) struct Proxies(Vec<IpNet>);

impl Proxies {
    pub(crate) fn new(trusted: &[IpNet]) -> Self {
        Self(trusted.to_vec())
    }

    pub(crate) fn trust(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|net| net.contains(&address))
    }

    /// The client behind this peer: the last address in `X-Forwarded-For` that is not itself a proxy's. Whatever stands before
    /// it, or before something that is no address, may be the client's own invention.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        for value in headers.get_all(FORWARDED_FOR).iter().rev() {
            // Bytes that are no text are no address either.
            for hop in value.to_str().unwrap_or("?").rsplit(',') {
                if !self.trust(client) {
                    return client;
                }
                let Some(named) = address(hop.trim()) else { return client };
                client = named;
            }
        }
        client
    }
}

/// An address, with a port or without.
fn address(text: &str) -> Option<IpAddr> {
    let bare = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let address = text.parse().ok().or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip())).or_else(bare);
    address.map(|address: IpAddr| address.to_canonical())
}

/// What counts as one address: a provider gives each of its customers an IPv6 network of 64 bits or more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Household {
    V4(Ipv4Addr),
    V6(u64),
}

impl From<IpAddr> for Household {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => Self::V6((address.to_bits() >> 64) as u64),
        }
    }
}

/// How many there are of each address, and may be.
#[derive(Clone, Debug)]
pub(crate) struct Crowd {
    most: usize,
    counts: Arc<Mutex<HashMap<Household, usize>>>,
}

/// One of a crowd; dropping it counts it out.
#[derive(Debug)]
pub(crate) struct Seat {
    crowd: Crowd,
    of: Household,
}

impl Crowd {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, counts: Arc::default() }
    }

    /// One more of this address, unless there are as many as there may be.
    pub(crate) fn enter(&self, address: IpAddr) -> Option<Seat> {
        let of = Household::from(address);
        let mut counts = self.counts.lock();
        let count = counts.get(&of).copied().unwrap_or_default();
        if count >= self.most {
            return None;
        }
        counts.insert(of, count + 1);
        drop(counts);
        Some(Seat { crowd: self.clone(), of })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut counts = self.crowd.counts.lock();
        match counts.get_mut(&self.of) {
            Some(count) if *count > 1 => *count -= 1,
            // The last one: what nobody has takes no memory.
            _ => drop(counts.remove(&self.of)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn client(peer: &str, forwarded: &[&[u8]]) -> String {
        let nets = ["10.0.0.0/8", "192.0.2.7/32", "fd00::/8"].map(|net| net.parse().unwrap());
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED_FOR, HeaderValue::from_bytes(value).unwrap());
        }
        Proxies::new(&nets).client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn only_proxies_are_believed_and_only_up_to_the_first_stranger() {
        // Nobody else can name an address.
        assert_eq!(client("203.0.113.1", &[b"198.51.100.9"]), "203.0.113.1");
        assert_eq!(client("10.1.2.3", &[]), "10.1.2.3");
        assert_eq!(client("10.1.2.3", &[b"198.51.100.9"]), "198.51.100.9");
        // What the client has written itself comes first.
        assert_eq!(client("10.1.2.3", &[b"1.1.1.1, 198.51.100.9"]), "198.51.100.9");
        assert_eq!(client("10.1.2.3", &[b"1.1.1.1,198.51.100.9 ,192.0.2.7, 10.9.9.9"]), "198.51.100.9");
        assert_eq!(client("10.1.2.3", &[b"1.1.1.1", b"198.51.100.9", b"192.0.2.7"]), "198.51.100.9");
        // All the way proxies: the first of them.
        assert_eq!(client("10.1.2.3", &[b"10.0.0.1, 10.0.0.2"]), "10.0.0.1");
    }

    #[test]
    fn what_is_no_address_ends_the_search() {
        for garbage in [&b""[..], b"unknown", b"\xff\xfe", b"_hidden", b"198.51.100.9:port", b"1.2.3", b"[::1", b"::1]"]
        {
            assert_eq!(client("10.1.2.3", &[garbage]), "10.1.2.3", "{garbage:?}");
            assert_eq!(client("10.1.2.3", &[b"198.51.100.9", garbage]), "10.1.2.3", "{garbage:?}");
            assert_eq!(client("10.1.2.3", &[garbage, b"198.51.100.9"]), "198.51.100.9", "{garbage:?}");
            assert_eq!(client("10.1.2.3", &[garbage, b"192.0.2.7"]), "192.0.2.7", "{garbage:?}");
        }
    }

    #[test]
    fn addresses_come_in_many_forms() {
        for (text, is) in [
            ("198.51.100.9:4711", "198.51.100.9"),
            ("2001:db8::9", "2001:db8::9"),
            ("[2001:db8::9]", "2001:db8::9"),
            ("[2001:db8::9]:4711", "2001:db8::9"),
            ("::ffff:198.51.100.9", "198.51.100.9"),
        ] {
            assert_eq!(client("10.1.2.3", &[text.as_bytes()]), is);
            assert_eq!(client("::ffff:10.1.2.3", &[text.as_bytes()]), is);
            assert_eq!(client("fd00::1", &[text.as_bytes()]), is);
        }
    }

    #[test]
    fn a_household_has_so_many_places_and_gets_them_back() {
        let crowd = Crowd::new(2);
        let enter = |address: &str| crowd.enter(address.parse().unwrap());
        let (first, second) = (enter("2001:db8::1"), enter("2001:db8::ffff:2"));
        assert!(first.is_some() && second.is_some());
        assert!(enter("2001:db8:0:0:9::").is_none(), "the same 64 bits");
        assert!(enter("2001:db8:0:1::1").is_some(), "another network");
        assert!(enter("198.51.100.9").is_some(), "another family");
        drop(first);
        assert!(enter("2001:db8::3").is_some());
        drop(second);
        assert!(crowd.counts.lock().is_empty(), "nothing is kept of those who are gone");
        let mapped = (enter("198.51.100.9"), enter("::ffff:198.51.100.9"));
        assert!(mapped.0.is_some() && mapped.1.is_some() && enter("198.51.100.9").is_none());
    }
}
