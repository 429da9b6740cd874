//! `check --online`: checks the metadata and keys of the issuer, and that it accepts the client.

use std::error::Error;

use super::super::{ConnectorError, Finding};
use super::{Oidc, errors};
use crate::issuer::Metadata;
use crate::keys;
use crate::telemetry;
use crate::text;
use crate::wording::Text;

/// Checks everything that needs no login. Each finding is one line of output.
pub(super) async fn examine(oidc: &Oidc) -> Vec<Finding> {
    let mut findings = urls_to_register(oidc);
    let metadata = match oidc.metadata().await {
        Ok(metadata) => metadata,
        Err(error) => {
            findings.push(failed(text!("issuer", "签发方"), &error));
            return findings;
        }
    };
    let name = oidc.issuer.name();
    findings.push(Finding::good(text!(
        "{name} answers by that name",
        "{name} 的响应使用这个名字"
    )));
    findings.extend(allowed_tenants(oidc));
    findings.push(signing_keys(oidc).await);
    findings.extend(supported_features(oidc, &metadata));
    findings.push(client_credentials(oidc, &metadata).await);
    findings
}

/// The URLs that an administrator registers at the provider.
fn urls_to_register(oidc: &Oidc) -> Vec<Finding> {
    let own_page = |path: &str| format!("{}{path}", oidc.own_pages_url);
    let id = &oidc.id;
    vec![
        Finding::good(text!(
            "register {} at the provider as redirect URI, exactly as shown",
            "请在认证源登记重定向地址（redirect URI）{}，一字不差",
            oidc.callback
        )),
        Finding::good(text!(
            "register {} as post-logout redirect URI",
            "请把 {} 登记为退出后的重定向地址（post-logout redirect URI）",
            own_page("/sign_out")
        )),
        Finding::good(text!(
            "register {} as back-channel logout URI; the provider must be able to reach it",
            "请把 {} 登记为后端通道退出地址（back-channel logout URI）；认证源必须能访问它",
            own_page(&format!("/backchannel-logout/{id}"))
        )),
    ]
}

/// The tenants that are allowed, for a multi-tenant issuer.
fn allowed_tenants(oidc: &Oidc) -> Option<Finding> {
    let tenants: Vec<_> = oidc
        .config
        .tenants
        .iter()
        .map(ToString::to_string)
        .collect();
    (!tenants.is_empty()).then(|| {
        Finding::good(text!(
            "people of these tenants may sign in: {}",
            "可以登录的租户：{}",
            tenants.join(", ")
        ))
    })
}

async fn signing_keys(oidc: &Oidc) -> Finding {
    match oidc.issuer.count_keys().await {
        Ok(0) => Finding::bad(text!(
            "it has no key for one of `algorithms`, so its tokens cannot be verified: add the \
             algorithm by which the provider signs ID tokens",
            "它没有 `algorithms` 中任何一种算法的公钥，所以无法验证它的令牌：请加上认证源签发 ID \
             令牌所用的算法"
        )),
        Ok(keys) => Finding::good(text!(
            "it has keys that can sign ID tokens: {keys}",
            "它有可用于验证 ID 令牌的公钥：{keys} 个"
        )),
        Err(error) => failed(text!("its keys", "它的公钥"), &errors::from_issuer(error)),
    }
}

/// Whether the metadata offers what a login needs.
fn supported_features(oidc: &Oidc, metadata: &Metadata) -> Vec<Finding> {
    let mut findings = Vec::new();
    let needed = [
        ("authorization_endpoint", &metadata.authorization_endpoint),
        ("token_endpoint", &metadata.token_endpoint),
    ];
    for (name, endpoint) in needed {
        if endpoint.is_none() {
            findings.push(Finding::bad(text!(
                "its metadata lacks `{name}`",
                "它的元数据缺少 `{name}`"
            )));
        }
    }
    let methods = &metadata.code_challenge_methods;
    if !methods.is_empty() {
        findings.push(if methods.iter().any(|method| method == "S256") {
            Finding::good(text!("it supports PKCE with S256", "它支持 PKCE（S256）"))
        } else {
            Finding::bad(text!(
                "it supports PKCE, but not S256, which menshen uses: enable it at the provider",
                "它支持 PKCE，但不支持 menshen 使用的 S256：请在认证源开启"
            ))
        });
    }
    let supported = &metadata.token_endpoint_auth_methods;
    let method = oidc.client_for(metadata).method();
    // Few providers list the method of public clients.
    if method != "none" && !supported.iter().any(|known| known == method) {
        findings.push(Finding::bad(text!(
            "it supports the client authentication {}, not {method}: see `client_auth`",
            "它支持的客户端认证方式是 {}，不是 {method}：见 `client_auth`",
            supported.join(", ")
        )));
    }
    if metadata.end_session_endpoint.is_none() {
        findings.push(Finding::good(text!(
            "it has no end_session_endpoint: signing out of menshen does not sign people out there",
            "它没有 end_session_endpoint：从 menshen 退出时，在认证源不会退出"
        )));
    }
    if oidc.config.userinfo && metadata.userinfo_endpoint.is_none() {
        findings.push(Finding::good(text!(
            "it has no userinfo endpoint: the ID token must hold all claims",
            "它没有 userinfo 端点：ID 令牌必须包含所有声明"
        )));
    }
    findings
}

/// Redeems a random code: a provider that accepts the client's credentials refuses only the code.
async fn client_credentials(oidc: &Oidc, metadata: &Metadata) -> Finding {
    let endpoint = match oidc.token_endpoint(metadata) {
        Ok(endpoint) => endpoint,
        Err(error) => return failed(Text::same("client_id"), &error),
    };
    let (code, verifier) = (random_text(), format!("{}{}", random_text(), random_text()));
    let redeemed = oidc
        .client_for(metadata)
        .redeem(endpoint, &code, Some(&verifier))
        .await;
    match redeemed {
        Err(ConnectorError::CodeRejected(_)) => Finding::good(text!(
            "it accepts client_id and its secret or key, and refuses an invalid code",
            "它接受 client_id 及其密钥或私钥，并拒绝无效的授权码"
        )),
        Ok(_) => Finding::bad(text!(
            "token_endpoint accepts an invalid code: it is not a token endpoint",
            "token_endpoint 接受了无效的授权码：它不是令牌端点"
        )),
        Err(error) => failed(
            text!(
                "client_id and its secret or key",
                "client_id 及其密钥或私钥"
            ),
            &error,
        ),
    }
}

fn random_text() -> String {
    let random = keys::random::<16>();
    random.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn failed(what: Text, error: &(dyn Error + 'static)) -> Finding {
    Finding::bad(text!(
        "{what}: {}",
        "{what:#}：{:#}",
        telemetry::error_chain(error)
    ))
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
        found
            .filter(|it| !it.good)
            .map(|it| it.text.to_string())
            .collect()
    }

    #[test]
    fn the_urls_to_register_at_the_provider_are_printed() {
        let printed: Vec<_> = urls_to_register(&oidc(""))
            .into_iter()
            .map(|it| it.text.to_string())
            .collect();
        let printed = printed.join("\n");
        for url in [
            "https://sso.corp.example/.menshen/callback/keycloak",
            "https://sso.corp.example/.menshen/sign_out",
            "https://sso.corp.example/.menshen/backchannel-logout/keycloak",
        ] {
            assert!(printed.contains(&format!("{url} ")), "{printed}");
        }
    }

    #[test]
    fn features_that_the_provider_lacks_are_named() {
        assert_eq!(problems("", &metadata()), Vec::<String>::new());
        let without = |edit: &dyn Fn(&mut Metadata)| {
            let mut metadata = metadata();
            edit(&mut metadata);
            problems("client_secret = 'a'", &metadata).join("\n")
        };
        for (problems, word) in [
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
            assert!(problems.contains(word), "{problems}");
        }
        assert_eq!(without(&|it| it.code_challenge_methods.clear()), "");
    }
}
