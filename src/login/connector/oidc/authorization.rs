//! The authorization request, and the check of its response.

use url::Url;

use super::super::grant::{self, invalid_response};
use super::super::{AuthnRequest, ConnectorError, Prompt};
use super::Oidc;
use super::config::{self, ResponseMode};
use crate::issuer::Metadata;
use crate::login::fields::Fields;
use crate::login::pending::Pending;

impl Oidc {
    /// The URL of the authorization request (OpenID Connect Core §3.1.2.1). Demands of the route override
    /// configured parameters, and neither replaces the parameters that bind the response to this login.
    pub(super) fn authorize_url(
        &self,
        endpoint: &Url,
        pending: &Pending,
        request: &AuthnRequest,
    ) -> Url {
        let challenge = grant::pkce_challenge(&pending.verifier);
        let (acr_values, max_age) = (
            request.acr_values.join(" "),
            request.max_age.map(|age| age.as_secs().to_string()),
        );
        let mut own_params = vec![
            ("response_type", "code"),
            ("client_id", &self.config.client_id),
            ("redirect_uri", self.callback.as_str()),
            ("scope", &self.scope),
            ("state", pending.flow.as_str()),
            ("nonce", &pending.nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        if self.config.response_mode == ResponseMode::FormPost {
            own_params.push(("response_mode", "form_post"));
        }
        if !acr_values.is_empty() {
            own_params.push(("acr_values", &acr_values));
        }
        let optional = [
            ("max_age", max_age.as_deref()),
            ("prompt", request.prompt.map(Prompt::as_str)),
            ("login_hint", request.login_hint.as_deref()),
            ("domain_hint", request.domain_hint.as_deref()),
        ];
        own_params.extend(
            optional
                .iter()
                .filter_map(|(name, value)| Some((*name, (*value)?))),
        );
        let configured_params: Vec<_> = self
            .config
            .authorize_params
            .iter()
            .filter(|(name, _)| !config::is_set_by_menshen(name))
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        grant::authorize_url(endpoint, &own_params, &configured_params)
    }

    /// Checks that the response comes from this issuer and belongs to this login (RFC 9207 §2.4), so
    /// that a code of another provider is never sent to the token endpoint of this one.
    pub(super) fn check_response(
        &self,
        metadata: &Metadata,
        pending: &Pending,
        fields: &Fields,
    ) -> Result<(), ConnectorError> {
        let one = |name| {
            fields
                .one(name)
                .map_err(|_| invalid_response("a parameter is repeated"))
        };
        if one("state")?.is_some_and(|state| state != pending.flow.as_str()) {
            return Err(invalid_response("its state is that of another login"));
        }
        match one("iss")? {
            Some(name) if self.issuer.tenant_of(name).is_none() => {
                Err(invalid_response("it comes from another issuer"))
            }
            None if metadata.sends_iss => Err(invalid_response(
                "it has no iss, although the issuer always sends it",
            )),
            _ => Ok(()),
        }
    }
}
