//! `Misbehavior`: what a provider may do that it should not.

use std::sync::Arc;

use serde_json::Value;

use super::keys::Key;
use super::state::State;

type Edit = Arc<dyn Fn(&mut Value) + Send + Sync>;
type Sign = Arc<dyn Fn(&Value, &Key) -> String + Send + Sync>;
type Pairs = Vec<(String, String)>;

/// One way of misbehaving.
#[derive(Clone)]
pub(crate) enum Misbehavior {
    /// Edits the claims of each ID token before they are signed.
    Claims(Edit),
    /// Edits the head of each ID token before it is signed.
    Head(Edit),
    /// Makes the ID token of its claims, instead of signing it.
    Sign(Sign),
    /// Edits a JSON answer: of `discovery`, `keys`, `token`, `userinfo`, `introspect`.
    Answer(&'static str, Edit),
    /// Edits the parameters that the browser brings back.
    Back(Arc<dyn Fn(&mut Pairs) + Send + Sync>),
    /// Calls what an endpoint answers something else: a content type, or none at all.
    Label(&'static str, Option<&'static str>),
    /// Does something else at an endpoint than to answer.
    At(&'static str, EndpointFault),
}

/// What an endpoint does instead of answering.
#[derive(Clone, Debug)]
pub(crate) enum EndpointFault {
    /// A page, status 200.
    Html,
    /// A page, with this status.
    HtmlStatus(u16),
    /// A redirect with this status to where everything would be fine.
    Redirect(u16),
    /// JSON that never ends.
    Endless,
    /// Nothing, ever.
    Hold,
    /// The head of an answer and half a word; nothing more, ever.
    HoldBody,
    /// This status and body, as JSON.
    Json(u16, String),
    /// This status and body, called so.
    Called(u16, &'static str, String),
    /// Cuts the connection.
    Cut,
}

impl Misbehavior {
    pub(crate) fn claims(edit: impl Fn(&mut Value) + Send + Sync + 'static) -> Self {
        Self::Claims(Arc::new(edit))
    }

    pub(crate) fn head(edit: impl Fn(&mut Value) + Send + Sync + 'static) -> Self {
        Self::Head(Arc::new(edit))
    }

    pub(crate) fn sign(sign: impl Fn(&Value, &Key) -> String + Send + Sync + 'static) -> Self {
        Self::Sign(Arc::new(sign))
    }

    pub(crate) fn answer(
        endpoint: &'static str,
        edit: impl Fn(&mut Value) + Send + Sync + 'static,
    ) -> Self {
        Self::Answer(endpoint, Arc::new(edit))
    }

    pub(crate) fn back(edit: impl Fn(&mut Pairs) + Send + Sync + 'static) -> Self {
        Self::Back(Arc::new(edit))
    }
}

impl State {
    /// What the endpoint does instead of answering, if anything.
    pub(super) fn odd(&self, endpoint: &str) -> Option<EndpointFault> {
        self.misbehavior.iter().find_map(|how| match how {
            Misbehavior::At(at, odd) if *at == endpoint => Some(odd.clone()),
            _ => None,
        })
    }

    /// What the endpoint calls its answer, when that is not what it is.
    pub(super) fn label(&self, endpoint: &str) -> Option<Option<&'static str>> {
        self.misbehavior.iter().find_map(|how| match how {
            Misbehavior::Label(at, label) if *at == endpoint => Some(*label),
            _ => None,
        })
    }

    /// The JSON of an endpoint, apply_misbehavior as told.
    pub(super) fn apply_misbehavior(&self, endpoint: &str, mut answer: Value) -> Value {
        for how in &self.misbehavior {
            if let Misbehavior::Answer(at, edit) = how
                && *at == endpoint
            {
                edit(&mut answer);
            }
        }
        answer
    }

    /// What the browser brings back, apply_misbehavior as told.
    pub(super) fn misbehave_in_redirect(&self, mut pairs: Pairs) -> Pairs {
        for how in &self.misbehavior {
            if let Misbehavior::Back(edit) = how {
                edit(&mut pairs);
            }
        }
        pairs
    }

    /// The ID token of these claims, apply_misbehavior as told.
    pub(super) fn id_token(&self, mut claims: Value) -> String {
        let mut head = serde_json::json!({});
        let mut sign: Option<&Sign> = None;
        for how in &self.misbehavior {
            match how {
                Misbehavior::Claims(edit) => edit(&mut claims),
                Misbehavior::Head(edit) => edit(&mut head),
                Misbehavior::Sign(by) => sign = Some(by),
                Misbehavior::Answer(..)
                | Misbehavior::Back(_)
                | Misbehavior::Label(..)
                | Misbehavior::At(..) => {}
            }
        }
        match sign {
            Some(sign) => sign(&claims, &self.keys[0]),
            None => self.keys[0].sign(&claims, &head),
        }
    }
}
