//! `[connector.ID.custom]`: the login protocol of one portal, as steps.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use crate::secret::SecretSource;
use crate::setting::{KeyPath, Period};

pub(in crate::login::connector) const NAME: &str = "custom";

/// The parameter of the callback that carries the state if the portal returns none.
pub(super) const OWN_STATE_PARAMETER: &str = "state";

/// A key of the table, or of a table in it.
pub(super) fn key_path<'a, const N: usize>(keys: [&'a str; N]) -> KeyPath<'a> {
    KeyPath::of([NAME]).join(KeyPath::of(keys))
}

/// Login with a portal whose protocol no other kind speaks. It is written as steps in CEL: requests that turn
/// the code or ticket of a browser into a person. Expressions see `code` (also the entry token), `params`
/// (all parameters that came back), `callback`, `state`, `secrets`, `now` and `steps` (the answers so far),
/// and the functions `md5`, `sha1`, `sha256`, `hmac_sha256(key, text)`, `base64`, `unix(now)` and
/// `unix_ms(now)`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The page of the portal at which a login begins: https, or http on this machine. Absent: only the
    /// portal starts logins, with `entry`.
    #[serde(default)]
    pub authorize_url: Option<Url>,
    /// The parameter in which the portal returns the code or ticket.
    #[serde(default = "default_code")]
    pub code: String,
    /// The parameter in which the portal returns `state`. Empty: it returns none; then `callback` carries the
    /// state in its own query.
    #[serde(default = "default_state")]
    pub state: String,
    /// The parameter with which the portal sends people who did not begin a login here to
    /// `PREFIX/enter/ID`; expressions see its value as `code`. Absent: there is no such address.
    #[serde(default)]
    pub entry: Option<String>,
    /// How long a used value of `entry` is remembered: at least as long as the portal accepts it.
    #[serde(default = "default_entry_replay")]
    pub entry_replay: Period,
    /// The origins of the pages that may send people to `PREFIX/enter/ID`, by `Origin` or `Referer`. Absent:
    /// any page, and so anybody can sign a person in as somebody else.
    #[serde(default)]
    pub origins: Vec<Url>,
    /// CEL: the ID that identifies the account, a text or a whole number. It must never change and never be
    /// given to another person.
    pub subject: String,
    /// CEL: the object that the mapping reads as `profile`.
    pub profile: String,
    /// The parameters of `authorize_url`: name = CEL over `callback`, `state`, `secrets` and `now`. One of
    /// them must carry `state`. A null is left out.
    #[serde(default)]
    pub authorize: BTreeMap<String, String>,
    /// The secrets that expressions read as `secrets.NAME`.
    #[serde(default)]
    pub secrets: BTreeMap<String, SecretSource>,
    /// The requests of a login, in this order, at most eight.
    #[serde(default)]
    pub step: Vec<StepConfig>,
}

/// One request to the portal. Its answer must be JSON with a status from 200 to 299.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepConfig {
    /// The name by which later expressions read the answer: `steps.NAME`.
    pub name: String,
    /// `GET` or `POST`.
    #[serde(default)]
    pub method: StepMethod,
    /// The URL: https, or http on this machine. Redirects are not followed. Before a login the host of the
    /// first step is probed with a request for `/`, at most every ten seconds while it responds and every two
    /// while it does not. While it does not respond, no browser is redirected to the portal.
    pub url: Url,
    /// CEL: the body as JSON. With `POST` only.
    #[serde(default)]
    pub json: Option<String>,
    /// CEL over the same and `answer`: whether the portal accepted the request. Absent: the status decides.
    #[serde(default)]
    pub success: Option<String>,
    /// CEL over the same and `answer`: for how many seconds all logins share the answer, at most a day. For a
    /// token of the application; such a step reads nothing of the person. Absent: asked at every login.
    #[serde(default)]
    pub cache: Option<String>,
    /// Parameters that are added to the query: name = CEL. A null is left out.
    #[serde(default)]
    pub query: BTreeMap<String, String>,
    /// Headers: name = CEL. A null is left out.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The fields of the body as a form: name = CEL. With `POST` only, and not beside `json`. A null is left
    /// out.
    #[serde(default)]
    pub form: Option<BTreeMap<String, String>>,
}

/// The method of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum StepMethod {
    #[default]
    Get,
    Post,
}

fn default_code() -> String {
    "code".to_owned()
}

fn default_state() -> String {
    "state".to_owned()
}

fn default_entry_replay() -> Period {
    Period::s(3_600)
}
