//! `Outbound`: the road to a provider: bounded in time and size, with its own proxy and CA.
