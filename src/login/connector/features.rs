//! `Features`: what a connector can do, as data.

use super::{Callback, EntryPoint, LoginMethod};
use crate::login::pending::Mode;

/// What a connector can do, as far as its settings say it.
#[derive(Clone, Debug, Default)]
pub struct Features {
    /// Field and CEL over `profile`, where `[connector.ID.mapping]` says nothing else.
    pub mapping: &'static [(&'static str, &'static str)],
    /// The source's own client.
    pub app: Option<SourceApp>,
    /// The mode of every login, when the settings leave no choice to the browser.
    pub forced_mode: Option<Mode>,
    /// In which modes the source can be asked without showing anything who is signed in there, by
    /// [`super::Prompt::None`] or because it never shows anything. If it knows nobody it answers
    /// [`super::RefusalReason::InteractionRequired`].
    pub silent_in: &'static [Mode],
    /// Which settings `silent_in` depends on, for the help of an error: `oauth2 by some presets`.
    pub silent_requirements: &'static str,
    /// How the answer to a login comes.
    pub login_method: LoginMethod,
    /// Where people redeem_entry_token with a ticket that nobody here asked for, when the kind has that.
    pub entry_point: Option<EntryPoint>,
    /// Whether the source says how somebody proved who they are (`acr`).
    pub reports_acr: bool,
    /// Where an own front end may get a code besides the usual way: what the `kind` of `/login` may
    /// be besides `code`.
    pub code_kinds: &'static [&'static str],
    /// The picture on its button on the sign-in page, as SVG; absent: a key.
    pub icon: Option<&'static str>,
    /// What the sign-in page says about it.
    pub hint: Option<SignInHint>,
}

/// What the sign-in page says about a connector.
#[derive(Clone, Copy, Debug)]
pub struct SignInHint {
    /// How people log in from any browser, below the buttons.
    pub usual: LocalizedText,
    /// A client where that is no help, by what its User-Agent contains in lower case, and what is
    /// said there instead, above the buttons.
    pub elsewhere: Option<(&'static str, LocalizedText)>,
}

/// A sentence in each language of the pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalizedText {
    /// English.
    pub en: &'static str,
    /// Chinese.
    pub zh: &'static str,
}

/// A source's own client, where people are signed in already and a login needs no click.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceApp {
    /// Its name. Only one connector of a site can start logins by itself in one client.
    pub name: &'static str,
    /// What its User-Agent contains: any of these, in lower case. A hint, never a proof.
    pub user_agents: &'static [&'static str],
}

impl Features {
    /// What a request to the callback address looks like, where answers come there.
    pub fn callback(&self) -> Option<&Callback> {
        match &self.login_method {
            LoginMethod::Callback(callback) => Some(callback),
            LoginMethod::PasswordForm | LoginMethod::EntryOnly => None,
        }
    }

    /// Whether the answer comes by a POST from the source's site, where the browser keeps back most
    /// cookies.
    pub fn returns_by_post(&self) -> bool {
        let callback = self.callback();
        callback.is_some_and(|callback| callback.method.accepts_post())
    }

    /// Whether this User-Agent is the source's own client.
    pub fn is_own_app(&self, user_agent: &str) -> bool {
        let Some(app) = self.app else {
            return false;
        };
        let user_agent = user_agent.to_ascii_lowercase();
        app.user_agents.iter().any(|part| user_agent.contains(part))
    }

    /// Whether the source can be asked without showing anything, in a mode that the settings allow.
    pub fn supports_silent_login(&self) -> bool {
        let allowed = |mode: &Mode| self.forced_mode.is_none_or(|forced| forced == *mode);
        self.silent_in.iter().any(allowed)
    }

    /// What the sign-in page says in this client: above the buttons, and below.
    pub fn hints(&self, user_agent: &str) -> (Option<LocalizedText>, Option<LocalizedText>) {
        let Some(hint) = self.hint else {
            return (None, None);
        };
        let user_agent_is = |part: &str| user_agent.to_ascii_lowercase().contains(part);
        match hint.elsewhere {
            Some((client, text)) if user_agent_is(client) && !self.is_own_app(user_agent) => {
                (Some(text), None)
            }
            _ => (None, Some(hint.usual)),
        }
    }
}
