use super::{canonical, read};
use crate::login::connector::kit::xml::Element;
use crate::login::connector::kit::xml_signature::canonical::{Canonical, TooLong};

fn elem2_of(document: &str) -> String {
    let root = read(document);
    let elem2 = root.elements().next().unwrap();
    canonical(&root, elem2, &[])
}

/// The two documents of <https://www.w3.org/TR/xml-exc-c14n/>, section 2.2: the same element in different
/// surroundings has one canonical form.
#[test]
fn an_element_has_one_canonical_form_in_all_surroundings() {
    let inside = "<n1:elem2 xmlns:n1=\"http://example.net\" xml:lang=\"en\">\n      \
                  <n3:stuff xmlns:n3=\"ftp://example.org\"/>\n   </n1:elem2>";
    let first = format!(
        "<n0:local xmlns:n0=\"foo:bar\"\n   xmlns:n3=\"ftp://example.org\">\n   {inside}\n</n0:local>"
    );
    let second = format!(
        "<n2:pdu xmlns:n1=\"http://example.com\"\n xmlns:n2=\"http://foo.example\"\n xml:lang=\"fr\"\n \
         xml:space=\"retain\">\n   {inside}\n</n2:pdu>"
    );
    let expected = "<n1:elem2 xmlns:n1=\"http://example.net\" xml:lang=\"en\">\n      \
                    <n3:stuff xmlns:n3=\"ftp://example.org\"></n3:stuff>\n   </n1:elem2>";
    assert_eq!(elem2_of(&first), expected);
    assert_eq!(elem2_of(&second), expected);
}

/// The document of <https://www.w3.org/TR/xml-c14n>, section 3.3, without its document type.
const TAGS: &str = "<doc>\n   <e1   />\n   <e2   ></e2>\n   <e3   name = \"elem3\"   id=\"elem3\"   />\n   \
    <e4   name=\"elem4\"   id=\"elem4\"   ></e4>\n   <e5 a:attr=\"out\" b:attr=\"sorted\" attr2=\"all\" \
    attr=\"I'm\"\n      xmlns:b=\"http://www.ietf.org\"\n      xmlns:a=\"http://www.w3.org\"\n      \
    xmlns=\"http://example.org\"/>\n   <e6 xmlns=\"\" xmlns:a=\"http://www.w3.org\">\n      \
    <e7 xmlns=\"http://www.ietf.org\">\n         <e8 xmlns=\"\" xmlns:a=\"http://www.w3.org\">\n            \
    <e9 xmlns=\"\" xmlns:a=\"http://www.ietf.org\"/>\n         </e8>\n      </e7>\n   </e6>\n</doc>";

#[test]
fn attributes_are_sorted_and_prefixes_declared_where_they_are_used() {
    let root = read(TAGS);
    assert_eq!(
        canonical(&root, &root, &[]),
        "<doc>\n   <e1></e1>\n   <e2></e2>\n   <e3 id=\"elem3\" name=\"elem3\"></e3>\n   \
         <e4 id=\"elem4\" name=\"elem4\"></e4>\n   <e5 xmlns=\"http://example.org\" \
         xmlns:a=\"http://www.w3.org\" xmlns:b=\"http://www.ietf.org\" attr=\"I'm\" attr2=\"all\" \
         b:attr=\"sorted\" a:attr=\"out\"></e5>\n   <e6>\n      <e7 xmlns=\"http://www.ietf.org\">\n         \
         <e8 xmlns=\"\">\n            <e9></e9>\n         </e8>\n      </e7>\n   </e6>\n</doc>"
    );
}

/// As inclusive canonicalization declares it in section 3.3.
#[test]
fn inclusive_prefixes_are_declared_wherever_they_are_in_scope() {
    let root = read(TAGS);
    let form = canonical(&root, &root, &["a", ""]);
    assert!(
        form.ends_with(
            "<e6 xmlns:a=\"http://www.w3.org\">\n      <e7 xmlns=\"http://www.ietf.org\">\n         \
             <e8 xmlns=\"\">\n            <e9 xmlns:a=\"http://www.ietf.org\"></e9>\n         </e8>\n      \
             </e7>\n   </e6>\n</doc>"
        ),
        "{form}"
    );
    let root = read(
        "<p:a xmlns:p='u' xmlns:xs='s' xmlns='d'><p:b t='xs:string'><p:c xmlns:xs='s'/></p:b></p:a>",
    );
    let b = root.elements().next().unwrap();
    for (prefixes, expected) in [
        (
            &[][..],
            "<p:b xmlns:p=\"u\" t=\"xs:string\"><p:c></p:c></p:b>",
        ),
        (
            &["xs"][..],
            "<p:b xmlns:p=\"u\" xmlns:xs=\"s\" t=\"xs:string\"><p:c></p:c></p:b>",
        ),
        (
            &["", "xs", "absent"][..],
            "<p:b xmlns=\"d\" xmlns:p=\"u\" xmlns:xs=\"s\" t=\"xs:string\"><p:c></p:c></p:b>",
        ),
    ] {
        assert_eq!(canonical(&root, b, prefixes), expected);
    }
}

/// After section 3.4.
#[test]
fn characters_are_escaped_as_the_canonical_form_prescribes() {
    let root = read(
        "<doc>\r\n   <text>First line&#x0d;&#10;Second line</text>\r\n   <value>&#x32;</value>\n   \
         <compute><![CDATA[value>\"0\" && value<\"10\" ?\"valid\":\"error\"]]></compute>\n   \
         <compute expr='value>\"0\" &amp;&amp; value&lt;\"10\" ?\"valid\":\"error\"'>valid</compute>\n   \
         <norm attr=' &apos;   &#x20;&#13;&#xa;&#9;   &apos; '/><!-- gone -->\n</doc>",
    );
    assert_eq!(
        canonical(&root, &root, &[]),
        "<doc>\n   <text>First line&#xD;\nSecond line</text>\n   <value>2</value>\n   \
         <compute>value&gt;\"0\" &amp;&amp; value&lt;\"10\" ?\"valid\":\"error\"</compute>\n   \
         <compute expr=\"value>&quot;0&quot; &amp;&amp; value&lt;&quot;10&quot; ?&quot;valid&quot;:\
         &quot;error&quot;\">valid</compute>\n   <norm attr=\" '    &#xD;&#xA;&#x9;   ' \"></norm>\n</doc>"
    );
}

#[test]
fn a_prefix_that_is_declared_again_is_declared_in_the_canonical_form() {
    let root = read(
        "<p:a xmlns:p='u'><p:b xmlns:p='v' p:x='1'><p:c xmlns:p='u'/></p:b><p:d/><q xmlns='w'><r \
         xmlns=''/><s/></q></p:a>",
    );
    assert_eq!(
        canonical(&root, &root, &[]),
        "<p:a xmlns:p=\"u\"><p:b xmlns:p=\"v\" p:x=\"1\"><p:c xmlns:p=\"u\"></p:c></p:b><p:d></p:d>\
         <q xmlns=\"w\"><r xmlns=\"\"></r><s></s></q></p:a>"
    );
}

#[test]
fn the_canonical_form_of_a_canonical_form_is_the_same() {
    for document in [TAGS, super::RESPONSE] {
        let root = read(document);
        let once = canonical(&root, &root, &[]);
        let again = read(&once);
        assert_eq!(canonical(&again, &again, &[]), once);
    }
}

/// Many elements that use a prefix of a long namespace would fill the memory.
#[test]
fn a_canonical_form_over_its_limit_is_given_up() {
    let long = "u".repeat(1_000);
    let document = format!("<a xmlns:p='{long}'>{}</a>", "<p:b/>".repeat(1_000));
    let root = Element::read(document.as_bytes(), super::LIMITS).unwrap();
    let write = |bytes_max| {
        let canonical = Canonical {
            element: &root,
            ancestors: &[],
            inclusive: &[],
            without: None,
            bytes_max,
        };
        canonical.write().map(|form| form.len())
    };
    assert_eq!(write(100_000), Err(TooLong));
    assert!(write(2_000_000).is_ok_and(|length| length > 1_000_000));
}
