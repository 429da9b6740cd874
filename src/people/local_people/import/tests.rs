use super::*;

const BCRYPT: &str = "$2y$05$abcdefghijklmnopqrstuuiL3WB9BMICkzkDzCbKS.08r/3QJHg4.";
const ARGON2ID: &str = "$argon2id$v=19$m=16,t=1,p=1$c2FsdHNhbHRzYWx0MDAwMQ$SIvjSCzzIqRmWInu9Drbbw";

fn problems(text: &str) -> Vec<(usize, String)> {
    let problems = LocalImport::parse(text.as_bytes()).unwrap_err();
    problems
        .into_iter()
        .map(|it| (it.line, it.why.to_string()))
        .collect()
}

#[test]
fn a_csv_file_has_texts_lists_and_hashes() {
    let text = format!(
        "login,password,name,groups,must_change\nZhangSan,\"{ARGON2ID}\",张三,it;ops,true\n\
         lisi,{BCRYPT},,,\n"
    );
    let import = LocalImport::parse(text.as_bytes()).unwrap();
    let (login, change) = &import.people[0];
    assert_eq!(login.as_str(), "ZhangSan");
    assert_eq!(change.fields["name"], "张三");
    assert_eq!(change.fields["groups"], serde_json::json!(["it", "ops"]));
    assert_eq!(change.must_change, Some(true));
    let (_, lisi) = &import.people[1];
    assert!(lisi.fields.is_empty() && lisi.must_change.is_none());
    assert_eq!(import.lines, [2, 3]);
}

#[test]
fn a_file_of_htpasswd_has_hashes_of_bcrypt_only() {
    let text = format!("# people\n\nZhangSan:{BCRYPT}\r\nlisi:{BCRYPT}\n");
    let import = LocalImport::parse(text.as_bytes()).unwrap();
    assert_eq!(import.lines, [3, 4]);
    assert_eq!(import.people[0].0.as_str(), "ZhangSan");
    let mixed = format!(
        "a:{BCRYPT}\nb:$apr1$lZL6V/ci$eIMz/iKDkbtys/uU7LEK00\nc:{{SHA}}5yfRRkrhJDbomacm2lsvEdg4GyY=\n\
         d:plain\ne\nf:{ARGON2ID}\ng:$2y$05$short\na:{BCRYPT}\n"
    );
    let found = problems(&mixed);
    let lines: Vec<_> = found.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [2, 3, 4, 5, 6, 7, 8], "{found:?}");
    assert!(!format!("{found:?}").contains("plain"), "{found:?}");
    assert!(found[6].1.contains("line 1 already"), "{found:?}");
}

#[test]
fn a_json_array_has_attributes_and_no_unknown_keys() {
    let text = format!(
        "[{{\"login\": \"zs\", \"password\": \"{ARGON2ID}\", \"groups\": [\"it\"], \
         \"attributes\": {{\"badge\": 7}}, \"email\": null}}]"
    );
    let import = LocalImport::parse(text.as_bytes()).unwrap();
    assert_eq!(import.people[0].1.fields["badge"], 7);
    assert!(!import.people[0].1.fields.contains_key("email"));
    for (person, why) in [
        (
            "{\"login\": \"zs\", \"passwort\": \"x\"}",
            "the key \"passwort\" is unknown",
        ),
        (
            "{\"login\": \"zs\", \"password\": \"hunter22\"}",
            "not a hash",
        ),
        (
            "{\"login\": \"zs\", \"groups\": \"it\"}",
            "groups must be a list",
        ),
        ("{\"login\": \"zs\", \"disabled\": \"no\"}", "true or false"),
        (
            "{\"login\": \"zs\", \"attributes\": {\"groups\": []}}",
            "groups is a field",
        ),
        ("{\"login\": \" zs\"}", "a login is"),
        ("{\"name\": \"zs\"}", "there is no login"),
        ("7", "not an object"),
    ] {
        let found = problems(&format!("[{person}]"));
        assert_eq!(found[0].0, 1);
        assert!(found[0].1.contains(why), "{person}: {found:?}");
        assert!(!found[0].1.contains("hunter22"));
    }
    assert!(problems("{}")[0].1.contains("not a JSON array"));
}

#[test]
fn every_bad_line_of_a_csv_file_is_reported() {
    let text = format!(
        "login,password\nok,{BCRYPT}\n,{BCRYPT}\nli,hunter22\nOK,{BCRYPT}\nx\nlate,$1$salt$hash\n"
    );
    let found = problems(&text);
    let lines: Vec<_> = found.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [3, 4, 5, 6, 7], "{found:?}");
    assert!(!format!("{found:?}").contains("hunter22"));
    for (text, why) in [
        ("", "the file is empty"),
        ("name\nx\n", "no column \"login\""),
        ("login,admin\nx,y\n", "\"admin\" is unknown"),
        ("login,login\nx,y\n", "there twice"),
        ("login,disabled\nx,yes\n", "true or false"),
    ] {
        let found = problems(text);
        assert!(found[0].1.contains(why), "{text}: {found:?}");
    }
    let many = "x\n".repeat(LOCAL_IMPORT_MAX + 1);
    assert!(
        problems(&format!("login\n{many}"))[0]
            .1
            .contains("split the file")
    );
}
