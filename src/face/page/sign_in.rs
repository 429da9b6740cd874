//! The sign-in page: the connectors to choose from, and who is signed in.

use askama::Template;

use super::{Href, Lang, Layout, Page, PageInfo, PagePolicy, PersonName, render_page};
use crate::login::connector::LocalizedText;

#[derive(Clone, Debug)]
pub struct SignInPage<'a> {
    pub info: PageInfo<'a>,
    /// Why the page is shown, if the person should know.
    pub reason: Option<SignInReason>,
    /// Who is signed in, but not as the page that they want demands.
    pub signed_in: Option<PersonName<'a>>,
    /// The connectors in order of display; a single one becomes a large button.
    pub choices: Vec<ConnectorChoice<'a>>,
    /// Whether logins can only begin at a portal, so that there is nothing to choose.
    pub is_portal_only: bool,
    /// Notices above the buttons.
    pub notices: Vec<LocalizedText>,
    /// Hints below the buttons.
    pub hints: Vec<LocalizedText>,
}

/// Why the sign-in page is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignInReason {
    /// The session has expired.
    Expired,
    /// The requested route does not accept the session's connector.
    OtherConnector,
    /// The requested route needs a stronger authentication.
    StepUp,
    /// The person just signed out.
    SignedOut,
    /// An automatic login began a moment ago and did not finish.
    LoopDetected,
    /// A silent login found that the person is not signed in at the provider.
    ProviderSignedOut,
}

impl SignInReason {
    /// Whether its text says what to do with the buttons below.
    fn refers_to_buttons(self) -> bool {
        matches!(self, Self::OtherConnector | Self::LoopDetected)
    }
}

/// A connector on the sign-in page.
#[derive(Clone, Debug)]
pub struct ConnectorChoice<'a> {
    /// The display name.
    pub name: &'a str,
    /// The icon as SVG; absent: a key.
    pub icon: Option<&'static str>,
    /// The URL that begins the login.
    pub href: Href,
    pub is_last_used: bool,
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInTemplate<'a> {
    layout: Layout<'a>,
    page: &'a SignInPage<'a>,
    title: &'static str,
    /// What the person can do where they cannot sign in.
    dead_end: Option<&'static str>,
    reason: Option<&'static str>,
    notices: Vec<&'static str>,
    hints: Vec<&'static str>,
    /// Whether something is wrong that the person cannot mend.
    is_stuck: bool,
}

impl SignInPage<'_> {
    pub fn render(&self, lang: Lang) -> Page {
        let layout = Layout::new(self.info, lang);
        let texts = &layout.texts.sign_in;
        let cannot_sign_in = self.choices.is_empty();
        let (title, dead_end) = match (cannot_sign_in, self.is_portal_only) {
            (false, _) => (texts.title, None),
            (true, false) => (texts.no_choice_title, Some(texts.no_choice)),
            (true, true) => (texts.portal_only_title, Some(texts.portal_only)),
        };
        let reason = self
            .reason
            .filter(|reason| !cannot_sign_in || !reason.refers_to_buttons());
        let reason = reason.map(|reason| match reason {
            SignInReason::Expired => texts.expired,
            SignInReason::OtherConnector => texts.other_connector,
            SignInReason::StepUp => texts.step_up,
            SignInReason::SignedOut => texts.signed_out,
            SignInReason::LoopDetected => texts.loop_detected,
            SignInReason::ProviderSignedOut => texts.provider_signed_out,
        });
        let is_stuck = self.reason == Some(SignInReason::LoopDetected)
            || cannot_sign_in && !self.is_portal_only;
        let in_lang = |texts: &[LocalizedText]| texts.iter().map(|text| lang.pick(*text)).collect();
        render_page(
            &SignInTemplate {
                layout,
                page: self,
                title,
                dead_end,
                reason,
                notices: in_lang(&self.notices),
                hints: in_lang(&self.hints),
                is_stuck,
            },
            self.info,
            lang,
            PagePolicy::Plain,
        )
    }
}
