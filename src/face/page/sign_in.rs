//! The sign-in page: who you can prove yourself to, and who you are already.

use askama::Template;

use super::{Href, Lang, Layout, Page, PageInfo, PagePolicy, PersonName, render_page};
use crate::login::connector::LocalizedText;

/// The sign-in page.
#[derive(Clone, Debug)]
pub struct SignInPage<'a> {
    /// What every page says of itself.
    pub info: PageInfo<'a>,
    /// LoginReason they stand here, when there is something to say.
    pub reason: Option<SignInReason>,
    /// Who is signed in here now.
    pub signed_in: Option<SignedInPerson<'a>>,
    /// The connectors, in the order they are shown; one alone becomes a big button.
    pub choices: Vec<ConnectorChoice<'a>>,
    /// Whether people only arrive from a portal, when there is nothing to choose.
    pub is_portal_only: bool,
    /// What is said above the buttons about some of them.
    pub notices: Vec<LocalizedText>,
    /// What is said below.
    pub hints: Vec<LocalizedText>,
}

/// LoginReason somebody stands at the sign-in page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignInReason {
    /// Their session is over.
    Expired,
    /// Their session came through a connector that does not count where they want to go.
    OtherConnector,
    /// A stronger proof is needed there.
    StepUp,
    /// They just signed out.
    SignedOut,
    /// A login began by itself a moment ago and never came back.
    LoopDetected,
    /// Their source was asked again, and nobody is signed in there.
    ProviderSignedOut,
}

/// Who is signed in.
#[derive(Clone, Debug)]
pub struct SignedInPerson<'a> {
    /// Whom.
    pub person: PersonName<'a>,
    /// Where they go on without logging in again; absent when what they have is not enough.
    pub continue_to: Option<Href>,
}

/// One connector to choose.
#[derive(Clone, Debug)]
pub struct ConnectorChoice<'a> {
    /// Its display name.
    pub name: &'a str,
    /// Its picture, as SVG; absent: a key.
    pub icon: Option<&'static str>,
    /// Opens the login.
    pub href: Href,
    /// Whether this browser used it last.
    pub is_last_used: bool,
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInTemplate<'a> {
    layout: Layout<'a>,
    page: &'a SignInPage<'a>,
    reason: Option<&'static str>,
    notices: Vec<&'static str>,
    hints: Vec<&'static str>,
    /// Whether they may go on as who they are; else the way to log in is what matters here.
    can_continue: bool,
}

impl SignInPage<'_> {
    /// The page as HTML, in a language.
    pub fn render(&self, lang: Lang) -> Page {
        let layout = Layout::new(self.info, lang);
        let texts = &layout.texts.sign_in;
        let reason = self.reason.map(|reason| match reason {
            SignInReason::Expired => texts.expired,
            SignInReason::OtherConnector => texts.other_connector,
            SignInReason::StepUp => texts.step_up,
            SignInReason::SignedOut => texts.signed_out,
            SignInReason::LoopDetected => texts.loop_detected,
            SignInReason::ProviderSignedOut => texts.provider_signed_out,
        });
        let signed_in = self.signed_in.as_ref();
        let can_continue = signed_in.is_some_and(|signed_in| signed_in.continue_to.is_some());
        let said = |texts: &[LocalizedText]| texts.iter().map(|text| lang.of_text(*text)).collect();
        render_page(
            &SignInTemplate {
                layout,
                page: self,
                reason,
                notices: said(&self.notices),
                hints: said(&self.hints),
                can_continue,
            },
            lang,
            PagePolicy::Plain,
        )
    }
}
