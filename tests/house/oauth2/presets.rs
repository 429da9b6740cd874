//! Presets, with their endpoints on loopback.

use menshen::face::page::Cause;
use serde_json::json;

use super::provider::Provider;
use super::{account_id, last_error, log_in_with};
use crate::setup::{Menshen, NO_LOGIN_LIMITS, Setup};

async fn start_menshen(tables: &str) -> Menshen {
    let tables = format!("{tables}{NO_LOGIN_LIMITS}");
    Setup::default().tables(&tables).start().await
}

fn github(provider: &Provider, connector: &str) -> String {
    let url = provider.url();
    let kind = provider.oauth2_toml(
        "gh",
        "preset = 'github'\nscopes = ['read:user', 'user:email', 'read:org']",
    );
    format!(
        "[connector.gh]\n{connector}\n{kind}[connector.gh.oauth2.profiles]\n\
         emails = '{url}/api/emails?per_page=100'\nteams = '{url}/api/teams?per_page=100'\n"
    )
}

/// A person with the profile, addresses and teams of GitHub.
fn set_github_profile(provider: &Provider) {
    provider.person(json!({
        "login": "zhangsan", "id": 583_231, "node_id": "MDQ6", "name": "张三", "email": null,
        "avatar_url": "https://avatars.example/u/583231",
    }));
    let mut state = provider.state();
    state.api.insert("emails".to_owned(), json!([
        { "email": "old@example.com", "primary": false, "verified": true, "visibility": null },
        { "email": "z@corp.example", "primary": true, "verified": true, "visibility": "private" },
    ]));
    state.api.insert(
        "teams".to_owned(),
        json!([
            { "slug": "ops", "name": "运维", "organization": { "login": "corp" } },
            { "slug": "dba", "name": "DBA", "organization": { "login": "corp" } },
        ]),
    );
}

#[tokio::test]
async fn github_profiles_include_addresses_and_teams() {
    let provider = Provider::start().await;
    set_github_profile(&provider);
    let menshen = start_menshen(&github(&provider, "")).await;
    let (_, page) = log_in_with(&menshen, "gh").await;
    for (header, value) in [
        ("x-forwarded-user", "zhangsan"),
        ("x-forwarded-name", "%E5%BC%A0%E4%B8%89"),
        ("x-forwarded-email", "z@corp.example"),
        ("x-forwarded-groups", "corp/ops,corp/dba"),
    ] {
        assert_eq!(page.answer.echoed(header), [value], "{header}");
    }
    assert_eq!(menshen.audit().pop().unwrap()["subject"], "583231");
    let state = provider.state();
    assert_eq!(
        state.authorize_requests[0]["scope"],
        "read:user user:email read:org"
    );
    assert!(
        state.token_requests[0].contains_key("client_secret"),
        "GitHub expects the secret in the form"
    );
    drop(state);
    let emails = provider.calls("/api/emails");
    assert_eq!(emails[0].target(), "/api/emails?per_page=100");
    assert!(
        emails[0].single_header("user-agent").is_some(),
        "GitHub refuses requests without User-Agent"
    );
}

#[tokio::test]
async fn a_failed_further_request_ends_the_login_with_a_remedy() {
    let provider = Provider::start().await;
    let menshen = start_menshen(&github(&provider, "")).await;
    for (path, status, cause, words) in [
        (
            "/api/teams",
            403,
            Cause::ProviderMisconfigured,
            "`profiles.teams`",
        ),
        ("/api/teams", 404, Cause::ProviderMisconfigured, "`scopes`"),
        (
            "/api/emails",
            401,
            Cause::ProviderMisconfigured,
            "`profiles.emails`",
        ),
        (
            "/api/emails",
            500,
            Cause::ProviderUnreachable,
            "HTTP status 500",
        ),
        ("/api/teams", 429, Cause::ProviderBusy, "429"),
        (
            "/api/me",
            403,
            Cause::ProviderMisconfigured,
            "`profile_url`",
        ),
    ] {
        set_github_profile(&provider);
        provider.respond_with(path, status, "Content-Type: application/json\r\n", "{}");
        let (browser, page) = log_in_with(&menshen, "gh").await;
        provider.restore();
        assert_eq!(page.cause(), Some(cause), "{path} {status}");
        assert!(browser.cookie("menshen").is_none());
        let error = last_error(&menshen);
        assert!(error.contains(words), "{path} {status}: {error}");
    }
    assert_eq!(log_in_with(&menshen, "gh").await.1.answer.status, 200);
}

#[tokio::test]
async fn a_paginated_list_is_read_completely_or_refused() {
    let provider = Provider::start().await;
    let kind = provider.oauth2_toml("gh", "preset = 'github'");
    let url = provider.url();
    let tables = format!(
        "{kind}[connector.gh.oauth2.profiles]\nemails = '{url}/api/emails'\n\
         teams = '{url}/api/teams?per_page=20'\n"
    );
    let menshen = start_menshen(&tables).await;
    let team = |nth: usize| json!({ "slug": format!("t{nth}"), "organization": { "login": "c" } });
    for (teams, calls) in [(0, 1), (19, 1), (20, 2), (41, 3), (199, 10), (200, 10)] {
        set_github_profile(&provider);
        let all: Vec<_> = (0..teams).map(team).collect();
        provider.state().page_sizes.insert("teams".to_owned(), 20);
        provider.state().api.insert("teams".to_owned(), all.into());
        let before = provider.calls("/api/teams").len();
        let (browser, page) = log_in_with(&menshen, "gh").await;
        assert_eq!(
            provider.calls("/api/teams").len() - before,
            calls,
            "{teams}"
        );
        if teams == 200 {
            assert_eq!(page.cause(), Some(Cause::ProviderUnreachable));
            assert!(browser.cookie("menshen").is_none());
            assert!(last_error(&menshen).contains("an end to its pages"));
            continue;
        }
        let groups = page.answer.echoed("x-forwarded-groups").concat();
        let groups: Vec<_> = groups
            .split(',')
            .filter(|group| !group.is_empty())
            .collect();
        assert_eq!(groups.len(), teams);
        assert_eq!(
            groups.last().copied().unwrap_or("none").ends_with("t198"),
            teams == 199
        );
    }
}

#[tokio::test]
async fn only_the_primary_verified_address_of_github_links_accounts() {
    for (verified, joined) in [(true, true), (false, false)] {
        let (github_provider, other) = (Provider::start().await, Provider::start().await);
        set_github_profile(&github_provider);
        github_provider.state().api.insert(
            "emails".to_owned(),
            json!([
                { "email": "z@corp.example", "primary": true, "verified": verified },
                { "email": "more@corp.example", "primary": false, "verified": true },
            ]),
        );
        other.person(json!({ "id": 1, "login": "zhang", "email": "z@corp.example" }));
        let vouched = "vouched_email = 'profile.email'";
        let menshen = start_menshen(&format!(
            "{}{}",
            other.connector_toml("own", "", vouched),
            github(&github_provider, "link_by = ['email']"),
        ))
        .await;
        let (mut other_browser, _) = log_in_with(&menshen, "own").await;
        let (mut gh, page) = log_in_with(&menshen, "gh").await;
        assert_eq!(page.answer.status, 200);
        let same = account_id(&mut other_browser).await == account_id(&mut gh).await;
        assert_eq!(same, joined, "{verified}");
    }
}

#[tokio::test]
async fn a_profile_inside_an_envelope_is_read() {
    let provider = Provider::start().await;
    let profile = json!({ "name": "张三", "union_id": "on_7", "open_id": "ou_7", "user_id": "zhangsan",
                     "enterprise_email": "z@corp.example", "tenant_key": "t1" });
    provider.person(json!({ "code": 0, "msg": "success", "data": profile }));
    provider.state().token_fields = json!({ "code": 0, "token_type": "Bearer" });
    let menshen = start_menshen(&provider.oauth2_toml("fs", "preset = 'feishu'")).await;
    let (_, page) = log_in_with(&menshen, "fs").await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["zhangsan"]);
    assert_eq!(page.answer.echoed("x-forwarded-email"), ["z@corp.example"]);
    assert_eq!(menshen.audit().pop().unwrap()["subject"], "on_7");
    assert!(!provider.state().authorize_requests[0].contains_key("scope"));
    for (profile, cause, words) in [
        (
            json!({ "code": 99_991_668, "msg": "Invalid access token" }),
            Cause::ProviderMisconfigured,
            "answered 99991668: Invalid access token",
        ),
        (
            json!({ "code": 0, "msg": "success" }),
            Cause::ProviderUnreachable,
            "`profile_at`",
        ),
        (
            json!({ "code": 0, "data": null }),
            Cause::ProviderUnreachable,
            "`profile_at`",
        ),
        (
            json!({ "code": 0, "data": [] }),
            Cause::ProviderUnreachable,
            "an object",
        ),
        (
            json!({ "code": 0, "data": { "open_id": "ou_7" } }),
            Cause::InvalidProviderResponse,
            "`subject`",
        ),
    ] {
        provider.person(profile.clone());
        let (browser, page) = log_in_with(&menshen, "fs").await;
        assert_eq!(page.cause(), Some(cause), "{profile}");
        assert!(browser.cookie("menshen").is_none());
        let error = last_error(&menshen);
        assert!(error.contains(words), "{profile}: {error}");
    }
}

#[tokio::test]
async fn a_token_in_an_error_message_is_not_logged() {
    let provider = Provider::start().await;
    let menshen = start_menshen(&provider.oauth2_toml("fs", "preset = 'feishu'")).await;
    let access = provider.state().issue_access_token();
    let body = json!({ "access_token": access, "token_type": "bearer" }).to_string();
    provider.respond_with("/token", 200, "Content-Type: application/json\r\n", &body);
    provider.person(json!({ "code": 1, "msg": format!("the token {access} is no good") }));
    log_in_with(&menshen, "fs").await;
    let error = last_error(&menshen);
    assert!(
        error.contains("the token … is no good") && !error.contains(&access),
        "{error}"
    );
}

#[tokio::test]
async fn tokens_inside_an_envelope_are_read() {
    let provider = Provider::start().await;
    let tables = provider.connector_toml("odd", "", "token_at = '/data'");
    let menshen = start_menshen(&tables).await;
    // The tokens at the top level, and then inside the envelope.
    assert_eq!(
        log_in_with(&menshen, "odd").await.1.cause(),
        Some(Cause::ProviderUnreachable)
    );
    assert!(last_error(&menshen).contains("`token_at`"));
    let refused = json!({ "code": 10003, "msg": "invalid app" }).to_string();
    provider.respond_with(
        "/token",
        200,
        "Content-Type: application/json\r\n",
        &refused,
    );
    assert_eq!(
        log_in_with(&menshen, "odd").await.1.cause(),
        Some(Cause::ProviderMisconfigured)
    );
    assert!(last_error(&menshen).contains("code 10003: invalid app"));
    let access = provider.state().issue_access_token();
    let body = json!({ "code": 0, "data": { "access_token": access, "expires_in": "7200" } });
    provider.respond_with(
        "/token",
        200,
        "Content-Type: application/json\r\n",
        &body.to_string(),
    );
    let (_, page) = log_in_with(&menshen, "odd").await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["zhangsan"]);
}
