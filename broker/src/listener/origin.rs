//! Whether a page may connect. Browsers let any page open a WebSocket anywhere, and say in `Origin` where the page is from: without this
//! check a stranger's page could play with the rights of whoever visits it. Programs other than browsers send no `Origin`.

use std::net::Ipv6Addr;

use axum::http::header::{HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri};

const FORWARDED_HOST: &str = "x-forwarded-host";
const FORWARDED_PROTO: &str = "x-forwarded-proto";

/// Pages that may connect beside the server's own.
#[derive(Debug, Default)]
pub(crate) struct Origins {
    all: bool,
    listed: Vec<Origin>,
}

/// What the connection itself says about the request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    /// It came over TLS.
    pub(crate) secure: bool,
    /// It came from a proxy whose word counts.
    pub(crate) proxied: bool,
}

#[derive(Debug, PartialEq)]
struct Origin {
    scheme: String,
    site: Site,
}

/// Host and port; no port where the scheme has none by default.
#[derive(Debug, PartialEq)]
struct Site {
    host: String,
    port: Option<u16>,
}

impl Origins {
    /// Reads the configured list; gives back the first entry that is no origin.
    pub(crate) fn new(list: &[String]) -> Result<Self, String> {
        let mut origins = Self::default();
        for entry in list {
            match entry.as_str() {
                "*" => origins.all = true,
                text => origins.listed.push(Origin::parse(text).ok_or_else(|| entry.clone())?),
            }
        }
        Ok(origins)
    }

    /// Whether a request with these headers may open a WebSocket.
    pub(crate) fn allow(&self, headers: &HeaderMap, way: Way) -> bool {
        let mut sent = headers.get_all(ORIGIN).iter();
        let Some(origin) = sent.next() else { return true };
        if sent.next().is_some() {
            return false;
        }
        if self.all {
            return true;
        }
        // Pages without an origin of their own (sandboxed frames, some local files) say `null`, which is none.
        let origin = origin.to_str().ok().and_then(Origin::parse);
        origin.is_some_and(|origin| self.listed.contains(&origin) || own(&origin, headers, way))
    }
}

/// Whether a page is from the very server that it wants to connect to.
fn own(origin: &Origin, headers: &HeaderMap, way: Way) -> bool {
    if default_port(&origin.scheme).is_none() {
        return false;
    }
    // A proxy may change `Host`, and takes TLS upon itself.
    let host = if way.proxied { last(headers, FORWARDED_HOST) } else { None };
    let Some(host) = host.or_else(|| only(headers)) else { return false };
    let scheme = if way.proxied { last(headers, FORWARDED_PROTO) } else { None };
    let scheme_fits = match scheme {
        Some(scheme) => scheme.eq_ignore_ascii_case(&origin.scheme),
        // Without TLS here there may be a proxy with it that nobody told us of.
        None => !way.secure || origin.scheme == "https",
    };
    scheme_fits && Site::parse(host, &origin.scheme).is_some_and(|site| site == origin.site)
}

/// The `Host` header, if there is exactly one.
fn only(headers: &HeaderMap) -> Option<&str> {
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next()?.to_str().ok()?;
    hosts.next().is_none().then_some(host)
}

/// What the nearest proxy has added to a list.
fn last<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get_all(name).iter().next_back()?.to_str().ok()?.rsplit(',').next().map(str::trim)
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

impl Origin {
    fn parse(text: &str) -> Option<Self> {
        let uri: Uri = text.parse().ok()?;
        let scheme = uri.scheme_str()?.to_ascii_lowercase();
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return None;
        }
        let site = Site::of(uri.authority()?, &scheme)?;
        Some(Self { scheme, site })
    }
}

impl Site {
    fn parse(text: &str, scheme: &str) -> Option<Self> {
        Self::of(&text.parse().ok()?, scheme)
    }

    fn of(authority: &Authority, scheme: &str) -> Option<Self> {
        let name = authority.host();
        // No user, and a port that is a number.
        let port = match authority.as_str().strip_prefix(name)? {
            "" => default_port(scheme),
            port => Some(port.strip_prefix(':')?.parse().ok()?),
        };
        let host = match name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
            // An address has many forms, and one that is the shortest.
            Some(address) => format!("[{}]", address.parse::<Ipv6Addr>().ok()?),
            None => name.to_ascii_lowercase(),
        };
        Some(Self { host, port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};

    const PLAIN: Way = Way { secure: false, proxied: false };
    const SECURE: Way = Way { secure: true, proxied: false };
    const PROXIED: Way = Way { secure: false, proxied: true };

    fn allowed(list: &[&str], way: Way, lines: &[(&'static str, &str)]) -> bool {
        let list: Vec<_> = list.iter().map(ToString::to_string).collect();
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            headers.append(HeaderName::from_static(name), value);
        }
        Origins::new(&list).unwrap().allow(&headers, way)
    }

    #[test]
    fn a_page_may_connect_to_its_own_server() {
        for (origin, host, plain, secure) in [
            ("http://game.example", "game.example", true, false),
            ("http://game.example", "game.example:80", true, false),
            ("http://GAME.example:80", "game.Example", true, false),
            ("https://game.example", "game.example", true, true),
            ("https://game.example:443", "game.example", true, true),
            ("https://game.example", "game.example:443", true, true),
            ("http://game.example:7373", "game.example:7373", true, false),
            ("https://game.example:7373", "game.example:7373", true, true),
            ("http://127.0.0.1:7373", "127.0.0.1:7373", true, false),
            ("http://[::1]:7373", "[::1]:7373", true, false),
            ("http://[::1]:7373", "[0:0:0:0:0:0:0:1]:7373", true, false),
            ("https://[2001:DB8::1]", "[2001:db8::1]", true, true),
            // Not its own: another port, host, scheme, or not to be read.
            ("http://game.example", "game.example:443", false, false),
            ("http://game.example:7373", "game.example", false, false),
            ("http://game.example:7373", "game.example:7374", false, false),
            ("http://evil.example", "game.example", false, false),
            ("http://game.example.evil.example", "game.example", false, false),
            ("http://evilgame.example", "game.example", false, false),
            ("http://[::1]", "[::2]", false, false),
            ("http://localhost:7373", "127.0.0.1:7373", false, false),
            ("http://user@game.example", "game.example", false, false),
            ("http://game.example", "user@game.example", false, false),
            ("http://game.example/", "game.example", true, false),
            ("http://game.example/page", "game.example", false, false),
            ("http://game.example?a", "game.example", false, false),
            ("http://game.example:99999", "game.example:99999", false, false),
            ("http://game.example:", "game.example", false, false),
            ("game.example", "game.example", false, false),
            ("//game.example", "game.example", false, false),
            ("ftp://game.example", "game.example", false, false),
            ("file://", "game.example", false, false),
            ("null", "null", false, false),
            ("", "game.example", false, false),
            ("http://g\u{e4}me.example", "game.example", false, false),
            ("http://game.example, http://game.example", "game.example", false, false),
        ] {
            let lines = [("origin", origin), ("host", host)];
            assert_eq!(allowed(&[], PLAIN, &lines), plain, "{origin} at {host}");
            assert_eq!(allowed(&[], SECURE, &lines), secure, "{origin} at {host} with TLS");
            // What a stranger says is forwarded changes nothing.
            let lines = [("origin", origin), ("host", host), ("x-forwarded-host", "evil.example")];
            assert_eq!(allowed(&[], PLAIN, &lines), plain, "{origin} at {host}, forwarded");
        }
    }

    #[test]
    fn other_pages_may_connect_when_they_are_listed() {
        let list = ["https://Game.example", "http://localhost:5173/", "capacitor://localhost"];
        for (origin, allow) in [
            ("https://game.example", true),
            ("https://game.example:443", true),
            ("http://game.example", false),
            ("https://game.example:8443", false),
            ("https://www.game.example", false),
            ("http://localhost:5173", true),
            ("http://localhost", false),
            ("capacitor://localhost", true),
            ("null", false),
        ] {
            assert_eq!(allowed(&list, PLAIN, &[("origin", origin), ("host", "ws.example")]), allow, "{origin}");
        }
        for origin in ["null", "file://", "http://evil.example", "nonsense"] {
            assert!(allowed(&["*"], PLAIN, &[("origin", origin), ("host", "ws.example")]), "{origin}");
        }
    }

    #[test]
    fn no_origin_is_no_page_and_two_are_a_trick() {
        assert!(allowed(&[], PLAIN, &[("host", "game.example")]));
        let twice = [("origin", "http://game.example"), ("origin", "http://game.example"), ("host", "game.example")];
        assert!(!allowed(&[], PLAIN, &twice));
        assert!(!allowed(&["*"], PLAIN, &twice));
        let hosts = [("origin", "http://game.example"), ("host", "game.example"), ("host", "evil.example")];
        assert!(!allowed(&[], PLAIN, &hosts));
        assert!(!allowed(&[], PLAIN, &[("origin", "http://game.example")]), "no host");
    }

    #[test]
    fn a_trusted_proxy_says_where_the_page_wanted_to_go() {
        let lines = |origin, proto| {
            let forwarded = [("x-forwarded-host", "evil.example, game.example"), ("x-forwarded-proto", proto)];
            [&[("origin", origin), ("host", "10.0.0.7:7373")], &forwarded[..]].concat()
        };
        assert!(allowed(&[], PROXIED, &lines("https://game.example", "https")));
        assert!(allowed(&[], PROXIED, &lines("https://game.example", "http, HTTPS")));
        assert!(!allowed(&[], PROXIED, &lines("http://game.example", "https")));
        assert!(!allowed(&[], PROXIED, &lines("https://evil.example", "https")));
        assert!(!allowed(&[], PROXIED, &lines("http://10.0.0.7:7373", "http")));
        assert!(!allowed(&[], PLAIN, &lines("https://game.example", "https")), "from a stranger");
        // One that keeps `Host` need not say more.
        assert!(allowed(&[], PROXIED, &[("origin", "https://game.example"), ("host", "game.example")]));
    }

    #[test]
    fn a_list_with_nonsense_is_refused() {
        for entry in ["null", "game.example", "https://", "https://game.example/play", "", "https://*.game.example:x"] {
            assert_eq!(Origins::new(&[entry.to_owned()]).err().as_deref(), Some(entry));
        }
    }
}
