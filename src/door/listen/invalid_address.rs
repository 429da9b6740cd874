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
        let (what, remedy) = (self.what(), self.remedy());
        text!("{what}: {remedy}", "{what:#}：{remedy:#}")
    }

    /// What is wrong, without what to write instead.
    pub fn what(&self) -> Text {
        match &self.0 {
            Mistake::NoPort(_) => Text::fixed("the port is missing", "缺少端口"),
            Mistake::NoAddress { .. } => {
                Text::fixed("the address before the port is missing", "端口之前缺少地址")
            }
            Mistake::PortTooLarge { written } => {
                text!("{written} is no port", "{written} 不是端口")
            }
            Mistake::Name { .. } => {
                Text::fixed("an address to listen on is no name", "监听地址不能写名字")
            }
            Mistake::Other { written } => {
                text!("`{written}` is not an address", "`{written}` 不是地址")
            }
        }
    }

    /// What to write for a listener that everybody may reach.
    fn remedy(&self) -> Text {
        match &self.0 {
            Mistake::NoAddress { port } => text!(
                "write \"0.0.0.0:{port}\" or \"[::]:{port}\"",
                "请写 \"0.0.0.0:{port}\" 或 \"[::]:{port}\""
            ),
            Mistake::Other { .. } => Text::fixed(
                "write \"0.0.0.0:443\", \"[::]:443\", \"unix:/run/menshen/http.sock\" or \"systemd\"",
                "请写 \"0.0.0.0:443\"、\"[::]:443\"、\"unix:/run/menshen/http.sock\" 或 \"systemd\"",
            ),
            _ => self.internal_remedy(EXAMPLE_PORT),
        }
    }

    /// What to write for a listener that only this machine should reach. `example_port`: the port of the example if
    /// the text has none.
    pub fn internal_remedy(&self, example_port: u16) -> Text {
        match &self.0 {
            Mistake::NoPort(address) => {
                let example = SocketAddr::new(*address, example_port);
                text!("write \"{example}\"", "请写 \"{example}\"")
            }
            Mistake::NoAddress { port } | Mistake::Name { port } => {
                text!("write \"127.0.0.1:{port}\"", "请写 \"127.0.0.1:{port}\"")
            }
            Mistake::PortTooLarge { .. } => text!("at most {}", "最大 {}", u16::MAX),
            Mistake::Other { .. } => text!(
                "an address and a port, such as \"127.0.0.1:{example_port}\", or \"unix:/path\"",
                "应为地址加端口，例如 \"127.0.0.1:{example_port}\"，或 \"unix:/路径\""
            ),
        }
    }
}

error_of_text!(InvalidAddress);
