//! Every sentence of the pages: one struct, one table per language, so that none can lack one.

use super::cause::Cause;
use super::lang::Lang;

mod en;
mod zh;

/// The table of a language.
pub(super) fn of(lang: Lang) -> &'static Texts {
    match lang {
        Lang::Zh => &zh::TEXTS,
        Lang::En => &en::TEXTS,
    }
}

/// What stands around a name: before it and after it, spaces included.
#[derive(Debug)]
pub(super) struct AroundName {
    pub(super) before: &'static str,
    pub(super) after: &'static str,
}

/// A dead end: what it is, what happened, what to do.
#[derive(Debug)]
pub(super) struct ProblemText {
    pub(super) title: &'static str,
    pub(super) detail: &'static str,
    pub(super) remedy: &'static str,
}

/// Every sentence of the pages.
#[derive(Debug)]
pub(super) struct Texts {
    pub(super) request_id: &'static str,
    pub(super) source: &'static str,
    pub(super) try_again: &'static str,
    pub(super) sign_in_again: &'static str,
    pub(super) sign_in_on_login_host: &'static str,
    pub(super) sign_in_in_new_tab: &'static str,
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
    pub(super) lead: AroundName,
    /// Around a connector's name.
    pub(super) with: AroundName,
    pub(super) choose: &'static str,
    pub(super) last_used: &'static str,
    /// Around a person's name.
    pub(super) current: AroundName,
    /// Around a person's name.
    pub(super) continue_as: AroundName,
    pub(super) as_somebody_else: &'static str,
    pub(super) no_choice: &'static str,
    /// Where people only arrive from a portal.
    pub(super) by_portal: &'static str,
    pub(super) expired: &'static str,
    pub(super) other_connector: &'static str,
    pub(super) step_up: &'static str,
    pub(super) signed_out: &'static str,
    pub(super) loop_detected: &'static str,
    pub(super) provider_signed_out: &'static str,
}

/// The form for a user name and a password.
#[derive(Debug)]
pub(super) struct Password {
    pub(super) title: &'static str,
    pub(super) login: &'static str,
    pub(super) password: &'static str,
    pub(super) sign_in: &'static str,
    pub(super) others: &'static str,
    pub(super) wrong_password: &'static str,
    pub(super) expired: &'static str,
    pub(super) incomplete: &'static str,
}

/// The page after a sign-out.
#[derive(Debug)]
pub(super) struct SignedOut {
    pub(super) title: &'static str,
    /// Around the site's name.
    pub(super) here: AroundName,
    pub(super) everywhere: &'static str,
    /// Around the source's name.
    pub(super) source_stays: AroundName,
    pub(super) sign_in: &'static str,
}

/// The page of somebody who may not go there.
#[derive(Debug)]
pub(super) struct Forbidden {
    /// For the window's title, where the route's name is not wanted.
    pub(super) short: &'static str,
    /// Around the route's name.
    pub(super) title: AroundName,
    pub(super) detail: &'static str,
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
    pub(super) title: AroundName,
    /// Says as whom somebody is signed in.
    pub(super) signed_in_as: AroundName,
    pub(super) warning: &'static str,
    /// The button that agrees, with the host.
    pub(super) confirm: AroundName,
}

/// The page that asks before somebody else takes the place of who is here.
#[derive(Debug)]
pub(super) struct Switch {
    pub(super) title: &'static str,
    /// Around who is here.
    pub(super) current: AroundName,
    /// Around who arrived.
    pub(super) new_person: AroundName,
    pub(super) warning: &'static str,
    /// The button, around who arrived.
    pub(super) confirm: AroundName,
    /// The way that changes nothing, around who is here.
    pub(super) stay: AroundName,
}

/// The page that a frame shows to strangers; its title is that of a cause.
#[derive(Debug)]
pub(super) struct FrameSignIn {
    pub(super) detail: &'static str,
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
    pub(super) detail: &'static str,
    pub(super) remedy: &'static str,
    /// For a way that needs no frame.
    pub(super) open_here: &'static str,
}

/// The stop before a login that carries a fragment along.
#[derive(Debug)]
pub(super) struct Fragment {
    pub(super) title: &'static str,
    pub(super) lead: &'static str,
    pub(super) continue_button: &'static str,
}

/// A story for every cause.
#[derive(Debug)]
pub(super) struct Causes {
    pub(super) not_found: ProblemText,
    pub(super) bad_request: ProblemText,
    pub(super) proxy_unreadable: ProblemText,
    pub(super) ambiguous_path: ProblemText,
    pub(super) store_away: ProblemText,
    pub(super) sign_out_unstored: ProblemText,
    pub(super) upstream_down: ProblemText,
    pub(super) upstream_unreadable: ProblemText,
    pub(super) upstream_slow: ProblemText,
    pub(super) upstream_busy: ProblemText,
    pub(super) too_large: ProblemText,
    pub(super) too_large_begun: ProblemText,
    pub(super) too_many_logins: ProblemText,
    pub(super) login_missing: ProblemText,
    pub(super) login_late: ProblemText,
    pub(super) login_forged: ProblemText,
    pub(super) login_declined: ProblemText,
    pub(super) wrong_password: ProblemText,
    pub(super) not_member: ProblemText,
    pub(super) inactive: ProblemText,
    pub(super) out_of_range: ProblemText,
    pub(super) bad_answer: ProblemText,
    pub(super) stale_twice: ProblemText,
    pub(super) source_misconfigured: ProblemText,
    pub(super) source_busy: ProblemText,
    pub(super) source_unreachable: ProblemText,
    pub(super) login_taken: ProblemText,
    pub(super) unknown_person: ProblemText,
    pub(super) account_closed: ProblemText,
    pub(super) revoked: ProblemText,
    pub(super) no_login: ProblemText,
    pub(super) proof_too_weak: ProblemText,
    pub(super) ticket_bad: ProblemText,
    pub(super) entry_refused: ProblemText,
    pub(super) not_switched: ProblemText,
    pub(super) not_here: ProblemText,
    pub(super) frame_login: ProblemText,
    pub(super) form_login: ProblemText,
}

impl Causes {
    /// The story of a cause.
    pub(super) fn of(&self, cause: Cause) -> &ProblemText {
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
            Cause::NotSwitched => &self.not_switched,
            Cause::NotHere => &self.not_here,
            Cause::FrameLogin => &self.frame_login,
            Cause::FormLogin => &self.form_login,
        }
    }
}
