//! Lines of the audit trail: each is stored once, found by what it says, and deleted when it is old.

use menshen::store::{AuditOrder, AuditPosition, AuditQuery, StoredAuditLine};
use menshen::telemetry::{AuditCause, AuditEvent, AuditLine, AuditRecord, LogConfig, Telemetry};
use menshen::wording::Text;

use super::*;

/// Makes lines of the audit trail, as a process does.
pub(super) struct Trail(Telemetry);

impl Trail {
    pub(super) fn new() -> Self {
        let sink = Box::new(std::io::sink());
        let telemetry = Telemetry::writing_to(&LogConfig::default(), sink);
        telemetry.queue_audit_lines(keys::random());
        Self(telemetry)
    }

    fn line(&self, record: &AuditRecord<'_>) -> AuditLine {
        self.0.audit_line(record).expect("lines are stored")
    }

    /// So many lines of one login each, one every second from the first on.
    pub(super) fn lines(&self, logins: &[&str]) -> Vec<AuditLine> {
        let lines = logins.iter().zip(0..).map(|(login, second)| {
            self.line(&AuditRecord {
                login: Some(login),
                ..AuditRecord::new(AuditEvent::Login, at(second))
            })
        });
        lines.collect()
    }
}

async fn add(store: &dyn Store, lines: &[AuditLine]) -> u64 {
    store.add_audit_lines(lines).await.unwrap()
}

/// The logins of the lines that match.
async fn logins(store: &dyn Store, query: &AuditQuery) -> Vec<String> {
    let found = store.audit_lines(query).await.unwrap();
    found.iter().map(login).collect()
}

fn login(line: &StoredAuditLine) -> String {
    let json: serde_json::Value = serde_json::from_str(&line.json).unwrap();
    json["login"].as_str().unwrap_or("").to_owned()
}

fn all() -> AuditQuery {
    AuditQuery {
        max: 1_000,
        ..AuditQuery::default()
    }
}

fn query(change: impl FnOnce(&mut AuditQuery)) -> AuditQuery {
    let mut query = all();
    change(&mut query);
    query
}

#[tokio::test]
async fn a_line_is_found_by_event_login_account_connector_and_time() {
    for backend in backends().await {
        let store = &*backend.store;
        let (trail, account) = (Trail::new(), admit(store, &admission("zhangsan")).await);
        let line = |event, login, connector, second| {
            trail.line(&AuditRecord {
                login: Some(login),
                connector: Some(connector),
                account: (login == "ZhangSan").then_some(&account.id as &dyn std::fmt::Display),
                ..AuditRecord::new(event, at(second))
            })
        };
        let lines = [
            line(AuditEvent::Login, "ZhangSan", "corp", 1),
            line(AuditEvent::Refused, "张三", "corp", 2),
            line(AuditEvent::Login, "lisi", "github", 3),
            line(AuditEvent::SignOut, "lisi", "github", 4),
        ];
        assert_eq!(add(store, &lines).await, 4);
        for (query, expected) in [
            (all(), &["lisi", "lisi", "张三", "ZhangSan"][..]),
            (
                query(|q| q.event = Some(AuditEvent::Login)),
                &["lisi", "ZhangSan"],
            ),
            (
                query(|q| q.login = Some("zhangsan".to_owned())),
                &["ZhangSan"],
            ),
            (query(|q| q.login = Some("张三".to_owned())), &["张三"]),
            (query(|q| q.login = Some("zhang".to_owned())), &[]),
            (query(|q| q.account = Some(account.id)), &["ZhangSan"]),
            (
                query(|q| {
                    q.connector = Some(github());
                    q.event = Some(AuditEvent::SignOut);
                }),
                &["lisi"],
            ),
            (
                query(|q| (q.since, q.until) = (Some(at(2)), Some(at(4)))),
                &["lisi", "张三"],
            ),
            (
                query(|q| (q.order, q.max) = (AuditOrder::Oldest, 2)),
                &["ZhangSan", "张三"],
            ),
        ] {
            let found = logins(store, &query).await;
            assert_eq!(found, expected, "{} {query:?}", backend.name);
        }
        let found = store.audit_lines(&all()).await.unwrap();
        assert_eq!(found[3].json, lines[0].json, "{}", backend.name);
        assert_eq!(found[3].position.at, at(1));
    }
}

#[tokio::test]
async fn a_line_that_is_sent_twice_is_stored_once() {
    for backend in backends().await {
        let store = &*backend.store;
        let (trail, other) = (Trail::new(), Trail::new());
        let mut lines = trail.lines(&["a", "b"]);
        assert_eq!(add(store, &lines).await, 2, "{}", backend.name);
        lines.extend(trail.lines(&["c"]));
        assert_eq!(add(store, &lines).await, 1, "{}", backend.name);
        // Another process makes lines of its own.
        assert_eq!(add(store, &other.lines(&["a", "b"])).await, 2);
        assert_eq!(add(store, &[]).await, 0);
        let mut found = logins(store, &all()).await;
        found.sort();
        assert_eq!(found, ["a", "a", "b", "b", "c"], "{}", backend.name);
    }
}

#[tokio::test]
async fn pages_list_each_line_once_in_both_orders() {
    for backend in backends().await {
        let store = &*backend.store;
        let trail = Trail::new();
        // Lines of one time, too.
        let lines = (0..25).map(|number| {
            trail.line(&AuditRecord {
                login: Some(["zhangsan", "lisi"][number % 2]),
                reason: Some(&Text::same(number.to_string())),
                ..AuditRecord::new(AuditEvent::Login, at(number as u64 / 4))
            })
        });
        add(store, &lines.collect::<Vec<_>>()).await;
        for order in [AuditOrder::Newest, AuditOrder::Oldest] {
            for login in [None, Some("zhangsan".to_owned())] {
                let whole = AuditQuery {
                    order,
                    login,
                    ..all()
                };
                let whole_list = store.audit_lines(&whole).await.unwrap();
                let (mut paged, mut after) = (Vec::new(), None::<AuditPosition>);
                loop {
                    let query = AuditQuery {
                        after,
                        max: 3,
                        ..whole.clone()
                    };
                    let page = store.audit_lines(&query).await.unwrap();
                    assert!(page.len() <= 3);
                    let Some(last) = page.last() else { break };
                    after = Some(last.position);
                    paged.extend(page);
                }
                assert_eq!(paged, whole_list, "{} {order:?}", backend.name);
                let expected = if whole.login.is_some() { 13 } else { 25 };
                assert_eq!(paged.len(), expected);
                let times: Vec<_> = paged.iter().map(|line| line.position).collect();
                assert!(times.is_sorted_by(|one, next| match order {
                    AuditOrder::Newest => one > next,
                    AuditOrder::Oldest => one < next,
                }));
            }
        }
    }
}

#[tokio::test]
async fn every_text_is_stored_as_it_is() {
    for backend in backends().await {
        let store = &*backend.store;
        let trail = Trail::new();
        let long = "门".repeat(3_000);
        let hostile = [
            "'; DROP TABLE menshen_audit_line; --",
            "a\0b",
            "\u{1b}[2J\r\n\t\u{202e}",
            "财务👩‍💻\u{10ffff}",
            "\"}{\"event\":\"login\"",
            "%_$1",
            &long,
        ];
        add(store, &trail.lines(&hostile)).await;
        for text in hostile {
            let query = AuditQuery {
                login: Some(text.to_owned()),
                ..all()
            };
            let found = store.audit_lines(&query).await.unwrap();
            assert_eq!(found.len(), 1, "{} {text:?}", backend.name);
            assert!(!found[0].json.contains(['\u{1b}', '\n', '\0', '\u{202e}']));
            if text != long {
                assert_eq!(login(&found[0]), text, "{}", backend.name);
            }
        }
    }
}

#[tokio::test]
async fn old_lines_and_those_beyond_the_maximum_are_deleted_in_rounds() {
    for backend in backends().await {
        let store = &*backend.store;
        let logins_by_age = ["0", "1", "2", "3", "4", "5", "6", "7"];
        add(store, &Trail::new().lines(&logins_by_age)).await;
        let old = || store.delete_audit_lines(at(5), 2);
        let mut deleted = Vec::new();
        for _ in 0..4 {
            deleted.push(old().await.unwrap());
        }
        assert_eq!(deleted, [2, 2, 1, 0], "{}", backend.name);
        assert_eq!(logins(store, &all()).await, ["7", "6", "5"]);
        let person = AuditCause::Person;
        for (kept, excess, max, deleted, left) in [
            (3, &[][..], 0, 0, &["7", "6", "5"][..]),
            (1, &[(person, 2)], 1, 1, &["7", "6"]),
            (1, &[(person, 1)], 1, 1, &["7"]),
            (1, &[], 0, 0, &["7"]),
            (0, &[(person, 1)], 9, 1, &[]),
            (0, &[], 9, 0, &[]),
        ] {
            let counted = store.excess_audit_lines(kept).await.unwrap();
            assert_eq!(counted, excess, "{} {kept}", backend.name);
            let count = store.delete_oldest_audit_lines(person, max).await.unwrap();
            assert_eq!(count, deleted, "{} {kept} {max}", backend.name);
            assert_eq!(logins(store, &all()).await, left, "{}", backend.name);
        }
    }
}

#[tokio::test]
async fn excess_lines_are_those_of_anonymous_clients_first_and_of_administrators_last() {
    use AuditCause::{Administrator, Anonymous, Person};
    for backend in backends().await {
        let store = &*backend.store;
        let trail = Trail::new();
        let mut lines = trail.lines(&["a", "b", "s1", "p1", "s2", "p2", "s3"]);
        for (line, cause) in lines.iter_mut().zip([
            Administrator,
            Administrator,
            Anonymous,
            Person,
            Anonymous,
            Person,
            Anonymous,
        ]) {
            line.cause = cause;
        }
        add(store, &lines).await;
        for (kept, excess) in [
            (9, &[][..]),
            (7, &[]),
            (6, &[(Anonymous, 1)]),
            (4, &[(Anonymous, 3)]),
            (3, &[(Anonymous, 3), (Person, 1)]),
            (1, &[(Anonymous, 3), (Person, 2), (Administrator, 1)]),
        ] {
            let counted = store.excess_audit_lines(kept).await.unwrap();
            assert_eq!(counted, excess, "{} {kept}", backend.name);
        }
        let deleted = store.delete_oldest_audit_lines(Anonymous, 2).await.unwrap();
        assert_eq!(deleted, 2, "{}", backend.name);
        let left = ["s3", "p2", "p1", "b", "a"];
        assert_eq!(logins(store, &all()).await, left, "{}", backend.name);
        // Numbers are missing now, which is not taken for more lines.
        let counted = store.excess_audit_lines(5).await.unwrap();
        assert!(counted.is_empty(), "{} {counted:?}", backend.name);
    }
}
