//! Every write of a store: a table of them for tests that let each of them fail or be given up.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use menshen::keys;
use menshen::secret::Secret;
use menshen::store::{
    DirectoryFields, IdentityUpdate, LogoutTarget, NewSession, RevocationScope, SessionKey, Store,
    StoreError, TokenUpdate,
};

use super::audit_log::Trail;
use super::{Backend, admission, at, closing, corp, github, mobile, new_session, somebody};

/// One kind of write, ready to be asked of the store it was prepared on.
pub(super) struct Write {
    pub(super) name: &'static str,
    ask: TestRequest,
}

type TestRequest = for<'a> fn(&'a dyn Store, &'a Prepared) -> BoxFuture<'a, Result<(), StoreError>>;

/// What is in a store before a write.
pub(super) struct Prepared {
    /// Somebody who is signed in, with tokens.
    pub(super) session: NewSession,
    /// Somebody who would get their second session.
    next: NewSession,
    key: SessionKey,
}

impl Prepared {
    /// Somebody with a session, and something of each kind that a sweep deletes.
    pub(super) async fn on(store: &dyn Store) -> Self {
        let (account, _) = somebody(store, "zhangsan").await;
        let mut session = new_session(&account, at(0));
        session.tokens = Some("sealed".to_owned());
        store.mint(&session).await.unwrap();
        store.spend(&[1; 32], at(1)).await.unwrap();
        store.lease("old", "me", at(0), at(1)).await.unwrap();
        let lines = Trail::new().lines(&["zhangsan"]);
        store.add_audit_lines(&lines).await.unwrap();
        Self {
            key: session.record.key,
            session,
            next: new_session(&account, at(0)),
        }
    }
}

impl Write {
    pub(super) fn ask<'a>(
        &self,
        store: &'a dyn Store,
        prepared: &'a Prepared,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        (self.ask)(store, prepared)
    }

    pub(super) fn all() -> Vec<Self> {
        let mut all = Self::that_let_in();
        all.extend(Self::that_end());
        all.extend(Self::that_happen_once());
        all
    }

    fn that_let_in() -> Vec<Self> {
        let write = |name, ask| Self { name, ask };
        vec![
            write("the first key", |store, _| {
                async {
                    store
                        .load_or_create_keys(&Secret::new("key".to_owned()))
                        .await
                        .map(drop)
                }
                .boxed()
            }),
            write("a new account", |store, _| {
                async {
                    let mut lisi = admission("lisi");
                    lisi.vouched = mobile("13800000000");
                    store.admit(&lisi).await.map(drop)
                }
                .boxed()
            }),
            write("a login of somebody known", |store, _| {
                async {
                    let mut zhangsan = admission("zhangsan");
                    zhangsan.entitlements = r#"{"name":"张三"}"#.to_owned();
                    zhangsan.vouched = mobile("13800000001");
                    store.admit(&zhangsan).await.map(drop)
                }
                .boxed()
            }),
            write("a session", |store, prepared| {
                async { store.mint(&prepared.next).await.map(drop) }.boxed()
            }),
            write("refreshed tokens", |store, prepared| {
                async {
                    let renewal = TokenUpdate {
                        session: prepared.key,
                        version: 1,
                        sealed: "sealed again".to_owned(),
                        identity: Some(IdentityUpdate {
                            entitlements: r#"{"name":"张三丰"}"#.to_owned(),
                            fields: DirectoryFields::default(),
                            vouched: mobile("13800000002"),
                        }),
                        at: at(1),
                    };
                    store.update_tokens(&renewal).await.map(drop)
                }
                .boxed()
            }),
            write("the last uses", |store, prepared| {
                async {
                    let other = prepared.next.record.key;
                    store.touch(&[(prepared.key, at(9)), (other, at(9))]).await
                }
                .boxed()
            }),
        ]
    }

    fn that_end() -> Vec<Self> {
        let write = |name, ask| Self { name, ask };
        vec![
            write("one session ended", |store, prepared| {
                revoke(store, RevocationScope::Session(prepared.key))
            }),
            write("one person's sessions ended", |store, prepared| {
                revoke(
                    store,
                    RevocationScope::Account(prepared.next.record.account),
                )
            }),
            write("one connector's sessions ended", |store, _| {
                revoke(store, RevocationScope::Connector(corp()))
            }),
            write("everyone's sessions ended", |store, _| {
                revoke(store, RevocationScope::Everyone)
            }),
            write("an account closed", |store, prepared| {
                async {
                    let account = &prepared.next.record.account;
                    store
                        .close_account(account, &closing("left"), at(1))
                        .await
                        .map(drop)
                }
                .boxed()
            }),
            write("a logout at the source", |store, _| {
                async {
                    let mark = LogoutTarget::Subject("subject:zhangsan".parse().unwrap());
                    let (corp, message_id) = (corp(), Some(&[7; 32]));
                    let ended =
                        store.apply_provider_logout(&corp, &mark, message_id, at(1), at(60));
                    ended.await.map(drop)
                }
                .boxed()
            }),
        ]
    }

    fn that_happen_once() -> Vec<Self> {
        let write = |name, ask| Self { name, ask };
        vec![
            write("something spent", |store, _| {
                async { store.spend(&[2; 32], at(61)).await.map(drop) }.boxed()
            }),
            write("a lease", |store, _| {
                async { store.lease("new", "me", at(1), at(60)).await.map(drop) }.boxed()
            }),
            write("audit lines", |store, _| {
                async {
                    let lines = Trail::new().lines(&["lisi", "张三"]);
                    store.add_audit_lines(&lines).await.map(drop)
                }
                .boxed()
            }),
            write("a sweep of audit lines", |store, _| {
                async { store.delete_audit_lines(at(1), 100).await.map(drop) }.boxed()
            }),
            write("a sweep", |store, _| {
                async { store.delete_expired(at(100), at(0), 100).await.map(drop) }.boxed()
            }),
        ]
    }
}

fn revoke(store: &dyn Store, scope: RevocationScope) -> BoxFuture<'_, Result<(), StoreError>> {
    async move { store.revoke(&scope, at(1)).await.map(drop) }.boxed()
}

/// Proves that a store still takes writes and keeps them.
pub(super) async fn writes_work(backend: &Backend, what: &str) {
    let store = &*backend.store;
    // A write that was given up may still be committing: whoever writes waits for its end, whoever
    // only looks does not.
    let turn = store.spend(&keys::random(), at(62)).await;
    turn.unwrap_or_else(|error| panic!("{}: after {what}: {error:?}", backend.name));
    let before = store.epochs().await.unwrap();
    let written = store
        .revoke(&RevocationScope::Connector(github()), at(1))
        .await;
    written.unwrap_or_else(|error| panic!("{}: after {what}: {error:?}", backend.name));
    let after = store.epochs().await.unwrap();
    assert_eq!(
        after.log_position.number,
        before.log_position.number + 1,
        "after {what}"
    );
    assert!(
        store.spend(&keys::random(), at(62)).await.unwrap(),
        "{what}"
    );
}
