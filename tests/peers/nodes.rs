//! Several menshen processes that share one PostgreSQL: what one of them revokes, all refuse; what fails
//! recovers.

mod cluster;
mod config;
mod faults;
mod leaving;
mod link;
mod load;
mod oracle;
mod revoking;
mod settings;
mod soak;
mod timing;
