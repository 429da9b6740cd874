use super::*;

const LIMITS: XmlLimits = XmlLimits {
    bytes: 1_000,
    elements: 8,
    depth: 3,
    attributes: 4,
};

fn read(text: &str) -> Result<Element, XmlError> {
    Element::read(text.as_bytes(), LIMITS)
}

fn reason(text: &str) -> String {
    match read(text) {
        Ok(_) => panic!("accepted: {text}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn text_and_cdata_of_children_are_read() {
    let root = read(
        "\u{feff}<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<xml><a><![CDATA[<1>&amp;]]></a>\
         <!-- no -->\n<b x='1'> 张&lt;三&#x4E09;&#50; </b><c/><d><e>5</e></d></xml>\n",
    );
    let root = root.unwrap();
    assert_eq!(root.local_name(), "xml");
    assert_eq!(root.child_text("a").as_deref(), Some("<1>&amp;"));
    assert_eq!(root.child_text("b").as_deref(), Some("张<三三2"));
    assert_eq!(root.child_text("c").as_deref(), Some(""));
    let inner = root
        .elements()
        .last()
        .and_then(|child| child.child_text("e"));
    assert_eq!(inner.as_deref(), Some("5"));
    assert_eq!(root.child_text("e"), None);
}

#[test]
fn a_repeated_child_is_ambiguous_and_not_returned() {
    let twice = read("<x xmlns='u'><a>1</a><b/><a>2</a></x>").unwrap();
    assert!(matches!(
        twice.only_child("u", "a"),
        Err(XmlError::RepeatedElement(name)) if name == "a"
    ));
    assert_eq!(twice.children_named("u", "a").count(), 2);
    assert!(twice.only_child("u", "b").unwrap().is_some());
    assert!(twice.only_child("u", "c").unwrap().is_none());
    assert!(twice.only_child("v", "a").unwrap().is_none());
    assert_eq!(
        read("<x><a>1</a><a>2</a></x>").unwrap().child_text("a"),
        None
    );
}

#[test]
fn comments_and_cdata_do_not_split_a_text() {
    for text in [
        "admin@corp.example.evil.example",
        "admin@corp.example<!-- a -->.evil.example",
        "admin@<!---->corp.example<![CDATA[.evil]]>.exam&#112;le",
    ] {
        let root = read(&format!("<x>{text}</x>")).unwrap();
        assert_eq!(root.text(), "admin@corp.example.evil.example");
        assert_eq!(root.children().len(), 1);
    }
}

#[test]
fn names_are_resolved_to_their_namespaces() {
    let root = read(
        "<p:a xmlns:p='u' xmlns='v' x='1' p:x='2'><b xmlns=''><p:c/></b><d xml:lang='zh'/></p:a>",
    );
    let root = root.unwrap();
    assert!(root.is("u", "a"));
    assert_eq!(root.name().prefix(), "p");
    assert_eq!(root.attribute("x"), Some("1"));
    let names = root.attributes().iter().map(|attribute| &attribute.name);
    let names: Vec<_> = names
        .map(|name| (name.namespace(), name.local_name()))
        .collect();
    assert_eq!(names, [(None, "x"), (Some("u"), "x")]);
    let (b, d) = {
        let mut elements = root.elements();
        (elements.next().unwrap(), elements.next().unwrap())
    };
    assert_eq!((b.namespace(), b.local_name()), (None, "b"));
    assert!(b.elements().next().unwrap().is("u", "c"));
    assert!(d.is("v", "d"));
    assert_eq!(d.attribute("lang"), None);
    assert_eq!(d.attributes()[0].name.namespace(), Some(XML_NAMESPACE));
    let rebound = read("<p:a xmlns:p='u'><p:b xmlns:p='w'/><p:c/></p:a>").unwrap();
    let namespaces: Vec<_> = rebound.elements().map(Element::namespace).collect();
    assert_eq!(namespaces, [Some("w"), Some("u")]);
}

#[test]
fn line_ends_and_white_space_are_normalised() {
    let root = read("<x a='1\r\n2\t3&#9;4&#13;'>1\r\n2\r3&#13;</x>").unwrap();
    assert_eq!(root.attribute("a"), Some("1 2 3\t4\r"));
    assert_eq!(root.text(), "1\n2\n3\r");
}

#[test]
fn document_types_entities_and_instructions_are_refused() {
    for bad in [
        "<!DOCTYPE x><x/>",
        "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><x>&e;</x>",
        "<!DOCTYPE x [<!ENTITY a 'a'><!ENTITY b '&a;&a;'>]><x>&b;</x>",
        "<x>&nbsp;</x>",
        "<x a='&nbsp;'/>",
        "<x>&#x0000000041;</x>",
        "<?php x?><x/>",
        "<x><?xml-stylesheet href='a'?></x>",
        "<x xml:id='a'/>",
        "<x xmlns:xml='http://www.w3.org/XML/1998/namespace'/>",
        "<x xmlns:xmlns='u'/>",
        "<x xmlns:p='http://www.w3.org/2000/xmlns/'/>",
        "<x xmlns='http://www.w3.org/XML/1998/namespace'/>",
        "<x>\u{1}</x>",
        "<x>\u{ffff}</x>",
    ] {
        assert!(matches!(read(bad), Err(XmlError::Forbidden(_))), "{bad}");
    }
}

#[test]
fn malformed_documents_are_refused() {
    for bad in [
        "",
        " ",
        "x",
        "<x>",
        "</x>",
        "<x></y>",
        "<x/><y/>",
        "<x/>y",
        "<x/>&#32;",
        "<x/><![CDATA[ ]]>",
        "<x/>\u{a0}",
        "y<x/>",
        "<x a=1/>",
        "<x a/>",
        "<x a='1'b='2'/>",
        "<x a='<'/>",
        "<x a='&'/>",
        "<x a='&#+49;'/>",
        "<x ='1'/>",
        "<x><![CDATA[a</x>",
        "<x>]]></x>",
        "<x><!-- a--b --></x>",
        "<x>&#0;</x>",
        "<x>&#1;</x>",
        "<x>&#xFFFF;</x>",
        "<x>&#xD800;</x>",
        "<x>&#-49;</x>",
        "<x>&#;</x>",
        "<x>a & b</x>",
        "<1/>",
        "<:x/>",
        "<x:/>",
        "<x:y:z xmlns:x='u'/>",
        "<x xmlns:='u'/>",
        "<x xmlns:p=''/>",
        "<x xmlns:p:q='u'/>",
        "<?xml version='1.0' encoding='gbk'?><x/>",
        "<?xml version='1.1'?><x/>",
        "<?xml encoding='utf-8'?><x/>",
        "<?xml version='1.0' a='b'?><x/>",
        "<?xml version='1.0' standalone='perhaps'?><x/>",
        " <?xml version='1.0'?><x/>",
        "<x><?xml version='1.0'?></x>",
        "<?xml version='1.0'?><?xml version='1.0'?><x/>",
        "\u{feff}\u{feff}<x/>",
    ] {
        assert!(read(bad).is_err(), "{bad}");
    }
    assert!(Element::read(b"<x>\xff</x>", LIMITS).is_err());
    assert!(Element::read(b"\xff\xfe<\0x\0/\0>\0", LIMITS).is_err());
}

#[test]
fn undeclared_prefixes_are_refused() {
    for bad in [
        "<p:x/>",
        "<x p:a='1'/>",
        "<x><p:a xmlns:p='u'/><p:b/></x>",
        "<xmlns:x/>",
    ] {
        assert!(reason(bad).contains("prefix"), "{bad}");
    }
}

#[test]
fn an_attribute_given_twice_is_refused_also_under_another_prefix() {
    for bad in [
        "<x a='1' a='2'/>",
        "<x a='1' a='1'/>",
        "<x xmlns:p='u' xmlns:q='u' p:a='1' q:a='2'/>",
        "<x xmlns='u' xmlns='v'/>",
        "<x xmlns:p='u' xmlns:p='u'/>",
    ] {
        assert!(reason(bad).contains("twice"), "{bad}");
    }
    assert!(read("<x xmlns:p='u' xmlns:q='v' p:a='1' q:a='2'/>").is_ok());
    assert!(read("<x xmlns='u' xmlns:p='u' a='1' p:a='2'/>").is_ok());
}

#[test]
fn documents_over_a_limit_are_refused() {
    assert!(read("<a b='1' c='2' d='3' xmlns='u'><b><c/></b></a>").is_ok());
    for (bad, limit) in [
        ("<a><b><c><d/></c></b></a>", "depth"),
        ("<a><b/><b/><b/><b/><b/><b/><b/><b/></a>", "elements"),
        ("<a b='1' c='2' d='3' e='4' xmlns='u'/>", "attributes"),
    ] {
        assert!(
            matches!(read(bad), Err(XmlError::TooLarge(what)) if what == limit),
            "{bad}"
        );
    }
    let long = format!("<a>{}</a>", "x".repeat(994));
    assert!(matches!(read(&long), Err(XmlError::TooLarge("bytes"))));
    assert!(read(&long.replacen('x', "", 1)).is_ok());
}

#[test]
fn debug_output_shows_no_content() {
    let root = read("<x a='secret-1'>secret-2<y>secret-3</y></x>").unwrap();
    assert!(!format!("{root:?}").contains("secret"));
}
