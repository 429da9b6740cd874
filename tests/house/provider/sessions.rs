//! The provider's own sessions, and the codes and tokens issued from them.

use menshen::clock::Timestamp;
use serde_json::{Value, json};

use super::CLIENT_ID;
use super::keys::token_hash;
use super::people;
use super::state::{Shared, State, random};

/// A session of a person at the provider.
#[derive(Clone, Debug)]
pub(super) struct OpSession {
    pub(super) login: String,
    pub(super) sid: String,
    /// When the person authenticated (`auth_time`).
    pub(super) authenticated_at: Timestamp,
    /// The authentication context (`acr`).
    pub(super) acr: String,
}

/// A grant of a person to the client: the tokens of one code.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    pub(super) session: OpSession,
    pub(super) nonce: Option<String>,
    pub(super) scope: String,
    /// Whether its tokens are revoked.
    pub(super) revoked: bool,
}

/// An authorization code.
#[derive(Clone, Debug)]
pub(super) struct Code {
    pub(super) grant: Grant,
    pub(super) redirect_uri: String,
    pub(super) challenge: Option<String>,
    pub(super) issued_at: Timestamp,
    /// The index of the grant, once the code is redeemed.
    pub(super) redeemed: Option<usize>,
}

/// An access token.
#[derive(Clone, Debug)]
pub(super) struct AccessToken {
    /// The index of its grant.
    pub(super) grant: usize,
    pub(super) expires_at_s: i64,
}

/// A refresh token.
#[derive(Clone, Debug)]
pub(super) struct RefreshToken {
    pub(super) grant: usize,
    pub(super) expires_at_s: i64,
    pub(super) used: bool,
}

impl State {
    /// Issues the tokens of a grant; returns the response of the token endpoint. `is_code_grant` is false
    /// for a refresh.
    pub(super) fn issue_tokens(
        &mut self,
        shared: &Shared,
        grant: usize,
        is_code_grant: bool,
    ) -> Value {
        let now_s = shared.clock.now().unix_s();
        let settings = self.settings.clone();
        let access = self.access_token(shared, grant);
        let mut answer = json!({
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": settings.access_token_lifetime_s,
            "scope": self.grants[grant].scope,
        });
        if settings.gives_refresh_token && (is_code_grant || settings.rotates) {
            let refresh = self.new_secret();
            let expires_at_s = now_s + settings.refresh_token_lifetime_s;
            let used = false;
            let entry = RefreshToken {
                grant,
                expires_at_s,
                used,
            };
            self.refresh_tokens.insert(refresh.clone(), entry);
            answer["refresh_token"] = json!(refresh);
        }
        if is_code_grant || settings.refresh_gives_id_token {
            let claims = self.id_token_claims(shared, grant, &access, is_code_grant);
            let token = self.id_token(claims);
            let sid = self.grants[grant].session.sid.clone();
            self.id_tokens.insert(token.clone(), sid);
            self.secrets.push(token.clone());
            answer["id_token"] = json!(token);
        }
        answer
    }

    fn access_token(&mut self, shared: &Shared, grant: usize) -> String {
        let now_s = shared.clock.now().unix_s();
        let expires_at_s = now_s + self.settings.access_token_lifetime_s;
        let token = if self.settings.access_token_is_jwt {
            let login = self.grants[grant].session.login.clone();
            let claims = json!({
                "iss": shared.issuer, "sub": people::sub(&login), "aud": "account",
                "azp": CLIENT_ID, "iat": now_s, "exp": expires_at_s, "jti": random(),
                "scope": self.grants[grant].scope,
            });
            let token = self.keys[0].sign(&claims, &json!({ "typ": "at+jwt" }));
            self.secrets.push(token.clone());
            token
        } else {
            self.new_secret()
        };
        self.access_tokens.insert(
            token.clone(),
            AccessToken {
                grant,
                expires_at_s,
            },
        );
        token
    }

    fn id_token_claims(
        &mut self,
        shared: &Shared,
        grant: usize,
        access: &str,
        is_code_grant: bool,
    ) -> Value {
        let now_s = shared.clock.now().unix_s();
        let Grant { session, nonce, .. } = self.grants[grant].clone();
        let amr: &[&str] = if session.acr == "mfa" {
            &["pwd", "otp"]
        } else {
            &["pwd"]
        };
        let mut claims = json!({
            "iss": shared.issuer,
            "sub": people::sub(&session.login),
            "aud": CLIENT_ID,
            "azp": CLIENT_ID,
            "iat": now_s,
            "exp": now_s + self.settings.id_token_lifetime_s,
            "auth_time": session.authenticated_at.unix_s(),
            "sid": session.sid,
            "acr": session.acr,
            "amr": amr,
            "at_hash": token_hash(self.keys[0].algorithm, access),
        });
        if let Some(nonce) = nonce.filter(|_| is_code_grant) {
            claims["nonce"] = json!(nonce);
        }
        if self.settings.claims_in_id_token {
            for (name, value) in &self.person(&session.login).claims {
                claims[name] = value.clone();
            }
        }
        claims
    }

    /// The grant of a valid access token.
    pub(super) fn grant_of_access_token(&mut self, token: &str, now: Timestamp) -> Option<Grant> {
        let access = self.access_tokens.get(token)?;
        let grant = self.grants[access.grant].clone();
        let valid = access.expires_at_s > now.unix_s() && !grant.revoked;
        (valid && !self.person(&grant.session.login).disabled).then_some(grant)
    }

    /// The `sid` of each session of a person: those with a grant, oldest first, then the others in any order.
    pub(super) fn sids(&self, login: &str) -> Vec<String> {
        let mut sids: Vec<String> = Vec::new();
        let granted = self.grants.iter().map(|grant| &grant.session);
        for session in granted.chain(self.sessions.values()) {
            if session.login == login && !sids.contains(&session.sid) {
                sids.push(session.sid.clone());
            }
        }
        sids
    }

    /// Revokes all grants of a person.
    pub(super) fn revoke(&mut self, login: &str) {
        let of_person = |grant: &&mut Grant| grant.session.login == login;
        self.grants
            .iter_mut()
            .filter(of_person)
            .for_each(|grant| grant.revoked = true);
    }
}
