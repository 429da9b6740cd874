//! Accounts: found again, never mixed up.

use menshen::store::RevocationScope;

use super::*;

#[tokio::test]
async fn an_identity_is_found_again() {
    for Backend { name, store, .. } in backends().await {
        let first = admit(&*store, &admission("zhangsan")).await;
        let second = admit(&*store, &admission("zhangsan")).await;
        assert_eq!(first, second, "{name}");
        assert_eq!(first.login.as_str(), "zhangsan");
        let by_login = store
            .account_by_login(&"ZHANGSAN".parse().unwrap())
            .await
            .unwrap();
        assert_eq!(by_login, Some(first), "{name}");
        assert_eq!(
            store
                .account_by_login(&"lisi".parse().unwrap())
                .await
                .unwrap(),
            None
        );
    }
}

#[tokio::test]
async fn a_login_is_taken_whatever_its_case() {
    for Backend { name, store, .. } in backends().await {
        let owner = admit(&*store, &admission("ZhangSan")).await;
        let other = Admission {
            connector: github(),
            ..admission("zhangsan")
        };
        let answer = store.admit(&other).await.unwrap();
        assert_eq!(
            answer,
            AdmissionOutcome::LoginTaken { by: owner.id },
            "{name}"
        );
        // The refusal left nothing behind: it is refused again.
        assert_eq!(store.admit(&other).await.unwrap(), answer, "{name}");
        assert_eq!(
            store.identities(&owner.id).await.unwrap().len(),
            1,
            "{name}"
        );
    }
}

#[tokio::test]
async fn the_same_subject_of_another_source_is_somebody_else() {
    for Backend { name, store, .. } in backends().await {
        let here = admit(&*store, &admission("zhangsan")).await;
        let there = Admission {
            connector: github(),
            login: "gh-zhangsan".parse().unwrap(),
            ..admission("zhangsan")
        };
        assert_ne!(admit(&*store, &there).await.id, here.id, "{name}");
    }
}

#[tokio::test]
async fn a_closed_account_keeps_its_login_and_admits_nobody() {
    for Backend { name, store, .. } in backends().await {
        let account = admit(&*store, &admission("zhangsan")).await;
        store
            .close_account(&account.id, &closing("left"), at(1))
            .await
            .unwrap()
            .unwrap();
        let again = store.admit(&admission("zhangsan")).await.unwrap();
        assert_eq!(again, AdmissionOutcome::Closed(account.id), "{name}");
        let other = Admission {
            connector: github(),
            ..admission("zhangsan")
        };
        let taken = store.admit(&other).await.unwrap();
        assert_eq!(
            taken,
            AdmissionOutcome::LoginTaken { by: account.id },
            "{name}"
        );
        store
            .reopen_account(&account.id, "boss", at(2))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            admit(&*store, &admission("zhangsan")).await.id,
            account.id,
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_vouched_field_joins_an_account_and_nothing_else_does() {
    for Backend { name, store, .. } in backends().await {
        let known = Admission {
            vouched: mobile("13800000001"),
            ..admission("zhangsan")
        };
        let account = admit(&*store, &known).await;
        let newcomer = Admission {
            connector: github(),
            login: "zs".parse().unwrap(),
            ..admission("zhangsan")
        };

        let by_email = vec![(LinkField::Email, "13800000001".to_owned())];
        let wrong_field = Admission {
            links: by_email,
            create: false,
            ..newcomer.clone()
        };
        assert_eq!(
            store.admit(&wrong_field).await.unwrap(),
            AdmissionOutcome::Unknown,
            "{name}"
        );
        let unasked = Admission {
            vouched: mobile("13800000001"),
            create: false,
            ..newcomer.clone()
        };
        assert_eq!(
            store.admit(&unasked).await.unwrap(),
            AdmissionOutcome::Unknown,
            "{name}"
        );

        let linked = Admission {
            links: mobile("13800000001"),
            ..newcomer
        };
        assert_eq!(admit(&*store, &linked).await, account, "{name}");
        assert_eq!(
            store.identities(&account.id).await.unwrap().len(),
            2,
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_field_that_is_no_longer_vouched_for_joins_nobody() {
    for Backend { name, store, .. } in backends().await {
        let known = Admission {
            vouched: mobile("13800000001"),
            ..admission("zhangsan")
        };
        admit(&*store, &known).await;
        let moved = Admission {
            vouched: mobile("13900000009"),
            ..admission("zhangsan")
        };
        admit(&*store, &moved).await;
        let next_owner = Admission {
            connector: github(),
            links: mobile("13800000001"),
            create: false,
            ..admission("lisi")
        };
        assert_eq!(
            store.admit(&next_owner).await.unwrap(),
            AdmissionOutcome::Unknown,
            "{name}"
        );
    }
}

#[tokio::test]
async fn an_ambiguous_link_refuses_and_one_that_nobody_has_lets_the_next_decide() {
    for Backend { name, store, .. } in backends().await {
        let email = vec![(LinkField::Email, "lisi@corp.example".to_owned())];
        let zhang = Admission {
            vouched: mobile("0755"),
            ..admission("zhangsan")
        };
        admit(&*store, &zhang).await;
        let vouched = [mobile("0755"), email.clone()].concat();
        let lisi = admit(
            &*store,
            &Admission {
                vouched,
                ..admission("lisi")
            },
        )
        .await;

        let newcomer = Admission {
            connector: github(),
            ..admission("someone")
        };
        let ambiguous = Admission {
            links: [mobile("0755"), email.clone()].concat(),
            ..newcomer.clone()
        };
        let field = LinkField::Mobile;
        assert_eq!(
            store.admit(&ambiguous).await.unwrap(),
            AdmissionOutcome::AmbiguousLink { field },
            "{name}"
        );
        let links = [mobile("nobody's"), email].concat();
        assert_eq!(
            admit(&*store, &Admission { links, ..newcomer }).await,
            lisi,
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_link_to_a_closed_account_is_closed() {
    for Backend { name, store, .. } in backends().await {
        let known = Admission {
            vouched: mobile("13800000001"),
            ..admission("zhangsan")
        };
        let account = admit(&*store, &known).await;
        store
            .close_account(&account.id, &closing("left"), at(1))
            .await
            .unwrap();
        let newcomer = Admission {
            connector: github(),
            links: mobile("13800000001"),
            ..admission("zs")
        };
        let answer = store.admit(&newcomer).await.unwrap();
        assert_eq!(answer, AdmissionOutcome::Closed(account.id), "{name}");
        assert_eq!(
            store.identities(&account.id).await.unwrap().len(),
            1,
            "{name}"
        );
    }
}

#[tokio::test]
async fn strangers_get_no_account_where_only_existing_people_are_admitted() {
    for Backend { name, store, .. } in backends().await {
        let stranger = Admission {
            create: false,
            ..admission("zhangsan")
        };
        assert_eq!(
            store.admit(&stranger).await.unwrap(),
            AdmissionOutcome::Unknown,
            "{name}"
        );
        admit(&*store, &admission("zhangsan")).await;
        admit(&*store, &stranger).await;
    }
}

#[tokio::test]
async fn a_login_follows_its_source_only_where_it_is_free() {
    for Backend { name, store, .. } in backends().await {
        let lisi = admit(&*store, &admission("lisi")).await;
        let zhang = admit(&*store, &admission("zhangsan")).await;

        let taken = Admission {
            login: "LiSi".parse().unwrap(),
            ..admission("zhangsan")
        };
        assert_eq!(admit(&*store, &taken).await, zhang, "{name}");
        let free = Admission {
            login: "zhang.san".parse().unwrap(),
            ..admission("zhangsan")
        };
        let renamed = admit(&*store, &free).await;
        assert_eq!(
            (renamed.id, renamed.login.as_str()),
            (zhang.id, "zhang.san"),
            "{name}"
        );
        let found = store
            .account_by_login(&"zhangsan".parse().unwrap())
            .await
            .unwrap();
        assert_eq!(found, None, "{name}");
        let recased = Admission {
            login: "LiSi".parse().unwrap(),
            ..admission("lisi")
        };
        let recased = admit(&*store, &recased).await;
        assert_eq!(
            (recased.id, recased.login.as_str()),
            (lisi.id, "LiSi"),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_linked_identity_does_not_rename_the_account_it_joined() {
    for Backend { name, store, .. } in backends().await {
        let known = Admission {
            vouched: mobile("1"),
            ..admission("zhangsan")
        };
        let account = admit(&*store, &known).await;
        let linked = Admission {
            connector: github(),
            links: mobile("1"),
            ..admission("zs")
        };
        for _ in 0..2 {
            assert_eq!(admit(&*store, &linked).await, account, "{name}");
        }
    }
}

#[tokio::test]
async fn entitlements_are_numbered_only_when_they_change() {
    for Backend { name, store, .. } in backends().await {
        let (account, new) = somebody(&*store, "zhangsan").await;
        let found = async || store.session(&new.record.key).await.unwrap().unwrap();
        let before = found().await.entitlements_epoch;
        let unchanged = admitted(&*store, &admission("zhangsan")).await;
        assert_eq!(unchanged.entitlements_epoch, before, "{name}");
        assert_eq!(found().await.entitlements_epoch, before, "{name}");

        let entitlements = r#"{"departments":["财务部"]}"#.to_owned();
        let changed = Admission {
            entitlements,
            at: at(9),
            ..admission("zhangsan")
        };
        let admitted = admitted(&*store, &changed).await;
        assert_eq!(admitted.entitlements_epoch, before + 1, "{name}");
        assert_eq!(found().await.entitlements_epoch, before + 1, "{name}");
        assert_eq!(found().await.entitlements, changed.entitlements, "{name}");
        let identities = store.identities(&account.id).await.unwrap();
        assert_eq!(
            identities,
            [(corp(), changed.subject, changed.entitlements)],
            "{name}"
        );
    }
}

#[tokio::test]
async fn the_identity_used_last_comes_first() {
    for Backend { name, store, .. } in backends().await {
        let known = Admission {
            vouched: mobile("1"),
            ..admission("zhangsan")
        };
        let account = admit(&*store, &known).await;
        let links = mobile("1");
        let linked = Admission {
            connector: github(),
            links,
            at: at(1),
            ..admission("zs")
        };
        admit(&*store, &linked).await;
        let first = async || store.identities(&account.id).await.unwrap().remove(0).0;
        assert_eq!(first().await, github(), "{name}");
        admit(&*store, &Admission { at: at(2), ..known }).await;
        assert_eq!(first().await, corp(), "{name}");
    }
}

#[tokio::test]
async fn a_login_name_that_a_login_changed_is_in_the_log() {
    for Backend { name, store, .. } in backends().await {
        let (account, _) = somebody(&*store, "zhangsan").await;
        let before = store.epochs().await.unwrap().log_position.number;
        let renamed = Admission {
            login: "zhang.san".parse().unwrap(),
            ..admission("zhangsan")
        };
        assert_eq!(admit(&*store, &renamed).await.id, account.id, "{name}");
        let page = store.revocations_after(before, 10).await.unwrap();
        let entries = page.entries.iter();
        let logged: Vec<_> = entries.map(|entry| (&entry.scope, entry.epoch)).collect();
        let scope = RevocationScope::Account(account.id);
        assert_eq!(logged, [(&scope, account.epoch)], "{name}");

        // The next login changes nothing, and nobody gets a login name that is taken.
        let before = store.epochs().await.unwrap().log_position.number;
        admit(&*store, &renamed).await;
        admit(&*store, &admission("lisi")).await;
        let taken = Admission {
            login: "lisi".parse().unwrap(),
            ..renamed.clone()
        };
        let stays = admit(&*store, &taken).await;
        assert_eq!(stays.login.as_str(), "zhang.san", "{name}");
        let page = store.revocations_after(before, 10).await.unwrap();
        assert_eq!(page.entries, [], "{name}");
    }
}

#[tokio::test]
async fn only_a_login_changes_the_login_name() {
    for Backend { name, store, .. } in backends().await {
        admit(&*store, &admission("zhangsan")).await;
        let renamed = Admission {
            login: "zhang.san".parse().unwrap(),
            ..admission("zhangsan")
        };
        admit(&*store, &renamed).await;
        // A check of the person has the login name that a node had in memory.
        let checked = Admission {
            is_login: false,
            create: false,
            entitlements: r#"{"groups":["new"]}"#.to_owned(),
            ..admission("zhangsan")
        };
        let account = admit(&*store, &checked).await;
        assert_eq!(account.login.as_str(), "zhang.san", "{name}");
        let identities = store.identities(&account.id).await.unwrap();
        assert_eq!(identities[0].2, checked.entitlements, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_who_come_at_once_share_no_login() {
    for Backend { name, store, .. } in backends().await {
        let mut logins = tokio::task::JoinSet::new();
        for n in 0..20 {
            let store = Arc::clone(&store);
            let subject = format!("stranger {n}").parse().unwrap();
            let stranger = Admission {
                subject,
                ..admission("zhangsan")
            };
            logins.spawn(async move { store.admit(&stranger).await.unwrap() });
        }
        let answers = logins.join_all().await;
        let admitted = answers
            .iter()
            .filter(|one| matches!(one, AdmissionOutcome::Account(_)))
            .count();
        let taken = answers
            .iter()
            .filter(|one| matches!(one, AdmissionOutcome::LoginTaken { .. }))
            .count();
        assert_eq!((admitted, taken), (1, 19), "{name}");
    }
}
