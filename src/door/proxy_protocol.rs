//! The PROXY header, version 1 or 2: the client address behind a trusted load balancer.
//!
//! <https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt>

use std::io;

use proxy_header::{ParseConfig, Protocol, ProxyHeader};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::request::head::Peer;

/// The shortest header, `PROXY UNKNOWN` with its line end.
const BYTES_MIN: usize = 15;
/// The longest header of version 1, by the specification.
const V1_BYTES_MAX: usize = 107;
/// The fixed part of version 2: signature, command, family, length.
const V2_FIXED_BYTES: usize = 16;
/// The longest header of version 2 that is accepted, with its extensions.
const V2_BYTES_MAX: usize = 4096;

/// Why a PROXY header was refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProxyError {
    #[error("read the PROXY header")]
    Read(#[source] io::Error),
    #[error("the PROXY header is longer than {V2_BYTES_MAX} bytes")]
    TooLong,
    #[error("the connection does not begin with a PROXY header")]
    Malformed(#[source] proxy_header::Error),
    #[error("the PROXY header is for another protocol than TCP")]
    NotTcp,
}

/// Reads the header and no byte after it. Returns the client that it names; `None` if the load balancer
/// connects for itself, as for a health check.
pub(super) async fn read<T: AsyncRead + Unpin>(stream: &mut T) -> Result<Option<Peer>, ProxyError> {
    let mut header = vec![0; BYTES_MIN];
    stream
        .read_exact(&mut header)
        .await
        .map_err(ProxyError::Read)?;
    if header[0] == b'P' {
        read_v1(stream, &mut header).await?;
    } else {
        read_v2(stream, &mut header).await?;
    }
    let config = ParseConfig {
        include_tlvs: false,
        ..ParseConfig::default()
    };
    let (parsed, _) = ProxyHeader::parse(&header, config).map_err(ProxyError::Malformed)?;
    match parsed.proxied_address() {
        None => Ok(None),
        Some(address) if address.protocol == Protocol::Stream => {
            Ok(Some(Peer::Ip(address.source.ip().to_canonical())))
        }
        Some(_) => Err(ProxyError::NotTcp),
    }
}

/// Reads byte by byte to the line end, because the bytes after it belong to the next protocol.
async fn read_v1<T: AsyncRead + Unpin>(
    stream: &mut T,
    header: &mut Vec<u8>,
) -> Result<(), ProxyError> {
    while !header.ends_with(b"\r\n") && header.len() < V1_BYTES_MAX {
        header.push(stream.read_u8().await.map_err(ProxyError::Read)?);
    }
    Ok(())
}

async fn read_v2<T: AsyncRead + Unpin>(
    stream: &mut T,
    header: &mut Vec<u8>,
) -> Result<(), ProxyError> {
    const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
    if !header.starts_with(SIGNATURE) {
        return Err(ProxyError::Malformed(proxy_header::Error::Invalid));
    }
    header.push(stream.read_u8().await.map_err(ProxyError::Read)?);
    let address_bytes = usize::from(u16::from_be_bytes([header[14], header[15]]));
    if V2_FIXED_BYTES + address_bytes > V2_BYTES_MAX {
        return Err(ProxyError::TooLong);
    }
    header.resize(V2_FIXED_BYTES + address_bytes, 0);
    stream
        .read_exact(&mut header[V2_FIXED_BYTES..])
        .await
        .map_err(ProxyError::Read)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use proxy_header::ProxiedAddress;

    use super::*;

    /// The client that the header names, and the bytes after the header.
    async fn client_and_rest(mut bytes: &[u8]) -> (Result<Option<Peer>, ProxyError>, &[u8]) {
        let client = read(&mut bytes).await;
        (client, bytes)
    }

    fn peer_ip(text: &str) -> Peer {
        Peer::Ip(text.parse().unwrap())
    }

    #[tokio::test]
    async fn both_versions_name_the_client_and_leave_the_rest() {
        let v1 = b"PROXY TCP4 203.0.113.9 10.0.0.1 52953 443\r\nGET / ";
        let (client, rest) = client_and_rest(v1).await;
        assert_eq!(
            (client.unwrap(), rest),
            (Some(peer_ip("203.0.113.9")), &b"GET / "[..])
        );

        let (from, to) = ("[2001:db8::9]:5", "[2001:db8::1]:443");
        let address = ProxiedAddress::stream(from.parse().unwrap(), to.parse().unwrap());
        let mut v2 = Vec::new();
        ProxyHeader::with_address(address)
            .encode_v2(&mut v2)
            .unwrap();
        v2.extend_from_slice(b"GET / ");
        let (client, rest) = client_and_rest(&v2).await;
        assert_eq!(
            (client.unwrap(), rest),
            (Some(peer_ip("2001:db8::9")), &b"GET / "[..])
        );
    }

    #[tokio::test]
    async fn a_health_check_of_the_balancer_names_no_client() {
        let (client, rest) = client_and_rest(b"PROXY UNKNOWN\r\nGET").await;
        assert_eq!((client.unwrap(), rest), (None, &b"GET"[..]));
        let mut v2 = Vec::new();
        ProxyHeader::with_local().encode_v2(&mut v2).unwrap();
        assert_eq!(client_and_rest(&v2).await.0.unwrap(), None);
    }

    #[tokio::test]
    async fn a_malformed_header_is_refused() {
        let long = format!("PROXY TCP4 {}", "1".repeat(200));
        let mut huge = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff".to_vec();
        huge.resize(70_000, 0);
        for bad in [
            &b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"[..],
            b"PROXY TCP4 a b 1 2\r\n",
            b"\r\n\r\n\0\r\nQUOT\n\x21\x11\0\0",
            b"PROXY",
            long.as_bytes(),
            &huge,
        ] {
            assert!(
                client_and_rest(bad).await.0.is_err(),
                "{:?}",
                String::from_utf8_lossy(bad)
            );
        }
    }
}
