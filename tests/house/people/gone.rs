//! A source no longer has a person, or gives the person another subject.

use super::*;

fn subject(userid: &str) -> menshen::store::Subject {
    format!("{}:{userid}", crate::wecom::CORP_ID.to_lowercase())
        .parse()
        .unwrap()
}

async fn is_signed_in(menshen: &Menshen, cookie: &str) -> bool {
    let asked = TestRequest::get("/echo").session(cookie);
    asked.send(menshen).await.status == 200
}

#[tokio::test]
async fn whom_the_source_no_longer_has_is_out_with_every_session() {
    let menshen = Setup::default().start().await;
    let (first, second) = (
        session_cookie_of(&menshen, "zhangsan").await,
        session_cookie_of(&menshen, "zhangsan").await,
    );
    let other = session_cookie_of(&menshen, "lisi").await;
    let people = &menshen.running.live().services().people;
    let corp = "corp".parse().unwrap();
    let closed = people
        .close_account_of(&corp, &subject("zhangsan"), "wecom events", "deleted")
        .await;
    assert_eq!(closed.unwrap().unwrap().login.as_str(), "zhangsan");
    assert!(!is_signed_in(&menshen, &first).await);
    assert!(!is_signed_in(&menshen, &second).await);
    assert!(is_signed_in(&menshen, &other).await);
    // The source gives the subject to a new person: it is not signed in to the old account.
    let page = Browser::new(&menshen)
        .sign_in(&format!("{SSO_URL}/echo"), "zhangsan")
        .await;
    assert_eq!(
        (page.answer.status, page.cause()),
        (403, Some(Cause::LoginTaken))
    );
    // Nobody is closed for a subject that nobody has.
    let nobody = people
        .close_account_of(&corp, &subject("nobody"), "wecom events", "deleted")
        .await;
    assert_eq!(nobody.unwrap(), None);
}

#[tokio::test]
async fn a_new_subject_keeps_the_session_and_the_account() {
    let menshen = Setup::default().start().await;
    let cookie = session_cookie_of(&menshen, "zhangsan").await;
    assert!(is_signed_in(&menshen, &cookie).await);
    let people = &menshen.running.live().services().people;
    let rename = SubjectRename {
        connector: "corp".parse().unwrap(),
        from: subject("zhangsan"),
        to: subject("zhang.san"),
        by: "wecom events".to_owned(),
    };
    let renamed = people.rename_subject(&rename).await.unwrap();
    assert!(matches!(renamed, SubjectRenameOutcome::Renamed { .. }));
    assert!(is_signed_in(&menshen, &cookie).await);
    // The session is the new subject's: when that is gone, so is the session.
    let gone = async |who: &str| {
        let closed = people
            .close_account_of(&rename.connector, &subject(who), "test", "gone")
            .await;
        closed.unwrap().is_some()
    };
    assert!(!gone("zhangsan").await);
    assert!(is_signed_in(&menshen, &cookie).await);
    assert!(gone("zhang.san").await);
    assert!(!is_signed_in(&menshen, &cookie).await);
}
