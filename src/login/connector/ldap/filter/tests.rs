use super::*;

fn encoded(text: &str, login: &str) -> Vec<u8> {
    let values = Values {
        login,
        dn: "cn=a,dc=b",
    };
    Filter::parse(text).unwrap().encode(values).to_vec()
}

#[test]
fn every_form_of_a_filter_is_parsed() {
    for text in [
        "(uid=x)",
        "(uid=*)",
        "(uid=a*)",
        "(uid=*a)",
        "(uid=*a*)",
        "(uid=a*b*c)",
        "(uid~=x)",
        "(age>=5)",
        "(age<=5)",
        "(uid=)",
        "(&(a=b)(c=d))",
        "(|(a=b)(c=d)(e=f))",
        "(!(a=b))",
        "(userAccountControl:1.2.840.113556.1.4.803:=2)",
        "(cn:dn:2.4.6.8.10:=Dino)",
        "(:1.2.3:=x)",
        "(cn:=x)",
        "(cn;lang-zh=张三)",
        "(cn=\\2a\\28\\29\\5c\\00)",
        "(&(objectCategory=person)(!(userAccountControl:1.2.840.113556.1.4.803:=2)))",
    ] {
        assert!(
            Filter::parse(text).is_ok(),
            "{text}: {:?}",
            Filter::parse(text)
        );
    }
}

#[test]
fn what_is_no_filter_is_refused_with_its_position() {
    for (text, at) in [
        ("", 1),
        ("uid=x", 1),
        ("(uid=x", 7),
        ("(uid=x))", 8),
        ("(uid=x)(cn=y)", 8),
        ("(=x)", 2),
        ("(uid)", 5),
        ("(&)", 3),
        ("(uid=a(b)", 7),
        ("(uid=a**b)", 9),
        ("(uid=\\2)", 6),
        ("(uid=\\zz)", 6),
        ("(名=x)", 2),
        ("(:=x)", 2),
        ("(cn:dn:)", 8),
    ] {
        let error = Filter::parse(text).unwrap_err();
        assert_eq!(error.at, at, "{text}: {error}");
    }
    let deep = format!("{}(a=b){}", "(!".repeat(40), ")".repeat(40));
    assert!(Filter::parse(&deep).is_err());
}

#[test]
fn no_character_of_a_login_changes_the_filter() {
    for login in ["*", "x)(uid=*", "\\2a", "a(b)c", "\0", "张三", "{dn}"] {
        let value = login.as_bytes();
        let mut expected = vec![0xa3, (7 + value.len()) as u8, 4, 3];
        expected.extend_from_slice(b"uid");
        expected.extend_from_slice(&[4, value.len() as u8]);
        expected.extend_from_slice(value);
        assert_eq!(encoded("(uid={login})", login), expected, "{login}");
        let filter = Filter::equals_login("uid");
        let values = Values { login, dn: "" };
        assert_eq!(filter.encode(values).to_vec(), expected, "{login}");
    }
}

#[test]
fn placeholders_are_found_and_replaced() {
    let filter = Filter::parse("(&(objectClass=group)(|(member={dn})(owner=x{login}y*)))").unwrap();
    assert!(filter.has(Placeholder::Dn) && filter.has(Placeholder::Login));
    assert!(!Filter::parse("(cn=dn)").unwrap().has(Placeholder::Dn));
    assert_eq!(
        encoded("(m={dn})", ""),
        b"\xa3\x0e\x04\x01m\x04\x09cn=a,dc=b".to_vec()
    );
    assert_eq!(
        encoded("(m=a{login}*)", "b"),
        b"\xa4\x09\x04\x01m\x30\x04\x80\x02ab".to_vec()
    );
}
