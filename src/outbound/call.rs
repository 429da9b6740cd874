//! `OutboundCall`: the name of a call to a source, and whether the call may be repeated.

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
    /// The call is idempotent. It uses an idle connection of earlier calls, which the source may be
    /// closing at this moment. If the connection breaks, the call is repeated once on a new
    /// connection.
    Yes,
    /// The call uses up a one-time value, such as a code or a refresh token; a source may treat a
    /// second use as theft. After a broken connection it is unknown whether the source received the
    /// call. Therefore it is sent once, on a new connection, which no source closes as idle.
    No,
}

impl OutboundCall {
    /// An idempotent call. Errors and logs contain `name`.
    pub const fn repeatable(name: &'static str) -> Self {
        Self {
            name,
            repeatable: Repeatable::Yes,
        }
    }

    /// A call that uses up a one-time value. Errors and logs contain `name`.
    pub const fn once(name: &'static str) -> Self {
        Self {
            name,
            repeatable: Repeatable::No,
        }
    }

    /// The name in errors and logs.
    pub const fn name(self) -> &'static str {
        self.name
    }

    pub(super) const fn is_repeatable(self) -> bool {
        matches!(self.repeatable, Repeatable::Yes)
    }
}
