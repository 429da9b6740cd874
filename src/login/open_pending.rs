//! Opens the pending logins that a browser keeps sealed.

use super::Login;
use super::link::{LinkRequest, ProvenIdentity};
use super::pending::{FlowId, PasswordChange, Pending, PendingError};
use super::return_to::ReturnTo;
use crate::store::ConnectorId;

impl Login {
    /// Opens the sealed pending login of a callback, before its code is redeemed.
    ///
    /// `among` are the connectors that share the callback URL; the login must belong to one of them.
    pub fn open_pending<'a>(
        &self,
        among: impl IntoIterator<Item = &'a ConnectorId>,
        flow: &FlowId,
        sealed: Option<&str>,
    ) -> Result<Pending, PendingError> {
        let sealed = sealed.ok_or(PendingError::Missing)?;
        let now = self.clock.now();
        for id in among {
            match Pending::open(&self.ring, flow, id, sealed, now) {
                // Only the browser that began the login learns that the connector is gone.
                Ok(_) if self.entry(id).is_none() => return Err(PendingError::ConnectorGone),
                // Sealed for another connector.
                Err(PendingError::Forged) => {}
                // The source has responded, and no second response finishes the login.
                Ok(pending) if pending.awaits_confirmation() => return Err(PendingError::Forged),
                opened => return opened,
            }
        }
        Err(PendingError::Forged)
    }

    /// Where a login of this browser would have ended, even if it has expired.
    pub fn return_to_of(
        &self,
        via: &ConnectorId,
        flow: &FlowId,
        sealed: Option<&str>,
    ) -> Option<ReturnTo> {
        let pending = Pending::unseal(&self.ring, flow, via, sealed?);
        pending.ok().map(|pending| pending.return_to)
    }

    /// Opens a pending login whose identity was confirmed and waits for the consent of the person.
    pub fn open_link(
        &self,
        via: &ConnectorId,
        flow: &FlowId,
        sealed: Option<&str>,
    ) -> Result<(Pending, LinkRequest, ProvenIdentity), PendingError> {
        let sealed = sealed.ok_or(PendingError::Missing)?;
        let pending = Pending::open(&self.ring, flow, via, sealed, self.clock.now())?;
        let link = pending.link.as_deref().cloned();
        match link.and_then(|link| Some((link.identity.clone()?, link))) {
            Some((identity, link)) => Ok((pending, link, identity)),
            None => Err(PendingError::Forged),
        }
    }

    /// Opens a pending change of a password.
    pub fn open_password_change(
        &self,
        via: &ConnectorId,
        flow: &FlowId,
        sealed: Option<&str>,
    ) -> Result<(Pending, PasswordChange), PendingError> {
        let sealed = sealed.ok_or(PendingError::Missing)?;
        let pending = Pending::open(&self.ring, flow, via, sealed, self.clock.now())?;
        match pending.password_change.as_deref().cloned() {
            Some(change) => Ok((pending, change)),
            None => Err(PendingError::Forged),
        }
    }
}
