//! `check --online`: whether the issuer is there, is who it should be, and takes us for who we are.

use std::error::Error;

use super::super::grant::invalid_response;
use super::super::{ConnectorError, Finding};
use super::{Oidc, errors};
use crate::issuer::Metadata;
use crate::keys;
use crate::telemetry;

/// Asks everything that can be asked without a person; one finding a line.
pub(super) async fn examine(oidc: &Oidc) -> Vec<Finding> {
    let mut findings = urls_to_register(oidc);
    let metadata = match oidc.metadata().await {
        Ok(metadata) => metadata,
        Err(error) => {
            findings.push(failed("issuer", &error));
            return findings;
        }
    };
    let name = oidc.issuer.name();
    findings.push(Finding::good(format!("{name} answers by that name")));
    findings.extend(allowed_tenants(oidc));
    findings.push(signing_keys(oidc).await);
    findings.extend(supported_features(oidc, &metadata));
    findings.push(client_credentials(oidc, &metadata).await);
    findings
}

/// What an administrator enters at the provider.
fn urls_to_register(oidc: &Oidc) -> Vec<Finding> {
    let own = |path: &str| format!("{}{path}", oidc.own);
    let id = &oidc.id;
    vec![
        Finding::good(format!(
            "register {} at the provider, exactly so, as where logins return to (redirect URI)",
            oidc.callback
        )),
        Finding::good(format!(
            "and {} as where logouts return to (post-logout redirect URI)",
            own("/sign_out")
        )),
        Finding::good(format!(
            "and {} as where it says that it ended a session (back-channel logout URI), which the \
             provider must be able to reach",
            own(&format!("/backchannel-logout/{id}"))
        )),
    ]
}

/// Whose people come in, where the issuer serves many tenants.
fn allowed_tenants(oidc: &Oidc) -> Option<Finding> {
    let tenants: Vec<_> = oidc
        .config
        .tenants
        .iter()
        .map(ToString::to_string)
        .collect();
    (!tenants.is_empty()).then(|| {
        Finding::good(format!(
            "of its tenants these count: {}",
            tenants.join(", ")
        ))
    })
}

async fn signing_keys(oidc: &Oidc) -> Finding {
    match oidc.issuer.count_keys().await {
        Ok(0) => Finding::bad(
            "it has no key that `algorithms` counts: its tokens cannot be verified; see by which \
             algorithm the provider signs ID tokens",
        ),
        Ok(keys) => Finding::good(format!("{keys} of its keys may sign ID tokens")),
        Err(error) => failed("its keys", &errors::from_issuer(error)),
    }
}

/// What the metadata says it can do, and we want of it.
fn supported_features(oidc: &Oidc, metadata: &Metadata) -> Vec<Finding> {
    let mut findings = Vec::new();
    let needed = [
        ("authorization_endpoint", &metadata.authorization_endpoint),
        ("token_endpoint", &metadata.token_endpoint),
    ];
    for (name, endpoint) in needed {
        if endpoint.is_none() {
            findings.push(Finding::bad(format!("its metadata lacks `{name}`")));
        }
    }
    let methods = &metadata.code_challenge_methods;
    if !methods.is_empty() {
        findings.push(if methods.iter().any(|method| method == "S256") {
            Finding::good("it takes PKCE by S256")
        } else {
            Finding::bad(
                "it takes PKCE, but not by S256, the only way menshen speaks: allow it there",
            )
        });
    }
    let supported = &metadata.token_endpoint_auth_methods;
    let method = oidc.client_for(metadata).method();
    // Few providers list that they take public clients.
    if method != "none" && !supported.iter().any(|known| known == method) {
        findings.push(Finding::bad(format!(
            "it takes clients by {}, and we come by {method}: see `client_auth`",
            supported.join(", ")
        )));
    }
    if metadata.end_session_endpoint.is_none() {
        findings.push(Finding::good(
            "it has no page that logs people out: signing out here does not sign them out there",
        ));
    }
    if oidc.config.userinfo && metadata.userinfo_endpoint.is_none() {
        findings.push(Finding::good(
            "it has no userinfo endpoint: the ID token must say everything",
        ));
    }
    findings
}

/// A code that is none: whoever knows us says so, and whoever does not says that.
async fn client_credentials(oidc: &Oidc, metadata: &Metadata) -> Finding {
    let endpoint = match oidc.token_endpoint(metadata) {
        Ok(endpoint) => endpoint,
        Err(error) => return failed("client_id", &error),
    };
    let (code, verifier) = (random_text(), format!("{}{}", random_text(), random_text()));
    let redeemed = oidc
        .client_for(metadata)
        .redeem(endpoint, &code, Some(&verifier))
        .await;
    match redeemed {
        Err(ConnectorError::Stale(_)) => {
            Finding::good("it takes our client_id and its proof, and no code that is none")
        }
        Ok(_) => failed("token_endpoint", &invalid_response("it takes any code")),
        Err(error) => failed("client_id and its proof", &error),
    }
}

fn random_text() -> String {
    let random = keys::random::<16>();
    random.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn failed(what: &str, error: &(dyn Error + 'static)) -> Finding {
    Finding::bad(format!("{what}: {}", telemetry::error_chain(error)))
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::super::tests::oidc;
    use super::*;

    fn metadata() -> Metadata {
        let url = |path: &str| Url::parse(&format!("https://id.corp.example{path}")).unwrap();
        Metadata {
            jwks_uri: url("/keys"),
            authorization_endpoint: Some(url("/authorize")),
            token_endpoint: Some(url("/token")),
            userinfo_endpoint: Some(url("/userinfo")),
            end_session_endpoint: Some(url("/logout")),
            introspection_endpoint: None,
            sends_iss: true,
            token_endpoint_auth_methods: vec!["client_secret_basic".to_owned()],
            code_challenge_methods: vec!["S256".to_owned()],
        }
    }

    fn problems(more: &str, metadata: &Metadata) -> Vec<String> {
        let found = supported_features(&oidc(more), metadata).into_iter();
        found.filter(|it| !it.good).map(|it| it.text).collect()
    }

    #[test]
    fn an_administrator_is_told_what_to_enter_at_the_provider() {
        let told: Vec<_> = urls_to_register(&oidc(""))
            .into_iter()
            .map(|it| it.text)
            .collect();
        let told = told.join("\n");
        for url in [
            "https://sso.corp.example/.menshen/callback/keycloak",
            "https://sso.corp.example/.menshen/sign_out",
            "https://sso.corp.example/.menshen/backchannel-logout/keycloak",
        ] {
            assert!(told.contains(&format!("{url} ")), "{told}");
        }
    }

    #[test]
    fn what_the_provider_cannot_is_told() {
        assert_eq!(problems("", &metadata()), Vec::<String>::new());
        let without = |edit: &dyn Fn(&mut Metadata)| {
            let mut metadata = metadata();
            edit(&mut metadata);
            problems("client_secret = 'a'", &metadata).join("\n")
        };
        for (said, word) in [
            (without(&|it| it.token_endpoint = None), "`token_endpoint`"),
            (
                without(&|it| it.authorization_endpoint = None),
                "`authorization_endpoint`",
            ),
            (
                without(&|it| it.code_challenge_methods = vec!["plain".to_owned()]),
                "S256",
            ),
            (
                without(&|it| it.token_endpoint_auth_methods = vec!["private_key_jwt".to_owned()]),
                "`client_auth`",
            ),
        ] {
            assert!(said.contains(word), "{said}");
        }
        assert_eq!(without(&|it| it.code_challenge_methods.clear()), "");
    }
}
