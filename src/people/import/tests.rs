//! Tests of import files: what is accepted, and which lines are reported.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;

fn parse(text: &str) -> Result<Import, Vec<LineProblem>> {
    Import::parse(text.as_bytes(), |connector| connector.as_str() == "corp")
}

fn problems(text: &str) -> Vec<(usize, String)> {
    let problems = parse(text).expect_err("it has bad lines");
    problems
        .into_iter()
        .map(|one| (one.line, one.why.to_string()))
        .collect()
}

#[test]
fn a_csv_file_is_read_with_quotes_line_breaks_and_a_byte_order_mark() {
    let text = "\u{feff}Login,name,Email,mobile,connector,subject\r\n\
                zhangsan,\"张三, \"\"三\"\"\",Z@Corp.example,+86 138 0000 0001,corp,\r\n\r\n\
                lisi,李四,,,corp,ww1:lisi\n\
                wang,,,,,";
    let import = parse(text).unwrap();
    assert_eq!(import.lines, [2, 4, 5]);
    let [zhang, li, wang] = import.people.as_slice() else {
        panic!("three people");
    };
    assert_eq!(zhang.name.as_deref(), Some("张三, \"三\""));
    assert_eq!(zhang.email.as_deref(), Some("Z@Corp.example"));
    let vouched = [
        (LinkField::Email, "z@corp.example".to_owned()),
        (LinkField::Mobile, "13800000001".to_owned()),
    ];
    assert_eq!(zhang.vouched, vouched);
    let corp: ConnectorId = "corp".parse().unwrap();
    assert_eq!(zhang.expected, Some((corp.clone(), None)));
    let subject = "ww1:lisi".parse().unwrap();
    assert_eq!(li.expected, Some((corp, Some(subject))));
    assert_eq!((wang.name.as_deref(), wang.expected.as_ref()), (None, None));
}

#[test]
fn a_json_file_says_the_same() {
    let text =
        r#"[{"login":"zhangsan","name":"张三","connector":"corp"},{"login":"lisi","email":null}]"#;
    let import = parse(text).unwrap();
    assert_eq!(import.people.len(), 2);
    assert_eq!(import.people[0].name.as_deref(), Some("张三"));
    assert_eq!(parse("[]").unwrap().people, []);
}

#[test]
fn every_bad_line_is_reported_with_its_number() {
    let long = "x".repeat(300);
    let text = format!(
        "login,name,connector,subject\n\
         ok,,,\n\
         ,no login,,\n\
         a,b,c\n\
         ok,twice,,\n\
         \"quoted\"x,,,\n\
         plain\"x,,,\n\
         other,,github,\n\
         alone,,,subject\n\
         one,,corp,s\n\
         two,,corp,s\n\
         {long},{long},,\n\
         open,\"never\n\
         ends,,,\n"
    );
    let found = problems(&text);
    let lines: Vec<_> = found.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [3, 4, 5, 6, 7, 8, 9, 11, 12, 13], "{found:?}");
    for (at, why) in [
        (0, "a login is"),
        (1, "3 fields instead of 4"),
        (2, "line 2 already"),
        (3, "follows a quoted field"),
        (4, "not quoted"),
        (5, "no connector \"github\""),
        (6, "needs its connector"),
        (7, "line 10 already"),
        (8, "a login is"),
        (9, "does not end"),
    ] {
        assert!(found[at].1.contains(why), "{why}: {found:?}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_refused_as_a_whole() {
    for (text, line, why) in [
        ("", 1, "empty"),
        ("name\nzhang", 1, "no column \"login\""),
        ("login,passwort\nzhang,x", 1, "passwort"),
        ("login,login\nzhang,x", 1, "twice"),
        ("[{\"login\":\"a\"},\n{\"login\":]", 2, "JSON"),
        ("{\"login\":\"a\"}", 1, "JSON array"),
    ] {
        let found = problems(text);
        assert_eq!(found.len(), 1, "{text}");
        assert_eq!(found[0].0, line, "{text}");
        assert!(found[0].1.contains(why), "{text}: {found:?}");
    }
    let bytes = b"login\nzhang\n\xd5\xc5";
    let found = Import::parse(bytes, |_| true).unwrap_err();
    assert_eq!(found[0].line, 3);
    let bad = problems(r#"[{"login":"a"},{"login":"b","role":"x"},{"login":7}]"#);
    assert_eq!(
        bad.iter().map(|(line, _)| *line).collect::<Vec<_>>(),
        [2, 3]
    );
    let many: String = (0..=IMPORTED_MAX).map(|n| format!("user{n}\n")).collect();
    assert!(problems(&format!("login\n{many}"))[0].1.contains("split"));
    let most: String = (0..IMPORTED_MAX).map(|n| format!("user{n}\n")).collect();
    assert_eq!(
        parse(&format!("login\n{most}")).unwrap().people.len(),
        IMPORTED_MAX
    );
}

/// Parts of files that people save, and of those that somebody makes up.
fn parts() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec![
        "login",
        "name",
        "email",
        "mobile",
        "connector",
        "subject",
        ",",
        ",",
        ";",
        "\t",
        "\n",
        "\n",
        "\r\n",
        "\r",
        "\"",
        "\"\"",
        "zhangsan",
        "张三",
        "a@b",
        "a@evil@corp",
        "+86 138",
        "corp",
        "\0",
        "\u{feff}",
        "\u{202e}",
        " ",
        "=cmd()",
        "[",
        "{",
        "]",
        "}",
        ":",
        "\\",
        "null",
    ]);
    let parts = proptest::collection::vec(part, 0..60);
    (any::<bool>(), parts).prop_map(|(has_header, parts)| {
        let header = if has_header {
            "login,name,connector,subject\n"
        } else {
            ""
        };
        format!("{header}{}", parts.concat())
    })
}

fn quoted(field: &str) -> String {
    format!("\"{}\"", field.replace('"', "\"\""))
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 600,
        rng_seed: RngSeed::Fixed(7_303),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_file_makes_it_panic_and_every_refusal_names_a_line(text in parts()) {
        let lines = 1 + text.matches('\n').count();
        match parse(&text) {
            Ok(import) => {
                prop_assert_eq!(import.people.len(), import.lines.len());
                prop_assert!(import.lines.is_sorted());
                let logins: std::collections::HashSet<_> =
                    import.people.iter().map(|person| person.login.as_str()).collect();
                prop_assert_eq!(logins.len(), import.people.len());
            }
            Err(problems) => {
                prop_assert!((1..=PROBLEMS_MAX).contains(&problems.len()));
                for LineProblem { line, why } in problems {
                    // A JSON file counts its objects.
                    prop_assert!((1..=lines.max(text.len())).contains(&line), "{line}: {why}");
                    let length = why.to_string().len();
                    prop_assert!((1..1_000).contains(&length), "{why}");
                }
            }
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let parsed = Import::parse(&bytes, |_| true);
        prop_assert!(parsed.is_err() || parsed.is_ok_and(|import| import.people.len() <= 100));
    }

    #[test]
    fn a_quoted_field_is_read_as_it_was_written(fields in proptest::collection::vec(".{0,20}", 1..5)) {
        let line = fields.iter().map(|field| quoted(field)).collect::<Vec<_>>().join(",");
        let read: Vec<_> = csv::records(&line).collect();
        prop_assert_eq!(read, vec![(1, Ok(fields))]);
    }
}
