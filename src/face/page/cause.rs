//! The causes of problem pages and problem documents.

use super::lang::Lang;
use super::texts;

/// The cause of a problem page or problem document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// No route serves this URL.
    NotFound,
    /// The request is malformed.
    BadRequest,
    /// A header of a trusted proxy cannot be read.
    ProxyUnreadable,
    /// The application might read the path as another path.
    AmbiguousPath,
    /// The store does not answer, so sessions cannot be looked up.
    StoreAway,
    /// The session ended in this process, but the store could not save it yet.
    SignOutUnstored,
    /// The application cannot be reached.
    UpstreamDown,
    /// The application's response is not valid HTTP, or is ambiguous.
    UpstreamUnreadable,
    /// The application does not respond in time.
    UpstreamSlow,
    /// The limit of concurrent requests to the application is reached.
    UpstreamBusy,
    /// The request body is larger than allowed.
    TooLarge,
    /// Like [`Self::TooLarge`], noticed after a part was forwarded.
    TooLargeBegun,
    /// Too many logins from this client, or in total.
    TooManyLogins,
    /// The browser sent no cookie of the login: cookies are blocked, or it is another browser or app.
    LoginMissing,
    /// The login began too long ago.
    LoginLate,
    /// The cookie of the login was not issued by this site.
    LoginForged,
    /// The person declined at the provider.
    LoginDeclined,
    /// The user name or the password is wrong.
    WrongPassword,
    /// The account is not a member of the organisation.
    NotMember,
    /// The membership is disabled, not activated or ended.
    Inactive,
    /// The member is outside the visibility range of the provider's application.
    OutOfRange,
    /// The provider's response is incomplete or contradictory.
    BadAnswer,
    /// The provider rejected two authorization codes in a row as used or expired.
    StaleTwice,
    /// The provider rejects this site's requests, so an administrator must act.
    SourceMisconfigured,
    /// The provider is busy or limits this site's requests.
    SourceBusy,
    /// The provider cannot be reached.
    SourceUnreachable,
    /// The login name belongs to another account.
    LoginTaken,
    /// The person has no account, and the connector does not create one.
    UnknownPerson,
    /// The account is closed.
    AccountClosed,
    /// The session was revoked during the login or the request.
    Revoked,
    /// The profile has no value for the login name.
    NoLogin,
    /// The provider did not confirm the authentication that the route demands.
    ProofTooWeak,
    /// The ticket is used, expired or of another browser.
    TicketBad,
    /// The login link from a portal is used, expired or not accepted.
    EntryRefused,
    /// The consent to switch accounts expired or was used; another person is signed in.
    NotSwitched,
    /// Logins only work on the login host.
    NotHere,
    /// A frame needs a login, which is only possible in a tab.
    FrameLogin,
    /// A form was sent without a valid session.
    FormLogin,
}

/// The main button of a problem page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NextStep {
    /// Repeats the request.
    Retry,
    /// Begins a new login.
    SignIn,
    SignInOnLoginHost,
    SignInInNewTab,
}

impl Cause {
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

    /// The stable name in logs and in the `type` of a problem document.
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

    /// A short title.
    pub fn title(self, lang: Lang) -> &'static str {
        texts::of(lang).causes.of(self).title
    }

    /// What happened, in one or two sentences.
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
            "ALL includes the last variant"
        );
    }
}
