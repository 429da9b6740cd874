//! `ListedCertificate`: for whom and until when a certificate of the listeners is valid.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::sign::CertifiedKey;

use super::covers;
use crate::clock::Timestamp;
use crate::keys::certificate::{Validity, validity};
use crate::wording::Text;

/// A certificate of the listeners, and the file that it was read from.
#[derive(Clone)]
pub struct ListedCertificate {
    path: PathBuf,
    validity: Option<Validity>,
    pair: Arc<CertifiedKey>,
}

impl ListedCertificate {
    pub(super) fn new(path: &Path, pair: &Arc<CertifiedKey>) -> Self {
        Self {
            path: path.to_owned(),
            validity: pair.cert.first().and_then(|der| validity(der)),
            pair: Arc::clone(pair),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// When it expires; `None` if its dates cannot be read.
    pub fn expiry(&self) -> Option<Timestamp> {
        self.validity.map(|validity| validity.not_after)
    }

    /// Whether it is for this host.
    pub fn covers(&self, host: &str) -> bool {
        covers(&self.pair, host)
    }

    /// What is wrong with its dates now, or soon.
    pub fn problem(&self, now: Timestamp) -> Option<Text> {
        self.validity.and_then(|validity| validity.problem(now))
    }
}

impl fmt::Debug for ListedCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ListedCertificate({})", self.path.display())
    }
}
