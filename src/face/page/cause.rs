//! `Cause`: why somebody stands at a dead end, in words for them and for programs.

use super::lang::Lang;
use super::texts;

/// LoginReason somebody stands at a dead end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// Nothing serves this address.
    NotFound,
    /// The request is malformed.
    BadRequest,
    /// What a proxy in front says of the request cannot be read.
    ProxyUnreadable,
    /// The address could be read as another one behind us.
    AmbiguousPath,
    /// The store does not answer, so nobody can be recognised.
    StoreAway,
    /// They are signed out in this process, and the store did not take it yet.
    SignOutUnstored,
    /// The application cannot be reached.
    UpstreamDown,
    /// The application's answer is no HTTP, or could be read in two ways.
    UpstreamUnreadable,
    /// The application does not answer in time.
    UpstreamSlow,
    /// As many requests as it may have are with the application already.
    UpstreamBusy,
    /// What was sent is larger than allowed.
    TooLarge,
    /// The same, noticed when the application had a part of it.
    TooLargeBegun,
    /// Too many logins from here, or in all.
    TooManyLogins,
    /// This browser has no memory of the login: cookies blocked, another browser or app.
    LoginMissing,
    /// The login began too long ago.
    LoginLate,
    /// The memory of the login was not made by this site.
    LoginForged,
    /// They said no at the source.
    LoginDeclined,
    /// The user name and the password do not belong together.
    WrongPassword,
    /// The source does not know them as a member.
    NotMember,
    /// Their membership is disabled, not activated or ended.
    Inactive,
    /// They are a member, but not where the application may be used.
    OutOfRange,
    /// What the source sent back makes no sense.
    BadAnswer,
    /// The source refused a code as spent, and a second one as well.
    StaleTwice,
    /// The source refuses this site: an administrator must act.
    SourceMisconfigured,
    /// The source is busy or limits this site.
    SourceBusy,
    /// The source cannot be reached.
    SourceUnreachable,
    /// Their login belongs to somebody else's account.
    LoginTaken,
    /// They are not in the directory, and this source only admits who is.
    UnknownPerson,
    /// Their account is closed.
    AccountClosed,
    /// Sessions were ended while they logged in.
    Revoked,
    /// The source sent nothing a login could be made of.
    NoLogin,
    /// The source did not confirm the proof that the place demands.
    ProofTooWeak,
    /// A ticket that is used, late or another browser's.
    TicketBad,
    /// A ticket that the person arrived with was used before, or does not count.
    EntryRefused,
    /// The question whether to switch accounts is expired or answered; another person is signed in.
    NotSwitched,
    /// Logins run on another host.
    NotHere,
    /// A frame wants a login; only a page of its own can have one.
    FrameLogin,
    /// A form was sent by somebody who is not signed in.
    FormLogin,
}

/// What a page offers as the way on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NextStep {
    /// The same once more.
    Retry,
    /// Logging in, from the beginning.
    SignIn,
    /// Logging in, where logins run.
    SignInOnLoginHost,
    /// Logging in, while this page stays.
    SignInInNewTab,
}

impl Cause {
    /// Every cause.
    pub const ALL: [Self; 38] = [
        Self::NotFound,
        Self::BadRequest,
        Self::ProxyUnreadable,
        Self::AmbiguousPath,
        Self::StoreAway,
        Self::SignOutUnstored,
        Self::UpstreamDown,
        Self::UpstreamUnreadable,
        Self::UpstreamSlow,
        Self::UpstreamBusy,
        Self::TooLarge,
        Self::TooLargeBegun,
        Self::TooManyLogins,
        Self::LoginMissing,
        Self::LoginLate,
        Self::LoginForged,
        Self::LoginDeclined,
        Self::WrongPassword,
        Self::NotMember,
        Self::Inactive,
        Self::OutOfRange,
        Self::BadAnswer,
        Self::StaleTwice,
        Self::SourceMisconfigured,
        Self::SourceBusy,
        Self::SourceUnreachable,
        Self::LoginTaken,
        Self::UnknownPerson,
        Self::AccountClosed,
        Self::Revoked,
        Self::NoLogin,
        Self::ProofTooWeak,
        Self::TicketBad,
        Self::EntryRefused,
        Self::NotSwitched,
        Self::NotHere,
        Self::FrameLogin,
        Self::FormLogin,
    ];

    /// Its name for logs and for the `type` of a JSON problem; never changes.
    pub fn slug(self) -> &'static str {
        match self {
            Self::NotFound => "not-found",
            Self::BadRequest => "bad-request",
            Self::ProxyUnreadable => "proxy-unreadable",
            Self::AmbiguousPath => "ambiguous-path",
            Self::StoreAway => "store-away",
            Self::SignOutUnstored => "sign-out-unstored",
            Self::UpstreamDown => "upstream-down",
            Self::UpstreamUnreadable => "upstream-unreadable",
            Self::UpstreamSlow => "upstream-slow",
            Self::UpstreamBusy => "upstream-busy",
            Self::TooLarge => "too-large",
            Self::TooLargeBegun => "too-large-begun",
            Self::TooManyLogins => "too-many-logins",
            Self::LoginMissing => "login-missing",
            Self::LoginLate => "login-late",
            Self::LoginForged => "login-forged",
            Self::LoginDeclined => "login-declined",
            Self::WrongPassword => "wrong-password",
            Self::NotMember => "not-member",
            Self::Inactive => "inactive",
            Self::OutOfRange => "out-of-range",
            Self::BadAnswer => "bad-answer",
            Self::StaleTwice => "stale-twice",
            Self::SourceMisconfigured => "source-misconfigured",
            Self::SourceBusy => "source-busy",
            Self::SourceUnreachable => "source-unreachable",
            Self::LoginTaken => "login-taken",
            Self::UnknownPerson => "unknown-person",
            Self::AccountClosed => "account-closed",
            Self::Revoked => "revoked",
            Self::NoLogin => "no-login",
            Self::ProofTooWeak => "proof-too-weak",
            Self::TicketBad => "ticket-bad",
            Self::EntryRefused => "entry-refused",
            Self::NotSwitched => "not-switched",
            Self::NotHere => "not-here",
            Self::FrameLogin => "frame-login",
            Self::FormLogin => "form-login",
        }
    }

    /// What it is, in a few words.
    pub fn title(self, lang: Lang) -> &'static str {
        texts::of(lang).causes.of(self).title
    }

    /// What happened, in a sentence or two.
    pub fn detail(self, lang: Lang) -> &'static str {
        texts::of(lang).causes.of(self).detail
    }

    pub(super) fn next_step(self) -> NextStep {
        match self {
            Self::NotFound
            | Self::BadRequest
            | Self::ProxyUnreadable
            | Self::AmbiguousPath
            | Self::StoreAway
            | Self::SignOutUnstored
            | Self::UpstreamDown
            | Self::UpstreamUnreadable
            | Self::UpstreamSlow
            | Self::UpstreamBusy
            | Self::TooLarge
            | Self::TooLargeBegun
            | Self::TooManyLogins
            | Self::SourceBusy
            | Self::SourceUnreachable => NextStep::Retry,
            Self::LoginMissing
            | Self::LoginLate
            | Self::LoginForged
            | Self::LoginDeclined
            | Self::WrongPassword
            | Self::NotMember
            | Self::Inactive
            | Self::OutOfRange
            | Self::BadAnswer
            | Self::StaleTwice
            | Self::SourceMisconfigured
            | Self::LoginTaken
            | Self::UnknownPerson
            | Self::AccountClosed
            | Self::Revoked
            | Self::NoLogin
            | Self::ProofTooWeak
            | Self::TicketBad
            | Self::EntryRefused
            | Self::NotSwitched => NextStep::SignIn,
            Self::NotHere => NextStep::SignInOnLoginHost,
            Self::FrameLogin | Self::FormLogin => NextStep::SignInInNewTab,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn all_lists_every_cause_once_and_slugs_are_unique() {
        let slugs: HashSet<_> = Cause::ALL.iter().map(|cause| cause.slug()).collect();
        assert_eq!(slugs.len(), Cause::ALL.len());
        assert_eq!(
            Cause::FormLogin as usize + 1,
            Cause::ALL.len(),
            "the last one is the last"
        );
    }
}
