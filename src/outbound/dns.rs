//! Host names of providers and proxies, looked up as all others of this process are.

use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::resolver::Resolver;

/// Gives the process's resolver to the HTTP client, which would block a thread of the runtime's pool
/// for each call otherwise.
pub(super) struct DnsResolver(pub(super) Resolver);

impl Resolve for DnsResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.0.clone();
        Box::pin(async move {
            let found = resolver.resolve(name.as_str()).await?;
            // The client puts its own port in place of 0.
            let addresses: Vec<_> = found.iter().map(|ip| SocketAddr::new(*ip, 0)).collect();
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}
