//! `DnsResolver`: lets the HTTP client use the resolver of the process.

use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::resolver::Resolver;

/// Replaces the HTTP client's own look-ups, each of which would block a thread of the runtime's pool.
pub(super) struct DnsResolver(pub(super) Resolver);

impl Resolve for DnsResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.0.clone();
        Box::pin(async move {
            let ips = resolver.resolve(name.as_str()).await?;
            // The HTTP client replaces port 0.
            let addresses: Vec<_> = ips.iter().map(|ip| SocketAddr::new(*ip, 0)).collect();
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}
