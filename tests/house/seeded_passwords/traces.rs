//! The seeded passwords, and the search for what is left of them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The begin of every password, so that a part of one is found too, and in every encoding: no encoding that is
/// searched for changes its letters. It has six bytes, so base64 encodes it alike in each password.
pub(super) const CORE: &str = "s33ded";

/// How many characters around a trace a failure shows.
const SHOWN: usize = 120;

/// 64 passwords of sixteen shapes.
pub(crate) fn passwords() -> Vec<String> {
    let long = "x".repeat(900);
    let shapes = [
        "-plain-NUMBER",
        "\"double'single`NUMBER\"",
        "密码NUMBER锁",
        "%25%00%zzNUMBER%",
        "LONGNUMBER",
        "c2VjcmV0Cg==NUMBER",
        "<script>&amp;NUMBER</script>",
        " NUMBER  ",
        "\\n\\u0000NUMBER\\",
        "{{NUMBER}}${HOME}$(id)",
        "🔑NUMBERe\u{301}",
        "';DROP TABLE people;--NUMBER",
        "\tNUMBER",
        "+NUMBER&=?#/../",
        ".eyJhbGciOiJub25lIn0.NUMBER.",
        "{\"password\":\"NUMBER\"}",
    ];
    let numbered = (0..4).flat_map(|number| shapes.map(|shape| (number, shape)));
    let passwords = numbered.map(|(number, shape)| {
        let shape = shape.replace("NUMBER", &number.to_string());
        format!("{CORE}{}", shape.replace("LONG", &long))
    });
    passwords.collect()
}

/// How the core looks in text, in any case: as it is, in base64, in hexadecimal, and as a list of bytes.
fn needles() -> [String; 4] {
    let hexadecimal = CORE.bytes().map(|byte| format!("{byte:02x}"));
    let list: Vec<_> = CORE.bytes().map(|byte| byte.to_string()).collect();
    [
        CORE.to_owned(),
        STANDARD.encode(CORE).to_lowercase(),
        hexadecimal.collect(),
        list.join(", "),
    ]
}

/// The first trace, with what is around it.
fn find(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes).to_lowercase();
    let needles = needles();
    let at = needles.iter().find_map(|needle| text.find(needle))?;
    let start = text.floor_char_boundary(at.saturating_sub(SHOWN));
    let end = text.ceil_char_boundary((at + SHOWN).min(text.len()));
    Some(text[start..end].to_owned())
}

pub(crate) fn assert_no_trace(name: &str, bytes: &[u8]) {
    assert_eq!(find(bytes), None, "a password is in {name}");
}

#[test]
fn every_encoding_of_every_password_would_be_found() {
    let passwords = passwords();
    let different: std::collections::BTreeSet<_> = passwords.iter().collect();
    assert_eq!(different.len(), 64);
    for password in &passwords {
        let hexadecimal = password.bytes().map(|byte| format!("{byte:02X}"));
        let percent =
            percent_encoding::utf8_percent_encode(password, percent_encoding::NON_ALPHANUMERIC);
        for trace in [
            password.clone(),
            format!("{password:?}"),
            serde_json::json!(password).to_string(),
            percent.to_string(),
            url::form_urlencoded::byte_serialize(password.as_bytes()).collect(),
            STANDARD.encode(password),
            hexadecimal.collect(),
            format!("{:?}", password.as_bytes()),
            password.to_uppercase(),
            password.chars().take(8).collect(),
        ] {
            assert!(
                find(format!("a log {trace} line").as_bytes()).is_some(),
                "{trace}"
            );
        }
    }
    assert_eq!(find(b"a log line"), None);
}
