//! `EventReceiver`: reads the events that a source sends about its people and departments.

use std::error::Error;
use std::time::Duration;

use http::HeaderMap;
use serde_json::Value;

use crate::clock::Timestamp;
use crate::login::fields::Fields;
use crate::store::Subject;

/// Verifies and reads the requests of a source to `/events/{connector}`.
///
/// An event is a hint: menshen asks the source again before it acts.
pub trait EventReceiver: Send + Sync {
    /// The content of the response to the `GET` request by which the source verifies the URL. Without it,
    /// the source verifies the URL by a delivery.
    fn verify_url(&self, _query: &Fields, _now: Timestamp) -> Result<Vec<u8>, EventError> {
        Err(EventError::Malformed("the method"))
    }

    /// Verifies and reads one delivery.
    fn receive(&self, request: &DeliveryRequest<'_>) -> Result<EventDelivery, EventError>;
}

/// A `POST` request of a source to `/events/{connector}`.
#[derive(Clone, Copy, Debug)]
pub struct DeliveryRequest<'a> {
    pub query: &'a Fields,
    pub headers: &'a HeaderMap,
    pub body: &'a [u8],
    pub received_at: Timestamp,
}

/// What such a request contains.
#[derive(Clone, Debug, PartialEq)]
pub struct EventDelivery {
    /// The events that it reports.
    pub events: Vec<DirectoryEvent>,
    /// The JSON of the response, if the source expects one; absent: the response is empty.
    pub receipt: Option<Value>,
}

/// An event of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryEvent {
    /// The same for every delivery of the event.
    pub id: [u8; 32],
    /// What may have changed; absent: nothing that concerns sessions.
    pub change: Option<DirectoryChange>,
}

/// What may have changed at a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DirectoryChange {
    /// A person's fields, departments or membership.
    PersonUpdated(Subject),
    /// The source reports that it removed a person.
    PersonDeleted(Subject),
    /// The source gave a person a new subject.
    PersonRenamed { from: Subject, to: Subject },
    /// The source has a new person.
    PersonAdded(Subject),
    /// The name or the place of the department with this ID; absent: of any department.
    Department(Option<String>),
}

/// Why a request to `/events/{connector}` is refused. The sender gets no reason.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// A parameter or a part of the body is missing, repeated or malformed.
    #[error("the request is malformed: {0}")]
    Malformed(&'static str),
    /// The request does not come from the source.
    #[error("the request is not authentic")]
    NotAuthentic(#[source] Box<dyn Error + Send + Sync>),
    /// It was signed too long ago, or the clocks differ.
    #[error(
        "the request was signed at {signed_at}, which is too far from the time of this machine: check \
         its clock"
    )]
    NotCurrent { signed_at: Timestamp },
    /// An authentic message that cannot be read.
    #[error("the message cannot be read")]
    Unreadable(#[source] Box<dyn Error + Send + Sync>),
}

/// Refuses what was signed too long ago, or by a clock that differs too much.
pub(super) fn require_current(
    signed_at: Timestamp,
    now: Timestamp,
    tolerance: Duration,
) -> Result<(), EventError> {
    match now.since(signed_at).max(signed_at.since(now)) > tolerance {
        true => Err(EventError::NotCurrent { signed_at }),
        false => Ok(()),
    }
}
