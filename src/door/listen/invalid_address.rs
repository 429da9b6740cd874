//! `InvalidAddress`: why a text is not an address to listen on, with the address that was probably meant.

use std::net::{IpAddr, SocketAddr};

use crate::text;
use crate::wording::{Text, error_of_text};

/// The port of addresses in examples.
const EXAMPLE_PORT: u16 = 8080;
/// A number with more digits is no mistyped port.
const PORT_DIGITS_MAX: usize = 6;

/// A text that is not an address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidAddress(Mistake);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Mistake {
    /// An IP address alone.
    NoPort(IpAddr),
    /// A port alone, perhaps with `:` or `*:` before it.
    NoAddress {
        port: u16,
    },
    /// A number in the place of the port that is greater than all ports.
    PortTooLarge {
        written: String,
    },
    /// `localhost` and a port.
    Name {
        port: u16,
    },
    Other {
        written: String,
    },
}

impl InvalidAddress {
    pub(super) fn of(written: &str) -> Self {
        let (before, after) = written.rsplit_once(':').unwrap_or(("", written));
        let port = after.parse::<u16>();
        let without_brackets = written
            .strip_prefix('[')
            .and_then(|it| it.strip_suffix(']'));
        let is_number =
            after.len() <= PORT_DIGITS_MAX && after.bytes().all(|it| it.is_ascii_digit());
        Self(match (without_brackets.unwrap_or(written).parse(), port) {
            (Ok(address), _) => Mistake::NoPort(address),
            (Err(_), Ok(port)) if matches!(before, "" | "*") => Mistake::NoAddress { port },
            (Err(_), Ok(port)) if before == "localhost" => Mistake::Name { port },
            (Err(_), Err(_)) if is_number && !after.is_empty() => Mistake::PortTooLarge {
                written: after.to_owned(),
            },
            (Err(_), _) => Mistake::Other {
                written: written.to_owned(),
            },
        })
    }

    fn text(&self) -> Text {
        match &self.0 {
            Mistake::NoPort(address) => {
                let example = SocketAddr::new(*address, EXAMPLE_PORT);
                text!(
                    "the port is missing: write \"{example}\"",
                    "缺少端口：请写 \"{example}\""
                )
            }
            Mistake::NoAddress { port } => text!(
                "the address before the port is missing: write \"0.0.0.0:{port}\" or \"[::]:{port}\"",
                "端口之前缺少地址：请写 \"0.0.0.0:{port}\" 或 \"[::]:{port}\""
            ),
            Mistake::PortTooLarge { written } => text!(
                "{written} is no port: at most {}",
                "{written} 不是端口：最大 {}",
                u16::MAX
            ),
            Mistake::Name { port } => text!(
                "an address to listen on is no name: write \"127.0.0.1:{port}\"",
                "监听地址不能写名字：请写 \"127.0.0.1:{port}\""
            ),
            Mistake::Other { written } => text!(
                "`{written}` is not an address: write \"0.0.0.0:443\", \"[::]:443\", \
                 \"unix:/run/menshen/http.sock\" or \"systemd\"",
                "`{written}` 不是地址：请写 \"0.0.0.0:443\"、\"[::]:443\"、\"unix:/run/menshen/http.sock\" 或 \
                 \"systemd\""
            ),
        }
    }
}

error_of_text!(InvalidAddress);
