use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;

fn change(fields: &str) -> Result<Option<DirectoryChange>, MessageError> {
    let message = format!(
        "<xml><ToUserName><![CDATA[ww1]]></ToUserName><MsgType><![CDATA[event]]></MsgType>\
         <Event><![CDATA[change_contact]]></Event>{fields}</xml>"
    );
    read(message.as_bytes(), "WW1")
}

fn subject(userid: &str) -> Subject {
    format!("ww1:{userid}").parse().unwrap()
}

#[test]
fn changes_of_members_and_departments_are_read() {
    let read = |fields: &str| change(fields).unwrap().unwrap();
    let deleted = "<ChangeType>delete_user</ChangeType><UserID><![CDATA[ZhangSan]]></UserID>";
    let zhangsan = subject("zhangsan");
    assert_eq!(
        read(deleted),
        DirectoryChange::PersonDeleted(zhangsan.clone())
    );
    let updated = "<ChangeType><![CDATA[update_user]]></ChangeType><UserID>ZhangSan</UserID>";
    let is_update = DirectoryChange::PersonUpdated(zhangsan.clone());
    assert_eq!(read(updated), is_update);
    for same in ["ZHANGSAN", ""] {
        let fields = format!("{updated}<NewUserID>{same}</NewUserID>");
        assert_eq!(read(&fields), is_update, "{same}");
    }
    assert_eq!(
        read(&format!("{updated}<NewUserID>Zhang.San</NewUserID>")),
        DirectoryChange::PersonRenamed {
            from: zhangsan.clone(),
            to: subject("zhang.san")
        }
    );
    for kind in ["create_party", "update_party", "delete_party"] {
        let fields = format!("<ChangeType>{kind}</ChangeType><Id>2</Id>");
        let expected = DirectoryChange::Department(Some("2".to_owned()));
        assert_eq!(read(&fields), expected);
        let fields = format!("<ChangeType>{kind}</ChangeType><Id>../2</Id>");
        assert_eq!(read(&fields), DirectoryChange::Department(None));
    }
    let added = "<ChangeType>create_user</ChangeType><UserID>ZhangSan</UserID>";
    assert_eq!(read(added), DirectoryChange::PersonAdded(zhangsan));
}

#[test]
fn other_messages_report_no_change() {
    let tag = "<ChangeType>update_tag</ChangeType><TagId>1</TagId>";
    assert_eq!(change(tag).unwrap(), None);
    for message in [
        "<xml><MsgType>text</MsgType><Content>hello</Content></xml>",
        "<xml><MsgType>event</MsgType><Event>enter_agent</Event></xml>",
    ] {
        assert_eq!(read(message.as_bytes(), "ww1").unwrap(), None, "{message}");
    }
}

#[test]
fn a_change_without_its_member_cannot_be_read() {
    let deleted = "<ChangeType>delete_user</ChangeType>";
    let long = "a".repeat(65);
    for fields in [
        String::new(),
        deleted.to_owned(),
        format!("{deleted}<UserID/>"),
        format!("{deleted}<UserID>a</UserID><UserID>b</UserID>"),
        format!("{deleted}<UserID>ww2/zhangsan</UserID>"),
        format!("{deleted}<UserID>{long}</UserID>"),
        format!("{deleted}<UserID>a&#10;b</UserID>"),
    ] {
        assert!(change(&fields).is_err(), "{fields}");
    }
    assert!(read(b"<!DOCTYPE x><xml/>", "ww1").is_err());
}

/// What somebody without the key may change in a message: `(place, bytes to remove, text to insert)`.
fn changes() -> impl Strategy<Value = Vec<(prop::sample::Index, usize, &'static str)>> {
    let inserted = prop::sample::select(vec![
        "",
        "<",
        ">",
        "</",
        "/>",
        "&",
        "&#0;",
        "&#x10FFFF;",
        "&amp;",
        "&lol;",
        "]]>",
        "<![CDATA[",
        "<!--",
        "<!DOCTYPE x [<!ENTITY a 'b'>]>",
        "<?x?>",
        "<UserID>",
        "</UserID>",
        "<UserID/>",
        "<a b='c'>",
        "<xml>",
        "</xml>",
        "\0",
        "\u{feff}",
        "\u{202e}",
        "张",
        "/",
        "\n",
        "delete_user",
        "update_user",
        "<NewUserID>x</NewUserID>",
    ]);
    let change = (any::<prop::sample::Index>(), 0_usize..12, inserted);
    proptest::collection::vec(change, 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 600,
        rng_seed: RngSeed::Fixed(7_302),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_change_of_a_message_makes_it_panic_or_name_a_person_of_others(changes in changes()) {
        let mut text = "<xml><ToUserName><![CDATA[ww1]]></ToUserName><MsgType><![CDATA[event]]>\
                        </MsgType><Event><![CDATA[change_contact]]></Event><ChangeType>update_user\
                        </ChangeType><UserID><![CDATA[ZhangSan]]></UserID><NewUserID>Zhang.San\
                        </NewUserID></xml>"
            .to_owned();
        for (at, removed, inserted) in changes {
            let from = text.floor_char_boundary(at.index(text.len() + 1));
            let to = text.floor_char_boundary((from + removed).min(text.len()));
            text.replace_range(from..to, inserted);
        }
        let subjects = match read(text.as_bytes(), "WW1") {
            Ok(Some(DirectoryChange::PersonRenamed { from, to })) => vec![from, to],
            Ok(Some(
                DirectoryChange::PersonUpdated(subject)
                | DirectoryChange::PersonDeleted(subject)
                | DirectoryChange::PersonAdded(subject),
            )) => vec![subject],
            Ok(Some(DirectoryChange::Department(_)) | None) => Vec::new(),
            Err(error) => {
                prop_assert!(!error.to_string().is_empty());
                Vec::new()
            }
        };
        for subject in subjects {
            let userid = subject.as_str().strip_prefix("ww1:").unwrap_or_default();
            prop_assert!(member::is_userid(userid), "{} from {}", subject, text);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(change) = read(&bytes, "WW1") {
            prop_assert_eq!(change, None);
        }
    }
}
