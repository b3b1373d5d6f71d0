//! The head of a request for a session: proxies, origin and handshake.

use std::net::{IpAddr, Ipv4Addr};

use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use parlor_broker::{Config, Judgement, judge};

const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9));
const PROXY: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 1, 2, 3));

/// Judges a head, a header a line, from a stranger and from a proxy, with TLS and without.
pub fn head(data: &[u8]) {
    let config = Config {
        origins: vec!["https://game.example".to_owned()],
        trusted_proxies: vec!["10.0.0.0/8".parse().expect("a network")],
        ..Config::default()
    };
    let headers = headers(data);
    for secure in [false, true] {
        let judge =
            |peer, headers: &HeaderMap| judge(&config, peer, secure, headers).expect("the configuration is good");
        let stranger = judge(STRANGER, &headers);
        assert_eq!(stranger.client, STRANGER, "a stranger named an address");
        check(&stranger, &headers);
        assert_eq!(judge(STRANGER, &without_forwarded(&headers)), stranger, "a stranger is believed about others");
        let proxied = judge(PROXY, &headers);
        assert!(proxied.client == proxied.client.to_canonical());
        check(&proxied, &headers);
    }
}

fn check(judged: &Judgement, headers: &HeaderMap) {
    let (origins, hosts) = (headers.get_all(ORIGIN).iter().count(), headers.get_all(HOST).iter().count());
    match origins {
        0 => assert!(judged.allowed, "no browser"),
        1 => {
            let listed = || headers[ORIGIN].as_bytes().to_ascii_lowercase().starts_with(b"https://game.example");
            let forwarded = headers.contains_key("x-forwarded-host");
            assert!(!judged.allowed || hosts == 1 || forwarded || listed(), "allowed without a host");
        }
        _ => assert!(!judged.allowed, "two origins"),
    }
    if let Some(accept) = &judged.accept {
        assert_eq!(accept.len(), 28, "base64 of a SHA-1");
    }
}

fn without_forwarded(headers: &HeaderMap) -> HeaderMap {
    let kept = headers.iter().filter(|(name, _)| !name.as_str().starts_with("x-forwarded"));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// What hyper would make of the lines; those that it would refuse are left out.
fn headers(data: &[u8]) -> HeaderMap {
    let lines = data.split(|byte| *byte == b'\n').take(64);
    let pairs = lines.filter_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        Some((name, HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?))
    });
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(name, value);
    }
    headers
}
