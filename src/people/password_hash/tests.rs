use super::*;

/// Hashes that other programs computed, and their passwords.
const HASHES: &[(&str, &str)] = &[
    (
        "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "password",
    ),
    (
        "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
        "password",
    ),
    (
        "$argon2id$v=19$m=16,t=1,p=1$c2FsdHNhbHRzYWx0MDAwMQ$SIvjSCzzIqRmWInu9Drbbw",
        "correct horse 密码",
    ),
    (
        "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "U*U",
    ),
    (
        "$2y$05$abcdefghijklmnopqrstuuiL3WB9BMICkzkDzCbKS.08r/3QJHg4.",
        "正确的密码",
    ),
    (
        "$2b$04$abcdefghijklmnopqrstuu.bA.d73e/MYtOXkqQmEhtK96VmvRV4e",
        "hunter2x",
    ),
];

fn is_right(hash: &str, password: &str) -> bool {
    let hash = PasswordHash::parse(hash).unwrap_or_else(|error| panic!("{hash}: {error}"));
    hash.verify(password).unwrap()
}

#[test]
fn hashes_of_other_programs_are_verified() {
    for (hash, password) in HASHES {
        assert!(is_right(hash, password), "{hash}");
        for wrong in ["", "x", &password.to_uppercase(), &format!("{password} ")] {
            assert!(
                wrong == *password || !is_right(hash, wrong),
                "{hash} {wrong}"
            );
        }
    }
    // The unused bits of the last character of a salt make no difference.
    let (hash, password) = HASHES[5];
    assert!(is_right(&hash.replace("rstuu", "rstuv"), password));
}

#[test]
fn bcrypt_refuses_a_password_that_is_longer_than_72_bytes() {
    let hash = "$2a$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui";
    let password = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    assert_eq!(password.len(), 72);
    assert!(is_right(hash, password));
    assert!(!is_right(hash, &password[..71]));
    for more in ["c", "chars after 72 are ignored"] {
        assert!(!is_right(hash, &format!("{password}{more}")), "{more}");
    }
}

#[test]
fn a_new_hash_is_verified_and_has_its_own_salt() {
    let hashes = [(); 2].map(|()| PasswordHash::create("correct horse").unwrap());
    assert_ne!(hashes[0], hashes[1]);
    for hash in &hashes {
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        assert!(is_right(hash, "correct horse"));
        assert!(!is_right(hash, "correct horsf"));
        assert!(!PasswordHash::parse(hash).unwrap().is_cheap());
    }
    let [first, second] = hashes.map(|hash| PasswordHash::parse(&hash).unwrap());
    assert_ne!(first.id(), second.id());
    assert!(!PasswordHash::of_nobody().verify("").unwrap());
}

const SALT_AND_HASH: &str = "c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";

fn argon2id(costs: &str) -> String {
    format!("$argon2id$v=19${costs}${SALT_AND_HASH}")
}

fn bcrypt(cost: &str) -> String {
    format!("$2b${cost}$abcdefghijklmnopqrstuu.bA.d73e/MYtOXkqQmEhtK96VmvRV4e")
}

fn assert_refused(text: &str, expected: InvalidHash) {
    assert_eq!(PasswordHash::parse(text).err(), Some(expected), "{text}");
}

#[test]
fn hashes_of_other_schemes_are_refused() {
    assert_refused("", InvalidHash::Empty);
    for text in [
        "secret",
        "$apr1$salt$hash",
        "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=",
        "$1$salt$hash",
        &argon2id("m=256,t=2,p=1").replace("2id", "2i"),
        &bcrypt("04").replace("2b", "2x"),
        &bcrypt("04").replace("$2b$", "$2$"),
    ] {
        assert_refused(text, InvalidHash::UnknownScheme);
    }
}

#[test]
fn damaged_and_costly_hashes_of_argon2id_are_refused() {
    let good = argon2id("m=256,t=2,p=1");
    assert!(PasswordHash::parse(&good).is_ok());
    for text in [
        good.replace("v=19$", ""),
        argon2id("m=256,t=2"),
        argon2id("m=256,t=2,p=1,data=x"),
        argon2id("t=2,m=256,p=1"),
        argon2id("m=+256,t=2,p=1"),
        argon2id("m=7,t=2,p=1"),
        argon2id("m=256,t=0,p=1"),
        argon2id("m=256,t=2,p=0"),
        argon2id("m=99999999999,t=2,p=1"),
        format!("{good}$x"),
        format!("{good}=="),
        good.replace("c29tZXNhbHQ", "c2FsdA"),
        "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$AAAA".to_owned(),
    ] {
        assert_refused(&text, InvalidHash::DamagedArgon2id);
    }
    assert_refused(&good.replace("v=19", "v=16"), InvalidHash::Argon2Version);
    for costs in ["m=1048577,t=1,p=1", "m=256,t=16385,p=1"] {
        assert_refused(&argon2id(costs), InvalidHash::TooCostly);
    }
}

#[test]
fn damaged_and_costly_hashes_of_bcrypt_are_refused() {
    let good = bcrypt("04");
    assert!(PasswordHash::parse(&good).is_ok());
    for text in [
        bcrypt("03"),
        bcrypt("4"),
        bcrypt("+4"),
        format!("{good}x"),
        good.replace("bA", "b="),
    ] {
        assert_refused(&text, InvalidHash::DamagedBcrypt);
    }
    assert_refused(&bcrypt("17"), InvalidHash::TooCostly);
}

#[test]
fn cheap_hashes_are_recognized() {
    let is_cheap = |text: &str| PasswordHash::parse(text).unwrap().is_cheap();
    for (hash, cost) in [
        (HASHES[5].0, "bcrypt with cost 4"),
        (HASHES[0].0, "argon2id with m=256,t=2,p=1"),
    ] {
        assert!(is_cheap(hash), "{hash}");
        assert_eq!(PasswordHash::parse(hash).unwrap().cost().to_string(), cost);
    }
    for (costs, expected) in [
        ("m=7168,t=5,p=1", false),
        ("m=19456,t=2,p=1", false),
        ("m=47104,t=1,p=1", false),
        ("m=7167,t=50,p=1", true),
        ("m=19456,t=1,p=1", true),
    ] {
        assert_eq!(is_cheap(&argon2id(costs)), expected, "{costs}");
    }
    let bcrypt = HASHES[5].0.replace("$04$", "$10$");
    assert!(!is_cheap(&bcrypt));
}

#[test]
fn no_hash_is_shown() {
    let hash = PasswordHash::parse(HASHES[0].0).unwrap();
    assert_eq!(format!("{hash:?}"), "PasswordHash(…)");
}
