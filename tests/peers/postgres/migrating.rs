//! `menshen store migrate` moves a site from SQLite to PostgreSQL, whole or not at all.

use std::path::Path;
use std::process::{Command, Output};

use menshen::secret::Secret;
use menshen::store::{
    AccessTokenOutcome, Administrator, AuditQuery, ConsoleHolder, ConsoleSession, Department,
    ImportOutcome, ImportedPerson, LocalPeopleOutcome, LocalPerson, LocalPersonWrite, LogoutTarget,
    Membership, NewAccessToken, NewManagedVersion, NodeRecord, PeopleQuery, Revocation,
    RevocationScope, SqliteUrl, TokenUpdate,
};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _, SqliteConnection};

use super::super::processes::TempDir;
use super::server::{self, PASSWORD};
use super::*;

const HASH: &str = "$2b$04$hash";
const SETTINGS: &str = r#"{"connectors":{}}"#;
const LOCAL_FIELDS: &str = r#"{"name":"孙七"}"#;

/// What a site holds before it moves.
struct Site {
    key: Secret<String>,
    account: Account,
    session: NewSession,
    access_token: NewAccessToken,
    console_session: ConsoleSession,
    revocations: Vec<Revocation>,
}

impl Site {
    /// Rows in every table.
    async fn write(store: &dyn Store) -> Self {
        let key = keys::generate();
        store.load_or_create_keys(&key).await.unwrap();
        let mut zhang = admission("张三");
        zhang.vouched = mobile("13800000000");
        zhang.fields = DirectoryFields {
            name: Some("张三".to_owned()),
            memberships: vec![Membership {
                department: "2".to_owned(),
                leads: true,
            }],
            departments: vec![Department {
                id: "2".to_owned(),
                name: "研发中心".to_owned(),
                parent: Some("1".to_owned()),
            }],
            tags: vec!["oncall".to_owned()],
            ..DirectoryFields::default()
        };
        zhang.entitlements = r#"{"departments":["研发中心"]}"#.to_owned();
        let account = admit(store, &zhang).await;
        let mut session = new_session(&account, at(1));
        session.tokens = Some("sealed".to_owned());
        assert_eq!(store.mint(&session).await.unwrap(), MintOutcome::Session);
        let update = TokenUpdate {
            session: session.record.key,
            version: 1,
            sealed: "sealed again".to_owned(),
            identity: None,
            at: at(2),
        };
        store.update_tokens(&update).await.unwrap();
        let access_token = make_access_token(store, &session).await;
        expect_a_person(store).await;
        keep_a_password(store).await;
        store_an_audit_line(store).await;
        report_a_node(store).await;
        let console_session = administer(store).await;
        let (lisi, _) = somebody(store, "lisi").await;
        let left = Closing {
            gone: Some((corp(), "subject:lisi".parse().unwrap())),
            by_sync_of: None,
            ..closing("left")
        };
        store.close_account(&lisi.id, &left, at(2)).await.unwrap();
        let (_, ended) = somebody(store, "wangwu").await;
        let session_ended = RevocationScope::Session(ended.record.key);
        for scope in [session_ended, RevocationScope::Connector(github())] {
            store.revoke(&scope, at(3)).await.unwrap();
        }
        let unknown = LogoutTarget::Session("unknown".to_owned());
        let corp = corp();
        for message in [None, Some(&[7; 32])] {
            let ended = store.apply_provider_logout(&corp, &unknown, message, at(3), at(9_000));
            ended.await.unwrap();
        }
        store
            .lease("refresh", "me", at(3), at(9_000))
            .await
            .unwrap();
        let revocations = store.revocations_after(0, 100).await.unwrap().entries;
        Self {
            key,
            account,
            session,
            access_token,
            console_session,
            revocations,
        }
    }

    async fn assert_in(&self, store: &dyn Store) {
        let ring = store.load_or_create_keys(&keys::generate()).await.unwrap();
        assert_eq!(ring.len(), 1);
        assert_eq!(ring[0].expose(), self.key.expose());
        let found = store.session(&self.session.record.key).await.unwrap();
        let found = found.unwrap();
        assert_eq!(
            (found.session, found.account),
            (self.session.record.clone(), self.account.clone())
        );
        assert_eq!(found.tokens.unwrap().sealed, "sealed again");
        let token = store.access_token(&self.access_token.key).await.unwrap();
        let token = token.unwrap();
        assert_eq!(token.session.account, self.account);
        assert_eq!(token.session.session.expires_at, at(3600));
        assert_eq!(
            (token.name, token.routes),
            (
                self.access_token.name.clone(),
                self.access_token.routes.clone()
            )
        );
        let local = store
            .local_people(&"house".parse().unwrap(), None, 10)
            .await;
        let local = local.unwrap();
        let [local] = &local[..] else {
            panic!("{local:?}");
        };
        assert_eq!(local.password_hash.expose(), HASH);
        assert_eq!(local.fields, LOCAL_FIELDS);
        let person = store.person(&self.account.id).await.unwrap().unwrap();
        assert_eq!(person.name.as_deref(), Some("张三"));
        let by_department = PeopleQuery {
            department: Some("研发中心".to_owned()),
            max: 10,
            ..PeopleQuery::default()
        };
        assert_eq!(store.people(&by_department).await.unwrap(), [person]);
        let lisi = store.account_by_login(&"LiSi".parse().unwrap()).await;
        assert!(lisi.unwrap().unwrap().closed);
        let log = store.revocations_after(0, 100).await.unwrap().entries;
        assert_eq!(log, self.revocations);
        assert_eq!(store.epochs().await.unwrap().connectors, [(github(), 1)]);
        assert!(!store.spend(&[7; 32], at(9_000)).await.unwrap());
        let taken = store.lease("refresh", "another", at(4), at(5)).await;
        assert!(!taken.unwrap(), "the lease is held");
        let found = store.console_session(&self.console_session.key).await;
        assert_eq!(found.unwrap().as_ref(), Some(&self.console_session));
        assert_eq!(store.administrators(10).await.unwrap().len(), 1);
        let managed = store.managed_version(None).await.unwrap().unwrap();
        assert_eq!((managed.record.number, &*managed.document), (1, SETTINGS));
        let lines = store.audit_lines(&all_audit_lines()).await.unwrap();
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].json.contains("张三"), "{lines:?}");
        store_an_audit_line(store).await;
        let lines = store.audit_lines(&all_audit_lines()).await.unwrap();
        assert!(lines[0].position > lines[1].position, "numbers go on");
        // Numbers of the log go on.
        let next = store.revoke(&RevocationScope::Everyone, at(5)).await;
        assert!(next.unwrap().number > self.revocations.last().unwrap().number);
    }
}

/// Adds an administrator with a session of the console, and managed settings.
async fn administer(store: &dyn Store) -> ConsoleSession {
    let administrator = Administrator {
        name: "boss".parse().unwrap(),
        password_hash: Secret::new(HASH.to_owned()),
        credential: "first".to_owned(),
        created_at: at(1),
        password_changed_at: at(1),
    };
    assert!(store.add_administrator(&administrator).await.unwrap());
    let session = ConsoleSession {
        key: SessionKey::new([9; 32]),
        holder: ConsoleHolder::Administrator {
            name: administrator.name,
            credential: administrator.credential,
        },
        began_at: at(1),
        used_at: at(1),
        expires_at: at(9_000),
    };
    store.begin_console_session(&session).await.unwrap();
    let version = NewManagedVersion {
        after: 0,
        made_at: at(2),
        author: "boss",
        means: "console",
        fields: &[],
        document: SETTINGS,
        ended: &[],
        versions_kept: 10,
        audit: None,
    };
    let added = store.add_managed_version(&version).await;
    assert!(added.unwrap().is_some());
    session
}

/// Makes an access token in a session.
async fn make_access_token(store: &dyn Store, session: &NewSession) -> NewAccessToken {
    let new = NewAccessToken {
        key: SessionKey::new([8; 32]),
        public_id: SessionId::new([8; 16]),
        session: session.record.key,
        name: "笔记本".to_owned(),
        routes: Some(vec!["git".to_owned()]),
        created_at: at(2),
        expires_at: at(3600),
    };
    let made = store.create_access_token(&new, 1).await.unwrap();
    assert_eq!(made, AccessTokenOutcome::Created);
    new
}

/// Imports a person who has not signed in yet.
async fn expect_a_person(store: &dyn Store) {
    let expected = ImportedPerson {
        login: "zhaoliu".parse().unwrap(),
        name: None,
        email: None,
        mobile: Some("13900000000".to_owned()),
        vouched: mobile("13900000000"),
        expected: Some((corp(), None)),
    };
    let imported = store.import_people(&[expected], "boss", at(1)).await;
    assert!(matches!(imported, Ok(ImportOutcome::Imported(_))));
}

fn all_audit_lines() -> AuditQuery {
    AuditQuery {
        max: 10,
        ..AuditQuery::default()
    }
}

async fn store_an_audit_line(store: &dyn Store) {
    let lines = audit_log::Trail::new().lines(&["张三"]);
    assert_eq!(store.add_audit_lines(&lines).await.unwrap(), 1);
}

/// Stores what a node says of itself, and the kinds of its file.
async fn report_a_node(store: &dyn Store) {
    let kinds = [(corp(), "wecom".to_owned())];
    store.note_connector_kinds(&kinds).await.unwrap();
    let node = NodeRecord {
        id: "node".to_owned(),
        name: "oa-1".to_owned(),
        program_version: "0.1.0".to_owned(),
        settings_version: 1,
        problem: Some("the file cannot be read".to_owned()),
        started_at: at(1),
        seen_at: at(1),
    };
    store.report_node(&node).await.unwrap();
}

/// Adds a person whose password the store keeps.
async fn keep_a_password(store: &dyn Store) {
    let person = LocalPerson {
        subject: "sunqi".parse().unwrap(),
        login: "SunQi".parse().unwrap(),
        password_hash: Secret::new(HASH.to_owned()),
        credential: "credential".to_owned(),
        fields: LOCAL_FIELDS.to_owned(),
        disabled: false,
        must_change: true,
        created_at: at(1),
        changed_at: at(1),
        password_changed_at: at(1),
        place: 7,
        revision: i64::MIN,
    };
    let write = LocalPersonWrite {
        subject: person.subject.clone(),
        expected: None,
        person: Some(person),
        ends_logins: true,
        identity: None,
    };
    let house = "house".parse().unwrap();
    let written = store.write_local_people(&house, &[write], at(1)).await;
    assert!(matches!(written, Ok(LocalPeopleOutcome::Written(_))));
}

fn migrate(from: &str, to: &str, password: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_menshen"))
        .args(["store", "migrate", "--from", from, "--to", to])
        .arg("--password-file")
        .arg(password)
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    let text = [output.stdout.clone(), output.stderr.clone()].concat();
    String::from_utf8(text).unwrap()
}

/// The number of rows of each table.
async fn rows_in_sqlite(file: &Path) -> Vec<(String, i64)> {
    let mut db = SqliteConnection::connect(&format!("sqlite://{}", file.display()))
        .await
        .unwrap();
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' \
               AND name NOT LIKE '\\_%' ESCAPE '\\' ORDER BY name";
    let tables = sqlx::query_scalar::<_, String>(sql)
        .fetch_all(&mut db)
        .await;
    let mut rows = Vec::new();
    for table in tables.unwrap() {
        let sql = AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
        let count = sqlx::query_scalar(sql).fetch_one(&mut db).await.unwrap();
        rows.push((table, count));
    }
    rows
}

/// The number of rows of each table.
async fn rows_in_postgres(db: &mut PgConnection) -> Vec<(String, i64)> {
    let sql = "SELECT table_name::text AS name FROM information_schema.tables \
               WHERE table_type = 'BASE TABLE' AND table_name LIKE 'menshen%' \
               AND table_name <> 'menshen_migration' ORDER BY table_name COLLATE \"C\"";
    let tables = sqlx::query(sql).fetch_all(&mut *db).await.unwrap();
    let mut rows = Vec::new();
    for table in tables {
        let table: String = table.get("name");
        let sql = AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
        let count = sqlx::query_scalar(sql).fetch_one(&mut *db).await.unwrap();
        rows.push((table, count));
    }
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_moves_with_everything_it_holds() {
    let dir = TempDir::new();
    let file = dir.path().join("menshen.db");
    let from = format!("sqlite://{}", file.display());
    let password = dir.write("password", PASSWORD);
    let source = menshen::store::Sqlite::open(&SqliteUrl::File(file.clone())).await;
    let source = source.unwrap();
    let site = Site::write(&source).await;
    source.close().await;
    let before = rows_in_sqlite(&file).await;
    assert!(before.iter().all(|(_, count)| *count > 0), "{before:?}");

    let database = server::shared().new_database().await;
    let without_password = database.url().replace(&server::password_part(), "");
    let output = migrate(&from, &without_password, &password);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(text(&output).contains("account: 4 rows"), "{output:?}");
    assert_eq!(
        text(&output).matches("account: ").count(),
        1,
        "no progress without a terminal"
    );
    let mut db = database.connect().await;
    assert_eq!(rows_in_postgres(&mut db).await, before);
    site.assert_in(&*open(&database.url(), true).await).await;

    // The target holds a site now.
    let again = migrate(&from, &without_password, &password);
    assert_eq!(again.status.code(), Some(1), "{again:?}");
    assert!(text(&again).contains("is not empty"), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_move_changes_nothing_and_says_why() {
    let dir = TempDir::new();
    let file = dir.path().join("menshen.db");
    let from = format!("sqlite://{}", file.display());
    let password = dir.write("password", PASSWORD);
    let database = server::shared().new_database().await;
    let to = database.url().replace(&server::password_part(), "");
    let missing = migrate(&from, &to, &password);
    assert_eq!(missing.status.code(), Some(1), "{missing:?}");
    assert!(text(&missing).contains("menshen.db"), "{missing:?}");
    assert!(!file.exists(), "nothing is created");

    let source = menshen::store::Sqlite::open(&SqliteUrl::File(file.clone())).await;
    let source = source.unwrap();
    Site::write(&source).await;
    source.close().await;
    let wrong = dir.write("wrong", "hunter2");
    let refused = migrate(&from, &to, &wrong);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(
        text(&refused).contains("refuses the password"),
        "{refused:?}"
    );
    assert!(!text(&refused).contains("hunter2"), "{refused:?}");

    // PostgreSQL keeps no zero byte in a text, so this row cannot be copied.
    let mut db = SqliteConnection::connect(&from).await.unwrap();
    let sql = "UPDATE menshen_logout_mark SET what = 'a' || char(0)";
    sqlx::raw_sql(sql).execute(&mut db).await.unwrap();
    db.close().await.unwrap();
    let broken = migrate(&from, &to, &password);
    assert_eq!(broken.status.code(), Some(1), "{broken:?}");
    assert!(
        text(&broken).contains("copy the table logout_mark"),
        "{broken:?}"
    );
    let rows = rows_in_postgres(&mut database.connect().await).await;
    assert!(rows.iter().all(|(_, count)| *count == 0), "{rows:?}");

    for (from, to) in [(&*from, &*from), (&*to, &*to), ("menshen.db", &*to)] {
        let usage = migrate(from, to, &password);
        assert_eq!(usage.status.code(), Some(2), "{usage:?}");
    }
}
