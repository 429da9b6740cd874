//! The command `menshen explain`, while a server uses the same store.

use std::path::Path;

use menshen::store::SqliteUrl;

use super::*;
use crate::chinese::english_in;
use crate::command::{run_menshen, text};
use crate::upstream::TempFolder;

/// A running server with a store in a file, and its configuration in a file.
struct CommandEnv {
    server: ExplainServer,
    folder: TempFolder,
    config: String,
}

impl CommandEnv {
    async fn start() -> Self {
        let folder = TempFolder::new();
        let store = format!("sqlite://{}", folder.path("menshen.db").display());
        let server = ExplainServer::with_store(&store).await;
        let menshen = &server.menshen;
        let path = folder.write(
            "menshen.toml",
            &menshen.setup.text(&menshen.wecom, &menshen.app),
        );
        let config = path.to_str().unwrap().to_owned();
        Self {
            server,
            folder,
            config,
        }
    }

    /// Runs the command and returns its exit code, standard output and standard error.
    fn explain(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let mut all = vec!["explain", "-c", &self.config];
        all.extend(arguments);
        let output = run_menshen(&all);
        (
            output.status.code(),
            text(&output.stdout).to_owned(),
            text(&output.stderr).to_owned(),
        )
    }
}

/// Every row about accounts, identities, sessions and leases, and the number of spent tokens.
async fn account_and_session_rows(file: &Path) -> Vec<String> {
    let url = format!("sqlite://{}?mode=ro", file.display());
    let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
    let mut all = Vec::new();
    for sql in [
        "SELECT hex(id) || login || epoch || closed FROM menshen_account",
        "SELECT connector || subject || hex(account) || entitlements || used_at FROM menshen_identity",
        "SELECT hex(key) || facts || minted_at || expires_at || used_at FROM menshen_session",
        "SELECT name || holder || until FROM menshen_lease",
        "SELECT 'spent ' || count(*) FROM menshen_spent",
    ] {
        let found: Vec<Option<String>> = sqlx::query_scalar(sql).fetch_all(&pool).await.unwrap();
        all.extend(found.into_iter().flatten());
    }
    pool.close().await;
    all
}

#[tokio::test]
async fn the_command_prints_the_explanation_line_by_line() {
    let env = CommandEnv::start().await;
    session_cookie_of(&env.server.menshen, "lisi").await;
    let url = format!("{SSO_URL}/finance/x?y=1");
    let (code, out, err) = env.explain(&[&url, "--as", "lisi", "--from", "192.0.2.7"]);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    for line in [
        "request: GET http://sso.test/finance/x from 192.0.2.7",
        "caller: lisi, as if just signed in through corp",
        "route: finance (host sso.test, path /finance)",
        "rejected: app: its path / matches, and finance has a longer one",
        "rejected: public: its path is /public",
        "rejected: port: it serves another host: port.test:8080",
        "rule: allow = '财务部' in user.departments && request.ip != '10.9.9.9' → yes",
        "value: user.departments = [\"财务部\"]",
        "value: request.ip = \"192.0.2.7\"",
        "verdict: allow",
        "header: host: sso.test",
        "header: x-forwarded-user: lisi",
        "header: x-forwarded-name: %E6%9D%8E%E5%9B%9B (李四)",
        "header: x-forwarded-for: 192.0.2.7",
    ] {
        assert!(out.lines().any(|own| own == line), "{line}\n{out}");
    }
    let upstream = out.lines().find(|line| line.starts_with("upstream: "));
    assert!(
        upstream.unwrap().ends_with(" gets GET /finance/x?y=1"),
        "{out}"
    );
    let (code, out, _) = env.explain(&[&format!("{SSO_URL}/failing"), "--as", "lisi"]);
    assert_eq!(code, Some(0));
    for line in [
        "value: user.attributes.level: not there",
        "value: user.login = \"lisi\"",
    ] {
        assert!(out.lines().any(|own| own == line), "{line}\n{out}");
    }
    assert!(out.contains("verdict: deny, 403 (rule failed: "), "{out}");
    let (code, out, _) = env.explain(&[&format!("{SSO_URL}/x")]);
    assert_eq!(code, Some(0));
    assert!(out.contains("\ncaller: nobody\n"), "{out}");
    assert!(out.contains("\nverdict: login (nobody): "), "{out}");
}

#[tokio::test]
async fn the_command_and_the_api_return_the_same_json() {
    let env = CommandEnv::start().await;
    session_cookie_of(&env.server.menshen, "lisi").await;
    for path in [
        "/finance/x",
        "/dressed/a",
        "/failing",
        "/finance%2f",
        "/a/../b",
        "/strong",
    ] {
        let url = format!("{SSO_URL}{path}");
        let parameters = [
            ("url", url.as_str()),
            ("as", "lisi"),
            ("via", "corp"),
            ("from", "192.0.2.7"),
            ("method", "POST"),
            ("header", "X-Level: 7"),
        ];
        let api = env.server.explained(&parameters).await;
        let (code, out, _) = env.explain(&[
            &url,
            "--as",
            "lisi",
            "--via",
            "corp",
            "--from",
            "192.0.2.7",
            "--method",
            "POST",
            "--header",
            "X-Level: 7",
            "--json",
        ]);
        assert_eq!(code, Some(0), "{path}");
        let command: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(command, api, "{path}");
        assert_eq!(command["caller"]["login"], "lisi");
    }
}

#[tokio::test]
async fn an_unknown_login_exits_with_1_and_a_usage_error_with_2() {
    let env = CommandEnv::start().await;
    session_cookie_of(&env.server.menshen, "lisi").await;
    let url = format!("{SSO_URL}/x");
    for (arguments, code, part) in [
        (
            vec![&*url, "--as", "nobody"],
            1,
            "error: no account has the login nobody",
        ),
        (
            vec![&*url, "--as", "lisi", "--via", "other"],
            1,
            "the account has identities of corp",
        ),
        (vec!["/x"], 2, "write the whole URL"),
        (vec![&*url, "--as", ""], 2, "a login is"),
        (vec![&*url, "--header", "Cookie: a=b"], 2, "cannot be given"),
        (vec![&*url, "--with", "lisi"], 2, "--with"),
        (vec![], 2, "<URL>"),
    ] {
        let (exit, out, err) = env.explain(&arguments);
        assert_eq!(
            (exit, out.as_str()),
            (Some(code), ""),
            "{arguments:?}: {err}"
        );
        assert!(err.contains(part), "{arguments:?}: {err}");
    }
}

#[tokio::test]
async fn explaining_writes_nothing_to_the_store_of_a_running_server() {
    let env = CommandEnv::start().await;
    let cookie = session_cookie_of(&env.server.menshen, "lisi").await;
    let file = env.folder.path("menshen.db");
    let before = account_and_session_rows(&file).await;
    assert!(before.iter().any(|row| row.contains("lisi")), "{before:?}");
    let url = format!("{SSO_URL}/finance/x");
    let calls = |path| env.server.menshen.wecom.calls(path);
    let parameters = || (calls("/cgi-bin/gettoken"), calls("/cgi-bin/user/get"));
    let asked_before = parameters();
    for _ in 0..3 {
        assert_eq!(env.explain(&[&url, "--as", "lisi"]).0, Some(0));
        env.server.explained(&[("url", &url), ("as", "lisi")]).await;
    }
    assert_eq!(account_and_session_rows(&file).await, before);
    assert_eq!(parameters(), asked_before, "no source is contacted");
    let request = TestRequest::get("/finance/x").session(&cookie);
    assert_eq!(request.send(&env.server.menshen).await.status, 200);
}

#[tokio::test]
async fn a_missing_store_or_one_of_another_version_is_not_changed() {
    let env = CommandEnv::start().await;
    session_cookie_of(&env.server.menshen, "lisi").await;
    let url = format!("{SSO_URL}/x");
    let file = env.folder.path("other.db");
    let text = std::fs::read_to_string(&env.config).unwrap();
    std::fs::write(&env.config, text.replace("menshen.db", "other.db")).unwrap();
    // Without a login no store is needed.
    assert_eq!(env.explain(&[&url]).0, Some(0));
    let (code, _, err) = env.explain(&[&url, "--as", "lisi"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("nobody ever signed in here"), "{err}");
    assert!(!file.exists(), "no file is created");
    for (sql, part) in [
        (
            "DELETE FROM _sqlx_migrations WHERE version = (SELECT max(version) FROM _sqlx_migrations)",
            "older",
        ),
        (
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (999, 'later', TRUE, x'00', 0)",
            "newer",
        ),
    ] {
        // A new file, which no server uses.
        let _ = std::fs::remove_file(&file);
        let url_of_file = format!("sqlite://{}", file.display());
        menshen::store::Sqlite::open(&SqliteUrl::File(file.clone()))
            .await
            .unwrap()
            .close()
            .await;
        let pool = sqlx::SqlitePool::connect(&url_of_file).await.unwrap();
        sqlx::query(sql).execute(&pool).await.unwrap();
        pool.close().await;
        let bytes = std::fs::read(&file).unwrap();
        let (code, _, err) = env.explain(&[&url, "--as", "lisi"]);
        assert_eq!(code, Some(1), "{err}");
        assert!(err.contains(part), "{err}");
        assert!(
            std::fs::read(&file).unwrap() == bytes,
            "the file was changed"
        );
    }
}

#[tokio::test]
async fn a_route_without_an_upstream_is_said_to_answer_only_checks() {
    let env = CommandEnv::start().await;
    session_cookie_of(&env.server.menshen, "lisi").await;
    let url = &*format!("{SSO_URL}/nowhere");
    let (code, out, err) = env.explain(&[url, "--as", "lisi"]);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    let verdict = "verdict: allow, for the check of another proxy: this route has no upstream and only \
                   answers checks; a request sent to menshen itself gets 404";
    assert!(out.lines().any(|line| line == verdict), "{out}");
    let (_, out, _) = env.explain(&[url, "--as", "lisi", "--lang", "zh"]);
    assert!(out.contains("只响应检查"), "{out}");
    // A person whom the rule refuses is refused by the check, too.
    let (_, out, _) = env.explain(&[url]);
    assert!(out.contains("verdict: login (nobody): "), "{out}");
}

#[tokio::test]
async fn an_explanation_is_chinese_with_a_chinese_locale() {
    let env = CommandEnv::start().await;
    session_cookie_of(&env.server.menshen, "lisi").await;
    for path in [
        "/finance/x",
        "/failing",
        "/x",
        "/other",
        "/ruled",
        "/strong",
        "/public/named",
        "/finance%2f",
        "/a/../b",
        "/.menshen/sign_in",
    ] {
        for more in [&["--as", "lisi"][..], &[]] {
            let url = format!("{SSO_URL}{path}");
            let (code, out, err) = env.explain(&[&[&*url, "--lang", "zh"], more].concat());
            assert_eq!((code, err.as_str()), (Some(0), ""), "{path}: {out}");
            assert_eq!(out.lines().find_map(english_in), None, "{path}: {out}");
            assert!(out.contains("\n结论："), "{path}: {out}");
        }
    }
}
