//! `Features`: the capabilities of a connector.

use std::time::Duration;

use super::{Callback, EntryPoint, LoginMethod};
use crate::login::pending::Mode;
use crate::wording::Text;

/// The capabilities of a connector, which depend on its kind and settings.
#[derive(Clone, Debug, Default)]
pub struct Features {
    /// The default mapping: field names and CEL expressions over `profile`.
    pub mapping: &'static [(&'static str, &'static str)],
    /// A profile such as the source sends it, as JSON, of a person who does not exist: for trying a mapping.
    pub sample_profile: &'static str,
    /// Whether members of the profile that no expression maps become attributes under their own names.
    pub further_members_are_attributes: bool,
    /// Fields of the default mapping that some sources let people write themselves.
    pub self_written: &'static [SelfWrittenField],
    /// The source's own app, if it has one.
    pub app: Option<SourceApp>,
    /// The mode of every login; absent: the User-Agent decides.
    pub forced_mode: Option<Mode>,
    /// The modes in which a login can run without any page of the source: by [`super::Prompt::None`],
    /// or because the source never shows one. If the person is not signed in at the source, the login
    /// fails with [`super::RefusalReason::InteractionRequired`].
    pub silent_in: &'static [Mode],
    /// With which settings such a login can run: a clause of the help text of an error. Empty: with all or
    /// with none.
    pub silent_login_help: Text,
    /// How the person authenticates.
    pub login_method: LoginMethod,
    /// The entry point for logins that the source starts, if the kind has one.
    pub entry_point: Option<EntryPoint>,
    /// Whether the source reports the authentication context (`acr`).
    pub reports_acr: bool,
    /// The values of `kind` that `/login` accepts besides `code`.
    pub code_kinds: &'static [&'static str],
    /// How often the source is asked about people who are signed in; absent: never, or by refreshing
    /// their tokens.
    pub revalidate_every: Option<Duration>,
    /// Whether the source reports changes of people by events.
    pub receives_events: bool,
    /// Whether the source issues an access token of the application itself, which other programs can use.
    pub shares_app_token: bool,
    /// Whether menshen itself has the list of the people, in the store or in a file: whoever is removed from
    /// it is signed out, and their access tokens end.
    pub lists_people: bool,
    /// Whether the people with their passwords are kept in the store, and not at a source or in a file.
    pub keeps_people: bool,
    /// How directory syncs run; absent: the source has no directory that can be read.
    pub directory_sync: Option<DirectorySyncSettings>,
    /// The icon on the sign-in page, as SVG; absent: the icon of a key.
    pub icon: Option<&'static str>,
    /// The text about this connector on the sign-in page.
    pub hint: Option<SignInHint>,
}

/// A field of the default mapping that some sources let people write themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelfWrittenField {
    pub field: &'static str,
    /// A part of every name by which expressions read it.
    pub named_by: &'static str,
    /// At which sources, and from which attribute: a clause of a warning.
    pub why: Text,
}

/// How directory syncs of a connector run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectorySyncSettings {
    /// The interval of syncs of everything; absent: none without being asked for.
    pub every: Option<Duration>,
    /// The percentage of the people that a sync may close; one that would close more is refused.
    pub brake_percent: u8,
}

/// The text about a connector on the sign-in page.
#[derive(Clone, Copy, Debug)]
pub struct SignInHint {
    /// The text below the buttons.
    pub default_text: LocalizedText,
    /// A substring of a User-Agent in lower case, and the text above the buttons that replaces
    /// `default_text` in browsers with it.
    pub for_user_agent: Option<(&'static str, LocalizedText)>,
}

/// A text in every language of the pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalizedText {
    pub en: &'static str,
    pub zh: &'static str,
}

/// A source's own app, in which people are signed in already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceApp {
    /// Its name. Of the connectors with the same app, only one can start logins automatically.
    pub name: &'static str,
    /// Substrings of its User-Agent in lower case; any of them identifies the app. A User-Agent can be
    /// forged, so it only selects a page and never grants access.
    pub user_agents: &'static [&'static str],
}

impl Features {
    /// The format of callback requests, if the connector has them.
    pub fn callback(&self) -> Option<&Callback> {
        match &self.login_method {
            LoginMethod::Callback(callback) => Some(callback),
            LoginMethod::PasswordForm | LoginMethod::EntryOnly => None,
        }
    }

    /// Whether the callback is a cross-site POST, for which browsers send only `SameSite=None`
    /// cookies.
    pub fn returns_by_post(&self) -> bool {
        let callback = self.callback();
        callback.is_some_and(|callback| callback.method.accepts_post())
    }

    /// Whether this User-Agent is that of the source's own app.
    pub fn is_app_of_source(&self, user_agent: &str) -> bool {
        let Some(app) = self.app else {
            return false;
        };
        let user_agent = user_agent.to_ascii_lowercase();
        app.user_agents.iter().any(|part| user_agent.contains(part))
    }

    /// Whether a login can run without any page of the source, in a mode that the settings allow.
    pub fn supports_silent_login(&self) -> bool {
        let is_allowed = |mode: &Mode| self.forced_mode.is_none_or(|forced| forced == *mode);
        self.silent_in.iter().any(is_allowed)
    }

    /// The texts for the sign-in page in this browser: above the buttons, and below.
    pub fn hints(&self, user_agent: &str) -> (Option<LocalizedText>, Option<LocalizedText>) {
        let Some(hint) = self.hint else {
            return (None, None);
        };
        let user_agent_has = |part: &str| user_agent.to_ascii_lowercase().contains(part);
        match hint.for_user_agent {
            Some((part, text)) if user_agent_has(part) && !self.is_app_of_source(user_agent) => {
                (Some(text), None)
            }
            _ => (None, Some(hint.default_text)),
        }
    }
}
