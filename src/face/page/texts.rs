//! All texts of the pages: one struct and one value per language, so that no translation is missing.

use super::cause::Cause;
use super::lang::Lang;

mod en;
mod zh;

pub(super) fn of(lang: Lang) -> &'static Texts {
    match lang {
        Lang::Zh => &zh::TEXTS,
        Lang::En => &en::TEXTS,
    }
}

/// The text before and after a name, including spaces.
#[derive(Debug)]
pub(super) struct AroundName {
    pub(super) before: &'static str,
    pub(super) after: &'static str,
}

/// The texts of a problem: its title, what happened and what to do.
#[derive(Debug)]
pub(super) struct ProblemText {
    pub(super) title: &'static str,
    pub(super) detail: &'static str,
    pub(super) remedy: &'static str,
}

/// All texts of the pages in one language.
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
    /// Encloses the site's name.
    pub(super) lead: AroundName,
    /// Encloses a connector's name.
    pub(super) with: AroundName,
    pub(super) choose: &'static str,
    pub(super) last_used: &'static str,
    /// Encloses a person's name.
    pub(super) current: AroundName,
    /// Encloses a person's name.
    pub(super) continue_as: AroundName,
    pub(super) as_somebody_else: &'static str,
    pub(super) no_choice: &'static str,
    /// Shown where logins can only begin at a portal.
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
    /// Encloses the site's name.
    pub(super) here: AroundName,
    pub(super) everywhere: &'static str,
    /// Encloses the provider's name.
    pub(super) source_stays: AroundName,
    pub(super) sign_in: &'static str,
}

/// The page for a person without access.
#[derive(Debug)]
pub(super) struct Forbidden {
    /// The window title, without the route's name.
    pub(super) short: &'static str,
    /// Encloses the route's name.
    pub(super) title: AroundName,
    pub(super) detail: &'static str,
    pub(super) remedy: &'static str,
    /// The label before the person's name.
    pub(super) you_are: &'static str,
    pub(super) switch: &'static str,
    pub(super) back: &'static str,
}

/// The consent page before a session is carried to another host or into a frame.
#[derive(Debug)]
pub(super) struct Cross {
    /// The window title.
    pub(super) short: &'static str,
    /// The question; encloses the host.
    pub(super) title: AroundName,
    /// Encloses the name of the person who is signed in.
    pub(super) signed_in_as: AroundName,
    pub(super) warning: &'static str,
    /// The consent button; encloses the host.
    pub(super) confirm: AroundName,
}

/// The page that asks before a login replaces another person's session.
#[derive(Debug)]
pub(super) struct Switch {
    pub(super) title: &'static str,
    /// Encloses the name of the person who is signed in.
    pub(super) current: AroundName,
    /// Encloses the name of the new person.
    pub(super) new_person: AroundName,
    pub(super) warning: &'static str,
    /// The button that switches; encloses the name of the new person.
    pub(super) confirm: AroundName,
    /// The button that changes nothing; encloses the name of the person who is signed in.
    pub(super) stay: AroundName,
}

/// The sign-in page inside a frame. Its title is that of [`Cause::FrameLogin`].
#[derive(Debug)]
pub(super) struct FrameSignIn {
    pub(super) detail: &'static str,
    /// Shown when the last ticket was refused.
    pub(super) failed: &'static str,
    /// Shown where scripts are blocked.
    pub(super) no_script: &'static str,
    pub(super) own_tab: &'static str,
}

/// The page that hands a session ticket to the frame that opened the tab.
#[derive(Debug)]
pub(super) struct HandOver {
    pub(super) title: &'static str,
    pub(super) detail: &'static str,
    pub(super) remedy: &'static str,
    /// The link that opens the page in this tab.
    pub(super) open_here: &'static str,
}

/// The page that adds the URL fragment to a login, and the page that posts a login request.
#[derive(Debug)]
pub(super) struct Fragment {
    pub(super) title: &'static str,
    pub(super) lead: &'static str,
    pub(super) continue_button: &'static str,
}

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
