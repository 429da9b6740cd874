//! `People`: the account directory. `admit()`: Profile → Account.

pub mod cookie;
pub mod profile;
pub mod session;
