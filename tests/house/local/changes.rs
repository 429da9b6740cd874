//! Changes of the file of people, while menshen runs and while it does not.

use std::time::Duration;

use super::*;
use crate::access_tokens;
use crate::command::serving::{Program, write_config};

/// Waits until the person is no longer signed in.
async fn wait_until_signed_out(browser: &mut Browser, who: &str) {
    let waiting = async {
        while status_at(browser, "/echo").await == 200 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), waiting).await;
    assert!(waited.is_ok(), "{who} is still signed in");
}

#[tokio::test]
async fn sessions_of_people_who_are_removed_disabled_or_get_another_password_end() {
    let text = people() + &person("zhouqi", ZHAOLIU, "");
    let folder = PeopleFolder::new(&text);
    let setup = folder.setup("");
    let menshen = setup.clone().start().await;
    let mut browsers = Vec::new();
    for (login, password) in [
        ("zhangsan", ZHANGSAN.1),
        ("wang.wu", WANGWU.1),
        ("lisi", LISI.1),
        ("zhouqi", ZHAOLIU.1),
    ] {
        let browser = signed_in(Browser::new(&menshen), login, password).await;
        browsers.push((login, browser));
    }
    folder.write(
        &[
            person("WANG.wu", WANGWU, "disabled = true"),
            person("lisi", ZHANGSAN, ""),
            person("ZhouQi", ZHAOLIU, "name = \"周七\""),
        ]
        .concat(),
    );
    menshen.reload(&setup).await.unwrap();
    let (_, mut zhouqi) = browsers.pop().unwrap();
    for (login, browser) in &mut browsers {
        wait_until_signed_out(browser, login).await;
    }
    assert_eq!(status_at(&mut zhouqi, "/echo").await, 200);
    // The new password counts, and the old one does not.
    signed_in(Browser::new(&menshen), "lisi", ZHANGSAN.1).await;
    for (login, password, status) in [
        ("lisi", LISI.1, 401),
        ("zhangsan", ZHANGSAN.1, 401),
        ("wang.wu", WANGWU.1, 403),
    ] {
        let answer = sign_in(&mut Browser::new(&menshen), login, password).await;
        assert_eq!(answer.status, status, "{login}");
    }
    let audit = menshen.audit();
    for (subject, reason) in [
        ("zhangsan", "not in the people file"),
        ("wang.wu", "disabled in the people file"),
        ("lisi", "the password has changed"),
    ] {
        let is_logged = audit.iter().any(|line| {
            let said = line["reason"].as_str().unwrap_or_default();
            line["event"] == "revoked" && line["subject"] == subject && said.contains(reason)
        });
        assert!(is_logged, "{subject}: {audit:?}");
    }
}

#[tokio::test]
async fn changed_fields_take_effect_while_the_person_is_signed_in() {
    let (menshen, folder) = start_menshen().await;
    let mut browser = signed_in(Browser::new(&menshen), "zhangsan", ZHANGSAN.1).await;
    assert_eq!(status_at(&mut browser, "/finance/echo").await, 200);
    folder.write(&person("ZhangSan", ZHANGSAN, "groups = [\"left\"]"));
    menshen.reload(&menshen.setup).await.unwrap();
    let waiting = async {
        while status_at(&mut browser, "/finance/echo").await == 200 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting)
        .await
        .expect("the department is gone");
    let echo = browser.visit(&format!("{SSO_URL}/echo")).await;
    assert_eq!(echo.echoed("x-forwarded-groups"), ["left"]);
    assert_eq!(echo.echoed("x-forwarded-email"), [""; 0]);
}

/// Waits until the token is refused.
async fn wait_until_token_ended(menshen: &Menshen, authorization: &str) {
    let waiting = async {
        while status_with_token(menshen, authorization).await == 200 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), waiting).await;
    assert!(waited.is_ok(), "the token still passes");
}

/// Makes an access token in a session; returns the header with which a program sends it.
async fn authorization(browser: &mut Browser, login: &str) -> String {
    let token = access_tokens::make_token(browser, "laptop", &[]).await;
    access_tokens::basic(login, &token)
}

async fn status_with_token(menshen: &Menshen, authorization: &str) -> u16 {
    let answer = access_tokens::send(menshen, "/git/x", authorization).await;
    answer.status
}

#[tokio::test]
async fn access_tokens_end_with_the_person_and_with_the_password_that_made_them() {
    let text = people() + &person("zhouqi", ZHAOLIU, "");
    let folder = PeopleFolder::new(&text);
    let store = format!("sqlite://{}", folder.0.path("menshen.db").display());
    let setup = folder.setup("").store(&store);
    let menshen = setup.clone().start().await;
    let mut tokens = Vec::new();
    for (login, password) in [
        ("zhangsan", ZHANGSAN.1),
        ("lisi", LISI.1),
        ("wang.wu", WANGWU.1),
        ("zhouqi", ZHAOLIU.1),
    ] {
        let mut browser = signed_in(Browser::new(&menshen), login, password).await;
        tokens.push(authorization(&mut browser, login).await);
    }
    let [zhangsan, lisi, wangwu, zhouqi] = tokens.try_into().unwrap();
    // One person is removed, one gets another password, and one another name.
    let wangwu_and_zhouqi =
        person("wang.wu", WANGWU, "name = '王五'") + &person("zhouqi", ZHAOLIU, "");
    folder.write(&(person("lisi", ZHANGSAN, "") + &wangwu_and_zhouqi));
    menshen.reload(&setup).await.unwrap();
    wait_until_token_ended(&menshen, &zhangsan).await;
    wait_until_token_ended(&menshen, &lisi).await;
    assert_eq!(status_with_token(&menshen, &wangwu).await, 200);
    let mut browser = signed_in(Browser::new(&menshen), "lisi", ZHANGSAN.1).await;
    let lisi = authorization(&mut browser, "lisi").await;
    menshen.running.stop().await;
    // While menshen does not run, one person is disabled and one gets another password.
    let text = person("lisi", ZHANGSAN, "")
        + &person("wang.wu", WANGWU, "disabled = true")
        + &person("zhouqi", LISI, "");
    folder.write(&text);
    let menshen = setup.start().await;
    wait_until_token_ended(&menshen, &wangwu).await;
    wait_until_token_ended(&menshen, &zhouqi).await;
    // Sessions of the former password are still stored; the token was made with the current one.
    assert_eq!(status_with_token(&menshen, &lisi).await, 200);
}

#[tokio::test]
async fn a_person_who_is_listed_again_has_the_same_account() {
    let (menshen, folder) = start_menshen().await;
    let id = async |browser: &mut Browser| {
        let userinfo = browser.visit(&format!("{OWN_PAGES}/userinfo")).await.json();
        userinfo["id"].as_str().unwrap().to_owned()
    };
    let mut browser = signed_in(Browser::new(&menshen), "zhangsan", ZHANGSAN.1).await;
    let before = id(&mut browser).await;
    // Somebody empties the file, and puts the people back.
    folder.write("");
    menshen.reload(&menshen.setup).await.unwrap();
    wait_until_signed_out(&mut browser, "zhangsan").await;
    folder.write(&people());
    menshen.reload(&menshen.setup).await.unwrap();
    assert_ne!(status_at(&mut browser, "/echo").await, 200);
    // Logins that began before the person was missing are refused.
    menshen.advance(Duration::from_secs(1));
    let mut browser = signed_in(Browser::new(&menshen), "zhangsan", ZHANGSAN.1).await;
    assert_eq!(id(&mut browser).await, before);
}

#[tokio::test]
async fn a_login_that_is_verified_while_the_person_is_removed_leads_to_no_session() {
    let both = person("slow", SLOW, "") + &person("changed", SLOW, "");
    let folder = PeopleFolder::new(&both);
    let setup = folder.setup("");
    let menshen = setup.clone().start().await;
    for (login, after) in [
        ("slow", person("changed", SLOW, "")),
        ("changed", person("changed", LISI, "")),
    ] {
        let mut browser = Browser::new(&menshen);
        let change = async {
            // The hash takes longer than this, also on a fast machine.
            tokio::time::sleep(Duration::from_millis(100)).await;
            folder.write(&after);
            menshen.reload(&setup).await.unwrap();
        };
        let (answer, ()) = tokio::join!(sign_in(&mut browser, login, SLOW.1), change);
        assert_ne!(answer.status, 401, "the password was right");
        wait_until_signed_out(&mut browser, login).await;
    }
}

#[tokio::test]
async fn a_file_with_a_problem_is_refused_at_its_line_and_the_old_one_stays_in_force() {
    let (menshen, folder) = start_menshen().await;
    let mut browser = signed_in(Browser::new(&menshen), "zhangsan", ZHANGSAN.1).await;
    for (text, place) in [
        (people().replace(LISI.0, "secret"), ":10:12: "),
        (people().replace("wang.wu", "LISI"), ":12:2: "),
        (people() + "[x\n", ":18:"),
    ] {
        folder.write(&text);
        let error = menshen.reload(&menshen.setup).await.unwrap_err();
        let place = format!("{}{place}", folder.path().display());
        assert!(error.contains(&place), "{place}: {error}");
        assert!(!error.contains("secret"), "{error}");
        assert_eq!(status_at(&mut browser, "/echo").await, 200);
        signed_in(Browser::new(&menshen), "wang.wu", WANGWU.1).await;
    }
    std::fs::remove_file(folder.path()).unwrap();
    let error = menshen.reload(&menshen.setup).await.unwrap_err();
    assert!(error.contains("read the people file"), "{error}");
    signed_in(Browser::new(&menshen), "wang.wu", WANGWU.1).await;
    folder.write(&people());
    menshen.reload(&menshen.setup).await.unwrap();
    assert_eq!(status_at(&mut browser, "/echo").await, 200);
}

#[tokio::test]
async fn a_changed_file_takes_effect_without_a_signal_and_after_a_restart() {
    let (menshen, folder) = start_menshen().await;
    let config = write_config(&folder.0, &menshen, &folder.setup(""));
    let (program, address) = Program::run(&config).await;
    let mut zhangsan = signed_in(Browser::at(address), "zhangsan", ZHANGSAN.1).await;
    let wangwu = signed_in(Browser::at(address), "wang.wu", WANGWU.1).await;
    let lisi = signed_in(Browser::at(address), "lisi", LISI.1).await;
    folder.write(&people().replace("ZhangSan", "somebody"));
    wait_until_signed_out(&mut zhangsan, "zhangsan").await;
    assert_eq!(program.end().await.0, Some(0));
    // Somebody is removed while menshen does not run.
    folder.write(&person("lisi", LISI, ""));
    let (program, address) = Program::run(&config).await;
    let at_new_address = |old: &Browser| {
        let mut browser = Browser::at(address);
        let cookie = old.cookie("menshen").unwrap().value.clone();
        browser.set_cookie("sso.test", "menshen", &cookie);
        browser
    };
    let (mut wangwu, mut lisi) = (at_new_address(&wangwu), at_new_address(&lisi));
    wait_until_signed_out(&mut wangwu, "wang.wu").await;
    assert_eq!(status_at(&mut lisi, "/echo").await, 200);
    let lines = program.end().await;
    assert_eq!(lines.0, Some(0), "{lines:?}");
}
