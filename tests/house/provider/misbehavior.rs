//! `Misbehavior`: protocol violations and faults that a test can switch on.

use std::sync::Arc;

use serde_json::Value;

use super::keys::Key;
use super::state::State;

type Edit = Arc<dyn Fn(&mut Value) + Send + Sync>;
type Sign = Arc<dyn Fn(&Value, &Key) -> String + Send + Sync>;
type Pairs = Vec<(String, String)>;

/// One protocol violation or fault.
#[derive(Clone)]
pub(crate) enum Misbehavior {
    /// Edits the claims of each ID token before they are signed.
    Claims(Edit),
    /// Edits the header of each ID token before it is signed.
    TokenHeader(Edit),
    /// Builds the ID token from its claims, instead of signing it.
    Token(Sign),
    /// Edits a JSON response of `discovery`, `keys`, `token`, `userinfo` or `introspect`.
    Json(&'static str, Edit),
    /// Edits the parameters of the authorization response.
    RedirectParameters(Arc<dyn Fn(&mut Pairs) + Send + Sync>),
    /// Replaces the content type of an endpoint's responses, or removes it.
    ContentType(&'static str, Option<&'static str>),
    /// Makes an endpoint fail.
    Fault(&'static str, EndpointFault),
}

/// How an endpoint fails.
#[derive(Clone, Debug)]
pub(crate) enum EndpointFault {
    /// An HTML page with status 200.
    Html,
    /// An HTML page with this status.
    HtmlStatus(u16),
    /// A redirect with this status to a working endpoint.
    Redirect(u16),
    /// Endless JSON.
    Endless,
    /// No response, on an open connection.
    NoResponse,
    /// The header and the first bytes of a response, then nothing, on an open connection.
    UnfinishedBody,
    /// This status and JSON body.
    Json(u16, String),
    /// This status, content type and body.
    Response(u16, &'static str, String),
    /// Closes the connection.
    Disconnect,
}

impl Misbehavior {
    pub(crate) fn claims(edit: impl Fn(&mut Value) + Send + Sync + 'static) -> Self {
        Self::Claims(Arc::new(edit))
    }

    pub(crate) fn token_header(edit: impl Fn(&mut Value) + Send + Sync + 'static) -> Self {
        Self::TokenHeader(Arc::new(edit))
    }

    pub(crate) fn token(sign: impl Fn(&Value, &Key) -> String + Send + Sync + 'static) -> Self {
        Self::Token(Arc::new(sign))
    }

    pub(crate) fn json(
        endpoint: &'static str,
        edit: impl Fn(&mut Value) + Send + Sync + 'static,
    ) -> Self {
        Self::Json(endpoint, Arc::new(edit))
    }

    pub(crate) fn redirect_parameters(edit: impl Fn(&mut Pairs) + Send + Sync + 'static) -> Self {
        Self::RedirectParameters(Arc::new(edit))
    }
}

impl State {
    /// The fault of an endpoint, if one is switched on.
    pub(super) fn endpoint_fault(&self, endpoint: &str) -> Option<EndpointFault> {
        self.misbehavior
            .iter()
            .find_map(|misbehavior| match misbehavior {
                Misbehavior::Fault(at, fault) if *at == endpoint => Some(fault.clone()),
                _ => None,
            })
    }

    /// The replaced content type of an endpoint's responses.
    pub(super) fn content_type(&self, endpoint: &str) -> Option<Option<&'static str>> {
        self.misbehavior
            .iter()
            .find_map(|misbehavior| match misbehavior {
                Misbehavior::ContentType(at, content_type) if *at == endpoint => {
                    Some(*content_type)
                }
                _ => None,
            })
    }

    /// Applies the misbehavior to a JSON response.
    pub(super) fn apply_misbehavior(&self, endpoint: &str, mut answer: Value) -> Value {
        for misbehavior in &self.misbehavior {
            if let Misbehavior::Json(at, edit) = misbehavior
                && *at == endpoint
            {
                edit(&mut answer);
            }
        }
        answer
    }

    /// Applies the misbehavior to an authorization response.
    pub(super) fn change_redirect_parameters(&self, mut pairs: Pairs) -> Pairs {
        for misbehavior in &self.misbehavior {
            if let Misbehavior::RedirectParameters(edit) = misbehavior {
                edit(&mut pairs);
            }
        }
        pairs
    }

    /// Signs an ID token, with the misbehavior applied.
    pub(super) fn id_token(&self, mut claims: Value) -> String {
        let mut head = serde_json::json!({});
        let mut sign: Option<&Sign> = None;
        for misbehavior in &self.misbehavior {
            match misbehavior {
                Misbehavior::Claims(edit) => edit(&mut claims),
                Misbehavior::TokenHeader(edit) => edit(&mut head),
                Misbehavior::Token(by) => sign = Some(by),
                Misbehavior::Json(..)
                | Misbehavior::RedirectParameters(_)
                | Misbehavior::ContentType(..)
                | Misbehavior::Fault(..) => {}
            }
        }
        match sign {
            Some(sign) => sign(&claims, &self.keys[0]),
            None => self.keys[0].sign(&claims, &head),
        }
    }
}
