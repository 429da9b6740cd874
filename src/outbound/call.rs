//! `OutboundCall`: the name of a call to a source, and whether it may be repeated.

/// A call to a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutboundCall {
    name: &'static str,
    repeatable: Repeatable,
}

/// Whether a call may be sent twice. This decides which connection it uses, and what happens if the
/// connection breaks before the response is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeatable {
    /// A second call changes nothing. The call may use an idle connection, which the server may be closing
    /// at this moment. If the connection breaks, the call is repeated once on a new connection.
    Yes,
    /// The call redeems something that is valid once, such as a code or a refresh token; a source may take
    /// the second call for theft. Whether the source received the call before the connection broke is
    /// unknown, so the call is sent once, on a new connection, which no server closes as idle.
    No,
}

impl OutboundCall {
    /// A call that may be repeated. `name` appears in errors and logs.
    pub const fn repeatable(name: &'static str) -> Self {
        Self {
            name,
            repeatable: Repeatable::Yes,
        }
    }

    /// A call that must be sent once. `name` appears in errors and logs.
    pub const fn once(name: &'static str) -> Self {
        Self {
            name,
            repeatable: Repeatable::No,
        }
    }

    pub const fn name(self) -> &'static str {
        self.name
    }

    pub(super) const fn is_repeatable(self) -> bool {
        matches!(self.repeatable, Repeatable::Yes)
    }
}
