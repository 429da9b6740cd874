use super::*;

/// An answer with this content of `authenticationSuccess`.
fn success(content: &str) -> String {
    format!(
        "<cas:serviceResponse xmlns:cas='{NAMESPACE}'>\n  <cas:authenticationSuccess>{content}\
         </cas:authenticationSuccess>\n</cas:serviceResponse>\n"
    )
}

fn read(document: &str) -> Result<Answer, AnswerError> {
    Answer::read(Version::V3, document.as_bytes())
}

fn valid(document: &str) -> Person {
    match read(document) {
        Ok(Answer::Valid(person)) => *person,
        other => panic!("{other:?}: {document}"),
    }
}

fn refused(document: &str) {
    assert!(read(document).is_err(), "{document}");
}

#[test]
fn a_user_and_attributes_of_both_layouts_are_read() {
    let person = valid(&success(
        "<cas:user>\n zhangsan\n</cas:user><cas:attributes><cas:mail>z@corp.example</cas:mail>\
         <cas:memberOf>ops</cas:memberOf><cas:memberOf>财务部</cas:memberOf><other>x</other>\
         <cas:nested><cas:a>1</cas:a></cas:nested></cas:attributes>\
         <cas:attribute name='memberOf' value='ops'/><cas:attribute name='memberOf' value='dev'/>\
         <cas:attribute name='without value'/>",
    ));
    assert_eq!(person.user, "zhangsan");
    let found = |name: &str| person.attributes.get(name).cloned().unwrap_or_default();
    assert_eq!(found("mail"), ["z@corp.example"]);
    assert_eq!(found("memberOf"), ["ops", "dev", "财务部"]);
    assert_eq!(found("other"), ["x"]);
    assert_eq!(person.attributes.len(), 3);
    assert!(person.proxies.is_empty());
}

#[test]
fn an_attribute_may_be_called_attribute() {
    let person = valid(&success(
        "<cas:user>a</cas:user><cas:attributes><cas:attribute>1</cas:attribute>\
         <cas:attribute name='n' value='2'/></cas:attributes>",
    ));
    assert_eq!(person.attributes["attribute"], ["1"]);
    assert_eq!(person.attributes["n"], ["2"]);
}

#[test]
fn the_default_namespace_is_as_good_as_a_prefix() {
    let document = success("<cas:user>a</cas:user>").replace("cas:", "");
    let document = document
        .replace("xmlns:cas", "xmlns")
        .replace("xmlns=", "xmlns =");
    assert_eq!(valid(&document).user, "a");
}

#[test]
fn proxies_are_read_in_their_order() {
    let person = valid(&success(
        "<cas:user>a</cas:user><cas:proxies><cas:proxy>https://b/</cas:proxy>\
         <cas:proxy>https://c/</cas:proxy></cas:proxies>",
    ));
    assert_eq!(person.proxies, ["https://b/", "https://c/"]);
}

#[test]
fn a_comment_does_not_cut_a_name_short() {
    let document = success("<cas:user>admin<!-- x -->istrator<![CDATA[ 2]]></cas:user>");
    assert_eq!(valid(&document).user, "administrator 2");
}

#[test]
fn a_failure_has_a_code_and_a_text() {
    let document = format!(
        "<cas:serviceResponse xmlns:cas='{NAMESPACE}'><cas:authenticationFailure \
         code=\"INVALID_TICKET\"> unknown </cas:authenticationFailure></cas:serviceResponse>"
    );
    let Ok(Answer::Invalid { code, text }) = read(&document) else {
        panic!("{document}");
    };
    assert_eq!((code.as_str(), text.trim()), ("INVALID_TICKET", "unknown"));
}

#[test]
fn an_answer_without_exactly_one_user_is_refused() {
    valid(&success("<cas:user>a</cas:user>"));
    for content in [
        "",
        "<cas:user></cas:user>",
        "<cas:user> </cas:user>",
        "<cas:user>\n</cas:user>",
        "<cas:user>a </cas:user>",
        "<cas:user> a</cas:user>",
        "<cas:user>\na </cas:user>",
        "<cas:user>a\u{a0}</cas:user>",
        "<cas:user>a\u{3000}\n</cas:user>",
        "<cas:user>a</cas:user><cas:user>a</cas:user>",
        "<cas:user>a<b/>c</cas:user>",
        "<user>a</user>",
        "<x:user xmlns:x='http://www.yale.edu/tp/CAS'>a</x:user>",
        "<cas:attributes><cas:user>a</cas:user></cas:attributes>",
    ] {
        refused(&success(content));
    }
}

#[test]
fn an_answer_with_two_outcomes_or_none_is_refused() {
    let good = success("<cas:user>a</cas:user>");
    let failure = "<cas:authenticationFailure code='INVALID_TICKET'/>";
    let with = |more: &str| {
        good.replace(
            "\n</cas:serviceResponse>",
            &format!("{more}</cas:serviceResponse>"),
        )
    };
    valid(&with(""));
    refused(&with(failure));
    refused(&with(
        "<cas:authenticationSuccess><cas:user>b</cas:user></cas:authenticationSuccess>",
    ));
    refused(&with("<other/>"));
    refused(&format!("<cas:serviceResponse xmlns:cas='{NAMESPACE}'/>"));
    refused(&format!(
        "<cas:authenticationSuccess xmlns:cas='{NAMESPACE}'><cas:user>a</cas:user></cas:authenticationSuccess>"
    ));
    refused(&format!("<x>{good}</x>"));
}

#[test]
fn another_namespace_is_refused() {
    let good = success("<cas:user>a</cas:user>");
    valid(&good);
    for other in [
        "",
        "http://www.yale.edu/tp/cas/",
        "https://www.yale.edu/tp/cas",
        "http://evil.example/tp/cas",
    ] {
        refused(&good.replace(NAMESPACE, other));
    }
    refused(
        &good
            .replace("cas:", "")
            .replace(&format!(" xmlns:cas='{NAMESPACE}'"), ""),
    );
}

#[test]
fn hostile_xml_is_refused() {
    let good = success("<cas:user>a</cas:user>");
    valid(&good);
    valid(&format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>{good}"));
    for bad in [
        format!("<!DOCTYPE x>{good}"),
        format!(
            "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>{}",
            good.replace(">a<", ">&e;<")
        ),
        format!(
            "<!DOCTYPE x [<!ENTITY a 'aa'><!ENTITY b '&a;&a;'>]>{}",
            good.replace(">a<", ">&b;<")
        ),
        format!("<?php echo ?>{good}"),
        good.replace(">a<", "><?x y?>a<"),
        good.replace(">a<", ">&nbsp;<"),
        good.replace("</cas:user>", ""),
        good.replace("</cas:serviceResponse>", ""),
        format!("{good}{good}"),
        format!("{good}x"),
        good.replace("<cas:user>", "<cas:user a='1' a='2'>"),
        good.replace("<cas:user>", "<foreign:user>")
            .replace("</cas:user>", "</foreign:user>"),
        good.replace('<', "&lt;"),
        "{\"serviceResponse\":{\"authenticationSuccess\":{\"user\":\"a\"}}}".to_owned(),
        String::new(),
    ] {
        refused(&bad);
    }
    let latin = good.replace(">a<", ">\u{e9}<");
    let latin: Vec<_> = latin.chars().map(|c| u8::try_from(c).unwrap()).collect();
    assert!(Answer::read(Version::V3, &latin).is_err());
}

#[test]
fn a_list_of_proxies_that_can_be_read_in_two_ways_is_refused() {
    for proxies in [
        "<cas:proxies><cas:proxy>https://b/</cas:proxy></cas:proxies><cas:proxies/>",
        "<cas:proxies><proxy>https://b/</proxy></cas:proxies>",
        "<cas:proxies><cas:proxy>https://b/<x/></cas:proxy></cas:proxies>",
    ] {
        refused(&success(&format!("<cas:user>a</cas:user>{proxies}")));
    }
}

#[test]
fn version_1_0_is_two_lines() {
    let read = |text: &str| Answer::read(Version::V1, text.as_bytes());
    for text in ["yes\nzhangsan\n", "yes\nzhangsan", "yes\r\nzhangsan\r\n"] {
        let Ok(Answer::Valid(person)) = read(text) else {
            panic!("{text}");
        };
        assert_eq!(person.user, "zhangsan");
    }
    for text in ["no\n\n", "no\n", "no"] {
        assert!(matches!(read(text), Ok(Answer::Invalid { .. })), "{text}");
    }
    for bad in [
        "",
        "yes",
        "yes\n",
        "yes\n\n",
        "YES\na\n",
        "yes \na\n",
        " yes\na\n",
        "yes\na\nb\n",
        "yes\n a\n",
        "yes\na \n",
        "yes\na\u{3000}\n",
        "no\na\n",
        "no\n\nyes\na\n",
        "<html>",
    ] {
        assert!(read(bad).is_err(), "{bad}");
    }
    assert!(Answer::read(Version::V1, b"yes\n\xff\n").is_err());
}
