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
    InvalidProxyHeader,
    /// The application could decode the path to another path.
    AmbiguousPath,
    /// The store does not answer, so sessions cannot be looked up.
    StoreUnavailable,
    /// The session ended in this process, but the store could not save it yet.
    SignOutUnstored,
    /// The application cannot be reached.
    UpstreamDown,
    /// The application's response is not valid HTTP, or is ambiguous.
    InvalidUpstreamResponse,
    /// The application does not respond in time.
    UpstreamTimeout,
    /// The limit of concurrent requests to the application is reached.
    UpstreamBusy,
    /// The request body is larger than allowed.
    TooLarge,
    /// Like [`Self::TooLarge`], noticed after a part was forwarded.
    TooLargePartlySent,
    /// Too many logins from this client, or in total.
    TooManyLogins,
    /// The person makes and ends access tokens too often.
    TooManyTokenChanges,
    /// Too many wrong passwords for this user name or from this client.
    TooManyWrongPasswords,
    /// The browser sent no flow cookie: cookies are blocked, or the login began in another browser or
    /// app.
    FlowCookieMissing,
    /// The login began too long ago.
    LoginExpired,
    /// The flow cookie was not sealed by this site for this login.
    FlowCookieForged,
    /// The person declined at the provider.
    LoginDeclined,
    /// The user name or the password is wrong.
    WrongPassword,
    /// The password has expired, or must be changed at the directory.
    PasswordExpired,
    /// The account is not a member of the organisation.
    NotMember,
    /// The membership is disabled, not activated or ended.
    InactiveMember,
    /// The provider does not show the member to this application.
    NotVisibleToApp,
    /// The provider's response is incomplete or contradictory.
    InvalidProviderResponse,
    /// The provider rejected two codes in a row as used or expired.
    CodeRejectedTwice,
    /// The provider rejects the settings of the connector, so an administrator must act.
    ProviderMisconfigured,
    /// The provider is busy or limits the rate of requests.
    ProviderBusy,
    /// The provider cannot be reached.
    ProviderUnreachable,
    /// The metadata of the provider could not be loaded.
    ProviderMetadataMissing,
    /// The provider sent a login that did not begin here.
    UnsolicitedLogin,
    /// The directory cannot check passwords now.
    PasswordUnchecked,
    /// The login name belongs to another account.
    LoginTaken,
    /// The person has no account, and the connector does not create one.
    UnknownPerson,
    /// The account is closed.
    AccountClosed,
    /// The session was revoked during the login or the request.
    Revoked,
    /// The profile has no value for the login name.
    NoLoginName,
    /// The provider did not confirm the authentication that the route demands.
    AuthTooWeak,
    /// The ticket was used, has expired or was made for another browser.
    InvalidTicket,
    /// The entry token from a portal was used, has expired or is not accepted.
    EntryTokenRefused,
    /// The consent to switch accounts expired or was used; another person is signed in.
    AccountNotSwitched,
    /// The identity that a person wanted to add belongs to another account.
    IdentityTaken,
    /// No identity was added: nobody is signed in, or another person.
    NotLinked,
    /// The person signed in too long ago to add an identity.
    SessionTooOld,
    /// Logins only work on the login host.
    NotOnLoginHost,
    /// A page in a frame needs a login, which is only possible in a tab.
    FrameNeedsLogin,
    /// A form was sent without a valid session.
    FormNeedsLogin,
}

/// The main button of a problem page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NextStep {
    Retry,
    /// Begins a new login.
    SignIn,
    SignInOnLoginHost,
    SignInInNewTab,
}

impl Cause {
    pub const ALL: [Self; 47] = [
        Self::NotFound,
        Self::BadRequest,
        Self::InvalidProxyHeader,
        Self::AmbiguousPath,
        Self::StoreUnavailable,
        Self::SignOutUnstored,
        Self::UpstreamDown,
        Self::InvalidUpstreamResponse,
        Self::UpstreamTimeout,
        Self::UpstreamBusy,
        Self::TooLarge,
        Self::TooLargePartlySent,
        Self::TooManyLogins,
        Self::TooManyTokenChanges,
        Self::TooManyWrongPasswords,
        Self::FlowCookieMissing,
        Self::LoginExpired,
        Self::FlowCookieForged,
        Self::LoginDeclined,
        Self::WrongPassword,
        Self::PasswordExpired,
        Self::NotMember,
        Self::InactiveMember,
        Self::NotVisibleToApp,
        Self::InvalidProviderResponse,
        Self::CodeRejectedTwice,
        Self::ProviderMisconfigured,
        Self::ProviderBusy,
        Self::ProviderUnreachable,
        Self::ProviderMetadataMissing,
        Self::UnsolicitedLogin,
        Self::PasswordUnchecked,
        Self::LoginTaken,
        Self::UnknownPerson,
        Self::AccountClosed,
        Self::Revoked,
        Self::NoLoginName,
        Self::AuthTooWeak,
        Self::InvalidTicket,
        Self::EntryTokenRefused,
        Self::AccountNotSwitched,
        Self::IdentityTaken,
        Self::NotLinked,
        Self::SessionTooOld,
        Self::NotOnLoginHost,
        Self::FrameNeedsLogin,
        Self::FormNeedsLogin,
    ];

    /// The name in logs and in the `type` of a problem document. It never changes, even where the variant
    /// is renamed.
    pub fn slug(self) -> &'static str {
        match self {
            Self::NotFound => "not-found",
            Self::BadRequest => "bad-request",
            Self::InvalidProxyHeader => "proxy-unreadable",
            Self::AmbiguousPath => "ambiguous-path",
            Self::StoreUnavailable => "store-away",
            Self::SignOutUnstored => "sign-out-unstored",
            Self::UpstreamDown => "upstream-down",
            Self::InvalidUpstreamResponse => "upstream-unreadable",
            Self::UpstreamTimeout => "upstream-slow",
            Self::UpstreamBusy => "upstream-busy",
            Self::TooLarge => "too-large",
            Self::TooLargePartlySent => "too-large-begun",
            Self::TooManyLogins => "too-many-logins",
            Self::TooManyTokenChanges => "too-many-token-changes",
            Self::TooManyWrongPasswords => "too-many-wrong-passwords",
            Self::FlowCookieMissing => "login-missing",
            Self::LoginExpired => "login-late",
            Self::FlowCookieForged => "login-forged",
            Self::LoginDeclined => "login-declined",
            Self::WrongPassword => "wrong-password",
            Self::PasswordExpired => "password-expired",
            Self::NotMember => "not-member",
            Self::InactiveMember => "inactive",
            Self::NotVisibleToApp => "out-of-range",
            Self::InvalidProviderResponse => "bad-answer",
            Self::CodeRejectedTwice => "stale-twice",
            Self::ProviderMisconfigured => "source-misconfigured",
            Self::ProviderBusy => "source-busy",
            Self::ProviderUnreachable => "source-unreachable",
            Self::ProviderMetadataMissing => "source-metadata",
            Self::UnsolicitedLogin => "unsolicited",
            Self::PasswordUnchecked => "password-unchecked",
            Self::LoginTaken => "login-taken",
            Self::UnknownPerson => "unknown-person",
            Self::AccountClosed => "account-closed",
            Self::Revoked => "revoked",
            Self::NoLoginName => "no-login",
            Self::AuthTooWeak => "proof-too-weak",
            Self::InvalidTicket => "ticket-bad",
            Self::EntryTokenRefused => "entry-refused",
            Self::AccountNotSwitched => "not-switched",
            Self::IdentityTaken => "identity-taken",
            Self::NotLinked => "not-linked",
            Self::SessionTooOld => "session-too-old",
            Self::NotOnLoginHost => "not-here",
            Self::FrameNeedsLogin => "frame-login",
            Self::FormNeedsLogin => "form-login",
        }
    }

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
            | Self::InvalidProxyHeader
            | Self::AmbiguousPath
            | Self::StoreUnavailable
            | Self::SignOutUnstored
            | Self::UpstreamDown
            | Self::InvalidUpstreamResponse
            | Self::UpstreamTimeout
            | Self::UpstreamBusy
            | Self::TooLarge
            | Self::TooLargePartlySent
            | Self::TooManyLogins
            | Self::TooManyTokenChanges
            | Self::ProviderBusy
            | Self::ProviderUnreachable
            | Self::ProviderMetadataMissing
            | Self::PasswordUnchecked => NextStep::Retry,
            Self::TooManyWrongPasswords
            | Self::FlowCookieMissing
            | Self::LoginExpired
            | Self::FlowCookieForged
            | Self::LoginDeclined
            | Self::WrongPassword
            | Self::PasswordExpired
            | Self::NotMember
            | Self::InactiveMember
            | Self::NotVisibleToApp
            | Self::InvalidProviderResponse
            | Self::CodeRejectedTwice
            | Self::ProviderMisconfigured
            | Self::UnsolicitedLogin
            | Self::LoginTaken
            | Self::UnknownPerson
            | Self::AccountClosed
            | Self::Revoked
            | Self::NoLoginName
            | Self::AuthTooWeak
            | Self::InvalidTicket
            | Self::EntryTokenRefused
            | Self::AccountNotSwitched
            | Self::IdentityTaken
            | Self::NotLinked
            | Self::SessionTooOld => NextStep::SignIn,
            Self::NotOnLoginHost => NextStep::SignInOnLoginHost,
            Self::FrameNeedsLogin | Self::FormNeedsLogin => NextStep::SignInInNewTab,
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
            Cause::FormNeedsLogin as usize + 1,
            Cause::ALL.len(),
            "ALL includes the last variant"
        );
    }
}
