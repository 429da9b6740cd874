//! `DnsResolver`: lets the HTTP client use the resolver of the process.

use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::Reach;
use crate::resolver::Resolver;

/// Replaces the HTTP client's own look-ups, each of which would block a thread of the runtime's pool.
pub(super) struct DnsResolver {
    pub(super) resolver: Resolver,
    pub(super) reach: Reach,
}

impl Resolve for DnsResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (resolver, reach) = (self.resolver.clone(), self.reach);
        Box::pin(async move {
            let ips = reach.of_addresses(&resolver.resolve(name.as_str()).await?)?;
            // The HTTP client replaces port 0.
            let addresses: Vec<_> = ips.iter().map(|ip| SocketAddr::new(*ip, 0)).collect();
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}
