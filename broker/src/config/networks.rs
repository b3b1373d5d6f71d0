//! Networks as they stand in the file: `10.0.0.0/8`, or an address for itself alone.

use std::fmt::{self, Formatter};
use std::net::IpAddr;

use ipnet::IpNet;
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One of them. It is parsed while its place in the file is known, so that an error tells the line.
struct Network(IpNet);

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Parse).map(Self)
    }
}

struct Parse;

impl Visitor<'_> for Parse {
    type Value = IpNet;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("an address or a network such as 10.0.0.0/8")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<IpNet, E> {
        let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        network.map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
    }
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    let networks = Vec::<Network>::deserialize(deserializer)?;
    Ok(networks.into_iter().map(|Network(network)| network).collect())
}

pub(super) fn serialize<S: Serializer>(networks: &[IpNet], serializer: S) -> Result<S::Ok, S::Error> {
    networks.iter().map(IpNet::to_string).collect::<Vec<_>>().serialize(serializer)
}
