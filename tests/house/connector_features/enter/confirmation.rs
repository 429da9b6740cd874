//! Unsolicited logins in a browser with a session: when the person must confirm.

use super::*;

/// Presses the button on the page that asks for a confirmation.
async fn confirm(browser: &mut Browser, flow: &str) -> Answer {
    let url = format!("{OWN_PAGES}/enter/{ID}");
    let form = format!("flow={flow}");
    browser.send("POST", &url, &OWN_FORM, form.as_bytes()).await
}

#[tokio::test]
async fn a_session_of_another_person_is_replaced_only_after_a_confirmation() {
    let (menshen, source) = start_menshen().await;
    for by_form in [false, true] {
        menshen.advance(std::time::Duration::from_secs(1));
        let mut browser = Browser::new(&menshen);
        let ticket_id = format!("{by_form}");
        let own_ticket = format!("ticket=zhangsan.{ticket_id}");
        assert!(sets_session(
            &follow_portal_link(&mut browser, &own_ticket).await
        ));
        let before = browser.clone();
        let ticket_of_lisi = format!("lisi.{ticket_id}");
        let page = match by_form {
            true => post_ticket(&mut browser, &ticket_of_lisi).await.answer,
            false => {
                follow_portal_link(&mut browser, &format!("ticket={ticket_of_lisi}&rd=/echo")).await
            }
        };
        let html = page.text();
        assert_eq!(page.status, 409, "{html}");
        for named in ["ZHANGSAN", "zhangsan", "LISI", "lisi"] {
            assert!(html.contains(named), "{named}: {html}");
        }
        assert!(
            !html.contains(&ticket_of_lisi),
            "no page shows a ticket: {html}"
        );
        assert_eq!(signed_in_user(&browser).await.as_deref(), Some("zhangsan"));
        let flow = flow_id_in(&html);
        // The button works only in the same browser and on menshen's own page.
        assert!(!sets_session(
            &confirm(&mut Browser::new(&menshen), &flow).await
        ));
        let url = format!("{OWN_PAGES}/enter/{ID}");
        for from in [
            ("Origin", "http://evil.test"),
            ("Origin", "null"),
            ("Sec-Fetch-Site", "cross-site"),
        ] {
            let mut headers = vec![from, OWN_FORM[1], OWN_FORM[3], OWN_FORM[4]];
            headers.push(("Accept", "text/html"));
            let form = format!("flow={flow}");
            let answer = browser
                .clone()
                .send("POST", &url, &headers, form.as_bytes())
                .await;
            assert_eq!(answer.status, 403, "{from:?}");
            assert!(!sets_session(&answer), "{from:?}");
        }
        // A callback cannot use the flow.
        let answer = browser
            .clone()
            .visit(&format!("{OWN_PAGES}/callback?state={flow}&code=1"))
            .await;
        assert!(!sets_session(&answer));
        assert_eq!(signed_in_user(&browser).await.as_deref(), Some("zhangsan"));
        let mut twice = browser.clone();
        let answer = confirm(&mut browser, &flow).await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (303, Some("/echo"))
        );
        assert_eq!(signed_in_user(&browser).await.as_deref(), Some("lisi"));
        assert_eq!(signed_in_user(&before).await, None, "the old session ended");
        assert!(!has_pending_login(&browser), "{:?}", browser.cookies());
        // A second press leads to the same session.
        confirm(&mut twice, &flow).await;
        assert_eq!(twice.cookie("menshen"), browser.cookie("menshen"));
    }
    assert_eq!(source.received().len(), 4);
}

#[tokio::test]
async fn a_ticket_of_the_signed_in_person_needs_no_confirmation() {
    let (menshen, _) = start_menshen().await;
    for by_form in [false, true] {
        let mut browser = Browser::new(&menshen);
        let first = format!("ticket=lisi.{by_form}-1&rd=/echo");
        assert!(sets_session(
            &follow_portal_link(&mut browser, &first).await
        ));
        let before = browser.clone();
        let second = format!("lisi.{by_form}-2");
        if by_form {
            let page = post_ticket(&mut browser, &second).await;
            assert_eq!(page.answer.echoed("x-forwarded-user"), ["lisi"]);
        } else {
            let answer = follow_portal_link(&mut browser, &format!("ticket={second}")).await;
            assert_eq!(answer.status, 303);
        }
        assert_ne!(browser.cookie("menshen"), before.cookie("menshen"));
        assert_eq!(signed_in_user(&browser).await.as_deref(), Some("lisi"));
        assert_eq!(signed_in_user(&before).await, None, "the old session ended");
    }
}

#[tokio::test]
async fn a_person_with_a_long_name_confirms_and_is_signed_in() {
    let (menshen, _) = start_menshen().await;
    let mut browser = Browser::new(&menshen);
    assert!(sets_session(
        &follow_portal_link(&mut browser, "ticket=zhangsan.1").await
    ));
    let page = follow_portal_link(&mut browser, "ticket=longname.1&rd=/echo").await;
    let html = page.text();
    assert_eq!(page.status, 409, "{html}");
    assert!(html.contains("longname"), "{html}");
    let answer = confirm(&mut browser, &flow_id_in(&html)).await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, Some("/echo"))
    );
    assert_eq!(signed_in_user(&browser).await.as_deref(), Some("longname"));
    // A person without a session need not confirm.
    let mut new_browser = Browser::new(&menshen);
    let page = post_ticket(&mut new_browser, "longname.2").await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["longname"]);
}

#[tokio::test]
async fn a_login_that_exceeds_the_size_of_a_cookie_is_refused_before_a_cookie_is_set() {
    let (menshen, _) = start_menshen().await;
    let mut signed_in = Browser::new(&menshen);
    assert!(sets_session(
        &follow_portal_link(&mut signed_in, "ticket=zhangsan.1").await
    ));
    let before = signed_in.cookies().to_vec();
    let confirmation_page = follow_portal_link(&mut signed_in, "ticket=longsid.1&rd=/echo").await;
    let mut new_browser = Browser::new(&menshen);
    let posted = post_ticket(&mut new_browser, "longsid.2").await.answer;
    for answer in [confirmation_page, posted] {
        assert_eq!(
            (answer.status, answer.cause()),
            (400, Some(Cause::InvalidProviderResponse)),
            "{}",
            answer.text()
        );
        assert_eq!(answer.header("set-cookie"), None);
    }
    assert_eq!(signed_in.cookies(), before);
    assert!(
        new_browser.cookies().is_empty(),
        "{:?}",
        new_browser.cookies()
    );
    let refused = menshen.audit().pop().unwrap();
    let error = refused["error"].as_str().unwrap();
    let limit = menshen::login::pending::PENDING_BYTES_MAX.to_string();
    assert!(error.contains(&limit), "{error}");
}
