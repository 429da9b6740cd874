//! `AddressNetwork`: a network in which each address is a client of its own.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::Deserialize;

use crate::setting::text_schema;
use crate::wording::error_of_text;

/// A network in which each address is a client of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct AddressNetwork(IpNet);

/// A text that is not a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidNetwork;

error_of_text!(InvalidNetwork: "a network is an address and how many of its bits count, such as fd00::/8, or one address", "应为地址加有效位数（例如 fd00::/8），或单个地址");

impl AddressNetwork {
    pub fn network(self) -> IpNet {
        self.0
    }
}

impl TryFrom<String> for AddressNetwork {
    type Error = InvalidNetwork;

    fn try_from(text: String) -> Result<Self, InvalidNetwork> {
        if let Ok(network) = text.parse::<IpNet>() {
            return Ok(Self(network.trunc()));
        }
        let address: IpAddr = text.parse().map_err(|_| InvalidNetwork)?;
        Ok(Self(IpNet::from(address.to_canonical())))
    }
}

text_schema!(AddressNetwork: "a network such as fd00::/8, or an address");
