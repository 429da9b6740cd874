use serde_json::json;

use super::*;

/// The hash of `secret` with the lowest cost.
const HASH: &str = "$2b$04$......................";

fn hash() -> String {
    // A hash that no password has is enough here.
    format!("{HASH}{}", ".".repeat(31))
}

fn parse(text: &str) -> Result<PeopleFile, PeopleFileError> {
    PeopleFile::parse(&text.replace("HASH", &hash()), "people.toml")
}

/// The place of the first problem, and its message.
fn problem(text: &str) -> (usize, usize, String) {
    match parse(text) {
        Err(PeopleFileError::Invalid { problems }) => {
            let problem = problems.into_iter().next().unwrap();
            (problem.line, problem.column, problem.message.to_string())
        }
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn a_person_has_the_fields_of_their_table() {
    let text = "[ZhangSan]\npassword = 'HASH'\nname = '张三'\nemail = 'z@corp.example'\n\
                mobile = '13800000000'\ngroups = ['财务', 'it']\nroles = 'admin'\nbadge = 0x10\n\
                since = 2020-01-02\nshare = 0.5\ndesk = { floor = 3, window = true }\n\
                [\"li.si\"]\npassword = 'HASH'\ndisabled = true\n";
    let file = parse(text).unwrap();
    let person = file.find("zHANGSAN").unwrap();
    assert_eq!(person.subject.as_str(), "zhangsan");
    assert!(!person.is_disabled);
    assert_eq!(
        Value::Object(person.profile.clone()),
        json!({
            "login": "ZhangSan",
            "name": "张三",
            "email": "z@corp.example",
            "mobile": "13800000000",
            "groups": ["财务", "it"],
            "roles": ["admin"],
            "badge": 16,
            "since": "2020-01-02",
            "share": 0.5,
            "desk": { "floor": 3, "window": true },
        })
    );
    assert!(file.find("li.si").unwrap().is_disabled);
    assert!(file.find("li").is_none());
    assert_eq!(file.people().len(), 2);
    assert!(parse("").unwrap().people().is_empty());
}

#[test]
fn every_other_password_is_refused_at_its_line() {
    for password in [
        "''",
        "'secret'",
        "'$apr1$x$y'",
        "'{SHA}x'",
        "'$1$x$y'",
        "'$2x$04$......................'",
        "'$argon2i$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA'",
        "'*'",
        "7",
        "['HASH']",
    ] {
        let text = format!("[a]\npassword = 'HASH'\n\n[b]\nname = 'b'\npassword = {password}\n");
        let (line, column, message) = problem(&text);
        assert_eq!((line, column), (6, 12), "{password}: {message}");
        assert!(!message.contains("secret"), "{message}");
    }
    let (line, column, message) = problem("[a]\nname = 'a'\n");
    assert_eq!((line, column), (1, 2));
    assert!(message.contains("no password"), "{message}");
}

#[test]
fn a_login_in_two_cases_is_refused_at_the_second() {
    let (line, column, message) = problem(
        "[zhangsan]\npassword = 'HASH'\n[b]\npassword = 'HASH'\n[ZhangSan]\npassword = 'HASH'\n",
    );
    assert_eq!((line, column), (5, 2));
    assert!(message.contains("line 1"), "{message}");
    let (line, ..) = problem("[\"ärger\"]\npassword = 'HASH'\n[\"ÄRGER\"]\npassword = 'HASH'\n");
    assert_eq!(line, 3);
    // TOML itself refuses the same key.
    let (line, ..) = problem("[a]\npassword = 'HASH'\n[a]\npassword = 'HASH'\n");
    assert_eq!(line, 3);
}

#[test]
fn a_key_that_does_not_fit_is_refused_at_its_line() {
    for (line, place, message) in [
        ("disabled = 'yes'", (3, 12), "true or false"),
        ("mobile = 13800000000", (3, 10), "in quotes"),
        ("name = ['a']", (3, 8), "in quotes"),
        ("groups = [1]", (3, 10), "list of texts"),
        ("groups = true", (3, 10), "list of texts"),
        ("login = 'b'", (3, 1), "cannot be set"),
        ("session_expires = 1", (3, 1), "cannot be set"),
        ("\"a-b\" = 1", (3, 1), "letters, digits"),
        ("limit = inf", (3, 9), "no number"),
    ] {
        let (at_line, column, text) = problem(&format!("[a]\npassword = 'HASH'\n{line}\n"));
        assert_eq!((at_line, column), place, "{line}: {text}");
        assert!(text.contains(message), "{line}: {text}");
    }
    let (line, ..) = problem("[a]\npassword = 'HASH'\nname = 'a\n");
    assert_eq!(line, 3);
    for (text, message) in [
        ("a = 1\n", "is not a table"),
        ("[li.si]\npassword = 'HASH'\n", "in quotes"),
        ("[\" a\"]\npassword = 'HASH'\n", "login"),
        ("[\"\"]\npassword = 'HASH'\n", "login"),
    ] {
        let (line, _, found) = problem(text);
        assert_eq!(line, 1, "{text}");
        assert!(found.contains(message), "{text}: {found}");
    }
}

#[test]
fn an_error_names_every_place_and_no_hash() {
    let people: String = (0..12)
        .map(|person| format!("[p{person}]\npassword = 'secret{person}'\n"))
        .collect();
    let error = parse(&people).unwrap_err().to_string();
    assert!(error.starts_with("people.toml:2:12: "), "{error}");
    assert_eq!(error.lines().count(), 11, "{error}");
    assert!(error.ends_with("and 2 more"), "{error}");
    assert!(!error.contains("secret"), "{error}");
    let file = parse("[a]\npassword = 'HASH'\n").unwrap();
    assert!(!format!("{file:?}").contains(HASH));
}

#[test]
fn an_unknown_login_name_costs_the_hash_of_some_person() {
    let people: String = (0..9)
        .map(|person| format!("[p{person}]\npassword = 'HASH'\n"))
        .collect();
    let file = parse(&people).unwrap();
    let is_of_a_person = |hash: &Arc<PasswordHash>| {
        let mut people = file.people().iter();
        people.any(|person| Arc::ptr_eq(&person.password, hash))
    };
    let mut chosen = std::collections::HashSet::new();
    for name in 0..200 {
        let hash = file.hash_for_unknown(&format!("Nobody{name}"));
        assert!(is_of_a_person(hash), "{name}");
        // The same name always costs the same.
        let again = file.hash_for_unknown(&format!("nobody{name}"));
        assert!(Arc::ptr_eq(hash, again), "{name}");
        chosen.insert(Arc::as_ptr(hash));
    }
    assert_eq!(chosen.len(), 9);
    // Without people it costs a hash of `menshen passwd`.
    let hash = parse("").unwrap().hash_for_unknown("a").clone();
    assert!(!hash.is_cheap());
}
