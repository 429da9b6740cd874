use super::*;

fn ring(keys: &[&Secret<String>]) -> KeyRing {
    KeyRing::new(
        &keys.iter().map(|key| (*key).clone()).collect::<Vec<_>>(),
        None,
    )
    .unwrap()
}

#[test]
fn the_first_key_seals_and_every_key_opens() {
    let (old, new) = (generate(), generate());
    let sealed = ring(&[&old]).seal(Purpose::Pending, b"flow", b"memory");
    let new_ring = ring(&[&new, &old]);
    assert_eq!(
        new_ring.open(Purpose::Pending, b"flow", &sealed).unwrap(),
        b"memory"
    );
    assert!(
        ring(&[&new])
            .open(Purpose::Pending, b"flow", &sealed)
            .is_none()
    );
}

#[test]
fn a_value_sealed_for_one_purpose_or_name_opens_for_no_other() {
    let ring = ring(&[&generate()]);
    let sealed = ring.seal(Purpose::Pending, b"flow", b"memory");
    assert!(ring.open(Purpose::Ticket, b"flow", &sealed).is_none());
    assert!(ring.open(Purpose::Tokens, b"flow", &sealed).is_none());
    assert!(ring.open(Purpose::Pending, b"other", &sealed).is_none());
    assert!(ring.open(Purpose::Pending, b"flow", "").is_none());
    assert!(ring.open(Purpose::Pending, b"flow", "%%%").is_none());
}

#[test]
fn sealing_the_same_text_twice_gives_different_values() {
    let ring = ring(&[&generate()]);
    assert_ne!(
        ring.seal(Purpose::Ticket, b"", b"x"),
        ring.seal(Purpose::Ticket, b"", b"x")
    );
}

#[test]
fn a_keyed_hash_differs_with_the_key_and_the_parts() {
    let (key, other) = (generate(), generate());
    let hash = ring(&[&key]).keyed_hash(&[b"ab", b"c"]);
    assert_eq!(ring(&[&key, &other]).keyed_hash(&[b"ab", b"c"]), hash);
    assert_ne!(ring(&[&key]).keyed_hash(&[b"a", b"bc"]), hash);
    assert_ne!(ring(&[&other]).keyed_hash(&[b"ab", b"c"]), hash);
    assert_ne!(fingerprint(&[b"ab", b"c"]), hash);
}

#[test]
fn a_removed_key_verifies_nothing() {
    let (old, new) = (generate(), generate());
    let before = ring(&[&old]);
    assert!(
        ring(&[&new, &old])
            .verifying_key(before.signing_key_id().as_str())
            .is_some()
    );
    assert!(
        ring(&[&new])
            .verifying_key(before.signing_key_id().as_str())
            .is_none()
    );
}

#[test]
fn the_epoch_changes_only_with_the_keys() {
    let (a, b) = (generate(), generate());
    let first = ring(&[&a]);
    let same = KeyRing::new(std::slice::from_ref(&a), Some(&first)).unwrap();
    assert_eq!(same.epoch(), first.epoch());
    assert_eq!(
        KeyRing::new(&[b, a], Some(&same)).unwrap().epoch(),
        first.epoch() + 1
    );
}

#[test]
fn a_short_or_duplicate_key_is_refused() {
    let short = Secret::new("c2hvcnQ=".to_owned());
    assert!(matches!(
        KeyRing::new(&[short], None),
        Err(KeyError::Short { bytes: 5 })
    ));
    let key = generate();
    assert!(matches!(
        KeyRing::new(&[key.clone(), key], None),
        Err(KeyError::Duplicate)
    ));
    assert!(matches!(
        KeyRing::new(&[], None),
        Err(KeyError::Count { keys: 0 })
    ));
    let hexadecimal = Secret::new("ab".repeat(32));
    assert!(KeyRing::new(&[hexadecimal], None).is_ok());
}

#[test]
fn tuples_that_join_to_the_same_bytes_have_different_fingerprints() {
    assert_ne!(fingerprint(&[b"ab", b"c"]), fingerprint(&[b"a", b"bc"]));
}

#[test]
fn the_ring_prints_no_key() {
    let key = generate();
    assert!(!format!("{:?}", ring(&[&key])).contains(key.expose().as_str()));
}
