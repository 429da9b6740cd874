//! Whatever is done to a signed response without the key: it is refused, or it reads the same.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;

/// What an attacker may do to a document.
#[derive(Clone, Debug)]
enum Change {
    /// Removes bytes and inserts a text.
    Splice(prop::sample::Index, usize, &'static str),
    /// Copies or moves what stands between two tags to another tag, about somebody else or not.
    Transplant {
        from: prop::sample::Index,
        tags: usize,
        to: prop::sample::Index,
        removes: bool,
        forges: bool,
    },
    /// Puts an element around what stands between two tags.
    Wrap(prop::sample::Index, usize, &'static str),
}

fn change() -> impl Strategy<Value = Change> {
    let text = prop::sample::select(vec![
        "",
        "mallory@evil.example",
        "<!-- -->",
        "<![CDATA[",
        "]]>",
        "&amp;",
        "&#x41;",
        "&lol;",
        "<",
        ">",
        "/>",
        "\"",
        "'",
        " ",
        "\r\n",
        "\t",
        "\u{feff}",
        "张",
        " ID=\"_a1\"",
        " ID=\"_r1\"",
        " Id=\"_x\"",
        " xml:id=\"_a1\"",
        " xmlns=\"urn:x\"",
        " xmlns:saml=\"urn:x\"",
        " xmlns:samlp=\"urn:x\"",
        " xmlns:ds=\"urn:x\"",
        " xmlns:unused=\"urn:x\"",
        "<saml:NameID>mallory@evil.example</saml:NameID>",
        "</saml:NameID><saml:NameID>mallory@evil.example",
        "<saml:AttributeValue>admin</saml:AttributeValue>",
        "<saml:Assertion ID=\"_evil\"/>",
        "<ds:Signature/>",
        "<?x y?>",
        "<!DOCTYPE x>",
    ]);
    let wrapper = prop::sample::select(vec![
        "samlp:Extensions",
        "samlp:Response",
        "saml:Assertion",
        "saml:Subject",
        "saml:Advice",
        "ds:Object",
        "ds:KeyInfo",
        "ds:Signature",
        "x",
    ]);
    let place = any::<prop::sample::Index>;
    prop_oneof![
        2 => (place(), 0_usize..16, text).prop_map(|(at, removed, text)| Change::Splice(at, removed, text)),
        3 => (place(), 1_usize..40, place(), any::<bool>(), any::<bool>()).prop_map(
            |(from, tags, to, removes, forges)| Change::Transplant { from, tags, to, removes, forges }
        ),
        1 => (place(), 1_usize..40, wrapper).prop_map(|(at, tags, name)| Change::Wrap(at, tags, name)),
    ]
}

/// From one tag to another one some tags later, where the elements in between are closed again if possible.
fn range(document: &str, from: prop::sample::Index, tags: usize) -> Option<(usize, usize)> {
    let starts: Vec<_> = document.match_indices('<').map(|(at, _)| at).collect();
    let first = from.index(starts.len().max(1));
    let start = *starts.get(first)?;
    let end = starts.get(first + tags).copied();
    Some((start, end.unwrap_or(document.len())))
}

fn apply(document: &mut String, change: &Change) {
    match change {
        Change::Splice(at, removed, text) => {
            let start = document.floor_char_boundary(at.index(document.len() + 1));
            let end = document.floor_char_boundary((start + removed).min(document.len()));
            document.replace_range(start..end, text);
        }
        Change::Transplant {
            from,
            tags,
            to,
            removes,
            forges,
        } => {
            let Some((start, end)) = range(document, *from, *tags) else {
                return;
            };
            let mut piece = document[start..end].to_owned();
            if *removes {
                document.replace_range(start..end, "");
            }
            if *forges {
                piece = piece
                    .replace("alice@corp", "mallory@evil")
                    .replace("reader", "admin");
                piece = piece.replace("ID=\"_", "ID=\"_evil");
            }
            if let Some((to, _)) = range(document, *to, 1) {
                document.insert_str(to, &piece);
            }
        }
        Change::Wrap(at, tags, name) => {
            if let Some((start, end)) = range(document, *at, *tags) {
                document.insert_str(end, &format!("</{name}>"));
                document.insert_str(start, &format!("<{name}>"));
            }
        }
    }
}

/// The signed responses that are altered.
fn originals() -> &'static [String; 3] {
    static ORIGINALS: OnceLock<[String; 3]> = OnceLock::new();
    ORIGINALS.get_or_init(|| {
        let assertion = signed_assertion();
        let both = sign(&assertion, "_r1", &Form::default());
        [assertion, sign(RESPONSE, "_r1", &Form::default()), both]
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 4_000,
        rng_seed: RngSeed::Fixed(1_402),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_change_of_a_signed_response_changes_what_is_read(
        which in 0_usize..3,
        changes in proptest::collection::vec(change(), 1..4),
    ) {
        let mut document = originals()[which].clone();
        for change in &changes {
            apply(&mut document, change);
        }
        if let Ok(read) = facts(&document, &[idp().verifying_key()]) {
            prop_assert_eq!(read, alice(), "{}", document);
        }
    }
}

/// The signed element itself cannot be altered in any byte, except where the alteration has no meaning.
#[test]
fn no_single_byte_of_a_signed_response_changes_what_is_read() {
    let keys = [idp().verifying_key()];
    let mut refused = 0;
    for original in originals() {
        for at in 0..original.len() {
            let mut bytes = original.clone().into_bytes();
            bytes[at] ^= 1;
            let Ok(document) = String::from_utf8(bytes) else {
                continue;
            };
            match facts(&document, &keys) {
                Ok(read) => assert_eq!(read, alice(), "{document}"),
                Err(_) => refused += 1,
            }
        }
    }
    assert!(refused > 3_000, "{refused}");
}
