//! Every sentence of the pages: one struct, one table per language, so that none can lack one.

use super::cause::Cause;
use super::lang::Lang;

mod en;
mod zh;

/// The table of a language.
pub(super) fn of(lang: Lang) -> &'static Words {
    match lang {
        Lang::Zh => &zh::WORDS,
        Lang::En => &en::WORDS,
    }
}

/// What stands around a name: before it and after it, spaces included.
#[derive(Debug)]
pub(super) struct Around {
    pub(super) before: &'static str,
    pub(super) after: &'static str,
}

/// A dead end: what it is, what happened, what to do.
#[derive(Debug)]
pub(super) struct Story {
    pub(super) title: &'static str,
    pub(super) what: &'static str,
    pub(super) remedy: &'static str,
}

/// Every sentence of the pages.
#[derive(Debug)]
pub(super) struct Words {
    pub(super) request_id: &'static str,
    pub(super) source: &'static str,
    pub(super) again: &'static str,
    pub(super) sign_in_again: &'static str,
    pub(super) sign_in_there: &'static str,
    pub(super) new_tab: &'static str,
    pub(super) home: &'static str,
    pub(super) sign_in: SignIn,
    pub(super) password: Password,
    pub(super) signed_out: SignedOut,
    pub(super) forbidden: Forbidden,
    pub(super) cross: Cross,
    pub(super) into_frame: Cross,
    pub(super) switch: Switch,
    pub(super) frame: FrameSignIn,
    pub(super) hand_over: HandOver,
    pub(super) fragment: Fragment,
    pub(super) causes: Causes,
}

/// The sign-in page.
#[derive(Debug)]
pub(super) struct SignIn {
    pub(super) title: &'static str,
    /// Around the site's name.
    pub(super) lead: Around,
    /// Around a connector's name.
    pub(super) with: Around,
    pub(super) choose: &'static str,
    pub(super) last_used: &'static str,
    /// Around a person's name.
    pub(super) present: Around,
    /// Around a person's name.
    pub(super) go_on: Around,
    pub(super) somebody_else: &'static str,
    pub(super) no_choice: &'static str,
    /// Where people only arrive from a portal.
    pub(super) by_portal: &'static str,
    pub(super) expired: &'static str,
    pub(super) other_connector: &'static str,
    pub(super) step_up: &'static str,
    pub(super) signed_out: &'static str,
    pub(super) going_round: &'static str,
    pub(super) gone: &'static str,
}

/// The form for a user name and a password.
#[derive(Debug)]
pub(super) struct Password {
    pub(super) title: &'static str,
    pub(super) login: &'static str,
    pub(super) password: &'static str,
    pub(super) sign_in: &'static str,
    pub(super) others: &'static str,
    pub(super) wrong: &'static str,
    pub(super) late: &'static str,
    pub(super) lost: &'static str,
}

/// The page after a sign-out.
#[derive(Debug)]
pub(super) struct SignedOut {
    pub(super) title: &'static str,
    /// Around the site's name.
    pub(super) here: Around,
    pub(super) everywhere: &'static str,
    /// Around the source's name.
    pub(super) source_stays: Around,
    pub(super) sign_in: &'static str,
}

/// The page of somebody who may not go there.
#[derive(Debug)]
pub(super) struct Forbidden {
    /// For the window's title, where the route's name is not wanted.
    pub(super) short: &'static str,
    /// Around the route's name.
    pub(super) title: Around,
    pub(super) what: &'static str,
    pub(super) remedy: &'static str,
    /// The person's name stands after it.
    pub(super) you_are: &'static str,
    pub(super) switch: &'static str,
    pub(super) back: &'static str,
}

/// The page that asks before a session goes to another host, or into another site's frame.
#[derive(Debug)]
pub(super) struct Cross {
    /// For the window's title.
    pub(super) short: &'static str,
    /// The question, which names the host.
    pub(super) title: Around,
    /// Says as whom somebody is signed in.
    pub(super) who: Around,
    pub(super) care: &'static str,
    /// The button that agrees, with the host.
    pub(super) go: Around,
}

/// The page that asks before somebody else takes the place of who is here.
#[derive(Debug)]
pub(super) struct Switch {
    pub(super) title: &'static str,
    /// Around who is here.
    pub(super) present: Around,
    /// Around who arrived.
    pub(super) arrived: Around,
    pub(super) care: &'static str,
    /// The button, around who arrived.
    pub(super) go: Around,
    /// The way that changes nothing, around who is here.
    pub(super) stay: Around,
}

/// The page that a frame shows to strangers; its title is that of a cause.
#[derive(Debug)]
pub(super) struct FrameSignIn {
    pub(super) what: &'static str,
    /// When a sign-in did not come into the frame.
    pub(super) failed: &'static str,
    /// Where no script runs.
    pub(super) no_script: &'static str,
    pub(super) own_tab: &'static str,
}

/// The page that hands a session over to the frame that opened it.
#[derive(Debug)]
pub(super) struct HandOver {
    pub(super) title: &'static str,
    pub(super) what: &'static str,
    pub(super) remedy: &'static str,
    /// For a way that needs no frame.
    pub(super) open_here: &'static str,
}

/// The stop before a login that carries a fragment along.
#[derive(Debug)]
pub(super) struct Fragment {
    pub(super) title: &'static str,
    pub(super) lead: &'static str,
    pub(super) go_on: &'static str,
}

/// A story for every cause.
#[derive(Debug)]
pub(super) struct Causes {
    pub(super) not_found: Story,
    pub(super) bad_request: Story,
    pub(super) proxy_unreadable: Story,
    pub(super) ambiguous_path: Story,
    pub(super) store_away: Story,
    pub(super) sign_out_unstored: Story,
    pub(super) upstream_down: Story,
    pub(super) upstream_unreadable: Story,
    pub(super) upstream_slow: Story,
    pub(super) upstream_busy: Story,
    pub(super) too_large: Story,
    pub(super) too_large_begun: Story,
    pub(super) too_many_logins: Story,
    pub(super) login_missing: Story,
    pub(super) login_late: Story,
    pub(super) login_forged: Story,
    pub(super) login_declined: Story,
    pub(super) wrong_password: Story,
    pub(super) not_member: Story,
    pub(super) inactive: Story,
    pub(super) out_of_range: Story,
    pub(super) bad_answer: Story,
    pub(super) stale_twice: Story,
    pub(super) source_misconfigured: Story,
    pub(super) source_busy: Story,
    pub(super) source_unreachable: Story,
    pub(super) login_taken: Story,
    pub(super) unknown_person: Story,
    pub(super) account_closed: Story,
    pub(super) revoked: Story,
    pub(super) no_login: Story,
    pub(super) proof_too_weak: Story,
    pub(super) ticket_bad: Story,
    pub(super) entry_refused: Story,
    pub(super) not_here: Story,
    pub(super) frame_login: Story,
    pub(super) form_login: Story,
}

impl Causes {
    /// The story of a cause.
    pub(super) fn of(&self, cause: Cause) -> &Story {
        match cause {
            Cause::NotFound => &self.not_found,
            Cause::BadRequest => &self.bad_request,
            Cause::ProxyUnreadable => &self.proxy_unreadable,
            Cause::AmbiguousPath => &self.ambiguous_path,
            Cause::StoreAway => &self.store_away,
            Cause::SignOutUnstored => &self.sign_out_unstored,
            Cause::UpstreamDown => &self.upstream_down,
            Cause::UpstreamUnreadable => &self.upstream_unreadable,
            Cause::UpstreamSlow => &self.upstream_slow,
            Cause::UpstreamBusy => &self.upstream_busy,
            Cause::TooLarge => &self.too_large,
            Cause::TooLargeBegun => &self.too_large_begun,
            Cause::TooManyLogins => &self.too_many_logins,
            Cause::LoginMissing => &self.login_missing,
            Cause::LoginLate => &self.login_late,
            Cause::LoginForged => &self.login_forged,
            Cause::LoginDeclined => &self.login_declined,
            Cause::WrongPassword => &self.wrong_password,
            Cause::NotMember => &self.not_member,
            Cause::Inactive => &self.inactive,
            Cause::OutOfRange => &self.out_of_range,
            Cause::BadAnswer => &self.bad_answer,
            Cause::StaleTwice => &self.stale_twice,
            Cause::SourceMisconfigured => &self.source_misconfigured,
            Cause::SourceBusy => &self.source_busy,
            Cause::SourceUnreachable => &self.source_unreachable,
            Cause::LoginTaken => &self.login_taken,
            Cause::UnknownPerson => &self.unknown_person,
            Cause::AccountClosed => &self.account_closed,
            Cause::Revoked => &self.revoked,
            Cause::NoLogin => &self.no_login,
            Cause::ProofTooWeak => &self.proof_too_weak,
            Cause::TicketBad => &self.ticket_bad,
            Cause::EntryRefused => &self.entry_refused,
            Cause::NotHere => &self.not_here,
            Cause::FrameLogin => &self.frame_login,
            Cause::FormLogin => &self.form_login,
        }
    }
}
