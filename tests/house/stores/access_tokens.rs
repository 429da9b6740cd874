//! Access tokens: made in a standing session, found while what they stand on holds, and bounded in number.

use menshen::store::{
    AccessTokenOutcome, AccessTokenOwner, NewAccessToken, RevocationScope, SubjectRename,
    SubjectRenameOutcome,
};

use super::*;

const MAX: u32 = 3;

/// A token that the person of a session makes at noon, and that lasts an hour.
fn new_token(session: &NewSession, routes: Option<&[&str]>) -> NewAccessToken {
    NewAccessToken {
        key: SessionKey::new(keys::random()),
        public_id: SessionId::new(keys::random()),
        session: session.record.key,
        name: "laptop \u{7b14}\u{8bb0}\u{672c} ' ; --".to_owned(),
        routes: routes.map(|names| names.iter().map(|name| (*name).to_owned()).collect()),
        created_at: at(0),
        expires_at: at(3600),
    }
}

async fn create(store: &dyn Store, new: &NewAccessToken) -> AccessTokenOutcome {
    store.create_access_token(new, MAX).await.unwrap()
}

async fn stands(store: &dyn Store, new: &NewAccessToken) -> bool {
    store.access_token(&new.key).await.unwrap().is_some()
}

#[tokio::test]
async fn a_token_is_found_with_its_person_and_listed() {
    for Backend { name, store, .. } in backends().await {
        let (account, session) = somebody(&*store, "zhangsan").await;
        let all = new_token(&session, None);
        let some = NewAccessToken {
            created_at: at(1),
            ..new_token(&session, Some(&["git", "npm"]))
        };
        for new in [&all, &some] {
            assert_eq!(
                create(&*store, new).await,
                AccessTokenOutcome::Created,
                "{name}"
            );
        }
        let found = store.access_token(&some.key).await.unwrap().unwrap();
        assert_eq!(found.name, some.name, "{name}");
        assert_eq!(found.routes, some.routes, "{name}");
        let found = found.session;
        assert_eq!(found.account, account, "{name}");
        assert_eq!(found.session.key, some.key, "{name}");
        assert_eq!(found.session.public_id, some.public_id, "{name}");
        assert_eq!(found.session.connector, corp(), "{name}");
        assert_eq!(found.session.subject, session.record.subject, "{name}");
        // The time of the login, not of the token.
        let login = session.record.minted_at;
        assert_eq!(found.session.minted_at, login, "{name}");
        assert_eq!(found.session.expires_at, at(3600), "{name}");
        assert_eq!(
            (found.session.provider_sid, found.tokens),
            (None, None),
            "{name}"
        );
        let listed = store.access_tokens(&account.id, at(2), 10).await.unwrap();
        let ids: Vec<_> = listed.iter().map(|token| token.public_id).collect();
        assert_eq!(ids, [some.public_id, all.public_id], "{name}");
        assert_eq!(
            (&listed[1].routes, listed[1].used_at),
            (&None, None),
            "{name}"
        );
        assert_eq!(listed[1].name, all.name, "{name}");
        let created: Vec<_> = listed.iter().map(|token| token.created_at).collect();
        assert_eq!(created, [at(1), at(0)], "{name}");
        // A token is no session, and a session no token.
        assert_eq!(store.session(&some.key).await.unwrap(), None, "{name}");
        let of_session = store.access_token(&session.record.key).await.unwrap();
        assert_eq!(of_session, None, "{name}");
        let (other, _) = somebody(&*store, "lisi").await;
        assert_eq!(
            store.access_tokens(&other.id, at(2), 10).await.unwrap(),
            [],
            "{name}"
        );
    }
}

#[tokio::test]
async fn only_a_standing_session_makes_tokens() {
    for Backend { name, store, .. } in backends().await {
        let (account, session) = somebody(&*store, "zhangsan").await;
        let nobody = NewAccessToken {
            session: SessionKey::new(keys::random()),
            ..new_token(&session, None)
        };
        let late = NewAccessToken {
            created_at: session.record.expires_at,
            ..new_token(&session, None)
        };
        for refused in [&nobody, &late] {
            let outcome = create(&*store, refused).await;
            assert_eq!(outcome, AccessTokenOutcome::SessionEnded, "{name}");
        }
        let scope = RevocationScope::Account(account.id);
        store.revoke(&scope, at(1)).await.unwrap();
        let refused = create(&*store, &new_token(&session, None)).await;
        assert_eq!(refused, AccessTokenOutcome::SessionEnded, "{name}");
        let listed = store.access_tokens(&account.id, at(0), 10).await.unwrap();
        assert_eq!(listed, [], "{name}");
    }
}

#[tokio::test]
async fn a_person_has_so_many_tokens_that_can_be_used() {
    for Backend { name, store, .. } in backends().await {
        let (_, session) = somebody(&*store, "zhangsan").await;
        let first = new_token(&session, None);
        assert_eq!(create(&*store, &first).await, AccessTokenOutcome::Created);
        for _ in 1..MAX {
            let new = new_token(&session, None);
            assert_eq!(
                create(&*store, &new).await,
                AccessTokenOutcome::Created,
                "{name}"
            );
        }
        let more = new_token(&session, None);
        assert_eq!(
            create(&*store, &more).await,
            AccessTokenOutcome::TooMany,
            "{name}"
        );
        assert!(!stands(&*store, &more).await, "{name}");
        let (_, of_other) = somebody(&*store, "lisi").await;
        let other = new_token(&of_other, None);
        assert_eq!(
            create(&*store, &other).await,
            AccessTokenOutcome::Created,
            "{name}"
        );
        let scope = RevocationScope::Session(first.key);
        store.revoke(&scope, at(1)).await.unwrap();
        assert_eq!(
            create(&*store, &more).await,
            AccessTokenOutcome::Created,
            "{name}"
        );
        // Tokens that have expired do not count.
        let later = NewAccessToken {
            created_at: at(3600),
            expires_at: at(7200),
            ..new_token(&session, None)
        };
        assert_eq!(
            create(&*store, &later).await,
            AccessTokenOutcome::Created,
            "{name}"
        );
    }
}

#[tokio::test]
async fn every_revocation_ends_its_tokens() {
    for scope in [
        "token",
        "account",
        "connector",
        "everyone",
        "closed",
        "gone",
    ] {
        for Backend { name, store, .. } in backends().await {
            let (account, session) = somebody(&*store, "zhangsan").await;
            let (_, of_other) = somebody(&*store, "lisi").await;
            let (token, other) = (new_token(&session, None), new_token(&of_other, None));
            for new in [&token, &other] {
                assert_eq!(create(&*store, new).await, AccessTokenOutcome::Created);
                assert!(stands(&*store, new).await);
            }
            let before = store.epochs().await.unwrap().log_position.number;
            let revoked = match scope {
                "token" => Some(RevocationScope::Session(token.key)),
                "account" => Some(RevocationScope::Account(account.id)),
                "connector" => Some(RevocationScope::Connector(corp())),
                "everyone" => Some(RevocationScope::Everyone),
                _ => None,
            };
            match &revoked {
                Some(revoked) => drop(store.revoke(revoked, at(1)).await.unwrap()),
                None => {
                    let gone = (corp(), session.record.subject.clone());
                    let closing = Closing {
                        gone: (scope == "gone").then_some(gone),
                        ..closing("left")
                    };
                    let closed = store.close_account(&account.id, &closing, at(1)).await;
                    assert!(closed.unwrap().is_some());
                }
            }
            assert!(!stands(&*store, &token).await, "{name} {scope}");
            let all_end = ["connector", "everyone"].contains(&scope);
            assert_eq!(stands(&*store, &other).await, !all_end, "{name} {scope}");
            // Other nodes learn it from the log.
            let page = store.revocations_after(before, 10).await.unwrap();
            let scopes: Vec<_> = page.entries.into_iter().map(|entry| entry.scope).collect();
            let account_scope = RevocationScope::Account(account.id);
            assert_eq!(scopes, [revoked.unwrap_or(account_scope)], "{name} {scope}");
            // A reopened account has no tokens.
            store
                .reopen_account(&account.id, "boss", at(2))
                .await
                .unwrap();
            assert!(!stands(&*store, &token).await, "{name} {scope}");
        }
    }
}

#[tokio::test]
async fn a_logout_at_the_provider_ends_sessions_and_no_tokens() {
    for Backend { name, store, .. } in backends().await {
        let (_, session) = somebody(&*store, "zhangsan").await;
        let token = new_token(&session, None);
        assert_eq!(create(&*store, &token).await, AccessTokenOutcome::Created);
        let subject = session.record.subject.clone();
        let target = menshen::store::LogoutTarget::Subject(subject);
        store
            .apply_provider_logout(&corp(), &target, Some(&keys::random()), at(1), at(60))
            .await
            .unwrap();
        assert!(!has_session(&*store, &session).await, "{name}");
        assert!(stands(&*store, &token).await, "{name}");
    }
}

#[tokio::test]
async fn all_tokens_of_an_identity_end_together() {
    for Backend { name, store, .. } in backends().await {
        let (_, session) = somebody(&*store, "zhangsan").await;
        let (_, of_other) = somebody(&*store, "lisi").await;
        let (first, second) = (new_token(&session, None), new_token(&session, None));
        let other = new_token(&of_other, None);
        for new in [&first, &second, &other] {
            assert_eq!(create(&*store, new).await, AccessTokenOutcome::Created);
        }
        let subject = &session.record.subject;
        let owner = |new: &NewAccessToken, session: &NewSession| AccessTokenOwner {
            key: new.key,
            subject: session.record.subject.clone(),
            provider_sid: session.record.provider_sid.clone(),
        };
        let mut expected = vec![
            owner(&first, &session),
            owner(&second, &session),
            owner(&other, &of_other),
        ];
        expected.sort_by_key(|owner| (owner.subject.clone(), *owner.key.as_bytes()));
        let owners = store.access_token_owners(&corp()).await.unwrap();
        assert_eq!(owners, expected, "{name}");
        let nobody = store.access_token_owners(&"other".parse().unwrap()).await;
        assert_eq!(nobody.unwrap(), [], "{name}");
        let before = store.epochs().await.unwrap().log_position.number;
        let entries = store
            .end_access_tokens(&corp(), subject, at(1))
            .await
            .unwrap();
        let mut ended: Vec<_> = entries.iter().map(|entry| entry.scope.clone()).collect();
        for token in [&first, &second] {
            assert!(!stands(&*store, token).await, "{name}");
            ended.retain(|scope| *scope != RevocationScope::Session(token.key));
        }
        assert_eq!((entries.len(), ended.len()), (2, 0), "{name}");
        let page = store.revocations_after(before, 10).await.unwrap();
        assert_eq!(page.entries, entries, "{name}");
        assert!(stands(&*store, &other).await, "{name}");
        assert!(has_session(&*store, &session).await, "{name}");
        let again = store.end_access_tokens(&corp(), subject, at(2)).await;
        assert_eq!(again.unwrap(), [], "{name}");
        let owners = store.access_token_owners(&corp()).await.unwrap();
        assert_eq!(owners, [owner(&other, &of_other)], "{name}");
    }
}

#[tokio::test]
async fn tokens_keep_their_person_when_the_source_renames_the_subject() {
    for Backend { name, store, .. } in backends().await {
        let (account, session) = somebody(&*store, "zhangsan").await;
        let token = new_token(&session, None);
        assert_eq!(create(&*store, &token).await, AccessTokenOutcome::Created);
        let rename = SubjectRename {
            connector: corp(),
            from: session.record.subject.clone(),
            to: "subject:zhang.san".parse().unwrap(),
            by: "wecom events".to_owned(),
        };
        let renamed = store.rename_subject(&rename, at(1)).await.unwrap();
        assert!(
            matches!(renamed, SubjectRenameOutcome::Renamed { .. }),
            "{name}"
        );
        let found = store.access_token(&token.key).await.unwrap().unwrap();
        assert_eq!(found.session.account, account, "{name}");
        assert_eq!(found.session.session.subject, rename.to, "{name}");
    }
}

#[tokio::test]
async fn the_last_use_never_goes_back() {
    for Backend { name, store, .. } in backends().await {
        let (account, session) = somebody(&*store, "zhangsan").await;
        let (token, unused) = (new_token(&session, None), new_token(&session, None));
        for new in [&token, &unused] {
            assert_eq!(create(&*store, new).await, AccessTokenOutcome::Created);
        }
        let nobody = SessionKey::new(keys::random());
        for used_at in [at(20), at(10)] {
            let used = [(token.key, used_at), (nobody, used_at)];
            store.touch_access_tokens(&used).await.unwrap();
        }
        store.touch_access_tokens(&[]).await.unwrap();
        let listed = store.access_tokens(&account.id, at(30), 10).await.unwrap();
        for record in listed {
            let expected = (record.key == token.key).then_some(at(20));
            assert_eq!(record.used_at, expected, "{name}");
        }
    }
}

#[tokio::test]
async fn expired_tokens_are_deleted_and_ended_ones_after_a_month() {
    for Backend { name, store, .. } in backends().await {
        let (_, session) = somebody(&*store, "zhangsan").await;
        let long = NewAccessToken {
            expires_at: at(90 * 86_400),
            ..new_token(&session, None)
        };
        let ended = NewAccessToken {
            expires_at: at(90 * 86_400),
            ..new_token(&session, None)
        };
        let short = new_token(&session, None);
        for new in [&long, &ended, &short] {
            assert_eq!(create(&*store, new).await, AccessTokenOutcome::Created);
        }
        let scope = RevocationScope::Session(ended.key);
        store.revoke(&scope, at(10)).await.unwrap();
        let deleted = async |now, idle_before| {
            store.delete_expired(now, idle_before, 100).await.unwrap();
        };
        deleted(at(3599), at(0)).await;
        assert!(stands(&*store, &short).await, "{name}");
        deleted(at(3600), at(10)).await;
        assert!(!stands(&*store, &short).await, "{name}");
        deleted(at(3600), at(11)).await;
        assert!(stands(&*store, &long).await, "{name}");
        assert!(!stands(&*store, &ended).await, "{name}");
    }
}
