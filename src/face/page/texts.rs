//! All texts of the pages: one struct and one value per language, so that no translation is missing.

use super::cause::Cause;
use super::lang::Lang;

mod around_name;
mod en;
mod zh;

pub(super) use around_name::AroundName;

pub(super) fn of(lang: Lang) -> &'static Texts {
    match lang {
        Lang::Zh => &zh::TEXTS,
        Lang::En => &en::TEXTS,
    }
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
    pub(super) signing_in_with: &'static str,
    pub(super) try_again: &'static str,
    pub(super) sign_in_again: &'static str,
    pub(super) sign_in_on_login_host: &'static str,
    pub(super) sign_in_in_new_tab: &'static str,
    pub(super) home_page: &'static str,
    /// Encloses the name of the home page.
    pub(super) go_to: AroundName,
    pub(super) switch_account: &'static str,
    /// Encloses a person's login name, after the display name.
    pub(super) login_name: AroundName,
    pub(super) between_names: &'static str,
    /// Before an address or a text.
    pub(super) need_help: &'static str,
    pub(super) sign_in: SignInTexts,
    pub(super) signed_in: SignedInTexts,
    pub(super) password: PasswordTexts,
    pub(super) password_change: PasswordChangeTexts,
    pub(super) signed_out: SignedOutTexts,
    pub(super) forbidden: ForbiddenTexts,
    pub(super) cross_host: CrossHostTexts,
    pub(super) into_frame: CrossHostTexts,
    pub(super) switch: SwitchTexts,
    pub(super) link: LinkTexts,
    pub(super) frame_sign_in: FrameSignInTexts,
    pub(super) hand_over: HandOverTexts,
    pub(super) fragment: FragmentTexts,
    pub(super) sign_out_by_post: FragmentTexts,
    pub(super) app_login: AppLoginTexts,
    pub(super) tokens: TokensTexts,
    pub(super) causes: CauseTexts,
}

/// The sign-in page.
#[derive(Debug)]
pub(super) struct SignInTexts {
    pub(super) title: &'static str,
    /// Encloses the host.
    pub(super) lead: AroundName,
    /// Encloses a connector's name.
    pub(super) sign_in_with: AroundName,
    pub(super) choose_connector: &'static str,
    pub(super) last_used: &'static str,
    /// Encloses a person's name.
    pub(super) signed_in_as: AroundName,
    /// Shown if there is no connector to choose.
    pub(super) no_choice_title: &'static str,
    pub(super) no_choice: &'static str,
    /// Shown where logins can only begin at a portal.
    pub(super) portal_only_title: &'static str,
    pub(super) portal_only: &'static str,
    pub(super) expired: &'static str,
    pub(super) other_connector: &'static str,
    pub(super) step_up: &'static str,
    pub(super) signed_out: &'static str,
    pub(super) loop_detected: &'static str,
    pub(super) provider_signed_out: &'static str,
}

/// The sign-in page of a person who is signed in.
#[derive(Debug)]
pub(super) struct SignedInTexts {
    pub(super) title: &'static str,
    /// Encloses the person's name.
    pub(super) person: AroundName,
    pub(super) continue_button: &'static str,
    pub(super) sign_out: &'static str,
}

/// The form for a user name and a password.
#[derive(Debug)]
pub(super) struct PasswordTexts {
    pub(super) title: &'static str,
    pub(super) login: &'static str,
    pub(super) password: &'static str,
    pub(super) sign_in: &'static str,
    pub(super) other_connectors: &'static str,
    pub(super) wrong_password: &'static str,
    pub(super) expired: &'static str,
    pub(super) incomplete: &'static str,
}

/// The form with which a person changes their own password.
#[derive(Debug)]
pub(super) struct PasswordChangeTexts {
    pub(super) title: &'static str,
    /// Encloses the login name.
    pub(super) person: AroundName,
    pub(super) old: &'static str,
    pub(super) new: &'static str,
    pub(super) again: &'static str,
    pub(super) change: &'static str,
    pub(super) ends_others: &'static str,
    pub(super) demanded: &'static str,
    pub(super) wrong_password: &'static str,
    pub(super) differ: &'static str,
    pub(super) same: &'static str,
    pub(super) too_short: &'static str,
    pub(super) too_long: &'static str,
    pub(super) not_one_line: &'static str,
    pub(super) incomplete: &'static str,
}

/// The page after a sign-out.
#[derive(Debug)]
pub(super) struct SignedOutTexts {
    pub(super) title: &'static str,
    /// Encloses the host.
    pub(super) signed_out_of: AroundName,
    pub(super) everywhere: &'static str,
    /// Encloses the connector's name.
    pub(super) provider_session_continues: AroundName,
    pub(super) sign_in: &'static str,
}

/// The page for a person without access.
#[derive(Debug)]
pub(super) struct ForbiddenTexts {
    /// The window title, without the route's name.
    pub(super) window_title: &'static str,
    /// Encloses the route's name.
    pub(super) title: AroundName,
    pub(super) detail: &'static str,
    pub(super) remedy: &'static str,
    /// The label before the person's name.
    pub(super) signed_in_as_label: &'static str,
    pub(super) go_back: &'static str,
}

/// The consent page before a session is transferred to another host or to a frame.
#[derive(Debug)]
pub(super) struct CrossHostTexts {
    pub(super) window_title: &'static str,
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
pub(super) struct SwitchTexts {
    pub(super) title: &'static str,
    /// Encloses the name of the person who is signed in.
    pub(super) signed_in_as: AroundName,
    /// Encloses the name of the new person.
    pub(super) new_person: AroundName,
    pub(super) warning: &'static str,
    /// The button that switches; encloses the name of the new person.
    pub(super) confirm: AroundName,
    /// The button that changes nothing; encloses the name of the person who is signed in.
    pub(super) keep_current: AroundName,
}

/// The page that asks whether another identity may sign in to the account.
#[derive(Debug)]
pub(super) struct LinkTexts {
    /// Encloses the connector's name.
    pub(super) title: AroundName,
    /// Encloses the name of the person who is signed in.
    pub(super) signed_in_as: AroundName,
    /// Encloses the name of the person at the connector's source.
    pub(super) identity: AroundName,
    pub(super) warning: &'static str,
    pub(super) confirm: &'static str,
    pub(super) cancel: &'static str,
}

/// The sign-in page inside a frame. Its title is that of [`Cause::FrameNeedsLogin`].
#[derive(Debug)]
pub(super) struct FrameSignInTexts {
    pub(super) detail: &'static str,
    /// Shown when the last ticket was refused.
    pub(super) failed: &'static str,
    /// Shown where scripts are blocked.
    pub(super) no_script: &'static str,
    pub(super) open_in_own_tab: &'static str,
}

/// The page that hands a session ticket to the frame that opened the tab.
#[derive(Debug)]
pub(super) struct HandOverTexts {
    pub(super) title: &'static str,
    pub(super) detail: &'static str,
    pub(super) remedy: &'static str,
    /// The link that opens the page in this tab.
    pub(super) open_in_this_tab: &'static str,
}

/// The page that adds the URL fragment to a login, and the page that posts a login request.
#[derive(Debug)]
pub(super) struct FragmentTexts {
    pub(super) title: &'static str,
    pub(super) lead: &'static str,
    pub(super) continue_button: &'static str,
}

/// The page in a source's own app, whose scripts ask the app for a code.
#[derive(Debug)]
pub(super) struct AppLoginTexts {
    pub(super) title: &'static str,
    pub(super) lead: &'static str,
    /// Shown if the app gives no code.
    pub(super) no_code: &'static str,
}

/// The page on which a person makes and ends access tokens.
#[derive(Debug)]
pub(super) struct TokensTexts {
    pub(super) title: &'static str,
    pub(super) lead: &'static str,
    /// Encloses the person's name.
    pub(super) signed_in_as: AroundName,
    /// Encloses the name of the new token.
    pub(super) new_token: AroundName,
    pub(super) shown_once: &'static str,
    /// How to send the token; encloses the person's login name.
    pub(super) user_name: AroundName,
    /// Encloses the user name that everybody can use, and ends the sentence.
    pub(super) other_user_name: AroundName,
    /// The link from the page of the new token to the list.
    pub(super) to_list: &'static str,
    pub(super) your_tokens: &'static str,
    pub(super) none: &'static str,
    /// The label before the routes of a token.
    pub(super) opens: &'static str,
    pub(super) all_routes: &'static str,
    pub(super) only_these: &'static str,
    pub(super) created: &'static str,
    pub(super) expires: &'static str,
    pub(super) last_used: &'static str,
    pub(super) never: &'static str,
    /// The button that ends a token; encloses its name.
    pub(super) end: AroundName,
    pub(super) make_one: &'static str,
    pub(super) sign_in_first: &'static str,
    pub(super) name: &'static str,
    pub(super) lasts: &'static str,
    pub(super) days: &'static str,
    pub(super) minutes: &'static str,
    pub(super) make: &'static str,
    /// What else ends a token.
    pub(super) ends_with: &'static str,
    pub(super) ended: &'static str,
    pub(super) gone: &'static str,
    pub(super) too_many: &'static str,
    pub(super) bad_name: &'static str,
    pub(super) bad_choice: &'static str,
    pub(super) other_account: &'static str,
}

#[derive(Debug)]
pub(super) struct CauseTexts {
    pub(super) not_found: ProblemText,
    pub(super) bad_request: ProblemText,
    pub(super) invalid_proxy_header: ProblemText,
    pub(super) ambiguous_path: ProblemText,
    pub(super) store_unavailable: ProblemText,
    pub(super) sign_out_unstored: ProblemText,
    pub(super) upstream_down: ProblemText,
    pub(super) invalid_upstream_response: ProblemText,
    pub(super) upstream_timeout: ProblemText,
    pub(super) upstream_busy: ProblemText,
    pub(super) too_large: ProblemText,
    pub(super) too_large_partly_sent: ProblemText,
    pub(super) too_many_logins: ProblemText,
    pub(super) too_many_token_changes: ProblemText,
    pub(super) too_many_wrong_passwords: ProblemText,
    pub(super) flow_cookie_missing: ProblemText,
    pub(super) login_expired: ProblemText,
    pub(super) flow_cookie_forged: ProblemText,
    pub(super) login_declined: ProblemText,
    pub(super) wrong_password: ProblemText,
    pub(super) password_expired: ProblemText,
    pub(super) not_member: ProblemText,
    pub(super) inactive_member: ProblemText,
    pub(super) not_visible_to_app: ProblemText,
    pub(super) invalid_provider_response: ProblemText,
    pub(super) code_rejected_twice: ProblemText,
    pub(super) provider_misconfigured: ProblemText,
    pub(super) provider_busy: ProblemText,
    pub(super) provider_unreachable: ProblemText,
    pub(super) provider_metadata_missing: ProblemText,
    pub(super) unsolicited_login: ProblemText,
    pub(super) password_unchecked: ProblemText,
    pub(super) login_taken: ProblemText,
    pub(super) unknown_person: ProblemText,
    pub(super) account_closed: ProblemText,
    pub(super) revoked: ProblemText,
    pub(super) no_login_name: ProblemText,
    pub(super) auth_too_weak: ProblemText,
    pub(super) invalid_ticket: ProblemText,
    pub(super) entry_token_refused: ProblemText,
    pub(super) account_not_switched: ProblemText,
    pub(super) identity_taken: ProblemText,
    pub(super) not_linked: ProblemText,
    pub(super) session_too_old: ProblemText,
    pub(super) not_on_login_host: ProblemText,
    pub(super) frame_needs_login: ProblemText,
    pub(super) form_needs_login: ProblemText,
}

impl CauseTexts {
    pub(super) fn of(&self, cause: Cause) -> &ProblemText {
        match cause {
            Cause::NotFound => &self.not_found,
            Cause::BadRequest => &self.bad_request,
            Cause::InvalidProxyHeader => &self.invalid_proxy_header,
            Cause::AmbiguousPath => &self.ambiguous_path,
            Cause::StoreUnavailable => &self.store_unavailable,
            Cause::SignOutUnstored => &self.sign_out_unstored,
            Cause::UpstreamDown => &self.upstream_down,
            Cause::InvalidUpstreamResponse => &self.invalid_upstream_response,
            Cause::UpstreamTimeout => &self.upstream_timeout,
            Cause::UpstreamBusy => &self.upstream_busy,
            Cause::TooLarge => &self.too_large,
            Cause::TooLargePartlySent => &self.too_large_partly_sent,
            Cause::TooManyLogins => &self.too_many_logins,
            Cause::TooManyTokenChanges => &self.too_many_token_changes,
            Cause::TooManyWrongPasswords => &self.too_many_wrong_passwords,
            Cause::FlowCookieMissing => &self.flow_cookie_missing,
            Cause::LoginExpired => &self.login_expired,
            Cause::FlowCookieForged => &self.flow_cookie_forged,
            Cause::LoginDeclined => &self.login_declined,
            Cause::WrongPassword => &self.wrong_password,
            Cause::PasswordExpired => &self.password_expired,
            Cause::NotMember => &self.not_member,
            Cause::InactiveMember => &self.inactive_member,
            Cause::NotVisibleToApp => &self.not_visible_to_app,
            Cause::InvalidProviderResponse => &self.invalid_provider_response,
            Cause::CodeRejectedTwice => &self.code_rejected_twice,
            Cause::ProviderMisconfigured => &self.provider_misconfigured,
            Cause::ProviderBusy => &self.provider_busy,
            Cause::ProviderUnreachable => &self.provider_unreachable,
            Cause::ProviderMetadataMissing => &self.provider_metadata_missing,
            Cause::UnsolicitedLogin => &self.unsolicited_login,
            Cause::PasswordUnchecked => &self.password_unchecked,
            Cause::LoginTaken => &self.login_taken,
            Cause::UnknownPerson => &self.unknown_person,
            Cause::AccountClosed => &self.account_closed,
            Cause::Revoked => &self.revoked,
            Cause::NoLoginName => &self.no_login_name,
            Cause::AuthTooWeak => &self.auth_too_weak,
            Cause::InvalidTicket => &self.invalid_ticket,
            Cause::EntryTokenRefused => &self.entry_token_refused,
            Cause::AccountNotSwitched => &self.account_not_switched,
            Cause::IdentityTaken => &self.identity_taken,
            Cause::NotLinked => &self.not_linked,
            Cause::SessionTooOld => &self.session_too_old,
            Cause::NotOnLoginHost => &self.not_on_login_host,
            Cause::FrameNeedsLogin => &self.frame_needs_login,
            Cause::FormNeedsLogin => &self.form_needs_login,
        }
    }
}
