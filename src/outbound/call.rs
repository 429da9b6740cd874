//! `OutboundCall`: what a source is asked for, and whether it may be asked for that twice.

/// A call to a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutboundCall {
    name: &'static str,
    repeatable: Repeatable,
}

/// Whether a source may be asked the same twice. This decides on which connection a call is sent,
/// and what happens when the connection breaks before the answer is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeatable {
    /// The second time changes nothing. The call is sent on a connection that earlier calls left
    /// open; the source may be closing it at this moment. When the connection breaks, the call is
    /// sent once more on a new connection.
    Yes,
    /// The call spends something, such as a code or a refresh token: a source that receives it twice
    /// may take the second for theft. Nobody can tell whether the source read the call before the
    /// connection broke, so it is sent once, and on a new connection, which no source closes for
    /// having been idle.
    No,
}

impl OutboundCall {
    /// A question. `name` stands in errors and logs.
    pub const fn repeatable(name: &'static str) -> Self {
        Self {
            name,
            repeatable: Repeatable::Yes,
        }
    }

    /// A call that spends something. `name` stands in errors and logs.
    pub const fn once(name: &'static str) -> Self {
        Self {
            name,
            repeatable: Repeatable::No,
        }
    }

    /// What errors and logs name it.
    pub const fn name(self) -> &'static str {
        self.name
    }

    pub(super) const fn is_repeatable(self) -> bool {
        matches!(self.repeatable, Repeatable::Yes)
    }
}
